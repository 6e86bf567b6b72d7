//! Why a table cannot start.

use std::fmt;
use std::io;

use crate::servicenow::query::QueryValueFault;

/// Why a table cannot start. The text names the table and says what to do.
#[derive(Debug)]
pub enum Error {
    /// The checkpoint was made by another query, table or instance.
    OtherQuery {
        /// The table.
        table: String,
    },
    /// What is stored as the table's checkpoint must not be used.
    RefusedPosition {
        /// The table.
        table: String,
        /// Why, with what to do.
        why: String,
    },
    /// The checkpoint's timestamp is no time in seconds; it may be milliseconds.
    NoTime {
        /// The table.
        table: String,
        /// The number in the checkpoint.
        seconds: i64,
    },
    /// The checkpoint's identifier cannot be a part of a query.
    UnusableIdentifier {
        /// The table.
        table: String,
        /// What is wrong with it.
        fault: QueryValueFault,
    },
    /// The table is configured as Avro, and no schema registry is.
    NoRegistry {
        /// The table.
        table: String,
    },
    /// The operating system gives no thread.
    Thread {
        /// The table.
        table: String,
        /// The operating system's reason.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OtherQuery { table } => write!(
                f,
                "table `{table}`: its checkpoint was made with another instance, query or cursor \
                 column, so rows could be missed; run `checkpoint reset {table}` to read the table \
                 from the beginning, or `checkpoint set {table}` to accept a position"
            ),
            Error::RefusedPosition { table, why } => {
                write!(f, "table `{table}`: its checkpoint is not used: {why}")
            }
            Error::NoTime { table, seconds } => write!(
                f,
                "table `{table}`: its checkpoint has the timestamp {seconds}, which is no time in \
                 seconds since 1970; correct it with `checkpoint set` or `checkpoint reset`"
            ),
            Error::UnusableIdentifier { table, fault } => write!(
                f,
                "table `{table}`: the `last_identifier` of its checkpoint is none of a row: {fault}; \
                 correct it with `checkpoint set` or `checkpoint reset`"
            ),
            Error::NoRegistry { table } => write!(
                f,
                "table `{table}`: `format: avro` needs a registry: set `schema_registry.url`"
            ),
            Error::Thread { table, error } => {
                write!(f, "table `{table}`: cannot start a thread: {error}")
            }
        }
    }
}
