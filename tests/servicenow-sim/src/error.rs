//! What can go wrong when a test prepares an instance.

use std::fmt;
use std::io;

/// An error of the library's own calls; HTTP callers get the instance's errors instead.
#[derive(Debug)]
pub enum Error {
    /// A socket call failed.
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// No such table.
    UnknownTable(String),
    /// The table has classes below it, which would have to change as well.
    HasClasses(String),
    /// No such column.
    UnknownColumn {
        /// Table name.
        table: String,
        /// Column name.
        column: String,
    },
    /// No such row.
    UnknownRow {
        /// Table name.
        table: String,
        /// `sys_id`.
        sys_id: String,
    },
    /// A row with this `sys_id` exists.
    DuplicateId {
        /// Table name.
        table: String,
        /// `sys_id`.
        sys_id: String,
    },
    /// The classes have no root in common, so that no row can move between them.
    UnrelatedClass {
        /// The row's class.
        from: String,
        /// The class that was asked for.
        to: String,
    },
    /// Not an IANA time zone that this machine knows.
    UnknownZone(String),
    /// A control request that cannot be understood.
    Script(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::UnknownTable(table) => write!(f, "table {table}: no such table"),
            Error::HasClasses(table) => write!(f, "table {table}: has classes below it"),
            Error::UnknownColumn { table, column } => {
                write!(f, "table {table}: no column {column}")
            }
            Error::UnknownRow { table, sys_id } => write!(f, "table {table}: no row {sys_id}"),
            Error::DuplicateId { table, sys_id } => {
                write!(f, "table {table}: row {sys_id} exists already")
            }
            Error::UnrelatedClass { from, to } => {
                write!(f, "class {from}: has no root in common with {to}")
            }
            Error::UnknownZone(zone) => write!(f, "time zone {zone}: unknown"),
            Error::Script(why) => write!(f, "script: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::UnknownTable(_)
            | Error::HasClasses(_)
            | Error::UnknownColumn { .. }
            | Error::UnknownRow { .. }
            | Error::DuplicateId { .. }
            | Error::UnrelatedClass { .. }
            | Error::UnknownZone(_)
            | Error::Script(_) => None,
        }
    }
}
