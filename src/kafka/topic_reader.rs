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

use super::client_settings::Settings;
use super::{Error, Received};
use crate::config::Kafka;
use crate::stop::Stop;

pub(super) use crate::kafka::reader_client::Ear;
pub use crate::kafka::read_error::BrowseError;

/// Bound on one answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long nothing may come although the end was not reached.
const SILENCE: Duration = Duration::from_secs(30);
/// Between looks whether to stop.
const SLICE: Duration = Duration::from_millis(100);

/// librdkafka's consumer with our callbacks.
pub(super) type Client = BaseConsumer<Ear>;

/// Reads topics. It never joins its group; that is only a name that Kafka's access rules know.
pub struct Browser {
    client: Client,
}

/// Makes a client that belongs to a group by name only.
pub(super) fn client(config: &Kafka, group: &str) -> Result<Client, BrowseError> {
    let settings = Settings::browser(config, group)?;
    let ear = Ear::new(settings.clone(), group);
    let client = Client::from_config_and_context(&settings.client, ear);
    Ok(client.map_err(|error| settings.creation_error(error))?)
}

impl Browser {
    /// Makes the client. The brokers are contacted by the first question.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(config: &Kafka, group: &str) -> Result<Browser, BrowseError> {
        let client = client(config, group)?;
        Ok(Browser { client })
    }

    /// The partitions of a topic with their first offset and their end at this moment.
    ///
    /// # Errors
    /// When the topic is not there or not to be seen, or Kafka does not answer.
    pub fn partitions(&self, topic: &str) -> Result<BTreeMap<i32, Range<i64>>, BrowseError> {
        let metadata = self.client.fetch_metadata(Some(topic), ANSWER);
        let metadata = metadata.map_err(|error| self.no_answer(&error, topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let missing = || Error::MissingTopics(vec![topic.to_owned()]);
        let found = found.ok_or_else(missing)?;
        match found.error().map(Code::from) {
            Some(Code::TopicAuthorizationFailed) => {
                return Err(BrowseError::forbidden_topic(topic));
            }
            // A topic without a leader at this moment exists.
            None | Some(Code::LeaderNotAvailable) if !found.partitions().is_empty() => {}
            None | Some(_) => return Err(missing().into()),
        }
        let ends = found.partitions().iter().map(|partition| {
            let ends = self.client.fetch_watermarks(topic, partition.id(), ANSWER);
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
    pub fn each(
        &self,
        topic: &str,
        ranges: &BTreeMap<i32, Range<i64>>,
        stop: &Stop,
        mut visit: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<(), BrowseError> {
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
    /// As [`Browser::each`].
    pub fn record(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        stop: &Stop,
    ) -> Result<Option<Received>, BrowseError> {
        let place = BTreeMap::from([(partition, offset..offset.saturating_add(1))]);
        let mut found = None;
        self.each(topic, &place, stop, |record| {
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
        visit: &mut impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, BrowseError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let refused = |error: KafkaError| self.client.context().judge(&error, topic);
        list.add_partition_offset(topic, partition, Offset::Offset(range.start))
            .map_err(refused)?;
        self.client.assign(&list).map_err(refused)?;
        let mut deadline = Instant::now() + SILENCE;
        while !stop.is_stopped() {
            match self.client.poll(SLICE) {
                Some(Ok(message)) if message.partition() != partition => {}
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if range.contains(&offset) {
                        let flow = visit(Received::of(&message, Arc::clone(topic)));
                        if flow.is_break() {
                            return Ok(flow);
                        }
                    }
                    if range.end <= offset.saturating_add(1) {
                        return Ok(ControlFlow::Continue(()));
                    }
                    deadline = Instant::now() + SILENCE;
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
    fn no_answer(&self, error: &KafkaError, topic: &str) -> BrowseError {
        // Serves what librdkafka said about its connections.
        drop(self.client.poll(Duration::ZERO));
        self.client.context().judge(error, topic)
    }
}
