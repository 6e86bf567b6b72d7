//! Asks Kafka for committed offsets and for the bounds of partitions, and moves positions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::commit_note::CommitNote;
use super::offset_commit::OffsetCommit;
use super::start_position::{PartitionStart, StartPosition};
use crate::kafka::topic_partition::{TopicPartition, partition_list, partitions_in};

/// Bound on one question about offsets.
pub(super) const OFFSET_QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound on asking for the committed offsets of new partitions; a rebalance waits for it.
const COMMITTED_OFFSETS_DEADLINE: Duration = Duration::from_secs(20);
/// Pause before committed offsets are asked for again.
const COMMITTED_OFFSETS_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// What the group has committed for a partition; `None`: nothing.
type Committed = Option<(i64, CommitNote)>;

/// Finds out where each of these new partitions begins.
pub(super) fn start_positions<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> Vec<PartitionStart> {
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
    let start = |partition: &TopicPartition| {
        let found = match commits.get(partition) {
            Some(committed) if Instant::now() < deadline => {
                let bounds = bounds(base, partition).ok();
                bounds.map(|bounds| partition_start(partition, *committed, bounds))
            }
            _ => None,
        };
        // The note of an owner that is not known is that of one that was killed.
        found.unwrap_or_else(|| PartitionStart {
            partition: partition.clone(),
            position: StartPosition::Unknown,
            offset: None,
            end: None,
            last_note: Some(CommitNote::default()),
            open_at: None,
        })
    };
    partitions.iter().map(start).collect()
}

/// Those of these partitions for which the group has committed nothing.
pub(super) fn without_commit<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<Vec<TopicPartition>> {
    let found = base.committed_offsets(partition_list(partitions.iter()), timeout)?;
    let has_none = |partition: &&TopicPartition| {
        let element = found.find_partition(&partition.topic, partition.number);
        element.is_some_and(|it| it.error().is_ok() && it.offset() == Offset::Invalid)
    };
    Ok(partitions.iter().filter(has_none).cloned().collect())
}

/// Decides from what is committed and from the bounds of the partition.
fn partition_start(
    partition: &TopicPartition,
    committed: Committed,
    bounds: (i64, i64),
) -> PartitionStart {
    let position = StartPosition::of(committed.map(|(offset, _)| offset), bounds);
    let last_note = committed.map(|(_, note)| note);
    let offset = match &position {
        StartPosition::Oldest => Some(bounds.0),
        StartPosition::Committed(offset) => Some(*offset),
        StartPosition::Unknown | StartPosition::Gone { .. } => None,
    };
    let says_nothing = last_note.is_some_and(|note| note.ended.is_none());
    PartitionStart {
        partition: partition.clone(),
        position,
        offset,
        end: Some(bounds.1),
        last_note,
        open_at: offset.filter(|_| !says_nothing),
    }
}

/// See [`super::Consumer::restart_lost_positions`].
pub(super) fn restart_lost_positions<C: ConsumerContext>(
    base: &BaseConsumer<C>,
) -> KafkaResult<Vec<PartitionStart>> {
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
        let below = position.filter(|position| *position < low);
        let committed = committed.or(below.map(|position| (position, CommitNote::default())));
        let start = partition_start(&partition, committed, (low, high));
        let target = match &start.position {
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
        moved.push(start);
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

/// What the group has committed for each of these partitions.
fn committed_offsets<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, Committed>> {
    let found = base.committed_offsets(partition_list(partitions.iter()), OFFSET_QUERY_TIMEOUT)?;
    for element in found.elements() {
        element.error()?;
    }
    let committed = |partition: &TopicPartition| {
        let element = found.find_partition(&partition.topic, partition.number)?;
        match element.offset() {
            Offset::Offset(offset) => Some((offset, CommitNote::from_metadata(element.metadata()))),
            _ => None,
        }
    };
    let each = |partition: &TopicPartition| (partition.clone(), committed(partition));
    Ok(partitions.iter().map(each).collect())
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

/// Gives positions to librdkafka, which commits them: every 250 ms those that have moved, and all of them before
/// partitions go and when the consumer is dropped.
pub(super) fn store<C: ConsumerContext>(base: &BaseConsumer<C>, commits: &[OffsetCommit]) {
    if commits.is_empty() {
        return;
    }
    if let Err(error) = base.store_offsets(&offset_list(commits)) {
        log::warn!(target: "kafka", error:% = error; "positions cannot be stored");
    }
}

/// Takes back the positions of these partitions, which librdkafka would commit when they go.
pub(super) fn forget_stored<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) {
    if partitions.is_empty() {
        return;
    }
    let mut list = partition_list(partitions.iter());
    let forgotten = list
        .set_all_offsets(Offset::Invalid)
        .and_then(|()| base.store_offsets(&list));
    if let Err(error) = forgotten {
        log::warn!(target: "kafka", error:% = error; "positions cannot be taken back");
    }
}

/// Commits what must be committed before partitions begin, and asks whether it was. Gives the partitions of
/// which Kafka says so.
pub(super) fn open<C: ConsumerContext>(
    base: &BaseConsumer<C>,
    commits: &[OffsetCommit],
) -> Vec<TopicPartition> {
    if commits.is_empty() {
        return Vec::new();
    }
    if let Err(error) = base.commit(&offset_list(commits), CommitMode::Async) {
        log::warn!(target: "kafka", error:% = error; "positions cannot be committed");
    }
    // librdkafka tells no outcome of it. The coordinator answers one request after the other.
    let partitions: Vec<TopicPartition> = commits.iter().map(|it| it.partition.clone()).collect();
    let committed = committed_offsets(base, &partitions).unwrap_or_default();
    let is_open = |commit: &&OffsetCommit| {
        let found = committed.get(&commit.partition).copied().flatten();
        found == Some((commit.offset, commit.note))
    };
    let opened = commits.iter().filter(is_open);
    opened.map(|commit| commit.partition.clone()).collect()
}

fn offset_list(commits: &[OffsetCommit]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for commit in commits {
        let TopicPartition { topic, number } = &commit.partition;
        let added = list.add_partition_offset(topic, *number, Offset::Offset(commit.offset));
        // Only a negative offset is refused, and no record has one.
        if let Err(error) = added {
            log::error!(target: "kafka", partition:% = commit.partition, error:% = error;
                "a position cannot be committed");
        }
        let metadata = commit.note.to_metadata();
        if !metadata.is_empty()
            && let Some(mut element) = list.find_partition(topic, *number)
        {
            element.set_metadata(metadata);
        }
    }
    list
}
