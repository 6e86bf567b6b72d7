//! The program: arguments to exit code.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal belongs to this file"
)]

use std::io::{self, BufWriter, IsTerminal as _};
use std::process::ExitCode;

use servicenow_kafka_bridge::commands::{CommandOutcome, Terminal};
use servicenow_kafka_bridge::{cli, commands};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(usage) => {
            eprintln!("servicenow-kafka-bridge: {usage}");
            return ExitCode::from(64);
        }
    };
    let done = execute(command);
    // A closed pipe is the reader's choice, not an error.
    for line in &done.output {
        println!("{line}");
    }
    for line in &done.errors {
        eprintln!("servicenow-kafka-bridge: {line}");
    }
    ExitCode::from(done.code)
}

fn execute(command: cli::CliCommand) -> CommandOutcome {
    // Locked for a moment at a time: `run` writes to stderr from other threads.
    let (stdout, mut stderr) = (io::stdout(), io::stderr());
    let terminal = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout));
    let width = terminal.map(|size| match size {
        Ok(size) if 0 < size.ws_col => usize::from(size.ws_col),
        _ => 80,
    });
    let live = stderr.is_terminal();
    let mut output = BufWriter::new(stdout);
    let mut screen = Terminal::new(&mut output, &mut stderr, width, live);
    commands::execute(command, &mut screen)
}
