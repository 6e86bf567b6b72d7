//! What a comparison found: pure.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::certificate::Certificate;
use super::judge::{Difference, ProvenDifference};
use super::row_identifier::RowIdentifier;
use crate::delivered::RowVersion;

/// Rows that are named in a report at most; all are counted.
const MAX_NAMED_DIFFERENCES: usize = 1_000;

/// Why a row that differs is none that the bridge has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// `skip_own_writes`: the last change is the sink's.
    OwnWrite,
    /// It is older than the start of the stream (`initial_query_hours_ago`).
    BeforeStart,
    /// It has left the rows that `query` asks for, and its last record stays.
    LeftQuery,
    /// It is passed over (`on_bad_row: skip`).
    Skipped,
    /// A letter stands for it (`on_oversize: dead_letter`).
    Oversized,
    /// The topic has thrown its record away by time or size.
    AgedOut,
}

impl Excuse {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Excuse::OwnWrite => "own_write",
            Excuse::BeforeStart => "before_start",
            Excuse::LeftQuery => "left_query",
            Excuse::Skipped => "skipped",
            Excuse::Oversized => "oversized",
            Excuse::AgedOut => "aged_out",
        }
    }
}

/// How the rows were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thoroughness {
    /// Each row by its version.
    #[default]
    Full,
    /// Counts and sums of slices, and each row of those that differ.
    Sums,
}

/// From where it is known what the topic holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// All of its records were read.
    #[default]
    Topic,
    /// The local index of delivered rows, and the records that the topic has since.
    Index,
}

/// What a comparison found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The table.
    pub table: String,
    /// Its topic.
    pub topic: String,
    /// How they were compared.
    pub thoroughness: Thoroughness,
    /// From where it is known what the topic holds.
    pub known_from: KnownFrom,
    /// Rows of which table and topic say the same.
    pub equal: u64,
    /// Rows that changed all the time, or that the stream has not reached.
    pub in_flight: u64,
    /// Rows that differ for a good reason.
    pub excused: BTreeMap<Excuse, u64>,
    /// The rows that differ.
    pub differences: Vec<ProvenDifference>,
    /// There are more differences than are looked at one by one.
    pub is_cut_short: bool,
    /// Rows whose record stands in another partition than that of its key.
    pub misplaced: u64,
    /// Offsets of the topic that the result speaks of.
    pub offsets: BTreeMap<i32, Range<i64>>,
    /// First and last moment on the instance's clock, in seconds since 1970 UTC.
    pub span: Option<(i64, i64)>,
    /// Requests to the instance.
    pub requests: u64,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Rows that differ for a good reason.
    pub(super) excused_rows: Vec<RowIdentifier>,
    /// Where one was asked for, and nothing differs.
    pub certificate: Option<Certificate>,
}

impl Report {
    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        self.is_cut_short || self.misplaced > 0 || self.count_proven() > 0
    }

    /// Rows that differ for good.
    pub fn count_proven(&self) -> u64 {
        u64::try_from(self.differences.len()).unwrap_or(u64::MAX)
    }

    /// Rows that differ like this.
    fn count(&self, difference: Difference) -> u64 {
        let rows = self.differences.iter();
        let rows = rows.filter(|found| found.difference == difference);
        u64::try_from(rows.count()).unwrap_or(u64::MAX)
    }

    /// The word for the result.
    pub fn result(&self) -> &'static str {
        match (self.differs(), self.thoroughness) {
            (true, _) => "differs",
            (false, Thoroughness::Full) => "equal",
            (false, Thoroughness::Sums) => "no difference by sums",
        }
    }

    fn named(&self) -> impl Iterator<Item = &ProvenDifference> {
        self.differences.iter().take(MAX_NAMED_DIFFERENCES)
    }

    /// How many rows there are of each state.
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        let count = |difference| self.count(difference);
        let excused: u64 = self.excused.values().sum();
        let aged_out = self.excused.get(&Excuse::AgedOut).copied().unwrap_or(0);
        [
            ("equal", self.equal),
            ("in_flight", self.in_flight),
            (Difference::Missing.word(), count(Difference::Missing)),
            (Difference::Stale.word(), count(Difference::Stale)),
            (Difference::Extra.word(), count(Difference::Extra)),
            ("left_out", excused - aged_out),
            (Excuse::AgedOut.word(), aged_out),
            ("wrong_partition", self.misplaced),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let rows: BTreeMap<&str, u64> = self.counts().into();
        let left_out: BTreeMap<&str, u64> = self
            .excused
            .iter()
            .filter(|(excuse, _)| **excuse != Excuse::AgedOut)
            .map(|(excuse, count)| (excuse.word(), *count))
            .collect();
        let offsets: BTreeMap<String, [i64; 2]> = self
            .offsets
            .iter()
            .map(|(partition, offsets)| (partition.to_string(), [offsets.start, offsets.end]))
            .collect();
        let differences: Vec<Value> = self.named().map(difference_json).collect();
        json!({
            "table": self.table,
            "topic": self.topic,
            "result": self.result(),
            "thoroughness": self.thoroughness,
            "known_from": self.known_from,
            "rows": rows,
            "left_out": left_out,
            "differences": differences,
            "cut_short": self.is_cut_short,
            "offsets": offsets,
            "begin": self.span.map(|(begin, _)| begin),
            "end": self.span.map(|(_, end)| end),
            "requests": self.requests,
            "notes": self.notes,
        })
    }
}

fn difference_json(found: &ProvenDifference) -> Value {
    json!({
        "sys_id": found.id.to_string(),
        "state": found.difference.word(),
        "table": found.table.map(|version| version.to_string()),
        "topic": found.topic.map(|version| version.to_string()),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { table, topic, .. } = self;
        let by = match self.known_from {
            KnownFrom::Topic => "",
            KnownFrom::Index => " (as the local index knows it)",
        };
        writeln!(f, "{table} -> {topic}{by}: {}", self.result())?;
        let states = Difference::ALL.map(|difference| (difference.word(), self.count(difference)));
        let more = [
            ("wrong partition", self.misplaced),
            ("in flight", self.in_flight),
        ];
        let excused = self.excused.iter();
        let excused = excused.map(|(excuse, count)| (excuse.word(), *count));
        for (word, count) in [("equal", self.equal)]
            .into_iter()
            .chain(states)
            .chain(more)
            .chain(excused)
        {
            writeln!(f, "  {word}: {count}")?;
        }
        for found in self.named() {
            let version = |version: Option<RowVersion>| {
                version.map_or_else(|| "-".to_owned(), |version| version.to_string())
            };
            let (table, topic) = (version(found.table), version(found.topic));
            let word = found.difference.word();
            writeln!(f, "  {word} {}: table {table}, topic {topic}", found.id)?;
        }
        for (partition, offsets) in &self.offsets {
            writeln!(
                f,
                "  partition {partition}: offsets {} to {}",
                offsets.start, offsets.end
            )?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  {note}"))
    }
}
