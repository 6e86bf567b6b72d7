//! The positions of this process in memory, and when they are written.
//!
//! Positions move in memory with each acknowledged batch and reach the file at the next flush. The file
//! is the one of the Go bridge, `{"incident": {"timestamp": 1706140800, "last_identifier": "..."}}`,
//! with a fingerprint beside the position. Fields that this version does not know are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::file::{self, CheckpointFile};
use crate::metrics::{Counter, GaugeVec, Metrics};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// Rows after which the flush thread is woken before its interval: a program that is killed again
/// and again still moves on.
const FLUSH_AFTER_ROWS: u64 = 10_000;

/// Up to which row a table was read and acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPosition {
    /// Seconds since the epoch, UTC.
    pub timestamp: i64,
    /// The last row of that second; empty when the whole second is still to be read.
    pub last_identifier: String,
}

/// The position of a table and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointEntry {
    /// How far it was read.
    pub position: CheckpointPosition,
    /// Which instance, table, cursor columns and query the position belongs to; `None` in files of the
    /// Go bridge.
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

/// The checkpoints of this process; shared as `Arc<CheckpointStore>`. Dropping it does not flush.
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
        // Without this, a lost field would make the table start again from 1970.
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

#[cfg(test)]
mod tests;
