//! What all tables share about the instance: the client, the instance's clock, and how it reads
//! times in queries.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::server_clock::ServerClock;
use super::time_zone::{TimeZoneError, TimeZoneProbe};
use crate::config::QueryTimeZone;
use crate::servicenow::query::TimeLiterals;
use crate::servicenow::{InstanceClient, ResponseHead};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// How long a table waits for another one that measures how times are read.
const TIME_ZONE_MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a table that waits looks whether the measurement is done.
const TIME_ZONE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// One instance as all its tables see it.
#[derive(Debug)]
pub struct SourceInstance {
    client: Arc<InstanceClient>,
    table_api_path: String,
    time_zone: QueryTimeZone,
    clock: Mutex<ServerClock>,
    literals: OnceLock<TimeLiterals>,
    /// Held by the table that measures how times are read.
    measuring: Mutex<()>,
}

impl SourceInstance {
    /// For the instance behind `client`.
    pub fn new(
        client: Arc<InstanceClient>,
        table_api_path: &str,
        time_zone: QueryTimeZone,
    ) -> SourceInstance {
        SourceInstance {
            client,
            table_api_path: table_api_path.to_owned(),
            time_zone,
            clock: Mutex::default(),
            literals: OnceLock::new(),
            measuring: Mutex::default(),
        }
    }

    /// The client.
    pub fn client(&self) -> &InstanceClient {
        &self.client
    }

    /// Base URL of the instance.
    pub fn base_url(&self) -> &str {
        self.client.base_url()
    }

    /// Path of the Table API.
    pub fn table_api_path(&self) -> &str {
        &self.table_api_path
    }

    /// Takes in the `Date` of an answer.
    pub fn observe(&self, head: &ResponseHead) {
        if let Some(date) = head.date {
            self.clock().observe(date, head.received);
        }
    }

    /// The last second that is over on the instance, since 1970 UTC; `None` before its first answer.
    pub fn closed_second(&self, now: Instant) -> Option<i64> {
        self.clock().closed_second(now)
    }

    /// How the instance reads times in queries; measured once, by the first table that asks.
    ///
    /// # Errors
    /// It could not be measured; ask again later.
    pub fn literals(&self, stop: &Stop) -> Result<&TimeLiterals, TimeZoneError> {
        let deadline = Instant::now() + TIME_ZONE_MAX_WAIT;
        loop {
            if let Some(literals) = self.literals.get() {
                return Ok(literals);
            }
            let measuring = self.measuring.try_lock();
            if measuring.is_some() {
                let literals = self.measure(stop)?;
                log::info!(literals:% = literals; "measured how the instance reads times");
                return Ok(self.literals.get_or_init(|| literals));
            }
            if stop.wait(TIME_ZONE_CHECK_INTERVAL) {
                return Err(TimeZoneError::Stopped);
            }
            if Instant::now() > deadline {
                return Err(TimeZoneError::Busy);
            }
        }
    }

    fn measure(&self, stop: &Stop) -> Result<TimeLiterals, TimeZoneError> {
        TimeZoneProbe {
            client: &self.client,
            table_api_path: &self.table_api_path,
            observe: &|head| self.observe(head),
            stop,
        }
        .literals(&self.time_zone)
    }

    fn clock(&self) -> MutexGuard<'_, ServerClock> {
        self.clock.lock()
    }
}
