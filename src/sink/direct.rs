//! Writes records straight to the instance, without a consumer group: for replays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::format::{self, RecordContent, SchemaLookup, SchemaRequest};
use super::operation::{self, IdentityScope, RecordAction};
use super::refusal::Refusal;
use super::write::{PriorAttempt, RecordWriter, RetryObserver, SuccessCounter, WriteOutcome};
use crate::config::{Config, SinkTopicConfig};
use crate::health::Health;
use crate::kafka::ConsumerRecord;
use crate::metrics::Metrics;
use crate::registry::{Error, Registry};
use crate::servicenow::{self, InstanceClient};
use crate::stop::Stop;

/// How long somebody who watches waits for an instance that is down.
const DIRECT_WRITE_MAX_RETRY: Duration = Duration::from_secs(60);

/// The sink's writers, for somebody who has the records.
pub struct DirectWriter {
    client: Arc<InstanceClient>,
    registry: Option<Registry>,
    topics: Vec<(SinkTopicConfig, RecordWriter)>,
    place: IdentityScope,
    transaction_time: Duration,
}

impl DirectWriter {
    /// For all topics of `sink.topics`. Nothing is asked of the instance and the registry yet.
    ///
    /// # Errors
    /// A client cannot be set up; in words.
    pub fn new(config: &Config) -> Result<DirectWriter, String> {
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
        let registry = Registry::configured(&config.schema_registry, &metrics)
            .map_err(|error| error.to_string())?;
        let client = InstanceClient::start(&config.servicenow, &metrics, &health)
            .map_err(|error| error.to_string())?;
        let client = Arc::new(client);
        let mut sink = config.sink.clone();
        sink.retry_for = Some(sink.retry_for.map_or(DIRECT_WRITE_MAX_RETRY, |time| {
            time.min(DIRECT_WRITE_MAX_RETRY)
        }));
        let path = &config.servicenow.table_api_path;
        let pulse = Arc::new(SuccessCounter::default());
        let writer = |topic: &SinkTopicConfig| {
            let pulse = Arc::clone(&pulse);
            let writer = RecordWriter::new(Arc::clone(&client), path, topic, &sink, pulse);
            (topic.clone(), writer)
        };
        let topics = sink.topics.iter().map(writer).collect();
        // The identity of a create comes with its letter; without one, the record's place in its
        // own topic makes the same one again.
        let place = IdentityScope {
            instance: config.servicenow.base_url.clone(),
            cluster: String::new(),
        };
        Ok(DirectWriter {
            client,
            registry,
            topics,
            place,
            transaction_time: sink.transaction_time,
        })
    }

    /// Writes a record as the sink would and says in a word what was done.
    ///
    /// # Errors
    /// Why it cannot be written; `stopped` as its kind when it was stopped.
    pub fn write(&self, record: &ConsumerRecord, stop: &Stop) -> Result<&'static str, Refusal> {
        let mut topics = self.topics.iter();
        let Some((topic, writer)) = topics.find(|(topic, _)| *topic.topic == *record.topic) else {
            let error = format!("topic `{}` is not in sink.topics", record.topic);
            return Err(Refusal::unsent("unknown_topic", error));
        };
        let content = self.content(record, topic, stop)?;
        let operation = match operation::read(record, &content, topic, &self.place)? {
            RecordAction::Write(operation) => operation,
            RecordAction::Skip(reason) => return Ok(reason),
        };
        // It was tried before, or it would not be a letter.
        let long_ago = Instant::now().checked_sub(self.transaction_time);
        let since = long_ago.unwrap_or_else(Instant::now);
        match writer.write(
            &operation,
            PriorAttempt::Possible { since },
            stop,
            &LogOnlyObserver,
        ) {
            WriteOutcome::Written(word, _) => Ok(word),
            WriteOutcome::Skipped(reason) => Ok(reason),
            WriteOutcome::Refused(refusal) => Err(refusal),
            WriteOutcome::Stopped => Err(Refusal::unsent("stopped", "stopped")),
        }
    }

    /// Somebody waits for this record alone, so that the registry may be waited for here.
    fn content<'r>(
        &self,
        record: &'r ConsumerRecord,
        topic: &SinkTopicConfig,
        stop: &Stop,
    ) -> Result<RecordContent<'r>, Refusal> {
        let Some(registry) = &self.registry else {
            return format::read(record, topic, None, false).map_err(unanswered);
        };
        let mut known: BTreeMap<u32, SchemaLookup> = BTreeMap::new();
        loop {
            let look = |id: u32| known.get(&id).cloned();
            let needs = match format::read(record, topic, Some(&look), false) {
                Ok(content) => return Ok(content),
                Err(needs) => needs,
            };
            let id = needs.schema;
            let schema = format::judge(id, registry.schema_by_id(id, stop));
            let schema = schema.map_err(|error| match error {
                Error::Stopped => Refusal::unsent("stopped", "stopped"),
                error => Refusal::unsent("schema_registry", error.to_string()),
            })?;
            let schema = match schema {
                // Somebody is here to try it again.
                SchemaLookup::Absent { why, .. } => SchemaLookup::Unusable(why),
                schema => schema,
            };
            if known.insert(id, schema).is_some() {
                return Err(unanswered(needs));
            }
        }
    }
}

/// Not reached: without a registry nothing is asked, and with one each schema once.
fn unanswered(needs: SchemaRequest) -> Refusal {
    let error = format!("schema {} is not known", needs.schema);
    Refusal::unsent("schema_registry", error)
}

impl Drop for DirectWriter {
    fn drop(&mut self) {
        self.client.shutdown();
    }
}

/// Nobody hears of trouble that passes.
struct LogOnlyObserver;

impl RetryObserver for LogOnlyObserver {
    fn retry_scheduled(&self, error: &servicenow::Error, _since: Instant) {
        log::debug!(error:% = error; "trying again");
    }

    fn retries_ended(&self) {}
}
