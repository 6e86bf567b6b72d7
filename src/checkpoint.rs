//! Checkpoints: up to where each table was read and acknowledged.
//!
//! [`CheckpointStore::advance`] only moves memory; [`CheckpointStore::flush`] makes it durable. The file is the one of
//! the Go bridge, `{"incident": {"timestamp": 1706140800, "last_identifier": "..."}}`, with a
//! fingerprint beside the position. What we do not know in it is kept.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use serde::{Deserialize, Serialize};

use crate::metrics::{Counter, GaugeVec, Metrics};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};
use file::CheckpointFile;

/// Rows after which the flush thread is woken before its interval: a program that is killed again
/// and again still moves on.
const FLUSH_AFTER_ROWS: u64 = 10_000;

/// How far a table was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPosition {
    /// Seconds since the epoch, UTC.
    pub timestamp: i64,
    /// The last row of that second; empty when the whole second is still to be read.
    pub last_identifier: String,
}

/// What is known about a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointEntry {
    /// How far it was read.
    pub position: CheckpointPosition,
    /// Which instance, table, columns and query the position belongs to; `None` in files of the
    /// Go bridge and after `checkpoint set`.
    pub fingerprint: Option<String>,
}

/// One value of the file, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct CheckpointFileEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default)]
    last_identifier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// Fields of a later version.
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

type CheckpointTables = BTreeMap<String, CheckpointFileEntry>;

/// The checkpoints of this process; shared as `Arc<Store>`. Dropping it does not flush.
#[derive(Debug)]
pub struct CheckpointStore {
    /// Held during a write, so that two writers cannot put an older text over a newer one.
    file: Mutex<CheckpointFile>,
    /// Never held during a write: tables move on while the disk is slow.
    state: Mutex<CheckpointState>,
    due: (Sender<()>, Receiver<()>),
    writes_ok: Counter,
    writes_failed: Counter,
    timestamps: GaugeVec,
}

#[derive(Debug, Default)]
struct CheckpointState {
    tables: CheckpointTables,
    on_disk: CheckpointTables,
    /// Rows since the last write was tried, failed ones included: a full disk is retried at the
    /// interval, not in a loop.
    rows: u64,
    /// Tables whose position is not shown.
    hidden: BTreeSet<String>,
}

impl CheckpointStore {
    /// Locks and reads the checkpoint file. A missing file is an empty one, and a missing folder
    /// is made; anything that is not understood is an error, never an empty checkpoint.
    pub fn open(path: &Path, metrics: &Metrics) -> Result<CheckpointStore, Error> {
        let file = CheckpointFile::open(path)?;
        let tables = match file.read()? {
            Some(text) => parse(file.path(), &text)?,
            None => CheckpointTables::new(),
        };
        let store = CheckpointStore {
            file: Mutex::new(file),
            state: Mutex::new(CheckpointState {
                on_disk: tables.clone(),
                tables,
                rows: 0,
                hidden: BTreeSet::new(),
            }),
            due: bounded(1),
            writes_ok: metrics.checkpoint_writes.with(&["ok"]),
            writes_failed: metrics.checkpoint_writes.with(&["error"]),
            timestamps: metrics.checkpoint_timestamp.clone(),
        };
        store.show_timestamps(&CheckpointTables::new(), &store.state());
        Ok(store)
    }

    /// Where to go on; `None` for a table that was never read, which the Go bridge may also have
    /// written as a position of zeros.
    pub fn get(&self, table: &str) -> Option<CheckpointEntry> {
        self.state()
            .tables
            .get(table)
            .and_then(CheckpointFileEntry::entry)
    }

    /// Moves a table on in memory, after `rows` more rows were acknowledged. Enough rows wake the
    /// flush thread.
    pub fn advance(&self, table: &str, entry: CheckpointEntry, rows: u64) {
        let mut state = self.state();
        state.hidden.remove(table);
        let written = state.tables.entry(table.to_owned()).or_default();
        written.timestamp = Some(entry.position.timestamp);
        written.last_identifier = entry.position.last_identifier;
        written.fingerprint = entry.fingerprint;
        state.rows = state.rows.saturating_add(rows);
        if FLUSH_AFTER_ROWS <= state.rows {
            // A full channel means that the thread is being woken already.
            self.due.0.try_send(()).ok();
        }
    }

    /// Shows no position of a table that is no longer read, until it moves again. It stays on disk.
    pub fn hide_position(&self, table: &str) {
        self.state().hidden.insert(table.to_owned());
        self.timestamps.remove("table", table);
    }

    /// Forgets a table, so that it is read from the beginning; false if it was not known.
    pub fn remove(&self, table: &str) -> bool {
        self.state().tables.remove(table).is_some()
    }

    /// Writes the file if anything changed since it was last written. After an error nothing is
    /// lost: memory is as it was, and the next flush tries again.
    pub fn flush(&self) -> Result<(), Error> {
        let file = self.file.lock();
        let tables = {
            let mut state = self.state();
            state.rows = 0;
            if state.tables == state.on_disk {
                return Ok(());
            }
            state.tables.clone()
        };
        if let Err(err) = file.replace(&render(&tables)) {
            self.writes_failed.inc();
            return Err(err);
        }
        self.writes_ok.inc();
        let mut state = self.state();
        let before = std::mem::replace(&mut state.on_disk, tables);
        self.show_timestamps(&before, &state);
        Ok(())
    }

    /// The position of a table that would survive a crash now.
    pub fn durable_position(&self, table: &str) -> Option<CheckpointPosition> {
        let entry = self
            .state()
            .on_disk
            .get(table)
            .and_then(CheckpointFileEntry::entry);
        entry.map(|entry| entry.position)
    }

    /// Waits until the next flush is due: after `interval`, or sooner after many rows. True when
    /// stopped.
    pub fn wait_until_flush_due(&self, interval: Duration, stop: &Stop) -> bool {
        if stop.is_stopped() {
            return true;
        }
        select! {
            recv(self.due.1) -> _ => false,
            recv(stop.receiver()) -> _ => true,
            default(interval) => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, CheckpointState> {
        self.state.lock()
    }

    fn show_timestamps(&self, before: &CheckpointTables, state: &CheckpointState) {
        let now = &state.on_disk;
        for table in before.keys().filter(|table| !now.contains_key(*table)) {
            self.timestamps.with(&[table]).set(f64::NAN);
        }
        for (table, written) in now
            .iter()
            .filter(|(table, _)| !state.hidden.contains(*table))
        {
            if let Some(entry) = written.entry() {
                #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
                self.timestamps
                    .with(&[table])
                    .set(entry.position.timestamp as f64);
            }
        }
    }
}

/// The process that works with the checkpoints in `path`, as it holds their lock, and the lock's
/// file; `None` when none does.
///
/// # Errors
/// The lock cannot be read.
pub fn lock_holder(path: &Path) -> Result<Option<(u32, PathBuf)>, Error> {
    file::holder_of(path)
}

/// The checkpoints in a file, without lock: also while another process uses it. A missing file is
/// an empty one.
pub fn read_only(path: &Path) -> Result<BTreeMap<String, CheckpointEntry>, Error> {
    let tables = match file::read(path)? {
        Some(text) => parse(path, &text)?,
        None => CheckpointTables::new(),
    };
    let known = |(table, written): (String, CheckpointFileEntry)| Some((table, written.entry()?));
    Ok(tables.into_iter().filter_map(known).collect())
}

impl CheckpointFileEntry {
    fn entry(&self) -> Option<CheckpointEntry> {
        let position = CheckpointPosition {
            timestamp: self.timestamp?,
            last_identifier: self.last_identifier.clone(),
        };
        if position.timestamp == 0 && position.last_identifier.is_empty() {
            return None;
        }
        Some(CheckpointEntry {
            position,
            fingerprint: self.fingerprint.clone(),
        })
    }
}

fn parse(path: &Path, text: &str) -> Result<CheckpointTables, Error> {
    if text.trim().is_empty() {
        return Err(Error::damaged(path, "it is empty"));
    }
    let tables: CheckpointTables =
        serde_json::from_str(text).map_err(|err| Error::damaged(path, err.to_string()))?;
    for (table, written) in &tables {
        // Reading on from 1970 because a field got lost is not what anybody wants.
        if written.timestamp.is_none() && !written.last_identifier.is_empty() {
            return Err(Error::damaged(path, format!("`{table}` has no timestamp")));
        }
    }
    Ok(tables)
}

/// As the Go bridge writes it: sorted, indented by two blanks.
fn render(tables: &CheckpointTables) -> String {
    // Strings, numbers and maps with text keys always have a JSON form.
    serde_json::to_string_pretty(tables).unwrap_or_default()
}

/// Why a checkpoint cannot be used.
#[derive(Debug)]
pub enum Error {
    /// Another process uses the file.
    Locked {
        /// The checkpoint file.
        path: PathBuf,
        /// Process id of the other one, where it left it.
        holder: Option<u32>,
    },
    /// The file is not a checkpoint. Never taken as an empty one.
    Damaged {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The folder cannot be made or written.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock file cannot be made or locked.
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    Read {
        /// The checkpoint file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written now; memory is as it was.
    Write {
        /// The checkpoint file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// A failed write may work next time, say after a disk was full; what fails at start needs
    /// somebody to act.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Write { .. })
    }

    fn locked(path: &Path, holder: Option<u32>) -> Error {
        Error::Locked {
            path: path.to_owned(),
            holder,
        }
    }

    fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    fn folder(path: &Path, source: io::Error) -> Error {
        Error::Folder {
            path: path.to_owned(),
            source,
        }
    }

    fn lock(path: &Path, source: io::Error) -> Error {
        Error::Lock {
            path: path.to_owned(),
            source,
        }
    }

    fn read(path: &Path, source: io::Error) -> Error {
        Error::Read {
            path: path.to_owned(),
            source,
        }
    }

    fn write(path: &Path, source: io::Error) -> Error {
        Error::Write {
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked { path, holder } => {
                write!(
                    f,
                    "checkpoint {} is used by another process",
                    path.display()
                )?;
                if let Some(pid) = holder {
                    write!(f, " (pid {pid})")?;
                }
                f.write_str("; stop that one first, or set another offset.file_path")
            }
            Error::Damaged { path, what } => write!(
                f,
                "checkpoint {} is damaged: {what}; restore a backup of it, or move it away and set \
                 the positions with `checkpoint set`; without the file all tables are read from \
                 the beginning",
                path.display()
            ),
            Error::Folder { path, source } => write!(
                f,
                "cannot write in the checkpoint folder {}: {source}; give the service's user write \
                 permission there, or set another offset.file_path",
                path.display()
            ),
            Error::Lock { path, source } => write!(
                f,
                "cannot lock {}: {source}; it must be a file on a file system with locks, readable \
                 and writable for the service's user",
                path.display()
            ),
            Error::Read { path, source } => write!(
                f,
                "cannot read checkpoint {}: {source}; it must be a file that the service's user \
                 can read",
                path.display()
            ),
            Error::Write { path, source } => write!(
                f,
                "cannot write checkpoint {}: {source}; the file keeps the last position written, \
                 and the write is tried again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Locked { .. } | Error::Damaged { .. } => None,
            Error::Folder { source, .. }
            | Error::Lock { source, .. }
            | Error::Read { source, .. }
            | Error::Write { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests;
