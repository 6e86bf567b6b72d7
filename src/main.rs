//! The program: arguments to exit code.

use std::io::{self, BufWriter, IsTerminal as _};
use std::process::ExitCode;

use servicenow_kafka_bridge::cli;
use servicenow_kafka_bridge::commands::{self, Terminal, exit_code};

// musl's own allocator has one lock for all threads (docs/decisions/0017).
#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Neither is locked for longer than a line: `run` writes its log to stderr from other threads.
    let (stdout, mut stderr) = (io::stdout(), io::stderr());
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout));
    let width = size.map(|size| match size {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    });
    let is_live = stderr.is_terminal();
    let mut output = BufWriter::new(stdout);
    let mut terminal = Terminal::new(&mut output, &mut stderr, width, is_live);
    let code = match cli::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => commands::execute(invocation, &mut terminal),
        Err(usage) => {
            terminal.error(&usage.to_string());
            exit_code::USAGE
        }
    };
    ExitCode::from(code)
}
