//! Whether a table is held: the pauses, and what operators see of it.

use std::cell::Cell;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::health::Condition;
use crate::metrics::Gauge;

/// First and longest pause before a record that could not be delivered is tried again.
const DELIVERY_RETRY_PAUSE: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(300));

/// The hold of one table.
pub(super) struct TableHold {
    /// Counts the failures of the record that holds the table.
    backoff: Backoff,
    condition: Condition,
    held: Gauge,
    /// Whether the condition says that Kafka acknowledges nothing.
    stalled: Cell<bool>,
}

impl TableHold {
    pub(super) fn new(condition: Condition, held: Gauge) -> TableHold {
        condition.ok();
        // A pipeline that ran before may have ended while its table was held.
        held.set(0.0);
        TableHold {
            backoff: Backoff::new(DELIVERY_RETRY_PAUSE.0, DELIVERY_RETRY_PAUSE.1),
            condition,
            held,
            stalled: Cell::new(false),
        }
    }

    /// A record cannot be delivered, for this reason. Gives the pause before it is tried again.
    pub(super) fn begin(&mut self, table: &str, topic: &str, why: &str) -> Duration {
        let pause = self.backoff.next_ceiling();
        self.held.set(1.0);
        self.condition.hold(why);
        log::error!(table, topic, error = why, retry_in:? = pause;
            "a record cannot be delivered; the table is held");
        pause
    }

    /// The table waits for a schema, of which a condition of its own tells.
    pub(super) fn begin_for_schema(&self) {
        self.held.set(1.0);
    }

    /// There is a schema again. A record that could not be delivered may hold the table as well.
    pub(super) fn end_for_schema(&self) {
        if self.backoff.failures() == 0 {
            self.held.set(0.0);
        }
    }

    /// Kafka has acknowledged something. `goes_on`: what held the table is delivered, or gone.
    pub(super) fn acknowledged(&mut self, table: &str, goes_on: bool) {
        let ends = goes_on && self.backoff.failures() > 0;
        if ends {
            self.backoff.reset();
            self.held.set(0.0);
            log::info!(table; "delivers again");
        }
        if self.stalled.take() || ends {
            self.condition.ok();
        }
    }

    /// Kafka has acknowledged nothing for this time.
    pub(super) fn stall(&self, table: &str, time: Duration) {
        if !self.stalled.replace(true) {
            let why = format!("Kafka has acknowledged nothing for {} s", time.as_secs());
            log::error!(table, error = why; "no acknowledgement");
            self.condition.fail(why);
        }
    }
}
