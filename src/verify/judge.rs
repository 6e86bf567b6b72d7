//! What becomes of the rows that differed at the first look: pure, time is passed in.
//!
//! The way of GoldenGate Veridata: what differs is put aside, looked at again when the stream had time to
//! deliver it, and counts as a difference only if it stays the same one. A look asks the table first and
//! reads the topic afterwards, so that a row is equal once the topic holds what the table said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::row_identifier::RowIdentifier;
use crate::delivered::RowVersion;

/// Rows that are put aside at most. More of them are no difference of some rows but one of the whole, and are
/// told as such.
pub(super) const MAX_SUSPECTS: usize = 100_000;

/// How a row differs for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// The table has it, the topic does not.
    Missing,
    /// The topic has another version of it.
    Stale,
    /// The topic has it, the table does not.
    Extra,
}

impl Difference {
    /// All of them.
    pub const ALL: [Difference; 3] = [Difference::Missing, Difference::Stale, Difference::Extra];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Difference::Missing => "missing",
            Difference::Stale => "stale",
            Difference::Extra => "extra",
        }
    }
}

/// A row that differs for good, with both of its versions as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenDifference {
    /// The row.
    pub id: RowIdentifier,
    /// How it differs.
    pub difference: Difference,
    /// In the table; `None`: it is not there.
    pub table: Option<RowVersion>,
    /// In the topic; `None`: it is not there, or deleted.
    pub topic: Option<RowVersion>,
}

/// How far the stream has delivered: all rows up to this one, in the order of time and identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredTo {
    /// The stamp of the last row, in seconds since 1970 UTC.
    pub seconds: i64,
    /// Its identifier.
    pub id: RowIdentifier,
}

impl DeliveredTo {
    /// Whether the stream is past a row with this stamp.
    fn is_past(&self, seconds: i64, id: &RowIdentifier) -> bool {
        let same_second = match (id, &self.id) {
            (RowIdentifier::Hex(id), RowIdentifier::Hex(last)) => id <= last,
            // How the instance sorts others is not known here.
            _ => true,
        };
        seconds < self.seconds || (seconds == self.seconds && same_second)
    }
}

/// Rows that differed, until it is clear what they are.
#[derive(Debug)]
pub(super) struct Suspects {
    open: BTreeMap<RowIdentifier, Suspect>,
    /// How long a difference must stay the same.
    wait: Duration,
    /// Only the newest record of a row counts. Else it is enough that the topic has held what the table said.
    only_newest: bool,
    is_cut_short: bool,
}

#[derive(Debug)]
struct Suspect {
    /// At the newest look.
    table: Option<RowVersion>,
    /// In the topic, after that look.
    topic: Option<RowVersion>,
    /// The topic holds, or has held, what the table said.
    was_equal: bool,
    /// Since when the table says the same.
    since: Instant,
}

/// What became of the rows that were put aside.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// They are equal after all.
    pub(super) equal: u64,
    /// They differ for good.
    pub(super) proven: Vec<ProvenDifference>,
}

impl Suspects {
    /// None yet. A difference that stays the same for `wait` is proven. `only_newest`: a row is equal only if
    /// its newest record is what the table said.
    pub(super) fn new(wait: Duration, only_newest: bool) -> Suspects {
        Suspects {
            open: BTreeMap::new(),
            wait,
            only_newest,
            is_cut_short: false,
        }
    }

    /// Puts a row aside that differs at `now`, unless there are too many already.
    pub(super) fn add(
        &mut self,
        id: RowIdentifier,
        table: Option<RowVersion>,
        topic: Option<RowVersion>,
        now: Instant,
    ) {
        if self.open.len() >= MAX_SUSPECTS {
            self.is_cut_short = true;
            return;
        }
        let suspect = Suspect {
            table,
            topic,
            was_equal: false,
            since: now,
        };
        self.open.entry(id).or_insert(suspect);
    }

    /// Whether there were too many to put aside all.
    pub(super) fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }

    /// Rows that are not judged yet.
    pub(super) fn open(&self) -> impl Iterator<Item = &RowIdentifier> {
        self.open.keys()
    }

    /// Whether a row is among them.
    pub(super) fn has(&self, id: &RowIdentifier) -> bool {
        self.open.contains_key(id)
    }

    /// How many are not judged yet.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// None is left to be judged.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The table has this version of a row at `now`, or with `None` no such row.
    pub(super) fn table_says(
        &mut self,
        id: &RowIdentifier,
        version: Option<RowVersion>,
        now: Instant,
    ) {
        if let Some(suspect) = self.open.get_mut(id)
            && suspect.table != version
        {
            suspect.table = version;
            suspect.since = now;
        }
    }

    /// The topic holds, or held since the newest look at the table, this version of a row.
    pub(super) fn topic_says(&mut self, id: &RowIdentifier, version: Option<RowVersion>) {
        if let Some(suspect) = self.open.get_mut(id) {
            suspect.topic = version;
            let was_equal = suspect.was_equal && !self.only_newest;
            suspect.was_equal = was_equal || same(suspect.table, version);
        }
    }

    /// Takes out what is clear at `now`. `delivered` is how far the stream was before the topic was read; `None`:
    /// that is not known, and time alone decides.
    pub(super) fn judge(&mut self, now: Instant, delivered: Option<&DeliveredTo>) -> Verdicts {
        let mut verdicts = Verdicts::default();
        let wait = self.wait;
        self.open.retain(|id, suspect| {
            if suspect.was_equal {
                verdicts.equal += 1;
                return false;
            }
            let stamp = suspect.table.and_then(|version| version.seconds);
            let is_passed = match (stamp, delivered) {
                (Some(stamp), Some(delivered)) => delivered.is_past(stamp, id),
                _ => true,
            };
            if !is_passed || now.saturating_duration_since(suspect.since) < wait {
                return true;
            }
            verdicts.proven.push(ProvenDifference {
                id: id.clone(),
                difference: match (suspect.table, suspect.topic) {
                    (None, _) => Difference::Extra,
                    (Some(_), None) => Difference::Missing,
                    (Some(_), Some(_)) => Difference::Stale,
                },
                table: suspect.table,
                topic: suspect.topic,
            });
            false
        });
        verdicts
    }
}

/// Whether table and topic say the same of a row.
pub(super) fn same(table: Option<RowVersion>, topic: Option<RowVersion>) -> bool {
    match (table, topic) {
        (None, None) => true,
        (Some(table), Some(topic)) => table.matches(topic),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    fn version(count: u32) -> Option<RowVersion> {
        Some(RowVersion {
            seconds: Some(i64::from(count)),
            mod_count: Some(count),
        })
    }

    fn to(seconds: i64, id: u128) -> DeliveredTo {
        let id = RowIdentifier::Hex(id);
        DeliveredTo { seconds, id }
    }

    struct Case {
        suspects: Suspects,
        start: Instant,
    }

    impl Case {
        fn new(table: Option<RowVersion>, topic: Option<RowVersion>) -> Case {
            let (mut suspects, start) = (Suspects::new(WAIT, false), Instant::now());
            suspects.add(RowIdentifier::Hex(1), table, topic, start);
            Case { suspects, start }
        }

        /// A look after so many seconds.
        fn look(
            &mut self,
            seconds: u64,
            table: Option<RowVersion>,
            topic: &[Option<RowVersion>],
        ) -> Verdicts {
            let now = self.start + Duration::from_secs(seconds);
            self.suspects.table_says(&RowIdentifier::Hex(1), table, now);
            for version in topic {
                self.suspects.topic_says(&RowIdentifier::Hex(1), *version);
            }
            self.suspects.judge(now, Some(&to(100, 0)))
        }
    }

    #[test]
    fn a_difference_that_stays_is_proven() {
        for (table, topic, expected) in [
            (version(1), None, Difference::Missing),
            (version(2), version(1), Difference::Stale),
            (None, version(1), Difference::Extra),
        ] {
            let mut case = Case::new(table, topic);
            assert!(case.look(9, table, &[topic]).proven.is_empty());
            let proven = case.look(10, table, &[topic]).proven;
            assert_eq!(proven[0].difference, expected);
            assert!(case.suspects.is_empty());
        }
    }

    #[test]
    fn what_arrives_is_equal_also_if_the_next_version_follows_at_once() {
        for topic in [&[version(2)][..], &[version(2), version(3)]] {
            let mut case = Case::new(version(2), version(1));
            let verdicts = case.look(1, version(2), topic);
            assert_eq!((verdicts.equal, verdicts.proven.len()), (1, 0));
        }
        let mut case = Case::new(version(1), None);
        assert_eq!(case.look(1, None, &[None]).equal, 1, "deleted meanwhile");
    }

    /// A certificate speaks of the newest records.
    #[test]
    fn where_only_the_newest_record_counts_a_later_one_keeps_the_row_open() {
        let (mut suspects, start) = (Suspects::new(WAIT, true), Instant::now());
        let id = RowIdentifier::Hex(1);
        suspects.add(id.clone(), version(2), version(1), start);
        suspects.topic_says(&id, version(2));
        suspects.topic_says(&id, version(3));
        assert_eq!(suspects.judge(start, None).equal, 0);
        suspects.table_says(&id, version(3), start);
        suspects.topic_says(&id, version(3));
        assert_eq!(suspects.judge(start, None).equal, 1);
    }

    #[test]
    fn a_row_that_is_written_all_the_time_is_no_alarm() {
        let mut case = Case::new(version(1), None);
        for second in 1..60_u64 {
            let newest = version(u32::try_from(second).unwrap() + 1);
            let verdicts = case.look(second, newest, &[version(0)]);
            assert!(verdicts.proven.is_empty());
        }
    }

    #[test]
    fn too_many_differences_are_one_of_the_whole() {
        let (mut suspects, start) = (Suspects::new(WAIT, false), Instant::now());
        for id in (0_u128..).take(MAX_SUSPECTS) {
            suspects.add(RowIdentifier::Hex(id), version(1), None, start);
        }
        assert!(!suspects.is_cut_short());
        suspects.add(RowIdentifier::new("one more"), version(1), None, start);
        assert!(suspects.is_cut_short() && suspects.len() == MAX_SUSPECTS);
    }

    #[test]
    fn what_the_stream_has_not_reached_is_not_missing() {
        let mut case = Case::new(version(200), None);
        assert!(case.look(50, version(200), &[None]).proven.is_empty());
        let later = case.start + Duration::from_secs(60);
        let not_quite = case.suspects.judge(later, Some(&to(200, 0)));
        assert!(not_quite.proven.is_empty(), "another row of that second");
        let proven = case.suspects.judge(later, Some(&to(200, 1))).proven;
        assert_eq!(proven.len(), 1);
    }
}
