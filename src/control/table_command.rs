//! Commands that are done beside the stream of a table.

use std::fmt;

/// What is done beside the stream of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableCommand {
    /// Read the rows with these identifiers again, and deliver them whatever was delivered before.
    Reread(Vec<String>),
}

impl fmt::Display for TableCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableCommand::Reread(ids) => write!(f, "reread {} rows of", ids.len()),
        }
    }
}
