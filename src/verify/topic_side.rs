//! What the topic says: its records up to an end that is noted first.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::error::Error;
use super::row_identifier::RowIdentifier;
use super::topic_index::{TopicIndex, TopicRow};
use super::topic_record::{ReadRecord, RecordReading};
use crate::config::{KafkaConfig, TableConfig};
use crate::delivered::{IndexedId, read_index};
use crate::kafka::{ClusterSurveyor, TopicReader, TopicSurvey};
use crate::stop::Stop;

/// The group that the reader names, which it never joins.
pub(super) const READER_GROUP: &str = "servicenow-kafka-bridge-verify";
/// Records between two words on the progress.
const RECORDS_PER_PROGRESS: u64 = 10_000;

/// The topic of one table.
pub(super) struct TopicSide {
    reader: TopicReader,
    topic: String,
    reading: RecordReading,
    /// The newest record of each row.
    pub(super) index: TopicIndex,
    /// Offsets that were read: from the oldest one to the end that was noted.
    pub(super) offsets: BTreeMap<i32, Range<i64>>,
    /// What else there was to see.
    pub(super) sights: TopicSights,
}

/// What was seen of a topic beside the rows.
#[derive(Debug, Clone, Default)]
pub(super) struct TopicSights {
    /// Records of the table.
    pub(super) records: u64,
    /// Records of other tables.
    pub(super) other_tables: BTreeMap<String, u64>,
    /// Records that do not say of which row they are.
    pub(super) without_row: u64,
    /// Records that do not say which version of their row they hold.
    pub(super) without_version: u64,
    /// The oldest stamp of a row.
    pub(super) oldest_stamp: Option<i64>,
    /// When the oldest record of each partition was written, in seconds since 1970 UTC.
    pub(super) oldest_record: BTreeMap<i32, i64>,
    /// Old records are thrown away, and not only those that newer ones replace.
    pub(super) is_aging: bool,
}

impl TopicSide {
    /// Finds the topic of `table`.
    ///
    /// # Errors
    /// There is no such topic, or Kafka does not answer or refuses.
    pub(super) fn open(
        config: &KafkaConfig,
        table: &TableConfig,
        stop: &Stop,
    ) -> Result<TopicSide, Error> {
        let reader = TopicReader::new(config, READER_GROUP)?;
        let mut offsets = reader.partitions(&table.topic)?;
        for range in offsets.values_mut() {
            range.end = range.start;
        }
        let survey = ClusterSurveyor::start(config, READER_GROUP, stop)?;
        let sights = TopicSights {
            is_aging: is_aging(&survey, &table.topic),
            ..TopicSights::default()
        };
        Ok(TopicSide {
            reader,
            topic: table.topic.clone(),
            reading: RecordReading::new(table, offsets.len()),
            index: TopicIndex::default(),
            offsets,
            sights,
        })
    }

    /// Takes what the index at `path` knows of the topic, so that only later records are read.
    ///
    /// # Errors
    /// The index cannot be read, or the topic is another one.
    pub(super) fn take_index(&mut self, path: &Path, identity: &str) -> Result<(), Error> {
        let (index, sights) = (&mut self.index, &mut self.sights);
        let read_to = read_index(path, identity, |id, version| {
            let row = TopicRow::of(version);
            sights.note(row);
            let id = match id {
                IndexedId::Number(id) => RowIdentifier::Hex(id),
                IndexedId::Name(id) => RowIdentifier::new(id),
            };
            index.record(id, row);
        })?;
        for (partition, end) in read_to {
            match self.offsets.get_mut(&partition) {
                Some(read) => read.end = end.max(read.start),
                None => return Err(self.is_another()),
            }
        }
        Ok(())
    }

    /// Reads from where it was to the present end; `visit` gets each row, and `progress` the number of
    /// records so far and in all.
    ///
    /// # Errors
    /// Kafka does not answer or refuses, or the topic is another one than at the beginning.
    pub(super) fn read_to_end(
        &mut self,
        stop: &Stop,
        visit: impl FnMut(&RowIdentifier, TopicRow),
        progress: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        self.read_up_to(&BTreeMap::new(), stop, visit, progress)
    }

    /// As [`TopicSide::read_to_end`], but up to these ends where a partition has one.
    ///
    /// # Errors
    /// The same.
    pub(super) fn read_up_to(
        &mut self,
        limits: &BTreeMap<i32, i64>,
        stop: &Stop,
        mut visit: impl FnMut(&RowIdentifier, TopicRow),
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let ends = self.reader.partitions(&self.topic)?;
        let mut ranges = BTreeMap::new();
        for (partition, ends) in &ends {
            let read = self.offsets.get(partition).map(|read| read.end);
            let end = limits.get(partition).copied().unwrap_or(ends.end);
            match read {
                Some(read) if read <= ends.end && end <= ends.end => {
                    ranges.insert(*partition, read.max(ends.start)..end);
                }
                _ => return Err(self.is_another()),
            }
        }
        let all: i64 = ranges.values().map(|range| range.end - range.start).sum();
        let all = u64::try_from(all).unwrap_or(0);
        let (index, sights, reading) = (&mut self.index, &mut self.sights, &self.reading);
        let mut records = 0;
        self.reader
            .read_ranges(&self.topic, &ranges, stop, |record| {
                records += 1;
                if records % RECORDS_PER_PROGRESS == 0 {
                    progress(records, all);
                }
                if let Some(written) = record.timestamp {
                    let partition = sights.oldest_record.entry(record.partition);
                    partition.or_insert(written / 1000);
                }
                match reading.read(&record) {
                    ReadRecord::Row(id, row) => {
                        sights.note(row);
                        visit(&id, row);
                        index.record(id, row);
                    }
                    ReadRecord::OtherTable(table) => {
                        *sights.other_tables.entry(table).or_default() += 1;
                    }
                    ReadRecord::NoRow => sights.without_row += 1,
                }
                ControlFlow::Continue(())
            })?;
        if stop.is_stopped() {
            return Err(Error::Stopped);
        }
        for (partition, range) in ranges {
            if let Some(read) = self.offsets.get_mut(&partition) {
                read.end = range.end;
            }
        }
        Ok(())
    }

    /// How many partitions it has.
    pub(super) fn partitions(&self) -> usize {
        self.offsets.len()
    }

    fn is_another(&self) -> Error {
        Error::Unusable(format!(
            "topic `{}` has other partitions or fewer records than what was read of it before: it was made \
             anew; start again, without `--index` where that is given",
            self.topic
        ))
    }
}

impl TopicSights {
    fn note(&mut self, row: TopicRow) {
        self.records += 1;
        let Some(version) = row.version() else {
            return;
        };
        match version.seconds {
            None => self.without_version += 1,
            Some(stamp) => {
                let oldest = self.oldest_stamp.map_or(stamp, |oldest| oldest.min(stamp));
                self.oldest_stamp = Some(oldest);
            }
        }
    }
}

/// Whether the topic's own setting says so, or is not known: Kafka's default throws records away.
fn is_aging(survey: &ClusterSurveyor<'_>, topic: &str) -> bool {
    let Ok(found) = survey.topics(&[topic.to_owned()]) else {
        return true;
    };
    found.into_iter().any(|(_, survey)| match survey {
        TopicSurvey::Found(found) => {
            let policy = found.settings.and_then(|settings| settings.cleanup_policy);
            policy.is_none_or(|policy| policy.contains("delete"))
        }
        TopicSurvey::Missing | TopicSurvey::Forbidden => true,
    })
}
