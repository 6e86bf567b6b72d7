//! Why a row may differ although the bridge has lost nothing: pure.

use std::collections::BTreeSet;

use super::judge::{Difference, ProvenDifference};
use super::report::Excuse;
use super::row_identifier::RowIdentifier;

/// What is known that excuses a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Excuses {
    /// Who writes for the sink, where its writes are left out (`skip_own_writes`).
    pub(super) own_user: Option<String>,
    /// The oldest stamp in the topic, where the stream did not begin with the oldest row.
    pub(super) start: Option<i64>,
    /// Rows without a stamp are passed over (`on_bad_row: skip`).
    pub(super) skips_bad_rows: bool,
    /// Rows for which letters stand.
    pub(super) letters: BTreeSet<RowIdentifier>,
}

/// What was found out about one row that differs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowFacts<'a> {
    /// Who changed it last.
    pub(super) updated_by: Option<&'a str>,
    /// The table has it, but the query does not ask for it.
    pub(super) is_outside_query: bool,
    /// When the oldest record of its partition was written, if older ones were thrown away.
    pub(super) oldest_record: Option<i64>,
}

impl Excuses {
    /// Why the row differs, if that is no fault.
    pub(super) fn of(&self, found: &ProvenDifference, facts: RowFacts<'_>) -> Option<Excuse> {
        let stamp = found.table.and_then(|version| version.seconds);
        let is_before = |limit: Option<i64>| match (stamp, limit) {
            (Some(stamp), Some(limit)) => stamp < limit,
            _ => false,
        };
        let is_missing = found.difference == Difference::Missing;
        let is_own = self.own_user.is_some() && self.own_user.as_deref() == facts.updated_by;
        if found.difference == Difference::Extra {
            facts.is_outside_query.then_some(Excuse::LeftQuery)
        } else if is_own {
            Some(Excuse::OwnWrite)
        } else if self.letters.contains(&found.id) {
            Some(Excuse::Oversized)
        } else if self.skips_bad_rows && stamp.is_none() {
            Some(Excuse::Skipped)
        } else if is_missing && is_before(facts.oldest_record) {
            Some(Excuse::AgedOut)
        } else if is_missing && is_before(self.start) {
            Some(Excuse::BeforeStart)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivered::RowVersion;

    fn found(difference: Difference, stamp: Option<i64>) -> ProvenDifference {
        let version = Some(RowVersion {
            seconds: stamp,
            mod_count: Some(1),
        });
        ProvenDifference {
            id: RowIdentifier::Hex(1),
            difference,
            table: version,
            topic: version,
        }
    }

    #[test]
    fn each_excuse_needs_its_reason() {
        let none = Excuses::default();
        let missing = found(Difference::Missing, Some(5));
        let stale = found(Difference::Stale, Some(5));
        let extra = found(Difference::Extra, None);
        let facts = RowFacts::default();
        for plain in [&missing, &stale, &extra] {
            assert_eq!(none.of(plain, facts), None);
        }
        let outside = RowFacts {
            is_outside_query: true,
            ..facts
        };
        assert_eq!(none.of(&extra, outside), Some(Excuse::LeftQuery));
        let own = Excuses {
            own_user: Some("bridge".to_owned()),
            ..Excuses::default()
        };
        for (user, excuse) in [("bridge", Some(Excuse::OwnWrite)), ("abel", None)] {
            let facts = RowFacts {
                updated_by: Some(user),
                ..facts
            };
            assert_eq!(own.of(&stale, facts), excuse);
        }
        let started = Excuses {
            start: Some(6),
            ..Excuses::default()
        };
        assert_eq!(started.of(&missing, facts), Some(Excuse::BeforeStart));
        assert_eq!(started.of(&stale, facts), None, "the topic has it");
        let aged = RowFacts {
            oldest_record: Some(6),
            ..facts
        };
        assert_eq!(none.of(&missing, aged), Some(Excuse::AgedOut));
        let skipping = Excuses {
            skips_bad_rows: true,
            letters: BTreeSet::from([RowIdentifier::Hex(1)]),
            ..Excuses::default()
        };
        assert_eq!(skipping.of(&missing, facts), Some(Excuse::Oversized));
        let bad = ProvenDifference {
            id: RowIdentifier::Hex(2),
            ..found(Difference::Missing, None)
        };
        assert_eq!(skipping.of(&bad, facts), Some(Excuse::Skipped));
    }
}
