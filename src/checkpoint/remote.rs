//! A place for positions other than the file: what the store needs of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::error::Error;
use super::stored_entry::StoredTables;
use crate::stop::Stop;

/// Keeps positions where other hosts find them, too.
///
/// One process at a time writes there. Another one that takes the positions over ends that.
pub trait RemotePositions: fmt::Debug + Send {
    /// Where they are, for messages.
    fn place(&self) -> String;

    /// Takes the positions over from the process that wrote them last, so that it cannot write any more,
    /// and then reads them.
    ///
    /// # Errors
    /// They cannot be reached now, or what is there must not be used.
    fn take_over(&mut self, stop: &Stop) -> Result<RemoteTables, Error>;

    /// Makes `next` durable in place of `before`: all of it or nothing. Entries that are the same in both
    /// are left as they are. Gives how long that was waited for.
    ///
    /// # Errors
    /// They were not acknowledged; then `next` may be there, or `before`. Or another process has taken the
    /// positions over.
    fn write(
        &mut self,
        before: &StoredTables,
        next: &StoredTables,
        deadline: Instant,
    ) -> Result<Duration, Error>;

    /// Says that this process has ended its work there.
    ///
    /// # Errors
    /// It was not acknowledged.
    fn release(&mut self, deadline: Instant) -> Result<(), Error>;
}

/// What was read.
#[derive(Debug, Default)]
pub struct RemoteTables {
    /// The positions.
    pub tables: StoredTables,
    /// Tables of which something is stored that must not be used, and not be written over: why, with what
    /// to do.
    pub refused: BTreeMap<String, String>,
}
