//! From a letter to the record that is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::super::found::FoundLetter;
use super::super::scan::DeadLetterTopic;
use crate::config::{Config, KafkaConfig};
use crate::kafka::{ConsumerRecord, Error, TopicReadError, TopicReader};
use crate::sink::DeadLetter;
use crate::sink::record::CREATE_ID_HEADER;
use crate::stop::Stop;

/// Header that says from which letter a record came.
const REPLAYED_FROM: &str = "sn_replayed_from";

/// Why there is no record.
#[derive(Debug)]
pub(super) enum Unreplayable {
    /// This letter cannot be sent.
    Letter(String),
    /// Kafka fails.
    All(TopicReadError),
}

/// Makes records of letters.
pub(super) struct ReplayRecordBuilder {
    /// The dead letter topic.
    from: String,
    /// Topics of the sink. To another topic nothing is sent: either no consumer reads it, or one that
    /// the record was not meant for.
    topics: BTreeSet<String>,
    needs_place: bool,
    originals: OriginalRecords,
}

impl ReplayRecordBuilder {
    pub(super) fn new(
        config: &Config,
        letters: &DeadLetterTopic,
        needs_place: bool,
    ) -> ReplayRecordBuilder {
        let topics = config.sink.topics.iter().map(|topic| topic.topic.clone());
        ReplayRecordBuilder {
            from: letters.topic.clone(),
            topics: topics.collect(),
            needs_place,
            originals: OriginalRecords {
                kafka: config.kafka.clone(),
                group: letters.group.clone(),
                browser: None,
                partitions: BTreeMap::new(),
            },
        }
    }

    /// The record of a letter, with the headers that tell where it comes from.
    pub(super) fn of(
        &mut self,
        found: &FoundLetter,
        stop: &Stop,
    ) -> Result<ConsumerRecord, Unreplayable> {
        let unfit = |why: String| Err(Unreplayable::Letter(why));
        let letter = match &found.letter {
            Ok(letter) => letter,
            Err(error) => return unfit(error.to_string()),
        };
        if !self.topics.contains(&letter.topic) {
            let topic = &letter.topic;
            return unfit(format!("its topic {topic} is not in sink.topics"));
        }
        let place = letter.partition.zip(letter.offset);
        if self.needs_place && place.is_none() {
            return unfit("it does not say where the record is; replay it to its topic".to_owned());
        }
        let mut record = match (letter.payload_omitted, place) {
            (true, None) => return unfit("it has neither the body nor its place".to_owned()),
            (true, Some(place)) => self.originals.find(letter, place, stop)?,
            (false, _) => ConsumerRecord {
                topic: Arc::from(letter.topic.as_str()),
                partition: letter.partition.unwrap_or(-1),
                offset: letter.offset.unwrap_or(-1),
                timestamp: letter.record_timestamp,
                // The Go program's letters have the key in their record only.
                key: match place {
                    Some(_) => letter.key.clone(),
                    None => found.key().map(<[u8]>::to_vec),
                },
                value: letter.value.clone(),
                headers: letter.headers.clone(),
                unreadable_headers: false,
            },
        };
        let from = format!(
            "{}/{}/{}",
            self.from, found.place.partition, found.place.offset
        );
        put(&mut record, REPLAYED_FROM, &from);
        if let Some(id) = &letter.create_id {
            put(&mut record, CREATE_ID_HEADER, id);
        }
        Ok(record)
    }
}

/// Sets a header that is there once.
fn put(record: &mut ConsumerRecord, name: &str, value: &str) {
    record.headers.retain(|(known, _)| known != name);
    let value = value.as_bytes().to_vec();
    record.headers.push((name.to_owned(), Some(value)));
}

/// Looks up records that were too large for their letters. Made when the first is needed.
struct OriginalRecords {
    kafka: KafkaConfig,
    group: String,
    browser: Option<TopicReader>,
    partitions: BTreeMap<String, BTreeMap<i32, Range<i64>>>,
}

impl OriginalRecords {
    fn find(
        &mut self,
        letter: &DeadLetter,
        (partition, offset): (i32, i64),
        stop: &Stop,
    ) -> Result<ConsumerRecord, Unreplayable> {
        let gone = |why: &str| {
            let topic = &letter.topic;
            Unreplayable::Letter(format!(
                "it does not have the body, and record {topic}/{partition}/{offset} {why}"
            ))
        };
        let browser = match &mut self.browser {
            Some(browser) => browser,
            none => none.insert(TopicReader::new(&self.kafka, &self.group)?),
        };
        if !self.partitions.contains_key(&letter.topic) {
            let found = browser
                .partitions(&letter.topic)
                .map_err(|error| match error {
                    TopicReadError::Kafka(Error::MissingTopics(_))
                    | TopicReadError::Forbidden { .. } => gone(&format!("cannot be read: {error}")),
                    error => Unreplayable::All(error),
                })?;
            self.partitions.insert(letter.topic.clone(), found);
        }
        let partitions = self.partitions.get(&letter.topic);
        let range = partitions.and_then(|partitions| partitions.get(&partition));
        if !range.is_some_and(|range| range.contains(&offset)) {
            return Err(gone("is not there any more"));
        }
        let record = browser.record(&letter.topic, partition, offset, stop)?;
        let record = record.ok_or_else(|| gone("is not there any more"))?;
        // A topic that was made anew counts its offsets from 0 again.
        if letter.record_timestamp.is_some() && record.timestamp != letter.record_timestamp {
            return Err(gone("is another one now"));
        }
        Ok(record)
    }
}
