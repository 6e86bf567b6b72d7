//! Finds out how the instance reads times in queries.
//!
//! Whether an instance takes a literal such as `2024-01-24 13:20:00` as UTC or in the zone of the
//! integration user is disputed: a ServiceNow employee says UTC (Community article 2270667), the authors
//! of other clients say the user's zone (sndml, issue 11). A wrong guess would skip hours of rows, so it
//! is measured on a row of `sys_user`: its `sys_created_on` is known in UTC and does not change, so the
//! literal that finds the row tells which reading is right.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::QueryTimeZone;
use crate::http::error_body::shown;
use crate::servicenow;
use crate::servicenow::query::{TimeLiterals, parse_time};
use crate::servicenow::{AnswerRow, InstanceClient, ResponseHead, table_api};
use crate::stop::Stop;

/// Users that are looked at for one whose creation time tells the two readings apart.
const MAX_PROBED_USERS: &str = "200";
/// The columns of `sys_user` that [`ProbedUser`] is read from.
const PROBED_COLUMNS: &str = "sys_id,sys_created_on,time_zone";

/// Why it is not known how the instance reads times.
#[derive(Debug)]
pub enum TimeZoneError {
    /// The instance could not be asked.
    Request(servicenow::Error),
    /// It answered, but the answer does not tell; the text says why.
    Unclear(String),
    /// Another table measures and has no result yet.
    Busy,
    /// A stop ended the wait.
    Stopped,
}

impl fmt::Display for TimeZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeZoneError::Request(error) if error.is_api_verdict() => {
                write!(f, "measuring the time zone: {error}")
            }
            // A log-in that is refused, or a connection that is not made, has nothing to do with it.
            TimeZoneError::Request(error) => error.fmt(f),
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

/// Asks the instance how it reads times.
pub(super) struct TimeZoneProbe<'a> {
    pub(super) client: &'a InstanceClient,
    /// Path of the Table API.
    pub(super) table_api_path: &'a str,
    /// Is told of each answer, for the instance's clock.
    pub(super) observe: &'a dyn Fn(&ResponseHead),
    pub(super) stop: &'a Stop,
}

impl TimeZoneProbe<'_> {
    /// How the instance reads times in queries: as configured, else as measured.
    pub(super) fn literals(
        &self,
        configured: &QueryTimeZone,
    ) -> Result<TimeLiterals, TimeZoneError> {
        match configured {
            QueryTimeZone::Utc => Ok(TimeLiterals::Utc),
            QueryTimeZone::Zone(name) => Ok(TimeLiterals::User(zone(name)?)),
            QueryTimeZone::Auto => self.measure(),
        }
    }

    fn measure(&self) -> Result<TimeLiterals, TimeZoneError> {
        let own = "user_name=javascript:gs.getUserName()";
        let users = self.users(own, PROBED_COLUMNS, "1")?;
        let Some(user) = users.first().and_then(ProbedUser::read) else {
            return Err(TimeZoneError::Unclear(
                "the integration user may not read its own row of sys_user".to_owned(),
            ));
        };
        let zone = zone(&self.zone_name(&user)?)?;
        if is_utc(&zone) {
            // Both readings are the same.
            return Ok(TimeLiterals::Utc);
        }
        let user = if offset(&zone, user.created) == 0 {
            self.user_that_tells(&zone)?
        } else {
            user
        };
        // No user was created at a time that is certainly wrong. If one is found all the same, the
        // instance ignores the condition, and a hit says nothing.
        let (utc, local) = (TimeLiterals::Utc, TimeLiterals::User(zone));
        if self.finds(&user, &utc.text_of(user.created + 17 * 60 + 1))? {
            return Err(TimeZoneError::Unclear(
                "conditions on sys_created_on are ignored".to_owned(),
            ));
        }
        for reading in [utc, local] {
            if self.finds(&user, &reading.text_of(user.created))? {
                return Ok(reading);
            }
        }
        Err(TimeZoneError::Unclear(
            "neither UTC nor the user's zone finds a known row".to_owned(),
        ))
    }

    /// Any user who was created while `zone` differed from UTC. The integration user itself may have
    /// been created in a winter in which London's clocks showed UTC.
    fn user_that_tells(&self, zone: &TimeZone) -> Result<ProbedUser, TimeZoneError> {
        let users = self.users("sys_created_onISNOTEMPTY", PROBED_COLUMNS, MAX_PROBED_USERS)?;
        users
            .iter()
            .filter_map(ProbedUser::read)
            .find(|user| offset(zone, user.created) != 0)
            .ok_or_else(|| {
                TimeZoneError::Unclear(
                    "no user was created while the user's zone differed from UTC".to_owned(),
                )
            })
    }

    /// The name of the user's zone, else of the instance's default.
    fn zone_name(&self, user: &ProbedUser) -> Result<String, TimeZoneError> {
        if !user.zone.is_empty() {
            return Ok(user.zone.clone());
        }
        let params = vec![
            ("sysparm_query", "name=glide.sys.default.tz".to_owned()),
            ("sysparm_fields", "name,value".to_owned()),
            ("sysparm_limit", "1".to_owned()),
        ];
        let properties = self.rows("sys_properties", params)?;
        properties
            .first()
            .and_then(|row| row.text("value"))
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
        columns: &str,
        limit: &str,
    ) -> Result<Vec<AnswerRow>, TimeZoneError> {
        let params = vec![
            ("sysparm_query", query.to_owned()),
            ("sysparm_fields", columns.to_owned()),
            ("sysparm_limit", limit.to_owned()),
            ("sysparm_no_count", "true".to_owned()),
            ("sysparm_suppress_pagination_header", "true".to_owned()),
        ];
        self.rows("sys_user", params)
    }

    /// Whether the user is found by its creation time written as `literal`.
    fn finds(&self, user: &ProbedUser, literal: &str) -> Result<bool, TimeZoneError> {
        let query = format!("sys_id={}^sys_created_on={literal}", user.id);
        Ok(!self.users(&query, "sys_id", "1")?.is_empty())
    }

    fn rows(
        &self,
        table: &str,
        params: Vec<(&'static str, String)>,
    ) -> Result<Vec<AnswerRow>, TimeZoneError> {
        let request = table_api::look_up(self.table_api_path, table, params);
        let (found, head) = self
            .client
            .get_rows_once(&request, self.stop)
            .map_err(TimeZoneError::Request)?;
        (self.observe)(&head);
        if !found.is_list {
            return Err(TimeZoneError::Unclear(format!(
                "{table} did not answer with a list"
            )));
        }
        Ok(found.rows)
    }
}

/// What the measurement needs of a row of `sys_user`.
struct ProbedUser {
    id: String,
    /// Seconds since 1970 UTC.
    created: i64,
    zone: String,
}

impl ProbedUser {
    fn read(row: &AnswerRow) -> Option<ProbedUser> {
        let text = |name: &str| row.text(name).unwrap_or_default();
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
    TimeZone::get(name)
        .map_err(|_| TimeZoneError::Unclear(format!("`{}` is no known time zone", shown(name))))
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
        let row = |id| {
            let columns = [("sys_id", id), ("sys_created_on", "1970-01-01 00:00:01")];
            columns.into_iter().collect::<AnswerRow>()
        };
        assert_eq!(ProbedUser::read(&row("ab12")).unwrap().created, 1);
        assert!(ProbedUser::read(&row("a^NQsys_idANYTHING")).is_none());
        assert!(ProbedUser::read(&[("sys_id", "ab")].into_iter().collect()).is_none());
    }
}
