//! The positions of this process in memory, and when they are written.
//!
//! Positions move in memory with each acknowledged batch and are written at the next flush: to the file, or
//! to a [`RemotePositions`]. What stands beside the file, and its lock, are the same for both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::entry::{CheckpointEntry, CheckpointPosition};
use super::error::Error;
use super::file::{self, CheckpointFile};
use super::flush_pacing::{pause_before_flush, smooth_sync};
use super::import::plan_import;
use super::remote::{RemotePositions, RemoteTables};
use super::stored_entry::{StoredEntry, StoredTables, entries, parse, render};
use super::unsettled::UnsettledVersion;
use super::unsettled_tables::{PositionPair, SharedSpan, StartingSpan, UnsettledTables};
use crate::metrics::{Counter, GaugeVec, Histogram, Metrics};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// The longest write to a remote place. Longer, and its outcome is not known.
const REMOTE_WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where positions are durable.
#[derive(Debug)]
struct DurablePlace {
    /// The file, its lock, and the folder of what is kept beside it.
    file: CheckpointFile,
    /// Where the positions are, if not in the file.
    remote: Option<Box<dyn RemotePositions>>,
}

impl DurablePlace {
    /// Makes `next` durable in place of `before`. `end_by`: the process ends then.
    fn write(
        &mut self,
        before: &StoredTables,
        next: &StoredTables,
        end_by: Option<Instant>,
    ) -> Result<Duration, Error> {
        let deadline = Instant::now() + REMOTE_WRITE_TIMEOUT;
        let deadline = end_by.map_or(deadline, |end| end.min(deadline));
        match &mut self.remote {
            None => self.file.replace(&render(next)),
            Some(remote) => remote.write(before, next, deadline),
        }
    }
}

/// The checkpoints of this process; shared as `Arc<CheckpointStore>`. Dropping it does not flush.
#[derive(Debug)]
pub struct CheckpointStore {
    /// Held during a write, so that two writers cannot put an older text over a newer one.
    place: Mutex<DurablePlace>,
    /// The path of the file.
    path: PathBuf,
    /// Held during a write of it as well. Only starts of tables wait for it.
    unsettled: Mutex<UnsettledTables>,
    /// Never held during a write: tables move on while the disk is slow.
    state: Mutex<CheckpointState>,
    /// Wakes the flush thread when there is something to write again.
    moved: (Sender<()>, Receiver<()>),
    /// Tells when the positions are read.
    read: (Sender<()>, Receiver<()>),
    writes_ok: Counter,
    writes_failed: Counter,
    sync_seconds: Histogram,
    timestamps: GaugeVec,
}

#[derive(Debug, Default)]
struct CheckpointState {
    tables: StoredTables,
    on_disk: StoredTables,
    /// The positions were read; before that no table is known.
    is_read: bool,
    /// Tables whose stored entry must not be used, and why.
    refused: BTreeMap<String, String>,
    /// Another process has taken the positions over: who, in words.
    taken_over: Option<Error>,
    /// No write may take longer: the process ends.
    end_by: Option<Instant>,
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
            Some(text) => parse(&text).map_err(|what| Error::damaged(file.path(), what))?,
            None => {
                log::warn!(path:% = file.path().display();
                    "a new checkpoint file: every table begins anew, at its oldest row or as far back \
                     as source.initial_query_hours_ago says");
                StoredTables::new()
            }
        };
        let store = CheckpointStore::new(file, None, metrics);
        store.use_tables(tables, BTreeMap::new());
        Ok(store)
    }

    /// Locks the checkpoint file, for what is kept beside it; the positions are in `remote`, and no table
    /// has one before [`CheckpointStore::take_over`] has read them.
    ///
    /// # Errors
    /// Another process has the lock, or the folder cannot be used.
    pub fn open_remote(
        path: &Path,
        remote: Box<dyn RemotePositions>,
        metrics: &Metrics,
    ) -> Result<CheckpointStore, Error> {
        let file = CheckpointFile::open(path)?;
        Ok(CheckpointStore::new(file, Some(remote), metrics))
    }

    fn new(
        file: CheckpointFile,
        remote: Option<Box<dyn RemotePositions>>,
        metrics: &Metrics,
    ) -> CheckpointStore {
        CheckpointStore {
            unsettled: Mutex::new(UnsettledTables::open(file.path())),
            path: file.path().to_owned(),
            place: Mutex::new(DurablePlace { file, remote }),
            state: Mutex::default(),
            moved: bounded(1),
            read: bounded(1),
            writes_ok: metrics.checkpoint_writes.with(&["ok"]),
            writes_failed: metrics.checkpoint_writes.with(&["error"]),
            sync_seconds: metrics.checkpoint_sync.clone(),
            timestamps: metrics.checkpoint_timestamp.clone(),
        }
    }

    fn use_tables(&self, tables: StoredTables, refused: BTreeMap<String, String>) {
        let mut state = self.state();
        state.on_disk.clone_from(&tables);
        state.tables = tables;
        state.refused = refused;
        state.is_read = true;
        self.show_timestamps(&StoredTables::new(), &state);
        self.read.0.try_send(()).ok();
    }

    /// Reads the positions from their remote place, so that no other process can write there any more, and
    /// takes a file over that is found here. Does nothing where they are read already.
    ///
    /// # Errors
    /// The place cannot be reached or must not be used, or there is a file that makes no sense. Nothing is
    /// changed then, and another attempt begins anew.
    pub fn take_over(&self, stop: &Stop) -> Result<(), Error> {
        let mut place = self.place.lock();
        if self.is_read() {
            return Ok(());
        }
        let Some(remote) = &mut place.remote else {
            return Ok(());
        };
        let name = remote.place();
        let RemoteTables {
            mut tables,
            mut refused,
        } = remote.take_over(stop)?;
        if let Some(text) = place.file.read()? {
            let found = parse(&text).map_err(|what| Error::damaged(&self.path, what))?;
            let plan = plan_import(&found, &tables, &refused);
            let (path, count) = (self.path.display(), plan.taken.len());
            let mut next = tables.clone();
            next.extend(plan.taken);
            if count > 0 {
                place.write(&tables, &next, None)?;
            }
            tables = next;
            if plan.differing.is_empty() {
                let kept = place.file.set_aside()?;
                log::info!(file:% = path, place = name, tables = count, kept_as:% = kept.display();
                    "the positions of the checkpoint file were taken over");
            } else {
                log::warn!(file:% = path, place = name, tables = plan.differing.join(", ");
                    "the checkpoint file has other positions of these tables; they wait for a decision");
            }
            refused.extend(plan.differing.into_iter().map(|table| {
                let why = format!(
                    "{name} has a position of it and {path} has another one; run `checkpoint import \
                     {path}` to go on with that of the file, or move the file away to go on with the other"
                );
                (table, why)
            }));
        }
        self.use_tables(tables, refused);
        Ok(())
    }

    /// Whether the positions are read.
    pub fn is_read(&self) -> bool {
        self.state().is_read
    }

    /// Gets a message when the positions are read.
    pub fn when_read(&self) -> Receiver<()> {
        self.read.1.clone()
    }

    /// Why the stored position of a table must not be used, with what to do.
    pub fn refusal(&self, table: &str) -> Option<String> {
        self.state().refused.get(table).cloned()
    }

    /// Another process has taken the positions over: nothing is written any more.
    pub fn taken_over(&self) -> Option<Error> {
        let state = self.state();
        state.taken_over.as_ref().and_then(Error::copy_taken_over)
    }

    /// The process ends: no write takes longer than `deadline`.
    pub fn end_by(&self, deadline: Instant) {
        self.state().end_by = Some(deadline);
    }

    /// All is written: tells a remote place that this process has ended its work there.
    ///
    /// # Errors
    /// It was not told; the next process finds out by itself.
    pub fn release(&self, deadline: Instant) -> Result<(), Error> {
        match &mut self.place.lock().remote {
            Some(remote) => remote.release(deadline),
            None => Ok(()),
        }
    }

    /// The path of the file, beside which more is kept.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Where to go on; `None` for a table that was never read, which the Go bridge may also have
    /// written as a position of zeros.
    pub fn get(&self, table: &str) -> Option<CheckpointEntry> {
        self.state().tables.get(table).and_then(StoredEntry::entry)
    }

    /// Moves a table on in memory, after its rows were acknowledged, and wakes the flush thread if it
    /// has nothing to write yet.
    pub fn advance(&self, table: &str, entry: CheckpointEntry) {
        let mut state = self.state();
        state.hidden.remove(table);
        let written = state.tables.entry(table.to_owned()).or_default();
        written.set(entry);
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
        self.state().refused.remove(table);
        self.advance(table, entry);
    }

    /// Takes these entries in place of those of the same tables. What was delivered in the newest seconds
    /// before them counts where it is known, and comes again where it is not.
    pub fn import(&self, tables: StoredTables) {
        let mut state = self.state();
        for (table, stored) in tables {
            state.refused.remove(&table);
            state.tables.insert(table, stored);
        }
        self.mark_dirty(&mut state);
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
        let mut was_known = state.tables.remove(table).is_some();
        if state.refused.remove(table).is_some() {
            // What is stored goes although it is not known what it says.
            state.on_disk.entry(table.to_owned()).or_default();
            was_known = true;
        }
        if was_known {
            self.mark_dirty(&mut state);
        }
        was_known
    }

    /// Writes the positions if anything changed since they were last written. After an error nothing is
    /// lost: memory is as it was, and the next flush tries again.
    pub fn flush(&self) -> Result<(), Error> {
        let mut place = self.place.lock();
        let mut unsettled = self.unsettled.lock();
        let (tables, on_disk, end_by) = {
            let mut state = self.state();
            state.is_dirty = false;
            if state.tables == state.on_disk && !unsettled.has_changes() {
                return Ok(());
            }
            (state.tables.clone(), state.on_disk.clone(), state.end_by)
        };
        let written = place
            .file
            .keep_lock()
            .and_then(|()| unsettled.write(|table| positions(table, &on_disk, &tables)))
            .and_then(|()| {
                if tables == on_disk {
                    return Ok(Duration::ZERO);
                }
                let written = place.write(&on_disk, &tables, end_by);
                written.inspect_err(|_| unsettled.write_everything_next())
            });
        drop(unsettled);
        let mut state = self.state();
        state.last_write = Some(Instant::now());
        let waited = match written {
            Ok(waited) => waited,
            Err(error) => {
                state.is_dirty = true;
                state.taken_over = error.copy_taken_over();
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
        let entry = self.state().on_disk.get(table).and_then(StoredEntry::entry);
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

    fn show_timestamps(&self, before: &StoredTables, state: &CheckpointState) {
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
    Ok(entries(read_stored(path)?.unwrap_or_default()))
}

/// The same with all that is stored; `None`: there is no file.
///
/// # Errors
/// It cannot be read, or is no checkpoint.
pub fn read_stored(path: &Path) -> Result<Option<StoredTables>, Error> {
    let text = file::read_unlocked(path)?;
    let parsed = text.map(|text| parse(&text)).transpose();
    parsed.map_err(|what| Error::damaged(path, what))
}

/// Where a table stands on disk, and where it will.
fn positions(table: &str, on_disk: &StoredTables, next: &StoredTables) -> PositionPair {
    let position = |tables: &StoredTables| Some(tables.get(table)?.entry()?.position);
    PositionPair {
        on_disk: position(on_disk),
        next: position(next),
    }
}

#[cfg(test)]
mod tests;
