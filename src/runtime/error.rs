//! Why the bridge did not start or did not end well, and the exit code that tells.

use std::fmt;
use std::io;

use crate::{admin, checkpoint, kafka, registry, servicenow};

/// The reason why the bridge does not run, or did not end well. It decides the exit code.
#[derive(Debug)]
pub enum Error {
    /// The checkpoint file.
    Checkpoint(checkpoint::Error),
    /// The ServiceNow client.
    ServiceNow(servicenow::Error),
    /// The Kafka producer.
    Kafka(kafka::Error),
    /// The client of the schema registry.
    Registry(registry::Error),
    /// No table can start, and there is nothing else to do.
    Refused(Vec<String>),
    /// The port for health and metrics.
    Admin(admin::Error),
    /// Threads or signals of the operating system.
    System(io::Error),
    /// Another process has taken this bridge's name in the sink's group.
    Fenced,
    /// Stopped before everything that was begun had an end.
    Undelivered {
        /// Rows read but not acknowledged, at least.
        rows: u64,
        /// Records whose writing was begun and has no answer.
        records: u64,
        /// Threads that did not end.
        threads: u64,
    },
}

impl Error {
    /// Exit code: 70 is a bug, 75 safe to start again, 78 a wrong configuration, 79 another process in
    /// this one's place.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Checkpoint(checkpoint::Error::TakenOver { .. }) => 79,
            // The lock is free again when the other process ends; a full disk may be emptied.
            Error::Checkpoint(error)
                if error.is_retryable() || matches!(error, checkpoint::Error::Locked { .. }) =>
            {
                75
            }
            // By a predecessor that still stops, perhaps.
            Error::Admin(error) if error.is_in_use() => 75,
            Error::Checkpoint(_) | Error::ServiceNow(_) | Error::Kafka(_) => 78,
            Error::Registry(_) | Error::Refused(_) | Error::Admin(_) => 78,
            Error::System(_) => 75,
            Error::Undelivered { .. } => 75,
            Error::Fenced => 79,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Checkpoint(error) => error.fmt(f),
            Error::ServiceNow(error) => error.fmt(f),
            Error::Kafka(error) => error.fmt(f),
            Error::Registry(error) => error.fmt(f),
            Error::Refused(why) => f.write_str(&why.join("; ")),
            Error::Admin(error) => error.fmt(f),
            Error::System(error) => write!(f, "the operating system refuses: {error}"),
            Error::Fenced => f.write_str(
                "another process has taken this bridge's name in the sink's group: two bridges must not \
                 have the same `cluster.instance_id`, nor copies of one file of it",
            ),
            Error::Undelivered {
                rows,
                records,
                threads,
            } => {
                write!(
                    f,
                    "stopped with {rows} rows read but not acknowledged and {records} records \
                     written without an answer; they are repeated at the next start"
                )?;
                match threads {
                    0 => Ok(()),
                    _ => write!(f, " ({threads} threads did not end)"),
                }
            }
        }
    }
}
