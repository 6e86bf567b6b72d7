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
    let invocation = match cli::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(usage) => {
            eprintln!("servicenow-kafka-bridge: {usage}");
            return ExitCode::from(64);
        }
    };
    let done = execute(invocation);
    // A closed pipe is the reader's choice, not an error.
    for line in &done.output {
        println!("{line}");
    }
    for line in &done.errors {
        eprintln!("servicenow-kafka-bridge: {line}");
    }
    ExitCode::from(done.code)
}

fn execute(invocation: cli::Invocation) -> CommandOutcome {
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
    let mut terminal = Terminal::new(&mut output, &mut stderr, width, live);
    commands::execute(invocation, &mut terminal)
}
