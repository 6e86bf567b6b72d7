//! What all tables share about the instance: the client, the instance's clock, and how it reads
//! times in queries.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::row_counts::CountRefusal;
use super::server_clock::{ClockObservation, ServerClock};
use super::time_zone::{TimeZoneError, TimeZoneProbe};
use crate::config::{QueryTimeZone, ServiceNowConfig};
use crate::health::{Condition, ConditionKey, Health};
use crate::servicenow::query::TimeLiterals;
use crate::servicenow::{Error, InstanceClient, ResponseHead, table_api};
use crate::stop::Stop;
use crate::sync::{Mutex, MutexGuard};

/// How long a table waits for another one that measures how times are read.
const TIME_ZONE_MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a table that waits looks whether the measurement is done.
const TIME_ZONE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// An older reading of the clock is taken again by a table that has nothing else to ask for.
const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// Answers until the first reading of the clock counts as confirmed.
const CLOCK_CONFIRMATIONS: u32 = 3;
/// Seconds between the instance's clock and this host's from which on operators are told.
pub const CLOCK_DIFFERENCE_SECONDS: f64 = 1.0;

/// One instance as all its tables see it.
#[derive(Debug)]
pub struct SourceInstance {
    client: Arc<InstanceClient>,
    table_api_path: String,
    stats_api_path: String,
    time_zone: QueryTimeZone,
    clock: Mutex<SharedClock>,
    count_refusal: Mutex<CountRefusal>,
    literals: OnceLock<TimeLiterals>,
    /// Held by the table that measures how times are read.
    measuring: Mutex<()>,
}

/// The instance's clock, and what was said about it.
#[derive(Debug, Default)]
struct SharedClock {
    server: ServerClock,
    /// When an answer last told the time.
    heard: Option<Instant>,
    /// Answers that told the time.
    answers: u32,
    /// Whether the log has it that a header is doubted.
    doubt_is_logged: bool,
    /// By how much this host's clock is ahead, while the log has it that the two differ.
    logged_lead: Option<f64>,
    /// The note about that difference.
    note: Option<Condition>,
}

impl SourceInstance {
    /// For the instance behind `client`.
    pub fn new(client: Arc<InstanceClient>, config: &ServiceNowConfig) -> SourceInstance {
        SourceInstance {
            client,
            table_api_path: config.table_api_path.clone(),
            stats_api_path: config.stats_api_path.clone(),
            time_zone: config.query_time_zone.clone(),
            clock: Mutex::default(),
            count_refusal: Mutex::default(),
            literals: OnceLock::new(),
            measuring: Mutex::default(),
        }
    }

    /// Shows in `health` when the instance's clock differs from this host's.
    #[must_use]
    pub fn with_note_in(self, health: &Arc<Health>) -> SourceInstance {
        self.clock().note = Some(health.note(ConditionKey::InstanceClock));
        self
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

    /// Path of the Aggregate API.
    pub fn stats_api_path(&self) -> &str {
        &self.stats_api_path
    }

    /// Whether the Aggregate API refuses to count.
    pub(super) fn count_refusal(&self) -> MutexGuard<'_, CountRefusal> {
        self.count_refusal.lock()
    }

    /// Takes in the `Date` of an answer.
    pub fn observe(&self, head: &ResponseHead) {
        if let Some(date) = head.date {
            self.clock().observe(date, head.received, SystemTime::now());
        }
    }

    /// Asks for a row of `table`, only for the time that the answer tells.
    ///
    /// # Errors
    /// The request failed.
    pub fn read_clock(&self, table: &str, stop: &Stop) -> Result<(), Error> {
        let get = table_api::one_row(&self.table_api_path, table);
        self.observe(&self.client.get(&get, stop)?.meta);
        Ok(())
    }

    /// [`SourceInstance::read_clock`], unless an answer has told the time in the last seconds.
    ///
    /// # Errors
    /// The request failed.
    pub fn read_clock_if_old(&self, table: &str, stop: &Stop) -> Result<(), Error> {
        let heard = self.clock().heard;
        match heard {
            Some(heard) if heard.elapsed() < CLOCK_LOOK_INTERVAL => Ok(()),
            _ => self.read_clock(table, stop),
        }
    }

    /// [`SourceInstance::read_clock`] until a single wrong `Date` cannot be what is known of the clock.
    ///
    /// # Errors
    /// A request failed.
    pub fn confirm_clock(&self, table: &str, stop: &Stop) -> Result<(), Error> {
        let missing = CLOCK_CONFIRMATIONS.saturating_sub(self.clock().answers);
        (0..missing).try_for_each(|_| self.read_clock(table, stop))
    }

    /// By how many seconds this host's clock is ahead of the instance's; negative: behind. Zero where
    /// the two may agree, `None` before the first answer.
    pub fn host_lead(&self) -> Option<f64> {
        let host = epoch_seconds(SystemTime::now());
        self.clock().server.lead_of(host, Instant::now())
    }

    /// The last second that is over on the instance, since 1970 UTC; `None` before its first answer.
    pub fn closed_second(&self, now: Instant) -> Option<i64> {
        self.clock().server.closed_second(now)
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

    fn clock(&self) -> MutexGuard<'_, SharedClock> {
        self.clock.lock()
    }
}

impl SharedClock {
    /// Takes in a `Date` that came at `now`, when this host's clock told `host`.
    fn observe(&mut self, date: i64, now: Instant, host: SystemTime) {
        self.heard = Some(now);
        self.answers = self.answers.saturating_add(1);
        match self.server.observe(date, now) {
            ClockObservation::Accepted => {}
            ClockObservation::Doubted(seconds) if self.doubt_is_logged => {
                log::debug!(seconds_off = seconds; "a Date header is far off again");
            }
            ClockObservation::Doubted(seconds) => {
                self.doubt_is_logged = true;
                log::warn!(seconds_off = seconds;
                    "a Date header of the instance is far off; it counts when others agree with it");
            }
            ClockObservation::Stepped(seconds) => {
                log::warn!(seconds_off = seconds;
                    "the instance's clock is another one than before: several Date headers agree");
            }
        }
        if let Some(lead) = self.server.lead_of(epoch_seconds(host), now) {
            self.compare_with_host(lead);
        }
    }

    /// Only the instance's clock is used; a difference says that one of the two is wrong, and if it is
    /// the instance's `Date`, rows may get stamps of seconds that were read already.
    fn compare_with_host(&mut self, lead: f64) {
        if lead.abs() < CLOCK_DIFFERENCE_SECONDS {
            if let Some(note) = &self.note {
                note.ok();
            }
            self.logged_lead = None;
            return;
        }
        let words = clock_difference(lead);
        let is_logged = self
            .logged_lead
            .is_some_and(|logged| (logged - lead).abs() < 1.0);
        if !is_logged {
            self.logged_lead = Some(lead);
            log::warn!("{words}");
        }
        if let Some(note) = &self.note {
            note.fail(words);
        }
    }
}

/// What a difference between the clocks means, in words.
pub fn clock_difference(lead: f64) -> String {
    let (seconds, side) = (lead.abs(), if lead > 0.0 { "behind" } else { "ahead of" });
    format!(
        "the instance's clock (the Date header of its answers) is {seconds:.0} s {side} this host's; \
         if the host is right, rows may be stamped with seconds that were read already and be missed: \
         let both follow NTP, and look for a proxy that writes Date"
    )
}

fn epoch_seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
