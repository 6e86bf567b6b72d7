//! Reads a table's topic into the index, from where it was read last up to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::error::IndexError;
use super::index::DeliveredIndex;
use super::record::{DeliveredContent, content_of, id_of_key};
use crate::config::{KeyFormat, TableConfig, TableFormat};
use crate::kafka::{ConsumerRecord, TopicReadError, TopicReader};
use crate::stop::Stop;

/// Records that become one write of the index, 8 MB of memory: each write touches every page of a large index.
const RECORDS_OF_A_WRITE: usize = 50_000;

/// Follows the topic of one table.
#[derive(Debug)]
pub struct TopicFollower {
    table: TableConfig,
    is_avro_key: bool,
}

/// How far the index is behind the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowProgress {
    /// It holds everything up to the end that the topic had when this was called.
    AtEnd,
    /// There is more, at least so many offsets.
    Behind(u64),
    /// The topic was made anew, or ends before what was read: the index was emptied.
    BeginsAnew,
}

/// Why a topic could not be followed.
#[derive(Debug)]
pub enum FollowError {
    /// The topic could not be read.
    Topic(TopicReadError),
    /// The index could not be used.
    Index(IndexError),
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FollowError::Topic(error) => error.fmt(f),
            FollowError::Index(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FollowError {}

impl From<IndexError> for FollowError {
    fn from(error: IndexError) -> FollowError {
        FollowError::Index(error)
    }
}

impl From<TopicReadError> for FollowError {
    fn from(error: TopicReadError) -> FollowError {
        FollowError::Topic(error)
    }
}

impl TopicFollower {
    /// For the topic of `table`.
    pub fn new(table: &TableConfig) -> TopicFollower {
        TopicFollower {
            is_avro_key: table.format == TableFormat::Avro && table.schema.key == KeyFormat::Avro,
            table: table.clone(),
        }
    }

    /// Reads on for about `budget`, so that the calling thread can do something else between.
    ///
    /// # Errors
    /// The topic cannot be read, or the index not be written. What was read before is kept.
    pub fn read_on(
        &self,
        reader: &TopicReader,
        index: &DeliveredIndex,
        budget: Duration,
        stop: &Stop,
    ) -> Result<FollowProgress, FollowError> {
        let topic = &self.table.topic;
        let ends = reader.partitions(topic)?;
        let Some(ranges) = ranges_left(&ends, &index.offsets()?) else {
            index.clear()?;
            return Ok(FollowProgress::BeginsAnew);
        };
        let until = Instant::now() + budget;
        let mut batch = ReadBatch::default();
        let mut failure = None;
        for (partition, range) in &ranges {
            let one = BTreeMap::from([(*partition, range.clone())]);
            let mut broke = false;
            reader.read_ranges(topic, &one, stop, |record| {
                batch
                    .offsets
                    .insert(*partition, record.offset.saturating_add(1));
                batch.records.extend(self.content(&record));
                if batch.records.len() >= RECORDS_OF_A_WRITE
                    && let Err(error) = batch.write(index)
                {
                    failure = Some(error);
                }
                broke = failure.is_some() || Instant::now() >= until;
                if broke {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if let Some(error) = failure {
                return Err(error.into());
            }
            if broke || stop.is_stopped() {
                break;
            }
            // What was compacted away at the end of the range is read as well.
            batch.offsets.insert(*partition, range.end);
        }
        batch.write(index)?;
        let left = ranges_left(&ends, &index.offsets()?).unwrap_or_default();
        let left: i64 = left.values().map(|range| range.end - range.start).sum();
        Ok(match u64::try_from(left) {
            Ok(0) | Err(_) => FollowProgress::AtEnd,
            Ok(left) => FollowProgress::Behind(left),
        })
    }

    fn content(&self, record: &ConsumerRecord) -> Option<(String, DeliveredContent)> {
        let id = id_of_key(record.key.as_deref()?, self.is_avro_key)?;
        Some((id.to_owned(), content_of(record, &self.table)?))
    }
}

/// What was read and is not written yet.
#[derive(Debug, Default)]
struct ReadBatch {
    records: Vec<(String, DeliveredContent)>,
    offsets: BTreeMap<i32, i64>,
}

impl ReadBatch {
    fn write(&mut self, index: &DeliveredIndex) -> Result<(), IndexError> {
        if !self.offsets.is_empty() {
            index.apply(&self.records, &self.offsets)?;
        }
        self.records.clear();
        self.offsets.clear();
        Ok(())
    }
}

/// What is to be read of a topic with these offsets, of which was read up to those; `None`: the topic
/// is another one than was read.
fn ranges_left(
    ends: &BTreeMap<i32, Range<i64>>,
    read_to: &BTreeMap<i32, i64>,
) -> Option<BTreeMap<i32, Range<i64>>> {
    let is_another = read_to
        .iter()
        .any(|(partition, offset)| ends.get(partition).is_none_or(|range| range.end < *offset));
    if is_another {
        return None;
    }
    let left = ends.iter().filter_map(|(partition, range)| {
        let from = read_to
            .get(partition)
            .map_or(range.start, |to| range.start.max(*to));
        (from < range.end).then_some((*partition, from..range.end))
    });
    Some(left.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_read() {
        let ends = BTreeMap::from([(0, 5..10), (1, 0..3), (2, 0..0)]);
        let left = |read_to: &[(i32, i64)]| ranges_left(&ends, &read_to.iter().copied().collect());
        assert_eq!(left(&[]), Some(BTreeMap::from([(0, 5..10), (1, 0..3)])));
        assert_eq!(left(&[(0, 2), (1, 3)]), Some(BTreeMap::from([(0, 5..10)])));
        assert_eq!(left(&[(0, 10), (1, 3)]), Some(BTreeMap::new()));
        assert_eq!(left(&[(0, 11)]), None, "the topic was made anew");
        assert_eq!(left(&[(3, 1)]), None, "with fewer partitions");
    }
}
