//! Why a command ends early, and its exit code.

use std::io;

use super::terminal::Terminal;

/// Exit codes of the program. They are those of sysexits.h where that has one.
pub mod exit_code {
    /// All was done.
    pub const DONE: u8 = 0;
    /// The command came to its end, but not all was done, or the answer is no.
    pub const NOT_AS_ASKED: u8 = 1;
    /// `doctor` found what keeps rows or records from getting through.
    pub const FAILURES_FOUND: u8 = 2;
    /// The command line makes no sense (EX_USAGE).
    pub const USAGE: u8 = 64;
    /// A bug in this program (EX_SOFTWARE).
    pub const BUG: u8 = 70;
    /// Something did not answer or is in use; safe to start again (EX_TEMPFAIL).
    pub const TRY_AGAIN: u8 = 75;
    /// The configuration must be put right first (EX_CONFIG).
    pub const CONFIGURATION: u8 = 78;
    /// Another process has taken this one's place, so that starting again would only take it back.
    pub const FENCED: u8 = 79;
}

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
