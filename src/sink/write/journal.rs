//! Finds the entry that a lost update may have left in a journal.
//!
//! A journal field keeps each text that is written to it as an entry of its own, so an update that is
//! executed twice shows twice. Whether the lost one was executed shows in the entries, which the
//! instance keeps in `sys_journal_field`. An entry does not say which record wrote it: it has only
//! text, row and time. Two records may add the same text to one row, so each entry is claimed by one
//! record at most, and entries of updates that were answered cannot be claimed.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use crate::servicenow::AnswerRow;
use crate::servicenow::query::parse_time;

/// An entry counts even if it seems so much older than the first attempt, as the clock that stamped it
/// need not agree with the `Date` header of the answer.
pub(super) const JOURNAL_CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// Claimed entries, and entries of answered updates, that are remembered at most.
const MAX_REMEMBERED_ENTRIES: usize = 1024;

/// A text in a journal column of a row, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JournalTextKey(u64);

impl JournalTextKey {
    pub(super) fn new(sys_id: &str, column: &str, text: &str) -> JournalTextKey {
        let mut hasher = DefaultHasher::new();
        (sys_id.to_ascii_lowercase(), column, plain(text)).hash(&mut hasher);
        JournalTextKey(hasher.finish())
    }
}

/// The entry that is searched for.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalQuery<'a> {
    pub(super) sys_id: &'a str,
    pub(super) column: &'a str,
    pub(super) text: &'a str,
    /// Seconds since 1970, by the instance's clock: no older entry counts.
    pub(super) since: i64,
}

impl JournalQuery<'_> {
    /// The sys_ids of the entries in an answer that may be the one.
    pub(super) fn matching_entries(&self, entries: &[AnswerRow]) -> Vec<String> {
        let ours = entries.iter().filter(|entry| self.matches(entry));
        ours.filter_map(|entry| entry.text("sys_id").map(str::to_owned))
            .collect()
    }

    fn matches(&self, entry: &AnswerRow) -> bool {
        // An instance drops a condition that it does not understand, so the answer is compared with
        // the two that were sent. They may be hidden.
        let agrees = |column: &str, wanted: &str| {
            entry
                .text(column)
                .is_none_or(|text| text.eq_ignore_ascii_case(wanted))
        };
        let text = entry.text("value").unwrap_or_default();
        let time = entry
            .text("sys_created_on")
            .and_then(|time| parse_time(time.as_bytes()));
        agrees("element_id", self.sys_id)
            && agrees("element", self.column)
            && plain(text) == plain(self.text)
            && time.is_some_and(|time| time >= self.since)
    }
}

/// Which entries belong to which records of a topic.
#[derive(Debug, Default)]
pub(super) struct JournalDeduper {
    /// sys_ids of entries that records have claimed.
    claimed: VecDeque<String>,
    /// Entries of updates that were answered, and when that was; their sys_ids are not known.
    written: VecDeque<(JournalTextKey, Instant)>,
}

impl JournalDeduper {
    /// An entry was written, and the instance answered that at `now`.
    pub(super) fn note(&mut self, key: JournalTextKey, now: Instant) {
        push(&mut self.written, (key, now));
    }

    /// Claims one of `entries` for a record, if there are more than other records have written.
    /// `since`: entries that were written before are not among `entries`; `None`: all may be.
    pub(super) fn claim(
        &mut self,
        key: JournalTextKey,
        entries: Vec<String>,
        since: Option<Instant>,
    ) -> bool {
        let free = |entry: &String| !self.claimed.contains(entry);
        let mut free: VecDeque<String> = entries.into_iter().filter(free).collect();
        let known = self
            .written
            .iter()
            .filter(|(noted, time)| *noted == key && since.is_none_or(|since| *time >= since));
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

/// The text as far as the instance keeps it: line ends and blanks at the ends may change.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUGHT: JournalQuery<'_> = JournalQuery {
        sys_id: "a1",
        column: "comments",
        text: "hello\nworld",
        // 2024-01-01 00:00:00
        since: 1_704_067_200,
    };

    const ENTRY: [(&str, &str); 5] = [
        ("sys_id", "e"),
        ("element_id", "A1"),
        ("element", "comments"),
        ("value", " hello\r\nworld\n"),
        ("sys_created_on", "2024-01-01 00:00:00"),
    ];

    #[test]
    fn entries_of_ours() {
        let matching = |name: &str, value: Option<&'static str>| {
            let others = ENTRY.into_iter().filter(|(column, _)| *column != name);
            let changed = value.map(|value| (ENTRY.map(|(column, _)| column), value));
            let changed = changed.into_iter().flat_map(|(columns, value)| {
                let column = columns.into_iter().find(|column| *column == name);
                column.map(|column| (column, value))
            });
            SOUGHT.matching_entries(&[others.chain(changed).collect()])
        };
        assert_eq!(matching("", None), ["e"]);
        for (column, value, count) in [
            ("element_id", None, 1),
            ("element_id", Some("b"), 0),
            ("element", Some("work_notes"), 0),
            ("value", Some("hello"), 0),
            ("value", None, 0),
            ("sys_created_on", Some("2023-12-31 23:59:59"), 0),
            ("sys_created_on", Some("soon"), 0),
        ] {
            assert_eq!(matching(column, value).len(), count, "{column} {value:?}");
        }
        assert!(SOUGHT.matching_entries(&[]).is_empty());
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
