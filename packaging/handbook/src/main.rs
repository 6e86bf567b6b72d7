//! `handbook ROOT VERSION`: writes the handbook of the repository at ROOT to standard output.

use std::env;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let made = match arguments.as_slice() {
        [root, version] => handbook::handbook(Path::new(root), version),
        _ => Err("usage: handbook ROOT VERSION > handbook.html".to_owned()),
    };
    let written = made.and_then(|html| {
        let mut out = io::stdout().lock();
        out.write_all(html.as_bytes())
            .map_err(|why| why.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            writeln!(io::stderr(), "handbook: {why}").ok();
            ExitCode::FAILURE
        }
    }
}
