//! The positions of this process in memory, and when they are written.
//!
//! Positions move in memory with each acknowledged batch and reach the file at the next flush. The file
//! is the one of the Go bridge, `{"incident": {"timestamp": 1706140800, "last_identifier": "..."}}`,
//! with a fingerprint beside the position. Fields that this version does not know are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use serde::{Deserialize, Serialize};

use super::entry::{CheckpointEntry, CheckpointPosition};
use super::error::Error;
use super::file::{self, CheckpointFile};
use super::flush_pacing::{pause_before_flush, smooth_sync};
use super::unsettled::UnsettledVersion;
use super::unsettled_tables::{PositionPair, SharedSpan, StartingSpan, UnsettledTables};
use crate::metrics::{Counter, GaugeVec, Histogram, Metrics};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

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
    /// Held during a write of it as well. Only starts of tables wait for it.
    unsettled: Mutex<UnsettledTables>,
    /// Never held during a write: tables move on while the disk is slow.
    state: Mutex<CheckpointState>,
    /// Wakes the flush thread when there is something to write again.
    moved: (Sender<()>, Receiver<()>),
    writes_ok: Counter,
    writes_failed: Counter,
    sync_seconds: Histogram,
    timestamps: GaugeVec,
}

#[derive(Debug, Default)]
struct CheckpointState {
    tables: CheckpointTables,
    on_disk: CheckpointTables,
    /// Whether a position moved since the last write began, or that write failed.
    is_dirty: bool,
    /// When the last write ended, well or not.
    last_write: Option<Instant>,
    /// How long writes wait for the disk, smoothed.
    sync: Option<Duration>,
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
            None => {
                log::warn!(path:% = file.path().display();
                    "a new checkpoint file: every table begins anew, at its oldest row or as far back \
                     as source.initial_query_hours_ago says");
                CheckpointTables::new()
            }
        };
        let store = CheckpointStore {
            unsettled: Mutex::new(UnsettledTables::open(file.path())),
            file: Mutex::new(file),
            state: Mutex::new(CheckpointState {
                on_disk: tables.clone(),
                tables,
                ..CheckpointState::default()
            }),
            moved: bounded(1),
            writes_ok: metrics.checkpoint_writes.with(&["ok"]),
            writes_failed: metrics.checkpoint_writes.with(&["error"]),
            sync_seconds: metrics.checkpoint_sync.clone(),
            timestamps: metrics.checkpoint_timestamp.clone(),
        };
        store.show_timestamps(&CheckpointTables::new(), &store.state());
        Ok(store)
    }

    /// The path of the file, beside which more is kept.
    pub fn path(&self) -> PathBuf {
        self.file.lock().path().to_owned()
    }

    /// Where to go on; `None` for a table that was never read, which the Go bridge may also have
    /// written as a position of zeros.
    pub fn get(&self, table: &str) -> Option<CheckpointEntry> {
        self.state()
            .tables
            .get(table)
            .and_then(CheckpointFileEntry::entry)
    }

    /// Moves a table on in memory, after its rows were acknowledged, and wakes the flush thread if it
    /// has nothing to write yet.
    pub fn advance(&self, table: &str, entry: CheckpointEntry) {
        let mut state = self.state();
        state.hidden.remove(table);
        let written = state.tables.entry(table.to_owned()).or_default();
        written.timestamp = Some(entry.position.timestamp);
        written.last_identifier = entry.position.last_identifier;
        written.fingerprint = entry.fingerprint;
        self.mark_dirty(&mut state);
    }

    /// The versions that were delivered in the unsettled seconds of a table that starts.
    pub fn start_span(&self, table: &str) -> StartingSpan {
        let position = self.get(table).map(|entry| entry.position);
        self.unsettled.lock().start(table, position.as_ref())
    }

    /// Kafka has acknowledged these versions of a table's rows; `span` is the table's.
    pub fn acknowledge(&self, span: &SharedSpan, versions: &[UnsettledVersion]) {
        span.lock().acknowledge(versions);
        self.mark_dirty(&mut self.state());
    }

    /// Everything up to this second is settled in a table; `span` is the table's.
    pub fn settle(&self, span: &SharedSpan, seconds: i64) {
        span.lock().settle(seconds);
        self.mark_dirty(&mut self.state());
    }

    /// An operator has moved a table: it begins behind `position`, with nothing delivered that comes
    /// behind it, and nothing to look for before it.
    pub fn move_to(&self, table: &str, entry: CheckpointEntry) {
        let before = entry.position.timestamp.saturating_sub(1);
        self.unsettled.lock().begin_anew(table, Some(before));
        self.advance(table, entry);
    }

    /// One wake-up is enough for all that moves until the next write: many batches a second cost no
    /// more than one.
    fn mark_dirty(&self, state: &mut CheckpointState) {
        if !std::mem::replace(&mut state.is_dirty, true) {
            self.moved.0.try_send(()).ok();
        }
    }

    /// Shows no position of a table that is no longer read, until it moves again. It stays on disk.
    pub fn hide_position(&self, table: &str) {
        self.state().hidden.insert(table.to_owned());
        self.timestamps.remove("table", table);
    }

    /// Forgets a table, so that it is read from the beginning; false if it was not known.
    pub fn remove(&self, table: &str) -> bool {
        self.unsettled.lock().begin_anew(table, None);
        let mut state = self.state();
        let was_known = state.tables.remove(table).is_some();
        if was_known {
            self.mark_dirty(&mut state);
        }
        was_known
    }

    /// Writes the file if anything changed since it was last written. After an error nothing is
    /// lost: memory is as it was, and the next flush tries again.
    pub fn flush(&self) -> Result<(), Error> {
        let mut file = self.file.lock();
        let mut unsettled = self.unsettled.lock();
        let (tables, on_disk) = {
            let mut state = self.state();
            state.is_dirty = false;
            if state.tables == state.on_disk && !unsettled.has_changes() {
                return Ok(());
            }
            (state.tables.clone(), state.on_disk.clone())
        };
        let written = file
            .keep_lock()
            .and_then(|()| unsettled.write(|table| positions(table, &on_disk, &tables)))
            .and_then(|()| {
                if tables == on_disk {
                    return Ok(Duration::ZERO);
                }
                let written = file.replace(&render(&tables));
                written.inspect_err(|_| unsettled.write_everything_next())
            });
        drop(unsettled);
        let mut state = self.state();
        state.last_write = Some(Instant::now());
        let waited = match written {
            Ok(waited) => waited,
            Err(error) => {
                state.is_dirty = true;
                self.writes_failed.inc();
                return Err(error);
            }
        };
        state.sync = Some(smooth_sync(state.sync, waited));
        self.sync_seconds.observe(waited.as_secs_f64());
        self.writes_ok.inc();
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

    /// Waits until a position has moved and the last write is over for long enough, which is never
    /// more than `longest`. True when stopped.
    pub fn wait_until_flush_due(&self, longest: Duration, stop: &Stop) -> bool {
        while !stop.is_stopped() {
            match self.pause_before_flush(longest) {
                None => select! {
                    recv(self.moved.1) -> _ => {},
                    recv(stop.receiver()) -> _ => {},
                },
                Some(Duration::ZERO) => return false,
                Some(pause) => {
                    stop.wait(pause);
                }
            }
        }
        true
    }

    fn pause_before_flush(&self, longest: Duration) -> Option<Duration> {
        let state = self.state();
        pause_before_flush(
            state.is_dirty,
            state.last_write.map(|end| end.elapsed()),
            state.sync.unwrap_or_default(),
            longest,
        )
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

/// Whether [`CheckpointStore::open`] could use this path: it or its folder is no file of another kind,
/// and what is in it is a checkpoint. Nothing is changed. Gives what is in it, and the folder that is
/// there already, in which `open` writes or makes further folders.
///
/// # Errors
/// What `open` would say.
pub fn check(path: &Path) -> Result<(BTreeMap<String, CheckpointEntry>, PathBuf), Error> {
    let folder = file::check(path)?;
    Ok((read_only(path)?, folder))
}

/// The checkpoints in a file, without lock: also while another process uses it. A missing file is
/// an empty one.
pub fn read_only(path: &Path) -> Result<BTreeMap<String, CheckpointEntry>, Error> {
    let tables = match file::read_unlocked(path)? {
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

/// Where a table stands on disk, and where it will.
fn positions(table: &str, on_disk: &CheckpointTables, next: &CheckpointTables) -> PositionPair {
    let position = |tables: &CheckpointTables| Some(tables.get(table)?.entry()?.position);
    PositionPair {
        on_disk: position(on_disk),
        next: position(next),
    }
}

/// As the Go bridge writes it: sorted, indented by two blanks.
fn render(tables: &CheckpointTables) -> String {
    // Strings, numbers and maps with text keys always have a JSON form.
    serde_json::to_string_pretty(tables).unwrap_or_default()
}

#[cfg(test)]
mod tests;
