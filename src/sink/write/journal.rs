//! Finds the entry that a lost update may have left in a journal.
//!
//! An entry carries no mark of ours: only its text, its row and its time. Two records may add the
//! same text to one row, so each entry is claimed by one record, and entries that records are known
//! to have written are not up for claims.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::servicenow::query::parse_time;
use crate::servicenow::table_write::stored_text;

/// How far the first attempt may lie behind the clock by which its entry was stamped.
pub(super) const JOURNAL_CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// Claims and notes that are kept.
const MAX_REMEMBERED_ENTRIES: usize = 1024;

/// A text in a column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JournalTextKey(u64);

impl JournalTextKey {
    pub(super) fn new(sys_id: &str, column: &str, text: &str) -> JournalTextKey {
        let mut hasher = DefaultHasher::new();
        (sys_id.to_ascii_lowercase(), column, plain(text)).hash(&mut hasher);
        JournalTextKey(hasher.finish())
    }
}

/// What is sought.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalQuery<'a> {
    pub(super) sys_id: &'a str,
    pub(super) column: &'a str,
    pub(super) text: &'a str,
    /// Seconds since 1970, by the instance's clock: no older entry counts.
    pub(super) since: i64,
}

impl JournalQuery<'_> {
    /// The sys_ids of the entries with this text in an answer.
    pub(super) fn among(&self, result: &Value) -> Vec<String> {
        let entries = result.as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = entries.iter().filter(|entry| self.is(entry));
        ours.filter_map(|entry| stored_text(entry, "sys_id"))
            .collect()
    }

    fn is(&self, entry: &Value) -> bool {
        // An instance drops a condition that it does not understand; what it says of these two must
        // not contradict.
        let agrees = |column: &str, wanted: &str| {
            stored_text(entry, column).is_none_or(|text| text.eq_ignore_ascii_case(wanted))
        };
        let text = stored_text(entry, "value").unwrap_or_default();
        let time =
            stored_text(entry, "sys_created_on").and_then(|time| parse_time(time.as_bytes()));
        agrees("element_id", self.sys_id)
            && agrees("element", self.column)
            && plain(&text) == plain(self.text)
            && time.is_some_and(|time| self.since <= time)
    }
}

/// Which entries belong to which records.
#[derive(Debug, Default)]
pub(super) struct JournalDeduper {
    /// sys_ids of entries that records have claimed.
    claimed: VecDeque<String>,
    /// Entries that were certainly written, and when; their sys_ids are not known.
    notes: VecDeque<(JournalTextKey, Instant)>,
}

impl JournalDeduper {
    /// An entry was written at `now`, and the instance said so.
    pub(super) fn note(&mut self, place: JournalTextKey, now: Instant) {
        push(&mut self.notes, (place, now));
    }

    /// Takes one of these entries for a record, if there are more than others have. `since`: notes
    /// before this are of entries that are not among them; `None` is all.
    pub(super) fn claim(
        &mut self,
        place: JournalTextKey,
        entries: Vec<String>,
        since: Option<Instant>,
    ) -> bool {
        let free = |entry: &String| !self.claimed.contains(entry);
        let mut free: VecDeque<String> = entries.into_iter().filter(free).collect();
        let known = self
            .notes
            .iter()
            .filter(|(noted, time)| *noted == place && since.is_none_or(|since| since <= *time));
        if free.len() <= known.count() {
            return false;
        }
        if let Some(entry) = free.pop_front() {
            push(&mut self.claimed, entry);
        }
        true
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == MAX_REMEMBERED_ENTRIES {
        list.pop_front();
    }
    list.push_back(item);
}

/// Line ends and blanks at the ends are not kept as they were sent.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOUGHT: JournalQuery<'_> = JournalQuery {
        sys_id: "a1",
        column: "comments",
        text: "hello\nworld",
        // 2024-01-01 00:00:00
        since: 1_704_067_200,
    };

    fn entry() -> Value {
        json!({"sys_id": "e", "element_id": "A1", "element": "comments",
               "value": " hello\r\nworld\n", "sys_created_on": "2024-01-01 00:00:00"})
    }

    #[test]
    fn entries_of_ours() {
        let with = |name: &str, value: Value| {
            let mut entry = entry();
            entry[name] = value;
            SOUGHT.among(&json!([entry])).len()
        };
        assert_eq!(SOUGHT.among(&json!([entry()])), ["e"]);
        assert_eq!(with("element_id", Value::Null), 1);
        assert_eq!(with("element_id", json!("b")), 0);
        assert_eq!(with("element", json!("work_notes")), 0);
        assert_eq!(with("value", json!("hello")), 0);
        assert_eq!(with("value", Value::Null), 0);
        assert_eq!(with("sys_created_on", json!("2023-12-31 23:59:59")), 0);
        assert_eq!(with("sys_created_on", json!("soon")), 0);
        assert!(SOUGHT.among(&json!({})).is_empty());
    }

    fn place() -> JournalTextKey {
        JournalTextKey::new("a1", "comments", "hi")
    }

    fn entries(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn two_records_do_not_share_an_entry() {
        let mut claims = JournalDeduper::default();
        assert!(!claims.claim(place(), entries(&[]), None));
        assert!(claims.claim(place(), entries(&["x"]), None));
        assert!(!claims.claim(place(), entries(&["x"]), None));
        assert!(claims.claim(place(), entries(&["y", "x"]), None));
    }

    #[test]
    fn what_was_answered_is_not_up_for_claims() {
        let mut claims = JournalDeduper::default();
        let now = Instant::now();
        claims.note(place(), now);
        claims.note(JournalTextKey::new("a1", "comments", "ho"), now);
        claims.note(JournalTextKey::new("a1", "work_notes", "hi"), now);
        assert!(!claims.claim(place(), entries(&["x"]), None));
        assert!(claims.claim(place(), entries(&["y", "x"]), None));
        // The noted one is not in what was asked for.
        let later = now + Duration::from_secs(1);
        assert!(claims.claim(place(), entries(&["z"]), Some(later)));
        assert!(!claims.claim(place(), entries(&["w"]), Some(now)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut claims = JournalDeduper::default();
        for number in 0..5000 {
            claims.claim(place(), vec![number.to_string()], None);
        }
        assert_eq!(claims.claimed.len(), MAX_REMEMBERED_ENTRIES);
    }
}
