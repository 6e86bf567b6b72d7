//! One gate for all that produces rows of a table.
//!
//! Two threads read a table: the poller what is new, and the capture thread what was missed. A row that one
//! of them has read must not follow a later version of it that the other has handed to the sender meanwhile.
//! So the poller has the turn while it reads a page and hands it over, and the capture thread while it hands
//! over; which rows the poller has handed over since the capture thread began to read is known here, and those
//! the capture thread has to read again. Newest is what was observed last, not what has the later
//! timestamp: a transaction that took long carries an old one.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::stop::Stop;
use crate::sync::Mutex;

/// Rows that are remembered while the capture thread reads. Beyond that all that it has read is read again.
const MAX_PASSED_ROWS: usize = 1_000_000;
/// How often the poller looks whether the capture thread has taken its turn.
const TURN_CHECK_INTERVAL: Duration = Duration::from_millis(1);
/// Longest wait for a turn without a heartbeat: while Kafka is away the other thread may keep it for long.
const TURN_WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// The gate of one table.
#[derive(Debug)]
pub(in crate::source) struct HandOverGate {
    /// Holds one token while no thread has the turn.
    token: (Sender<()>, Receiver<()>),
    /// The capture thread waits for its turn, which is the next one.
    capture_waits: AtomicBool,
    passed: Mutex<PassedRows>,
}

/// Rows that were handed over since the capture thread began to read.
#[derive(Debug, Default)]
struct PassedRows {
    is_watching: bool,
    ids: HashSet<u128>,
    is_full: bool,
}

/// The turn to hand over; ends when it is dropped.
#[derive(Debug)]
pub(in crate::source) struct Turn<'a>(&'a HandOverGate);

/// A read of the capture thread. While it lives, what the poller hands over is remembered.
#[derive(Debug)]
pub(in crate::source) struct CaptureRead<'a>(&'a HandOverGate);

impl HandOverGate {
    pub(in crate::source) fn new() -> HandOverGate {
        let token = bounded(1);
        token.0.try_send(()).ok();
        HandOverGate {
            token,
            capture_waits: AtomicBool::new(false),
            passed: Mutex::default(),
        }
    }

    /// The poller's turn, for one page; `None` when stopped. `beat` is called while it waits.
    pub(in crate::source) fn poller_turn(&self, stop: &Stop, beat: impl Fn()) -> Option<Turn<'_>> {
        while self.capture_waits.load(Ordering::Acquire) {
            if stop.wait(TURN_CHECK_INTERVAL) {
                return None;
            }
            beat();
        }
        self.turn(stop, beat)
    }

    /// The capture thread begins to read.
    pub(in crate::source) fn begin_capture(&self) -> CaptureRead<'_> {
        *self.passed.lock() = PassedRows {
            is_watching: true,
            ..PassedRows::default()
        };
        CaptureRead(self)
    }

    fn turn(&self, stop: &Stop, beat: impl Fn()) -> Option<Turn<'_>> {
        loop {
            beat();
            select! {
                recv(self.token.1) -> _ => return Some(Turn(self)),
                recv(stop.receiver()) -> _ => return None,
                default(TURN_WAKE_INTERVAL) => {}
            }
        }
    }
}

impl Turn<'_> {
    /// These rows are handed over.
    pub(in crate::source) fn record(&self, ids: impl Iterator<Item = u128>) {
        let mut passed = self.0.passed.lock();
        if !passed.is_watching || passed.is_full {
            return;
        }
        passed.ids.extend(ids);
        if passed.ids.len() > MAX_PASSED_ROWS {
            passed.ids = HashSet::new();
            passed.is_full = true;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // There is room: the token was taken.
        self.0.token.0.try_send(()).ok();
    }
}

impl<'a> CaptureRead<'a> {
    /// The turn to hand over what was read, after the page that the poller is at; `None` when stopped. `beat` is
    /// called while it waits.
    pub(in crate::source) fn turn(&self, stop: &Stop, beat: impl Fn()) -> Option<Turn<'a>> {
        self.0.capture_waits.store(true, Ordering::Release);
        let turn = self.0.turn(stop, beat);
        self.0.capture_waits.store(false, Ordering::Release);
        turn
    }

    /// Whether another version of this row was handed over since this read began. To be asked in the turn in
    /// which the row is handed over.
    pub(in crate::source) fn is_outdated(&self, id: u128) -> bool {
        let passed = self.0.passed.lock();
        passed.is_full || passed.ids.contains(&id)
    }

    /// Whether more was handed over since this read began than is remembered, so that every row counts as
    /// outdated.
    pub(in crate::source) fn has_lost_track(&self) -> bool {
        self.0.passed.lock().is_full
    }
}

impl Drop for CaptureRead<'_> {
    fn drop(&mut self) {
        *self.0.passed.lock() = PassedRows::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::thread;

    use crate::stop;

    fn spawn(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
        thread::Builder::new().spawn(run).unwrap()
    }

    #[test]
    fn what_the_poller_hands_over_meanwhile_is_to_be_read_again() {
        let (_stopper, stop) = stop::pair();
        let gate = HandOverGate::new();
        let read = gate.begin_capture();
        gate.poller_turn(&stop, || {})
            .unwrap()
            .record([7].into_iter());
        let turn = read.turn(&stop, || {}).unwrap();
        assert!(read.is_outdated(7) && !read.is_outdated(8));
        drop(turn);
        drop(read);
        gate.poller_turn(&stop, || {})
            .unwrap()
            .record([8].into_iter());
        let read = gate.begin_capture();
        assert!(
            !read.is_outdated(7) && !read.is_outdated(8),
            "handed over before"
        );
        gate.poller_turn(&stop, || {})
            .unwrap()
            .record(0..=MAX_PASSED_ROWS as u128);
        assert!(read.is_outdated(u128::MAX), "too many to remember");
    }

    #[test]
    fn a_stop_ends_the_wait_for_a_turn() {
        let (stopper, stop) = stop::pair();
        let gate = HandOverGate::new();
        let _taken = gate.poller_turn(&stop, || {}).unwrap();
        drop(stopper);
        assert!(gate.poller_turn(&stop, || {}).is_none());
        assert!(gate.begin_capture().turn(&stop, || {}).is_none());
    }

    /// Two readers of a table that changes all the time: the order in which versions of a row are handed over
    /// is the order in which they were observed, and the last one is the newest.
    #[test]
    fn the_last_version_that_is_handed_over_is_the_newest() {
        const ROWS: u64 = 4;
        let (_stopper, stop) = stop::pair();
        let gate = Arc::new(HandOverGate::new());
        let table: Arc<Mutex<BTreeMap<u64, u64>>> = Arc::default();
        let out: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
        let writer = {
            let table = Arc::clone(&table);
            spawn(move || {
                let mut random = fastrand::Rng::with_seed(5);
                for version in 1..=20_000 {
                    table.lock().insert(random.u64(..ROWS), version);
                    if version % 64 == 0 {
                        thread::yield_now();
                    }
                }
            })
        };
        let reader = |is_poller: bool, rounds: usize| {
            let (gate, table, out, stop) = (
                Arc::clone(&gate),
                Arc::clone(&table),
                Arc::clone(&out),
                stop.clone(),
            );
            spawn(move || {
                for _ in 0..rounds {
                    if is_poller {
                        let turn = gate.poller_turn(&stop, || {}).unwrap();
                        let rows: Vec<(u64, u64)> = table.lock().clone().into_iter().collect();
                        thread::yield_now();
                        turn.record(rows.iter().map(|(id, _)| u128::from(*id)));
                        out.lock().extend(rows);
                    } else {
                        let read = gate.begin_capture();
                        let rows = table.lock().clone();
                        thread::yield_now();
                        let _turn = read.turn(&stop, || {}).unwrap();
                        let rows = rows.into_iter();
                        let fresh = rows.filter(|(id, _)| !read.is_outdated(u128::from(*id)));
                        out.lock().extend(fresh);
                    }
                }
            })
        };
        let threads = [reader(true, 3_000), reader(false, 3_000)];
        writer.join().unwrap();
        threads.into_iter().for_each(|it| it.join().unwrap());
        let last = [reader(true, 1)];
        last.into_iter().for_each(|it| it.join().unwrap());
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        for (id, version) in out.lock().iter() {
            let before = newest.insert(*id, *version);
            assert!(
                before <= Some(*version),
                "row {id}: {before:?}, then {version}"
            );
        }
        assert_eq!(newest, *table.lock());
    }
}
