//! Script values of conditions: `javascript:gs.…` (servicenow_api.md section 3.3).

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

use crate::clock::{format_stamp, local_to_stamp, parse_stamp};

/// Who asks, and when.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// `sys_user.sys_id`.
    pub(crate) user_id: String,
    /// `user_name`.
    pub(crate) user_name: String,
    /// The user's zone.
    pub(crate) zone: TimeZone,
    /// Server time, epoch seconds.
    pub(crate) now: i64,
}

/// What a value stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Plain text, as written.
    Literal(String),
    /// A script's text.
    Text(String),
    /// A script's point in time, as a UTC stamp.
    Stamp(String),
}

/// Evaluates a value; `None` for a script that is not known, whose term is dropped (section 3.5).
pub(crate) fn evaluate(value: &str, session: &Session) -> Option<Value> {
    let Some(script) = value.strip_prefix("javascript:") else {
        return Some(Value::Literal(value.to_owned()));
    };
    let script = script.trim().trim_end_matches(';');
    let script = script.strip_prefix("gs.").unwrap_or(script);
    let (name, rest) = script.split_once('(')?;
    let inside = rest.strip_suffix(')')?;
    let arguments: Vec<&str> = inside
        .split(',')
        .map(|argument| argument.trim().trim_matches(['\'', '"']))
        .filter(|argument| !argument.is_empty())
        .collect();
    match (name, arguments.as_slice()) {
        ("getUserID", []) => return Some(Value::Text(session.user_id.clone())),
        ("getUserName", []) => return Some(Value::Text(session.user_name.clone())),
        // dateGenerate is always in the user's zone (section 3.4).
        ("dateGenerate", [date, time]) => {
            let stamp = local_to_stamp(&format!("{date} {time}"), &session.zone)?;
            return Some(Value::Stamp(stamp));
        }
        _ => {}
    }
    let now = Timestamp::from_second(session.now)
        .ok()?
        .to_zoned_datetime(session.zone.clone());
    let count = match arguments.as_slice() {
        [] => None,
        [count] => Some(count.parse::<i64>().ok()?),
        _ => return None,
    };
    let zoned = match (name, count) {
        ("nowDateTime" | "now", None) => now,
        ("beginningOfToday", None) => now.start_of_day().ok()?,
        ("endOfToday", None) => now.end_of_day().ok()?,
        ("daysAgo", Some(n)) => now.checked_sub(Span::new().try_days(n).ok()?).ok()?,
        ("daysAgoStart", Some(n)) => now
            .checked_sub(Span::new().try_days(n).ok()?)
            .ok()?
            .start_of_day()
            .ok()?,
        ("daysAgoEnd", Some(n)) => now
            .checked_sub(Span::new().try_days(n).ok()?)
            .ok()?
            .end_of_day()
            .ok()?,
        ("hoursAgo", Some(n)) => now.checked_sub(Span::new().try_hours(n).ok()?).ok()?,
        ("hoursAgoStart", Some(n)) => {
            floor(&now.checked_sub(Span::new().try_hours(n).ok()?).ok()?, 3600)?
        }
        ("minutesAgo", Some(n)) => now.checked_sub(Span::new().try_minutes(n).ok()?).ok()?,
        ("minutesAgoStart", Some(n)) => {
            floor(&now.checked_sub(Span::new().try_minutes(n).ok()?).ok()?, 60)?
        }
        _ => return None,
    };
    Some(Value::Stamp(format_stamp(zoned.timestamp().as_second())))
}

/// Start of the hour or the minute.
fn floor(time: &ZonedDateTime, unit: i64) -> Option<ZonedDateTime> {
    let second = time.timestamp().as_second();
    let start = second.checked_sub(second.rem_euclid(unit))?;
    Some(
        Timestamp::from_second(start)
            .ok()?
            .to_zoned_datetime(time.time_zone().clone()),
    )
}

/// The point in time of a `RELATIVE` condition: `@hour@ago@1` (section 3.1).
pub(crate) fn relative(value: &str, now: i64) -> Option<String> {
    let mut parts = value.trim_start_matches('@').split('@');
    let (unit, direction, count) = (parts.next()?, parts.next()?, parts.next()?);
    let seconds: i64 = match unit {
        "minute" => 60,
        "hour" => 3600,
        "dayofweek" | "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    };
    let count: i64 = count.parse().ok()?;
    let sign = match direction {
        "ago" => -1,
        "ahead" => 1,
        _ => return None,
    };
    Some(format_stamp(now.checked_add(
        seconds.checked_mul(count)?.checked_mul(sign)?,
    )?))
}

/// The user's date of a UTC stamp.
pub(crate) fn local_date(stamp: &str, zone: &TimeZone) -> Option<String> {
    let time = Timestamp::from_second(parse_stamp(stamp)?)
        .ok()?
        .to_zoned_datetime(zone.clone());
    Some(time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_follow_the_users_zone() {
        let session = Session {
            user_id: "id".into(),
            user_name: "bridge".into(),
            zone: TimeZone::get("Australia/Sydney").unwrap(),
            now: 1_706_140_805,
        };
        for (script, expected) in [
            (
                "gs.dateGenerate('2024-01-26','00:00:00')",
                "2024-01-25 13:00:00",
            ),
            ("gs.beginningOfToday()", "2024-01-24 13:00:00"),
            ("gs.endOfToday()", "2024-01-25 12:59:59"),
            ("gs.daysAgo(1)", "2024-01-24 00:00:05"),
            ("gs.daysAgoStart(1)", "2024-01-23 13:00:00"),
            ("gs.hoursAgoStart(1)", "2024-01-24 23:00:00"),
            ("gs.minutesAgoStart(2)", "2024-01-24 23:58:00"),
        ] {
            let value = evaluate(&format!("javascript:{script}"), &session);
            assert_eq!(value, Some(Value::Stamp(expected.to_owned())), "{script}");
        }
        assert_eq!(evaluate("javascript:new Evil()", &session), None);
        assert_eq!(
            evaluate("javascript:gs.getUserName()", &session),
            Some(Value::Text("bridge".to_owned()))
        );
        assert_eq!(
            relative("@hour@ago@1", session.now).unwrap(),
            "2024-01-24 23:00:05"
        );
    }
}
