//! Reads topics from outside of any group: what is there now, up to an end that is fixed at the
//! beginning.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client_settings::ClientSettings;
use super::{ConsumerRecord, Error};
use crate::config::KafkaConfig;
use crate::stop::Stop;

pub use crate::kafka::read_error::TopicReadError;
pub(super) use crate::kafka::reader_client::ReaderContext;

/// Bound on one answer.
pub(super) const READER_QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may come although the end was not reached.
const READER_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Between looks whether to stop.
const READER_POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// librdkafka's consumer with our callbacks.
pub(super) type ReaderClient = BaseConsumer<ReaderContext>;

/// Reads topics. It never joins its group; that is only a name that Kafka's access rules know.
pub struct TopicReader {
    client: ReaderClient,
}

/// Makes a client that belongs to a group by name only.
pub(super) fn client(config: &KafkaConfig, group: &str) -> Result<ReaderClient, TopicReadError> {
    let settings = ClientSettings::browser(config, group)?;
    let ear = ReaderContext::new(settings.clone(), group);
    let client = ReaderClient::from_config_and_context(&settings.client, ear);
    Ok(client.map_err(|error| settings.creation_error(error))?)
}

impl TopicReader {
    /// Makes the client. The brokers are contacted by the first question.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(config: &KafkaConfig, group: &str) -> Result<TopicReader, TopicReadError> {
        let client = client(config, group)?;
        Ok(TopicReader { client })
    }

    /// The partitions of a topic with their first offset and their end at this moment.
    ///
    /// # Errors
    /// When the topic is not there or not to be seen, or Kafka does not answer.
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
            // A topic without a leader at this moment exists.
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

    /// Gives each record of these offsets to `visit` until that breaks: partition after partition,
    /// each in its order. Offsets without a record are passed over.
    ///
    /// The ranges must end where their partitions ended at some moment, or before: the end of a
    /// partition is an end as well.
    ///
    /// # Errors
    /// When Kafka refuses, or nothing comes for 30 s. `stop` is no error.
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
                result = self.one(&name, (*partition, range), stop, &mut visit);
            }
            if !matches!(result, Ok(ControlFlow::Continue(()))) {
                break;
            }
        }
        // What was fetched beyond the end need not lie in memory.
        self.client.unassign().ok();
        result.map(|_| ())
    }

    /// The record at a place, if it is still there.
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
        let place = BTreeMap::from([(partition, offset..offset.saturating_add(1))]);
        let mut found = None;
        self.read_ranges(topic, &place, stop, |record| {
            found = Some(record);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn one(
        &self,
        topic: &Arc<str>,
        (partition, range): (i32, &Range<i64>),
        stop: &Stop,
        visit: &mut impl FnMut(ConsumerRecord) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, TopicReadError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let refused = |error: KafkaError| self.client.context().judge(&error, topic);
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
                    if range.end <= offset.saturating_add(1) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    deadline = Instant::now() + READER_STALL_TIMEOUT;
                }
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => {
                    return Ok(ControlFlow::Continue(()));
                }
                Some(Err(error)) => self.client.context().endure(&error, topic)?,
                None => {}
            }
            if deadline <= Instant::now() {
                return Err(self.client.context().unreachable("no more records").into());
            }
        }
        Ok(ControlFlow::Break(()))
    }

    /// Words for a question that failed.
    fn no_answer(&self, error: &KafkaError, topic: &str) -> TopicReadError {
        // Serves what librdkafka said about its connections.
        drop(self.client.poll(Duration::ZERO));
        self.client.context().judge(error, topic)
    }
}
