//! `servicenow-sim`: a simulated instance as a program.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal belongs to it"
)]

use std::process::ExitCode;
use std::time::Duration;

use servicenow_sim::{Churn, Column, Generator, Kind, LiteralTz, Options, Sim, Table};

const HELP: &str = "\
servicenow-sim - a simulated ServiceNow instance

Usage: servicenow-sim [options]        Ctrl-C ends it.

  --addr ADDR         listen here (default 127.0.0.1:8090; port 0 picks one)
  --rows N            rows to make in each table (default 1000)
  --row-bytes N       about this many bytes of JSON per row (default 2000)
  --tables A,B        tables to fill (default incident)
  --empty-columns N   make the table u_wide first: an incident with N more columns, all empty
  --churn N           changes per second in each table (default 0)
  --user-zone ZONE    IANA zone of the integration user (default GMT)
  --literal-tz T      how date literals are read: utc or user (default utc)
  --token-life SECS   life of an access token (default 1800)
  --write-latency MS  how long each write takes (default 0)
  --rate-limit N      Table API requests per hour (default: no limit)
  --semaphore R,Q     requests that run and that wait at most (default: no limit)
  --history N         versions of rows that /sim/truth tells of (default 0)
  --no-gzip           never compress answers: for benchmarks
  -h, --help          this text

Sign in as bridge / secret, or with OAuth client client-id / client-secret:

  curl -u bridge:secret 'http://127.0.0.1:8090/api/now/table/incident?sysparm_limit=2'
  curl -d 'grant_type=password&client_id=client-id&client_secret=client-secret' \\
       -d 'username=bridge&password=secret' http://127.0.0.1:8090/oauth_token.do

Break something, then look at what clients sent:

  curl -d '{\"fault\":\"unavailable\",\"table\":\"incident\",\"times\":3}' \\
       http://127.0.0.1:8090/sim/faults
  curl http://127.0.0.1:8090/sim/requests

Lose the answers of three writes in ten, then look at what became of them:

  curl -d '{\"fault\":\"applied_504\",\"table\":\"incident\",\"writes\":true,\"chance\":0.3}' \\
       http://127.0.0.1:8090/sim/faults
  curl http://127.0.0.1:8090/sim/writes
";

struct Args {
    options: Options,
    rows: usize,
    row_bytes: usize,
    tables: Vec<String>,
    empty_columns: usize,
    churn: f64,
}

fn main() -> ExitCode {
    match parse() {
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Some(args)) => match run(args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => {
                eprintln!("servicenow-sim: {err}");
                ExitCode::FAILURE
            }
        },
        Err(err) => {
            eprintln!("servicenow-sim: {err}\nTry `servicenow-sim --help`.");
            ExitCode::from(64)
        }
    }
}

fn parse() -> Result<Option<Args>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut args = Args {
        options: Options {
            addr: "127.0.0.1:8090".to_owned(),
            ..Options::default()
        },
        rows: 1000,
        row_bytes: 2000,
        tables: vec!["incident".to_owned()],
        empty_columns: 0,
        churn: 0.0,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("addr") => args.options.addr = parser.value()?.string()?,
            Long("rows") => args.rows = parser.value()?.parse()?,
            Long("row-bytes") => args.row_bytes = parser.value()?.parse()?,
            Long("tables") => {
                let list = parser.value()?.string()?;
                args.tables = list.split(',').map(str::to_owned).collect();
            }
            Long("empty-columns") => args.empty_columns = parser.value()?.parse()?,
            Long("churn") => args.churn = parser.value()?.parse()?,
            Long("user-zone") => args.options.user_zone = parser.value()?.string()?,
            Long("literal-tz") => {
                args.options.literal_tz = match parser.value()?.string()?.as_str() {
                    "utc" => LiteralTz::Utc,
                    "user" => LiteralTz::User,
                    other => return Err(format!("--literal-tz {other}: want utc or user").into()),
                };
            }
            Long("token-life") => {
                args.options.token_life = Duration::from_secs(parser.value()?.parse()?);
            }
            Long("write-latency") => {
                args.options.write_latency = Duration::from_millis(parser.value()?.parse()?);
            }
            Long("rate-limit") => {
                args.options.rate_limit_per_hour = Some(parser.value()?.parse()?);
            }
            Long("semaphore") => {
                let text = parser.value()?.string()?;
                let places = text.split_once(',').and_then(|(running, queued)| {
                    Some((running.parse().ok()?, queued.parse().ok()?))
                });
                let bad = || format!("--semaphore {text}: want two numbers, as in 4,50");
                args.options.semaphore = Some(places.ok_or_else(bad)?);
            }
            Long("history") => args.options.history = parser.value()?.parse()?,
            Long("no-gzip") => args.options.gzip = false,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(args))
}

fn run(args: Args) -> Result<(), servicenow_sim::Error> {
    let sim = Sim::start(args.options)?;
    if args.empty_columns > 0 {
        let columns = (0..args.empty_columns).map(|at| Column::new(&format!("u_{at}"), Kind::Text));
        let wide = Table::new("u_wide").extends("incident");
        sim.create_table(columns.fold(wide, Table::column))?;
    }
    let mut churns = Vec::new();
    for (seed, table) in (1..).zip(&args.tables) {
        // The last generated stamp lies before now, so that what comes later is newer.
        let seconds = i64::try_from(args.rows / 10 + 60).unwrap_or(i64::MAX);
        let generator = Generator::new(seed, args.row_bytes, sim.now().saturating_sub(seconds));
        sim.insert_many(table, generator.take(args.rows))?;
        println!("{table}: {} rows", sim.count(table)?);
        if args.churn > 0.0 {
            churns.push(Churn::start(&sim, table, args.churn, args.row_bytes)?);
        }
    }
    println!("listening on {}", sim.url());
    loop {
        // Ctrl-C ends the process; there is nothing to save.
        std::thread::park();
    }
}
