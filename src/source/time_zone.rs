//! What all tables share about the instance: its clock, and how it reads times in queries.
//!
//! Whether an instance takes a literal as UTC or in the integration user's zone is disputed (API
//! facts 3.4), so it is measured: on `sys_user.sys_created_on`, a stamp that does not change while
//! we look. A wrong guess would skip hours of rows.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::server_clock::ServerClock;
use crate::config::QueryTimeZone;
use crate::servicenow;
use crate::servicenow::query::{TimeLiterals, parse_time};
use crate::servicenow::{InstanceClient, ResponseHead, table_api};
use crate::stop::Stop;

/// Users looked at for one whose stamp tells the two readings apart.
const MAX_PROBED_USERS: &str = "200";

/// How long a table waits for another one's measurement.
const TIME_ZONE_MAX_WAIT: Duration = Duration::from_secs(60);

/// One instance as all its tables see it.
#[derive(Debug)]
pub struct SourceInstance {
    client: Arc<InstanceClient>,
    table_api_path: String,
    time_zone: QueryTimeZone,
    clock: Mutex<ServerClock>,
    literals: OnceLock<TimeLiterals>,
    measuring: Mutex<()>,
}

/// Why the reading of times is not known.
#[derive(Debug)]
pub enum TimeZoneError {
    /// The instance did not answer.
    Request(servicenow::Error),
    /// It answered, but that tells nothing; says what to do.
    Unclear(String),
    /// Another table is measuring and has no answer yet.
    Busy,
    /// Stopped meanwhile.
    Stopped,
}

impl fmt::Display for TimeZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeZoneError::Request(error) => write!(f, "measuring the time zone: {error}"),
            TimeZoneError::Unclear(why) => write!(
                f,
                "cannot tell how the instance reads times in queries: {why}; set \
                 servicenow.query_time_zone to `utc`, or to the integration user's zone"
            ),
            TimeZoneError::Busy => {
                f.write_str("waiting for the time zone, which another table measures")
            }
            TimeZoneError::Stopped => f.write_str("stopped"),
        }
    }
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
    pub fn observe(&self, meta: &ResponseHead) {
        if let Some(date) = meta.date {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.observe(date, meta.received);
        }
    }

    /// The last second that is over on the instance; `None` before its first answer.
    pub fn closed_second(&self, now: Instant) -> Option<i64> {
        self.clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed_second(now)
    }

    /// How the instance reads times; measured once, by the first table that asks.
    ///
    /// # Errors
    /// It could not be measured; ask again later.
    pub fn literals(&self, stop: &Stop) -> Result<&TimeLiterals, TimeZoneError> {
        let deadline = Instant::now() + TIME_ZONE_MAX_WAIT;
        loop {
            if let Some(literals) = self.literals.get() {
                return Ok(literals);
            }
            // One that panicked while it measured has left nothing behind that could be wrong.
            let turn = match self.measuring.try_lock() {
                Ok(turn) => Some(turn),
                Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            match turn {
                Some(_turn) => {
                    let literals = self.measure(stop)?;
                    log::info!(literals:% = literals; "measured how the instance reads times");
                    return Ok(self.literals.get_or_init(|| literals));
                }
                None => {
                    if stop.wait(Duration::from_millis(100)) {
                        return Err(TimeZoneError::Stopped);
                    }
                    if Instant::now() > deadline {
                        return Err(TimeZoneError::Busy);
                    }
                }
            }
        }
    }

    fn measure(&self, stop: &Stop) -> Result<TimeLiterals, TimeZoneError> {
        match &self.time_zone {
            QueryTimeZone::Utc => Ok(TimeLiterals::Utc),
            QueryTimeZone::Zone(name) => Ok(TimeLiterals::User(zone(name)?)),
            QueryTimeZone::Auto => self.probe(stop),
        }
    }

    fn probe(&self, stop: &Stop) -> Result<TimeLiterals, TimeZoneError> {
        let own = "user_name=javascript:gs.getUserName()";
        let fields = "sys_id,sys_created_on,time_zone";
        let users = self.users(own, fields, "1", stop)?;
        let Some(user) = users.first().and_then(ProbedUser::read) else {
            return Err(TimeZoneError::Unclear(
                "the integration user may not read its own row of sys_user".to_owned(),
            ));
        };
        let zone = zone(&self.zone_name(&user, stop)?)?;
        if is_utc(&zone) {
            // Both readings are the same.
            return Ok(TimeLiterals::Utc);
        }
        let user = if offset(&zone, user.created) == 0 {
            let some = self.users("sys_created_onISNOTEMPTY", fields, MAX_PROBED_USERS, stop)?;
            let differs = |user: &ProbedUser| offset(&zone, user.created) != 0;
            some.iter()
                .filter_map(ProbedUser::read)
                .find(differs)
                .ok_or_else(|| {
                    TimeZoneError::Unclear(
                        "no user was created while the user's zone differed from UTC".to_owned(),
                    )
                })?
        } else {
            user
        };
        let (utc, local) = (TimeLiterals::Utc, TimeLiterals::User(zone));
        // A time that is certainly wrong must find nothing, or conditions are being ignored.
        if self.finds(&user, &utc.text_of(user.created + 17 * 60 + 1), stop)? {
            return Err(TimeZoneError::Unclear(
                "conditions on sys_created_on are ignored".to_owned(),
            ));
        }
        for reading in [utc, local] {
            if self.finds(&user, &reading.text_of(user.created), stop)? {
                return Ok(reading);
            }
        }
        Err(TimeZoneError::Unclear(
            "neither UTC nor the user's zone finds a known row".to_owned(),
        ))
    }

    /// The user's zone, else the instance's default.
    fn zone_name(&self, user: &ProbedUser, stop: &Stop) -> Result<String, TimeZoneError> {
        if !user.zone.is_empty() {
            return Ok(user.zone.clone());
        }
        let params = vec![
            ("sysparm_query", "name=glide.sys.default.tz".to_owned()),
            ("sysparm_fields", "name,value".to_owned()),
            ("sysparm_limit", "1".to_owned()),
        ];
        let property = self.ask("sys_properties", params, stop)?;
        let value = property
            .first()
            .and_then(|row| row.get("value"))
            .and_then(Value::as_str);
        value
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| {
                TimeZoneError::Unclear(
                    "the integration user has no time zone and may not read the property \
                 glide.sys.default.tz"
                        .to_owned(),
                )
            })
    }

    fn users(
        &self,
        query: &str,
        fields: &str,
        limit: &str,
        stop: &Stop,
    ) -> Result<Vec<Value>, TimeZoneError> {
        let params = vec![
            ("sysparm_query", query.to_owned()),
            ("sysparm_fields", fields.to_owned()),
            ("sysparm_limit", limit.to_owned()),
            ("sysparm_no_count", "true".to_owned()),
            ("sysparm_suppress_pagination_header", "true".to_owned()),
        ];
        self.ask("sys_user", params, stop)
    }

    /// Whether the user is found by its creation time written as `literal`.
    fn finds(&self, user: &ProbedUser, literal: &str, stop: &Stop) -> Result<bool, TimeZoneError> {
        let query = format!("sys_id={}^sys_created_on={literal}", user.id);
        Ok(!self.users(&query, "sys_id", "1", stop)?.is_empty())
    }

    fn ask(
        &self,
        name: &str,
        params: Vec<(&'static str, String)>,
        stop: &Stop,
    ) -> Result<Vec<Value>, TimeZoneError> {
        let get = table_api::probe(&self.table_api_path, name, params);
        let (result, meta) = self
            .client
            .get_result_once(&get, stop)
            .map_err(TimeZoneError::Request)?;
        self.observe(&meta);
        match result {
            Value::Array(rows) => Ok(rows),
            _ => Err(TimeZoneError::Unclear(format!(
                "{name} did not answer with a list"
            ))),
        }
    }
}

/// What is needed of a row of sys_user.
struct ProbedUser {
    id: String,
    /// Seconds since 1970 UTC.
    created: i64,
    zone: String,
}

impl ProbedUser {
    fn read(row: &Value) -> Option<ProbedUser> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        // The identifier goes into a query, so nothing else than letters and digits may be in it.
        let id = text("sys_id");
        let safe = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let created = parse_time(text("sys_created_on").as_bytes())?;
        safe.then(|| ProbedUser {
            id: id.to_owned(),
            created,
            zone: text("time_zone").to_owned(),
        })
    }
}

fn zone(name: &str) -> Result<TimeZone, TimeZoneError> {
    TimeZone::get(name).map_err(|_| {
        TimeZoneError::Unclear(format!("`{}` is no known time zone", name.escape_debug()))
    })
}

/// Seconds that `zone` is ahead of UTC at an instant.
fn offset(zone: &TimeZone, seconds: i64) -> i32 {
    Timestamp::from_second(seconds).map_or(0, |instant| zone.to_offset(instant).seconds())
}

/// Whether `zone` never differs from UTC, in the years that matter.
fn is_utc(zone: &TimeZone) -> bool {
    let quarter = 7_889_400;
    (0..320).all(|n| offset(zone, n * quarter) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zones_that_are_utc_all_year_need_no_measurement() {
        for name in ["UTC", "GMT", "Etc/UTC"] {
            assert!(is_utc(&zone(name).unwrap()), "{name}");
        }
        for name in [
            "Europe/London",
            "America/New_York",
            "Africa/Casablanca",
            "Asia/Tokyo",
        ] {
            assert!(!is_utc(&zone(name).unwrap()), "{name}");
        }
        assert!(zone("Mars/Olympus").is_err());
    }

    #[test]
    fn a_user_row_is_read_with_care() {
        let row = |id: &str| serde_json::json!({"sys_id": id, "sys_created_on": "1970-01-01 00:00:01", "time_zone": ""});
        assert_eq!(ProbedUser::read(&row("ab12")).unwrap().created, 1);
        assert!(ProbedUser::read(&row("a^NQsys_idANYTHING")).is_none());
        assert!(ProbedUser::read(&serde_json::json!({"sys_id": "ab"})).is_none());
    }
}
