//! The program: arguments to exit code.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal belongs to this file"
)]

use std::process::ExitCode;

use servicenow_kafka_bridge::{cli, commands};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(usage) => {
            eprintln!("servicenow-kafka-bridge: {usage}");
            return ExitCode::from(64);
        }
    };
    let done = commands::execute(command);
    // A closed pipe is the reader's choice, not an error.
    for line in &done.output {
        println!("{line}");
    }
    for line in &done.errors {
        eprintln!("servicenow-kafka-bridge: {line}");
    }
    ExitCode::from(done.code)
}
