//! The stop: tables and topics are read no further, records under way are delivered, and all of it ends
//! inside a deadline.
//!
//! Only what has ended is joined. A thread that hangs is left to the end of the process, and counts
//! as work that is left.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::Error;
use super::pipeline_slot::PipelineSlot;
use super::supervisor::{Supervisor, SupervisorInputs};
use crate::daemon::Signal;

/// A page under way may take this fraction of a stop's time (one over this) before its request is cut
/// off.
const PAGE_GRACE_DIVISOR: u32 = 4;
/// The part of a stop's time that is kept for ending the clients and the last write of the checkpoint.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(1);
/// Pause between two looks whether the threads have ended.
const SHUTDOWN_POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Supervisor {
    /// Stops reading and consuming, waits until what was begun has its end, writes the checkpoint.
    pub(super) fn stop(mut self, inputs: &SupervisorInputs) -> Result<(), Error> {
        let (started, timeout) = (Instant::now(), self.running.config.shutdown_timeout);
        log::info!(timeout:? = timeout; "stopping: nothing more is asked for");
        self.services.health.set_stopping();
        self.systemd.stopping(timeout);
        self.reloads.abandon();
        self.end_all(false);
        let deadline = self.await_pipelines(inputs, started, timeout);
        // In this order: a thread whose request is cut off must see that it was told to abandon it.
        self.end_all(true);
        self.connections.abort();
        while Instant::now() < deadline && !self.are_over() {
            pause();
        }
        let left = self.collect(deadline)?;
        log::info!(undelivered = left.rows, unanswered = left.records, hanging = left.threads,
            seconds = started.elapsed().as_secs_f64(); "stopped");
        if left.rows > 0 || left.records > 0 || left.threads > 0 {
            let (rows, records) = (left.rows, left.records);
            let threads = left.threads;
            Err(Error::Undelivered {
                rows,
                records,
                threads,
            })
        } else {
            Ok(())
        }
    }

    fn end_all(&mut self, abandon: bool) {
        let pipelines = &mut self.pipelines;
        pipelines
            .tables
            .values_mut()
            .for_each(|slot| slot.end(abandon));
        pipelines.sink.end(abandon);
        pipelines.topics.end(true);
        pipelines.probe.end(true);
        pipelines.verifier.end(true);
    }

    fn are_over(&mut self) -> bool {
        let tables = self.pipelines.tables.values_mut();
        // Each slot is asked, as asking lets the sink end its workers when the consumer is over.
        let going = tables.filter_map(|slot| (!slot.is_over()).then_some(()));
        let sink = self.pipelines.sink.is_over();
        going.count() == 0 && sink
    }

    /// Waits until all pipelines have ended, or until the time of the stop is nearly over; until when
    /// the rest may take.
    fn await_pipelines(
        &mut self,
        inputs: &SupervisorInputs,
        started: Instant,
        timeout: Duration,
    ) -> Instant {
        let mut grace = Some(started + timeout / PAGE_GRACE_DIVISOR);
        let deadline = started + timeout;
        let enough = deadline - SHUTDOWN_RESERVE.min(timeout / 2);
        while !self.are_over() {
            self.heartbeat.beat(timeout + SHUTDOWN_RESERVE * 30);
            let now = Instant::now();
            if enough <= now {
                break;
            }
            // A page is read again; a write that is ended may have to be looked up.
            if grace.is_some_and(|grace| grace <= now) && self.pipelines.sink.is_over() {
                self.connections.abort();
                grace = None;
            }
            if inputs.signals.recv_timeout(SHUTDOWN_POLL_INTERVAL) == Ok(Signal::Terminate) {
                log::warn!("second signal: stopping at once");
                return deadline.min(Instant::now() + SHUTDOWN_RESERVE);
            }
        }
        deadline
    }

    /// Joins what has ended, and lets the rest end until `deadline`.
    fn collect(self, deadline: Instant) -> Result<UnfinishedWork, Error> {
        let pipelines = self.pipelines;
        let mut left = UnfinishedWork::default();
        for slot in pipelines.tables.into_values() {
            left.rows += slot.collect();
        }
        left.records = pipelines.sink.collect();
        // No position moves any more. It writes a last time while Kafka and the client end.
        let mut flusher = pipelines.flusher;
        self.services.store.end_by(deadline);
        flusher.end(true);
        let (producer, client) = (
            Arc::clone(&self.connections.producer),
            Arc::clone(&self.connections.client),
        );
        // Records that wait are given up a little before the end, as giving up takes a moment too.
        let give_up = deadline
            - (SHUTDOWN_RESERVE / 4).min(deadline.saturating_duration_since(Instant::now()));
        let ending = [
            spawn("end-kafka", move || producer.shutdown(give_up) as u64),
            spawn("end-client", move || {
                client.shutdown();
                0
            }),
        ];
        let [kafka, client] = ending.map(|thread| await_end(thread, deadline));
        left.rows = left.rows.max(kafka.unwrap_or(1));
        left.note(client.is_some(), "the instance's client");
        let mut helpers = [pipelines.topics, pipelines.probe, pipelines.verifier];
        await_all(deadline, || {
            // Each is asked, as asking joins its thread.
            let over = helpers.each_mut().map(PipelineSlot::is_over);
            flusher.is_over() && over == [true; 3]
        });
        if flusher.is_over() {
            // It has written already; this catches an error that it could only log.
            let store = &self.services.store;
            store.flush().map_err(Error::Checkpoint)?;
            if let Err(error) = store.release(deadline) {
                log::warn!(error:% = error; "the next start does not learn that this process has ended");
            }
        } else {
            left.note(false, "the checkpoint writer");
        }
        flusher.collect();
        for slot in helpers {
            slot.collect();
        }
        // Joins its thread, which may be in a look at a slow disk.
        let watch = self.watch;
        let watch = spawn("end-watch", move || {
            drop(watch);
            0
        });
        await_end(watch, deadline);
        Ok(left)
    }
}

/// Work that a stop leaves behind; all zero when everything was delivered.
#[derive(Default)]
struct UnfinishedWork {
    /// Rows read and not acknowledged.
    rows: u64,
    /// Records whose writing was begun and has no answer.
    records: u64,
    /// Threads that matter and have not ended.
    threads: u64,
}

impl UnfinishedWork {
    fn note(&mut self, ended: bool, what: &str) {
        if !ended {
            log::error!(what = what; "does not end and is left behind");
            self.threads += 1;
        }
    }
}

fn spawn(name: &str, end: impl FnOnce() -> u64 + Send + 'static) -> Option<JoinHandle<u64>> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(end).ok()
}

/// The result of the thread; `None` if it panicked or does not end in time.
fn await_end(thread: Option<JoinHandle<u64>>, deadline: Instant) -> Option<u64> {
    let thread = thread?;
    await_all(deadline, || thread.is_finished());
    thread.is_finished().then(|| thread.join().ok()).flatten()
}

/// Waits until `are_over`, or until the deadline.
fn await_all(deadline: Instant, mut are_over: impl FnMut() -> bool) {
    // Even when the deadline has passed already, they get this much: they were told to end just before,
    // and in most cases end at once.
    let deadline = deadline.max(Instant::now() + SHUTDOWN_RESERVE / 2);
    while !are_over() && Instant::now() < deadline {
        pause();
    }
}

/// Sleeps until the next look. The threads that are ending send no event when they have ended.
fn pause() {
    thread::park_timeout(SHUTDOWN_POLL_INTERVAL);
}
