//! What is asked of a running bridge: which question, about what.

use std::ffi::OsString;

use super::dead_letters::GivenOptions;
use super::{HelpTopic, UsageError};

/// The commands that are asked of a running bridge.
pub(super) const ADMIN_COMMANDS: [&str; 7] = [
    "status",
    "threads",
    "pause",
    "resume",
    "poll",
    "refresh-token",
    "log-level",
];
/// Levels of the log, as the configuration names them.
const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// What is asked of a running bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAction {
    /// Print what it is doing.
    Status {
        /// As JSON.
        json: bool,
    },
    /// Print its threads.
    Threads {
        /// As JSON.
        json: bool,
    },
    /// Print the configuration that it runs with.
    Config,
    /// Stop a table or topic for a while.
    Pause(String),
    /// Let it go on.
    Resume(String),
    /// Poll a table now.
    Poll(String),
    /// Get a new access token.
    RefreshToken,
    /// Log from this level on.
    LogLevel(String),
}

fn usage(message: impl Into<String>) -> UsageError {
    UsageError {
        message: message.into(),
        topic: HelpTopic::Admin,
    }
}

/// The action that `words` ask for; the first is the verb.
pub(super) fn parse(words: &[OsString], given: &GivenOptions) -> Result<AdminAction, UsageError> {
    let mut texts = Vec::new();
    for word in words {
        let text = word.to_str();
        texts.push(text.ok_or_else(|| usage(format!("{word:?} is not UTF-8")))?);
    }
    let (verb, argument) = match texts[..] {
        [verb] => (verb, None),
        [verb, argument] => (verb, Some(argument)),
        [_, _, extra, ..] => return Err(usage(format!("one argument too many: {extra:?}"))),
        [] => ("admin", None),
    };
    let json = given.switches.contains(&"json");
    let mut options = given.values.keys().chain(&given.switches);
    let takes_json = ["status", "threads"].contains(&verb);
    if let Some(option) = options.find(|option| **option != "json" || !takes_json) {
        return Err(usage(format!("`--{option}` does not belong to `{verb}`")));
    }
    let action = match (verb, argument) {
        ("status", None) => AdminAction::Status { json },
        ("threads", None) => AdminAction::Threads { json },
        ("refresh-token", None) => AdminAction::RefreshToken,
        ("pause", Some(name)) => AdminAction::Pause(name.to_owned()),
        ("resume", Some(name)) => AdminAction::Resume(name.to_owned()),
        ("poll", Some(name)) => AdminAction::Poll(name.to_owned()),
        ("log-level", Some(level)) if LOG_LEVELS.contains(&level) => {
            AdminAction::LogLevel(level.to_owned())
        }
        ("log-level", _) => {
            let message = format!("`log-level` needs one of {}", LOG_LEVELS.join(", "));
            return Err(usage(message));
        }
        ("poll", None) => return Err(usage("`poll` needs the name of a table")),
        ("pause" | "resume", None) => {
            return Err(usage(format!(
                "`{verb}` needs the name of a table or of a topic of the sink"
            )));
        }
        (verb, Some(extra)) if ADMIN_COMMANDS.contains(&verb) => {
            return Err(usage(format!("one argument too many: {extra:?}")));
        }
        _ => {
            let message = format!(
                "`admin` is no command: it is one of {}",
                ADMIN_COMMANDS.join(", ")
            );
            return Err(usage(message));
        }
    };
    Ok(action)
}
