//! Writes records straight to the instance, without a consumer group: for replays.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::{
    self, IdentityScope, RecordAction, RecordContent, SchemaLookup, SchemaRequest,
};
use super::write::{PriorAttempt, RecordWriter, RetryObserver, SuccessCounter, WriteOutcome};
use crate::config::{Config, SinkTopicConfig};
use crate::health::Health;
use crate::kafka::ConsumerRecord;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::{self, InstanceClient};
use crate::stop::Stop;
use crate::sync::Mutex;

/// How long an instance that is down is waited for: an operator watches the command.
const DIRECT_WRITE_MAX_RETRY: Duration = Duration::from_secs(60);

/// How long the registry is not asked again for a schema that it lacks, or that is of no use: many
/// records may name it, and meanwhile an operator may register it.
const REFUSED_SCHEMA_KEPT: Duration = Duration::from_secs(5);

/// The sink's writers, for a command that has the records.
pub struct DirectWriter {
    client: Arc<InstanceClient>,
    registry: Option<Registry>,
    schemas: SchemaMemory,
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
            schemas: SchemaMemory::default(),
            topics,
            place,
            transaction_time: sink.transaction_time,
        })
    }

    /// Writes a record as the sink would and says in a word what was done.
    ///
    /// # Errors
    /// Why it cannot be written, or that it was stopped.
    pub fn write(&self, record: &ConsumerRecord, stop: &Stop) -> Result<&'static str, String> {
        let mut topics = self.topics.iter();
        let Some((topic, writer)) = topics.find(|(topic, _)| *topic.topic == *record.topic) else {
            let error = format!("topic `{}` is not in sink.topics", record.topic);
            return Err(error);
        };
        let content = self.content(record, topic, stop)?;
        let action = record::parse_action(record, &content, topic, &self.place);
        let operation = match action.map_err(|refusal| refusal.error)? {
            RecordAction::Write(operation) => operation,
            RecordAction::Skip(reason) => return Ok(reason.label()),
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
            WriteOutcome::Written(kind, _) => Ok(kind.word()),
            WriteOutcome::Skipped(reason) => Ok(reason.label()),
            WriteOutcome::Refused(refusal) => Err(refusal.error),
            WriteOutcome::Blocked(why) => Err(why),
            WriteOutcome::Stopped => Err("stopped".to_owned()),
        }
    }

    /// The command waits for this record alone, so the registry may be waited for here.
    fn content<'r>(
        &self,
        record: &'r ConsumerRecord,
        topic: &SinkTopicConfig,
        stop: &Stop,
    ) -> Result<RecordContent<'r>, String> {
        let Some(registry) = &self.registry else {
            return record::decode_content(record, topic, None, false).map_err(unanswered);
        };
        let mut asked = BTreeSet::new();
        loop {
            let look = |id: u32| self.schemas.get(id, Instant::now());
            let needs = match record::decode_content(record, topic, Some(&look), false) {
                Ok(content) => return Ok(content),
                Err(needs) => needs,
            };
            let id = needs.schema;
            let schema = record::schema_lookup_of(id, registry.schema_by_id(id, stop));
            let schema = match schema.map_err(|error| error.to_string())? {
                // The operator can run the command again, so nothing is waited for.
                SchemaLookup::Absent { why, .. } => SchemaLookup::Unusable(why),
                schema => schema,
            };
            if !asked.insert(id) {
                return Err(unanswered(needs));
            }
            self.schemas.keep(id, schema, Instant::now());
        }
    }
}

/// The registry's answers by id, and when they came: many records have the same few schemas.
#[derive(Default)]
struct SchemaMemory(Mutex<HashMap<u32, (SchemaLookup, Instant)>>);

impl SchemaMemory {
    fn get(&self, id: u32, now: Instant) -> Option<SchemaLookup> {
        let answers = self.0.lock();
        let (schema, at) = answers.get(&id)?;
        let counts = matches!(schema, SchemaLookup::Known(_))
            || now.saturating_duration_since(*at) < REFUSED_SCHEMA_KEPT;
        counts.then(|| schema.clone())
    }

    fn keep(&self, id: u32, schema: SchemaLookup, now: Instant) {
        let mut answers = self.0.lock();
        answers.insert(id, (schema, now));
    }
}

/// Not reached: without a registry nothing is asked, and with one each schema once.
fn unanswered(needs: SchemaRequest) -> String {
    format!("schema {} is not known", needs.schema)
}

impl Drop for DirectWriter {
    fn drop(&mut self) {
        self.client.shutdown();
    }
}

/// Failures that a retry mends are told at level debug only.
struct LogOnlyObserver;

impl RetryObserver for LogOnlyObserver {
    fn retry_scheduled(&self, error: &servicenow::Error, _since: Instant) {
        log::debug!(error:% = error; "trying again");
    }

    fn retries_ended(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{RegisteredSchema, SchemaFormat};
    use crate::sink::refusal::{Refusal, RefusalKind};

    #[test]
    fn a_schema_is_asked_for_once_and_a_refusal_again_after_a_moment() {
        let memory = SchemaMemory::default();
        let now = Instant::now();
        let schema = RegisteredSchema::new(1, SchemaFormat::Json, "{}".to_owned(), Vec::new());
        memory.keep(1, SchemaLookup::Known(Arc::new(schema)), now);
        let refusal = Refusal::unsent(RefusalKind::UnknownSchema, "no such schema");
        memory.keep(2, SchemaLookup::Unusable(refusal), now);
        let later = now + REFUSED_SCHEMA_KEPT;
        assert!(memory.get(1, later).is_some() && memory.get(2, now).is_some());
        assert!(memory.get(2, later).is_none() && memory.get(3, now).is_none());
    }
}
