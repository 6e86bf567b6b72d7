//! `schema`: which table, and what to do with its schema.

use std::ffi::OsString;

use super::{HelpTopic, UsageError, dead_letters};

/// What to do with the schema of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaAction {
    /// Print what would be registered.
    Show,
    /// Print how that differs from what is registered, and whether it fits.
    Diff,
    /// Register it.
    Register,
}

fn usage(message: impl Into<String>) -> UsageError {
    UsageError {
        message: message.into(),
        topic: HelpTopic::Schema,
    }
}

/// The action, the table, and whether as JSON.
pub(super) fn parse(
    words: &[OsString],
    options: &dead_letters::GivenOptions,
) -> Result<(SchemaAction, String, bool), UsageError> {
    let foreign = options.switches.iter().find(|switch| **switch != "json");
    if let Some(option) = options.values.keys().next().or(foreign) {
        return Err(usage(format!("`--{option}` belongs to `dead-letters`")));
    }
    let mut texts = Vec::new();
    for word in words {
        let text = word.to_str();
        texts.push(text.ok_or_else(|| usage(format!("{word:?} is not UTF-8")))?);
    }
    let (verb, table) = match texts[..] {
        [] => return Err(usage("`schema` needs show, diff or register")),
        [verb] => (verb, None),
        [verb, table] => (verb, Some(table)),
        [_, _, extra, ..] => return Err(usage(format!("one argument too many: {extra:?}"))),
    };
    let action = match verb {
        "show" => SchemaAction::Show,
        "diff" => SchemaAction::Diff,
        "register" => SchemaAction::Register,
        other => {
            let message = format!("`schema {other}`: only show, diff and register are known");
            return Err(usage(message));
        }
    };
    match table.filter(|table| !table.is_empty()) {
        Some(table) => Ok((action, table.to_owned(), options.switches.contains(&"json"))),
        None => Err(usage(format!("`schema {verb}` needs the name of a table"))),
    }
}
