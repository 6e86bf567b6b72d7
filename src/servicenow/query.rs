//! Encoded queries: one slice of a table, in the order of (timestamp, identifier).
//!
//! Grammar: ServiceNow documentation "Encoded query strings"; `^` joins conditions, `^NQ` begins an
//! alternative branch that repeats every condition, `ORDERBY` may stand anywhere. There is no escape
//! for `^`, and a value that begins with `javascript:` is evaluated by the instance (ServiceNow
//! documentation, same page). So every value that goes into a query is checked before, by
//! [`query_value_fault`].

use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::terminal_text::is_active;

/// The beginning of a value that the instance evaluates.
const SCRIPT_PREFIX: &str = "javascript:";

/// A place in a table: rows up to it are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Timestamp column, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Identifier of the last row read in that second; `None`: no row of that second is read yet.
    pub id: Option<String>,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.seconds) {
            Ok(time) => time.fmt(f)?,
            Err(_) => self.seconds.fmt(f)?,
        }
        self.id.iter().try_for_each(|id| write!(f, " {id}"))
    }
}

/// The part of a table that one request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Rows behind this place; `None` begins with the oldest row.
    pub after: Option<Cursor>,
    /// Last second of the slice, included, in seconds since 1970 UTC.
    pub to: i64,
    /// Largest identifier of the slice; only inside one second.
    pub id_to: Option<String>,
}

/// Names that make a table's queries.
#[derive(Debug, Clone)]
pub struct QueryColumns {
    /// Timestamp column.
    pub timestamp: String,
    /// Identifier column.
    pub identifier: String,
    /// Encoded query that restricts the table.
    pub filter: Option<String>,
}

/// A part of a table that is read in the order of identifiers. What is `None` is not restricted.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentifierRange<'a> {
    /// An encoded query beside the table's filter.
    pub query: Option<&'a str>,
    /// The earliest second of the timestamp column, since 1970 UTC.
    pub since: Option<i64>,
    /// The first identifier.
    pub from: Option<&'a str>,
    /// The first identifier behind it.
    pub to: Option<&'a str>,
}

/// How the instance reads times in queries.
#[derive(Debug, Clone)]
pub enum TimeLiterals {
    /// As UTC.
    Utc,
    /// In the integration user's zone.
    User(TimeZone),
}

/// An encoded query and the seconds that its answer may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedQuery {
    /// The text of `sysparm_query`.
    pub text: String,
    /// Earliest second the instance may answer with; `None` is unbounded.
    pub earliest: Option<i64>,
    /// Latest second the instance may answer with.
    pub latest: i64,
    /// Rows outside the slice may be in the answer and must be passed over. In the hour that
    /// repeats in autumn a literal names two instants, so more is asked for than is wanted.
    pub widened: bool,
}

impl TimeLiterals {
    /// Seconds to widen by when the literal for `seconds` names two instants, else zero.
    fn fold(&self, seconds: i64) -> i64 {
        let TimeLiterals::User(zone) = self else {
            return 0;
        };
        let Ok(instant) = Timestamp::from_second(seconds) else {
            return 0;
        };
        let local = zone.to_datetime(instant);
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, after } => {
                2 * i64::from((before.seconds() - after.seconds()).abs())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => 0,
        }
    }

    /// The literal for an instant, in seconds since 1970 UTC.
    pub fn text_of(&self, seconds: i64) -> String {
        let zone = match self {
            TimeLiterals::Utc => &TimeZone::UTC,
            TimeLiterals::User(zone) => zone,
        };
        match Timestamp::from_second(seconds) {
            Ok(instant) => zone
                .to_datetime(instant)
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string(),
            Err(_) => "1970-01-01 00:00:00".to_owned(),
        }
    }
}

impl fmt::Display for TimeLiterals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeLiterals::Utc => f.write_str("UTC"),
            TimeLiterals::User(zone) => f.write_str(zone.iana_name().unwrap_or("the user's zone")),
        }
    }
}

impl QueryColumns {
    /// The query for `slice`, with times as the instance reads them.
    pub fn encode(&self, slice: &Slice, literals: &TimeLiterals) -> EncodedQuery {
        let after = slice.after.as_ref();
        let back = after.map_or(0, |cursor| literals.fold(cursor.seconds));
        let ahead = literals.fold(slice.to);
        let earliest = after.map(|cursor| cursor.seconds - back);
        let latest = slice.to + ahead;
        let widened = back + ahead > 0;
        let ts = &self.timestamp;
        let from = |op: &str, seconds: i64| format!("{ts}{op}{}", literals.text_of(seconds));
        let conditions = match after {
            None => vec![from("<=", latest)],
            Some(Cursor {
                seconds,
                id: Some(id),
            }) if !widened => self.keyset(*seconds, id, slice, literals),
            Some(Cursor { seconds, id: None }) if !widened && *seconds == slice.to => {
                vec![self.with_id_to(from("=", *seconds), slice)]
            }
            Some(Cursor { seconds, .. }) => {
                vec![format!(
                    "{}^{}",
                    from(">=", seconds - back),
                    from("<=", latest)
                )]
            }
        };
        EncodedQuery {
            text: self.join(&conditions),
            earliest,
            latest,
            widened,
        }
    }

    /// The query for the rows with these identifiers, whatever their time. Operator `IN` takes a list that is
    /// separated by commas (ServiceNow documentation "Operators available for filters and queries"); an
    /// identifier with a comma in it is asked for by itself.
    pub fn with_ids(&self, ids: &[String]) -> EncodedQuery {
        let (several, single): (Vec<&str>, Vec<&str>) = ids
            .iter()
            .map(String::as_str)
            .partition(|id| !id.contains(','));
        let mut conditions: Vec<String> = Vec::new();
        if !several.is_empty() {
            conditions.push(format!("{}IN{}", self.identifier, several.join(",")));
        }
        conditions.extend(single.iter().map(|id| format!("{}={id}", self.identifier)));
        EncodedQuery {
            text: self.join(&conditions),
            earliest: None,
            latest: i64::MAX,
            widened: false,
        }
    }

    /// The query for rows in the order of their identifiers: those behind `after` that meet `query`, changed in
    /// the second `since` or later, and lie between the two bounds.
    pub fn by_identifier(
        &self,
        part: &IdentifierRange<'_>,
        after: Option<&str>,
        literals: &TimeLiterals,
    ) -> EncodedQuery {
        let (ts, identifier) = (&self.timestamp, &self.identifier);
        let since = part.since.map(|since| {
            let widened = since.saturating_sub(literals.fold(since));
            format!("{ts}>={}", literals.text_of(widened))
        });
        let from = match (after, part.from) {
            (Some(after), _) => Some(format!("{identifier}>{after}")),
            (None, from) => from.map(|from| format!("{identifier}>={from}")),
        };
        let to = part.to.map(|to| format!("{identifier}<{to}"));
        let range: Vec<String> = [since, from, to].into_iter().flatten().collect();
        let query = part.query.unwrap_or_default();
        let alternatives: Vec<String> = query
            .split("^NQ")
            .map(|branch| {
                let own = (!branch.is_empty()).then(|| branch.to_owned());
                let conditions: Vec<String> = own.into_iter().chain(range.clone()).collect();
                conditions.join("^")
            })
            .collect();
        let branches = self.branches(&alternatives).join("^NQ");
        let start = if branches.is_empty() {
            String::new()
        } else {
            format!("{branches}^")
        };
        EncodedQuery {
            text: format!("{start}ORDERBY{identifier}"),
            earliest: None,
            latest: i64::MAX,
            widened: false,
        }
    }

    /// Behind (seconds, id): the rest of that second, or anything later.
    fn keyset(
        &self,
        seconds: i64,
        id: &str,
        slice: &Slice,
        literals: &TimeLiterals,
    ) -> Vec<String> {
        let (ts, identifier) = (&self.timestamp, &self.identifier);
        let at = literals.text_of(seconds);
        let rest = self.with_id_to(format!("{ts}={at}^{identifier}>{id}"), slice);
        if slice.to <= seconds {
            return vec![rest];
        }
        vec![
            format!("{ts}>{at}^{ts}<={}", literals.text_of(slice.to)),
            rest,
        ]
    }

    fn with_id_to(&self, condition: String, slice: &Slice) -> String {
        match &slice.id_to {
            Some(id) => format!("{condition}^{}<={id}", self.identifier),
            None => condition,
        }
    }

    /// The query for all rows of the filter that meet one more condition, in no order.
    pub fn restricted(&self, condition: &str) -> String {
        self.branches(&[condition.to_owned()]).join("^NQ")
    }

    fn join(&self, alternatives: &[String]) -> String {
        let order = format!("ORDERBY{}^ORDERBY{}", self.timestamp, self.identifier);
        format!("{}^{order}", self.branches(alternatives).join("^NQ"))
    }

    /// Joins the user's filter into every alternative: `^NQ` begins a query of its own.
    fn branches(&self, alternatives: &[String]) -> Vec<String> {
        let filters: Vec<&str> = self
            .filter
            .as_deref()
            .map_or_else(|| vec![""], |filter| filter.split("^NQ").collect());
        let mut branches = Vec::new();
        for filter in filters {
            for condition in alternatives {
                branches.push(match (filter, condition.as_str()) {
                    ("", condition) => condition.to_owned(),
                    (filter, "") => filter.to_owned(),
                    (filter, condition) => format!("{filter}^{condition}"),
                });
            }
        }
        branches
    }
}

/// Why a value cannot become a part of an encoded query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryValueFault {
    /// It has a `^` in it, behind which another condition would begin.
    Separator,
    /// It has a control character or a line break in it, where the instance may cut it.
    Control,
    /// The instance would evaluate it as a script.
    Script,
}

impl fmt::Display for QueryValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueryValueFault::Separator => "it has a `^` in it, which begins another condition",
            QueryValueFault::Control => "it has a control character in it",
            QueryValueFault::Script => "it begins with `javascript:`, so the instance would run it",
        })
    }
}

/// What is wrong with a value that is to become a part of an encoded query; `None`: nothing.
pub fn query_value_fault(value: &[u8]) -> Option<QueryValueFault> {
    // Nearly all are identifiers.
    if all_of(value, u8::is_ascii_alphanumeric) {
        return None;
    }
    let text = String::from_utf8_lossy(value);
    if text.contains('^') {
        return Some(QueryValueFault::Separator);
    }
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    if text.contains(breaks) {
        return Some(QueryValueFault::Control);
    }
    let hidden = |letter: char| letter.is_whitespace() || is_active(letter);
    let start = text.trim_start_matches(hidden).get(..SCRIPT_PREFIX.len());
    let is_script = start.is_some_and(|start| start.eq_ignore_ascii_case(SCRIPT_PREFIX));
    is_script.then_some(QueryValueFault::Script)
}

/// Reads a stored time, `YYYY-MM-DD HH:MM:SS` in UTC, as seconds since 1970.
pub fn parse_time(text: &[u8]) -> Option<i64> {
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    let has = |(place, mark): &(usize, u8)| text.get(*place) == Some(mark);
    if text.len() != 19 || !marks.iter().all(has) {
        return None;
    }
    let number = |place: Range<usize>| {
        text.get(place)?.iter().try_fold(0_i16, |number, digit| {
            let is_digit = digit.is_ascii_digit();
            is_digit.then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let two = |start: usize| i8::try_from(number(start..start + 2)?).ok();
    let (year, month, day) = (number(0..4)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_second())
}

/// An identifier as a number, when it is 32 lower-case hex digits. Only those are compared here: the
/// order of any others is the database collation's affair.
pub fn hex_id(id: &[u8]) -> Option<u128> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != 32 || !all_of(id, is_digit) {
        return None;
    }
    let number = |digits: &[u8]| {
        let add = |value, digit: &u8| value << 4 | u64::from((digit & 0xf) + 9 * (digit >> 6));
        u128::from(digits.iter().fold(0_u64, add))
    };
    let (high, low) = id.split_at(16);
    Some(number(high) << 64 | number(low))
}

/// Whether all bytes are such. All of them are looked at, so that the compiler can take many at a time.
fn all_of(bytes: &[u8], is_such: impl Fn(&u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & is_such(byte))
}

#[cfg(test)]
mod tests;
