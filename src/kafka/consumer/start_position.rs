//! Where a partition begins: behind what is committed, at its oldest record for a new group, or
//! nowhere, when the committed record is gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::context::GroupContext;
use super::{OFFSET_QUERY_TIMEOUT, TopicPartition, list, partitions_of};

/// Bound on asking for the commits of new partitions; a rebalance waits for it.
const COMMITTED_OFFSETS_DEADLINE: Duration = Duration::from_secs(20);

/// Where a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartPosition {
    /// At this offset: all before is done.
    Committed(i64),
    /// At the oldest record: the group has committed nothing.
    Oldest,
    /// Kafka did not say in time; librdkafka finds out by itself.
    Unknown,
    /// Nowhere: the partition does not hold the record any more (or not yet again).
    Gone {
        /// First offset that is not done.
        committed: i64,
        /// Oldest offset of the partition.
        low: i64,
        /// Offset behind the newest record.
        high: i64,
    },
}

impl StartPosition {
    /// Whether the partition cannot begin.
    pub fn is_gone(&self) -> bool {
        matches!(self, StartPosition::Gone { .. })
    }

    /// Decides from what Kafka says.
    fn of(committed: Option<i64>, (low, high): (i64, i64)) -> StartPosition {
        match committed {
            None => StartPosition::Oldest,
            Some(committed) if (low..=high).contains(&committed) => {
                StartPosition::Committed(committed)
            }
            Some(committed) => StartPosition::Gone {
                committed,
                low,
                high,
            },
        }
    }
}

/// Where each of these begins.
pub(super) fn starts(
    base: &BaseConsumer<GroupContext>,
    partitions: &[TopicPartition],
) -> Vec<(TopicPartition, StartPosition)> {
    let deadline = Instant::now() + COMMITTED_OFFSETS_DEADLINE;
    let commits = loop {
        match commits(base, partitions) {
            Ok(commits) => break commits,
            Err(error) if deadline <= Instant::now() => {
                log::warn!(target: "kafka", error:% = error; "Kafka does not say what is committed");
                break BTreeMap::new();
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(200)),
        }
    };
    let start = |partition: &TopicPartition| match commits.get(partition) {
        None => StartPosition::Unknown,
        Some(None) => StartPosition::Oldest,
        Some(_) if deadline <= Instant::now() => StartPosition::Unknown,
        Some(committed) => match range(base, partition) {
            Ok(range) => StartPosition::of(*committed, range),
            Err(_) => StartPosition::Unknown,
        },
    };
    let each = |partition: &TopicPartition| (partition.clone(), start(partition));
    partitions.iter().map(each).collect()
}

/// See [`super::Consumer::restart_lost_positions`].
pub(super) fn restart_lost_positions(
    base: &BaseConsumer<GroupContext>,
) -> KafkaResult<Vec<(TopicPartition, StartPosition)>> {
    let assigned = partitions_of(&base.assignment()?);
    let positions = offsets(&base.position()?, &assigned);
    let commits = commits(base, &assigned)?;
    let mut moved = Vec::new();
    for partition in assigned {
        let (low, high) = range(base, &partition)?;
        let position = positions.get(&partition).copied().flatten();
        if position.is_some_and(|position| (low..=high).contains(&position)) {
            continue;
        }
        // What a new group has not committed yet may be lost as well. (Above the end, it is a topic
        // that was made anew.)
        let committed = commits.get(&partition).copied().flatten();
        let committed = committed.or(position.filter(|position| *position < low));
        let start = StartPosition::of(committed, (low, high));
        let target = match &start {
            StartPosition::Committed(offset) => Some(*offset),
            StartPosition::Oldest | StartPosition::Unknown => Some(low),
            StartPosition::Gone { .. } => None,
        };
        match target {
            Some(offset) => {
                let mut wanted = TopicPartitionList::new();
                let offset = Offset::Offset(offset);
                wanted.add_partition_offset(&partition.topic, partition.number, offset)?;
                base.seek_partitions(wanted.clone(), OFFSET_QUERY_TIMEOUT)?;
                // What was stored for the old topic must not be committed for the new one.
                base.store_offsets(&wanted)?;
            }
            None => base.pause(&list(std::iter::once(&partition)))?,
        }
        moved.push((partition, start));
    }
    Ok(moved)
}

/// The first of these that ends before the position in it. One whose position was deleted is noticed
/// when it is fetched from, and until then what was fetched before can be written.
pub(super) fn ends_before(
    base: &BaseConsumer<GroupContext>,
    wanted: impl Fn(&TopicPartition) -> bool,
) -> KafkaResult<Option<TopicPartition>> {
    let assigned = partitions_of(&base.assignment()?);
    let positions = offsets(&base.position()?, &assigned);
    for partition in assigned.into_iter().filter(|partition| wanted(partition)) {
        if let Some(position) = positions.get(&partition).copied().flatten() {
            let (_, high) = range(base, &partition)?;
            if high < position {
                return Ok(Some(partition));
            }
        }
    }
    Ok(None)
}

/// What the group has committed of each; `None` is nothing.
fn commits(
    base: &BaseConsumer<GroupContext>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    let committed = base.committed_offsets(list(partitions.iter()), OFFSET_QUERY_TIMEOUT)?;
    for element in committed.elements() {
        element.error()?;
    }
    Ok(offsets(&committed, partitions))
}

fn offsets(
    found: &TopicPartitionList,
    partitions: &[TopicPartition],
) -> BTreeMap<TopicPartition, Option<i64>> {
    let offset = |partition: &TopicPartition| {
        let element = found.find_partition(&partition.topic, partition.number)?;
        match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    };
    let each = |partition: &TopicPartition| (partition.clone(), offset(partition));
    partitions.iter().map(each).collect()
}

/// First offset of a partition, and the one behind its last.
fn range(base: &BaseConsumer<GroupContext>, partition: &TopicPartition) -> KafkaResult<(i64, i64)> {
    base.fetch_watermarks(&partition.topic, partition.number, OFFSET_QUERY_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_begins_where_nothing_is_missed() {
        assert_eq!(StartPosition::of(None, (5, 9)), StartPosition::Oldest);
        for committed in [5, 7, 9] {
            assert_eq!(
                StartPosition::of(Some(committed), (5, 9)),
                StartPosition::Committed(committed)
            );
        }
        for committed in [4, 10] {
            let gone = StartPosition::Gone {
                committed,
                low: 5,
                high: 9,
            };
            assert_eq!(StartPosition::of(Some(committed), (5, 9)), gone);
        }
    }
}
