//! A thread that keeps changing data, as users do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::api::Instance;
use crate::error::Error;
use crate::generator::Generator;
use crate::row::Row;
use crate::sim::Sim;
use crate::stop::{Stop, Trigger, pair};
use crate::store::Actor;

/// Keeps inserting and updating rows until dropped.
#[derive(Debug)]
pub struct Churn {
    trigger: Option<Trigger>,
    thread: Option<JoinHandle<()>>,
    changes: Arc<AtomicU64>,
}

impl Churn {
    /// Changes `table` about `per_second` times a second: one insert in five, else an update of a
    /// random row. New rows have about `row_bytes` bytes.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        sim: &Sim,
        table: &str,
        per_second: f64,
        row_bytes: usize,
    ) -> Result<Churn, Error> {
        let instance = Arc::clone(sim.instance());
        let table = table.to_owned();
        let (trigger, stop) = pair();
        let changes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&changes);
        let thread = Builder::new()
            .name("sim-churn".to_owned())
            .spawn(move || run(&instance, &table, per_second, row_bytes, &counter, &stop))
            .map_err(|source| Error::Io {
                what: "start a thread",
                source,
            })?;
        Ok(Churn {
            trigger: Some(trigger),
            thread: Some(thread),
            changes,
        })
    }

    /// Changes made so far.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Ends the thread; gives the number of changes.
    pub fn stop(self) -> u64 {
        let changes = Arc::clone(&self.changes);
        drop(self);
        changes.load(Ordering::Relaxed)
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        drop(self.trigger.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or(());
        }
    }
}

fn run(
    instance: &Instance,
    table: &str,
    per_second: f64,
    row_bytes: usize,
    counter: &AtomicU64,
    stop: &Stop,
) {
    let mut rows = Generator::new(fastrand::u64(..), row_bytes, 0);
    let begin = Instant::now();
    while !stop.wait(Duration::from_millis(20)) {
        // Catches up with the clock, so that the rate holds whatever a wait takes.
        let due = begin.elapsed().as_secs_f64() * per_second;
        while (counter.load(Ordering::Relaxed) as f64) < due && !stop.is_stopped() {
            if change(instance, table, &mut rows).is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn change(instance: &Instance, table: &str, rows: &mut Generator) -> Result<(), Error> {
    let mut store = instance.write();
    // Stamped under the lock, or the change would be a late commit.
    let actor = Actor {
        now: instance.stamp(),
        user: "admin",
    };
    let known = store.table(table)?.by_id().rows();
    let victim = fastrand::choice(known).map(|row| row.sys_id().to_owned());
    match victim {
        Some(id) if fastrand::u8(..5) > 0 => {
            let text = format!("changed {}", fastrand::u32(..));
            store.update(
                table,
                &id,
                &Row::new().set("short_description", text),
                actor,
            )
        }
        _ => {
            // A stand-in for the number that the platform generates.
            let row = rows.content().set("number", "");
            let built = store.build(table, std::iter::once(row), actor)?;
            store.add(table, built, actor).map(drop)
        }
    }
}
