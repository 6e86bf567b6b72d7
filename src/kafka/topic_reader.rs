//! Reads a topic from outside of any consumer group, up to an end that is fixed at the beginning.
//!
//! The commands about dead letters read with it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::consumer_record::ConsumerRecord;
use super::error::Error;
use super::read_error::TopicReadError;
use super::reader_client::{READER_QUERY_TIMEOUT, ReaderClient, new_reader_client};
use crate::config::KafkaConfig;
use crate::stop::Stop;

/// How long no record may come although the end was not reached.
const READER_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two checks whether to stop.
const READER_POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// Reads topics. It never joins its group, whose name only serves Kafka's access rules.
pub struct TopicReader {
    client: ReaderClient,
}

impl TopicReader {
    /// Makes the client. The brokers are contacted by the first request.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(config: &KafkaConfig, group: &str) -> Result<TopicReader, TopicReadError> {
        let client = new_reader_client(config, group)?;
        Ok(TopicReader { client })
    }

    /// The partitions of a topic: for each the range from its oldest offset to its present end.
    ///
    /// # Errors
    /// The topic is missing or forbidden, or Kafka does not answer.
    pub fn partitions(&self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, TopicReadError> {
        let metadata = self
            .client
            .fetch_metadata(Some(topic), READER_QUERY_TIMEOUT);
        let metadata = metadata.map_err(|error| self.no_answer(&error, topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let missing = || Error::MissingTopics(vec![topic.to_owned()]);
        let found = found.ok_or_else(missing)?;
        match found.error().map(Code::from) {
            Some(Code::TopicAuthorizationFailed) => {
                return Err(TopicReadError::forbidden_topic(topic));
            }
            // A topic that has no leader at this moment exists all the same.
            None | Some(Code::LeaderNotAvailable) if !found.partitions().is_empty() => {}
            None | Some(_) => return Err(missing().into()),
        }
        let ends = found.partitions().iter().map(|partition| {
            let ends = self
                .client
                .fetch_watermarks(topic, partition.id(), READER_QUERY_TIMEOUT);
            let (low, high) = ends.map_err(|error| self.no_answer(&error, topic))?;
            Ok((partition.id(), low..high))
        });
        ends.collect()
    }

    /// Gives each record in these ranges of offsets to `visit`, until that breaks: one partition after
    /// the other, each in its order. Offsets without a record are passed over.
    ///
    /// No range may end behind a moment's end of its partition: reaching the partition's end also ends
    /// the range.
    ///
    /// # Errors
    /// Kafka refuses, or no record comes for 30 s. That `stop` was given is no error.
    pub fn read_ranges(
        &self,
        topic: &str,
        ranges: &BTreeMap<i32, Range<i64>>,
        stop: &Stop,
        mut visit: impl FnMut(ConsumerRecord) -> ControlFlow<()>,
    ) -> Result<(), TopicReadError> {
        let name: Arc<str> = Arc::from(topic);
        let mut result = Ok(ControlFlow::Continue(()));
        for (partition, range) in ranges {
            if range.start < range.end {
                result = self.read_range(&name, (*partition, range), stop, &mut visit);
            }
            if !matches!(result, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        // Drops the records that librdkafka has fetched beyond the end.
        self.client.unassign().ok();
        result.map(|_| ())
    }

    /// The record at an offset, if the topic still holds it.
    ///
    /// # Errors
    /// As [`TopicReader::read_ranges`].
    pub fn record(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        stop: &Stop,
    ) -> Result<Option<ConsumerRecord>, TopicReadError> {
        let range = BTreeMap::from([(partition, offset..offset.saturating_add(1))]);
        let mut found = None;
        self.read_ranges(topic, &range, stop, |record| {
            found = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn read_range(
        &self,
        topic: &Arc<str>,
        (partition, range): (i32, &Range<i64>),
        stop: &Stop,
        visit: &mut impl FnMut(ConsumerRecord) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, TopicReadError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let refused = |error: KafkaError| self.client.context().read_error(&error, topic);
        list.add_partition_offset(topic, partition, Offset::Offset(range.start))
            .map_err(refused)?;
        self.client.assign(&list).map_err(refused)?;
        let mut deadline = Instant::now() + READER_STALL_TIMEOUT;
        while !stop.is_stopped() {
            match self.client.poll(READER_POLL_TIMEOUT) {
                Some(Ok(message)) if message.partition() != partition => {}
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if range.contains(&offset) {
                        let flow = visit(ConsumerRecord::of(&message, Arc::clone(topic)));
                        if flow.is_break() {
                            return Ok(flow);
                        }
                    }
                    if offset.saturating_add(1) >= range.end {
                        return Ok(ControlFlow::Continue(()));
                    }
                    deadline = Instant::now() + READER_STALL_TIMEOUT;
                }
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => {
                    return Ok(ControlFlow::Continue(()));
                }
                Some(Err(error)) => self.client.context().pass_transient(&error, topic)?,
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(self.client.context().unreachable("no more records").into());
            }
        }
        Ok(ControlFlow::Break(()))
    }

    /// The error for a request that failed.
    fn no_answer(&self, error: &KafkaError, topic: &str) -> TopicReadError {
        // Serves librdkafka's events, one of which may say why there is no connection.
        drop(self.client.poll(Duration::ZERO));
        self.client.context().read_error(error, topic)
    }
}
