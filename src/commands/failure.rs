//! Why a command ends early, and with which exit code.

use std::io;

use super::terminal::Terminal;
pub use crate::cli::exit_code;

/// The exit code of a command that was executed, or why it ended early.
pub(super) type ExitResult = Result<u8, CommandFailure>;

/// Why a command ends early.
#[derive(Debug)]
pub(super) struct CommandFailure {
    pub(super) code: u8,
    /// Empty where the reader has closed the output, which is no failure.
    pub(super) text: String,
}

impl CommandFailure {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "most texts and errors are made for it"
    )]
    pub(super) fn new(code: u8, text: impl ToString) -> CommandFailure {
        let text = text.to_string();
        CommandFailure { code, text }
    }
}

/// The output could not be written.
impl From<io::Error> for CommandFailure {
    fn from(error: io::Error) -> CommandFailure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CommandFailure::new(exit_code::DONE, ""),
            _ => CommandFailure::new(
                exit_code::TRY_AGAIN,
                format!("cannot write the output: {error}"),
            ),
        }
    }
}

/// Says why a command ended early, and gives the exit code.
pub(super) fn conclude(result: ExitResult, terminal: &mut Terminal<'_>) -> u8 {
    let result = result.and_then(|code| {
        terminal.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => code,
        Err(CommandFailure { code, text }) => {
            if !text.is_empty() {
                terminal.error(&text);
            }
            code
        }
    }
}
