//! The command line of the demo.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
usage: bridge-demo [--rows N] [--until-read] [--port N] [--folder PATH] PATH_TO_BRIDGE

Starts a simulated ServiceNow instance, an embedded Kafka and the bridge, and shows the rows that
arrive in topics and how many records of a topic are written to a table. Ctrl-C ends it.

  --rows N       rows that exist at the start, 1 to 20000 (default 200)
  --port N       port of the bridge's status page, where it is free (default: any free one)
  --folder PATH  where configuration, log and checkpoint are kept (default: a folder that goes away)
  --until-read   change no rows, produce 100 records; end when all rows have arrived, all records
                 are written or refused, and the bridge stopped with 0";

const MOST_ROWS: usize = 20_000;

/// What to do.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) rows: usize,
    pub(crate) until_read: bool,
    /// The wish for the port of the status page.
    pub(crate) port: Option<u16>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) program: PathBuf,
}

/// Reads the arguments; `None` when the help was asked for and shown.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Option<Args>, lexopt::Error> {
    let (mut rows, mut until_read, mut program) = (200, false, None);
    let (mut port, mut folder) = (None, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("rows") => {
                rows = parser.value()?.parse()?;
                if !(1..=MOST_ROWS).contains(&rows) {
                    return Err("--rows takes 1 to 20000".into());
                }
            }
            Long("until-read") => until_read = true,
            Long("port") => port = Some(parser.value()?.parse()?),
            Long("folder") => folder = Some(PathBuf::from(parser.value()?)),
            Short('h') | Long("help") => {
                crate::say(USAGE);
                return Ok(None);
            }
            Value(path) if program.is_none() => program = Some(PathBuf::from(path)),
            other => return Err(other.unexpected()),
        }
    }
    let program = program.ok_or("the path of the bridge's binary is missing")?;
    Ok(Some(Args {
        rows,
        until_read,
        port,
        folder,
        program,
    }))
}
