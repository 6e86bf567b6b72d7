//! Asks Kafka for committed offsets and for the bounds of partitions, and moves positions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::start_position::StartPosition;
use crate::kafka::topic_partition::{TopicPartition, partition_list, partitions_in};

/// Bound on one question about offsets.
pub(super) const OFFSET_QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound on asking for the committed offsets of new partitions; a rebalance waits for it.
const COMMITTED_OFFSETS_DEADLINE: Duration = Duration::from_secs(20);
/// Pause before committed offsets are asked for again.
const COMMITTED_OFFSETS_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Finds out where each of these new partitions begins.
pub(super) fn start_positions<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> Vec<(TopicPartition, StartPosition)> {
    let deadline = Instant::now() + COMMITTED_OFFSETS_DEADLINE;
    let commits = loop {
        match committed_offsets(base, partitions) {
            Ok(commits) => break commits,
            Err(error) if Instant::now() >= deadline => {
                log::warn!(target: "kafka", error:% = error; "Kafka does not say what is committed");
                break BTreeMap::new();
            }
            Err(_) => std::thread::park_timeout(COMMITTED_OFFSETS_RETRY_PAUSE),
        }
    };
    let start = |partition: &TopicPartition| match commits.get(partition) {
        None => StartPosition::Unknown,
        Some(None) => StartPosition::Oldest,
        Some(_) if Instant::now() >= deadline => StartPosition::Unknown,
        Some(committed) => match bounds(base, partition) {
            Ok(bounds) => StartPosition::of(*committed, bounds),
            Err(_) => StartPosition::Unknown,
        },
    };
    let each = |partition: &TopicPartition| (partition.clone(), start(partition));
    partitions.iter().map(each).collect()
}

/// See [`super::Consumer::restart_lost_positions`].
pub(super) fn restart_lost_positions<C: ConsumerContext>(
    base: &BaseConsumer<C>,
) -> KafkaResult<Vec<(TopicPartition, StartPosition)>> {
    let assigned = partitions_in(&base.assignment()?);
    let positions = offsets(&base.position()?, &assigned);
    let commits = committed_offsets(base, &assigned)?;
    let mut moved = Vec::new();
    for partition in assigned {
        let (low, high) = bounds(base, &partition)?;
        let position = positions.get(&partition).copied().flatten();
        if position.is_some_and(|position| (low..=high).contains(&position)) {
            continue;
        }
        // A new group has committed nothing yet. If its position is below the oldest record, records
        // that it had not finished were deleted; if it is above the end, the topic was made anew.
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
                // A position that was stored for the old topic must not be committed for the new one.
                base.store_offsets(&wanted)?;
            }
            None => base.pause(&partition_list(std::iter::once(&partition)))?,
        }
        moved.push((partition, start));
    }
    Ok(moved)
}

/// The first of these partitions that ends before the position in it.
///
/// A position before the oldest record needs no such check: librdkafka reports it at the next fetch,
/// and the records that were fetched before that can still be written.
pub(super) fn ends_before<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    wanted: impl Fn(&TopicPartition) -> bool,
) -> KafkaResult<Option<TopicPartition>> {
    let assigned = partitions_in(&base.assignment()?);
    let positions = offsets(&base.position()?, &assigned);
    for partition in assigned.into_iter().filter(|partition| wanted(partition)) {
        if let Some(position) = positions.get(&partition).copied().flatten() {
            let (_, high) = bounds(base, &partition)?;
            if position > high {
                return Ok(Some(partition));
            }
        }
    }
    Ok(None)
}

/// The offset that the group has committed for each of these partitions; `None`: it has committed none.
fn committed_offsets<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    let committed =
        base.committed_offsets(partition_list(partitions.iter()), OFFSET_QUERY_TIMEOUT)?;
    for element in committed.elements() {
        element.error()?;
    }
    Ok(offsets(&committed, partitions))
}

/// The offset of each of these partitions in a list of librdkafka; `None`: the list has none for it.
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

/// The oldest offset of a partition, and the offset behind its newest record.
fn bounds<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partition: &TopicPartition,
) -> KafkaResult<(i64, i64)> {
    base.fetch_watermarks(&partition.topic, partition.number, OFFSET_QUERY_TIMEOUT)
}

/// Gives positions to librdkafka, which commits them: every 250 ms, before partitions go, and when the
/// consumer is dropped.
pub(super) fn store<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    positions: &[(TopicPartition, i64)],
) {
    if positions.is_empty() {
        return;
    }
    if let Err(error) = base.store_offsets(&offset_list(positions)) {
        log::warn!(target: "kafka", error:% = error; "positions cannot be stored");
    }
}

fn offset_list(positions: &[(TopicPartition, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        let added =
            list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*offset));
        // Only a negative offset is refused, and no record has one.
        if let Err(error) = added {
            log::error!(target: "kafka", partition:% = partition, error:% = error;
                "a position cannot be committed");
        }
    }
    list
}
