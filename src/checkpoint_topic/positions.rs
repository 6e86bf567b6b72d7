//! The positions of a bridge in the topic: taking them over, reading, writing.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::contents::{StillOurs, TopicContents};
use super::record::{Owner, StateKey, encode_entry, encode_key, encode_owner};
use crate::checkpoint::{Error, RemotePositions, RemoteTables, StoredTables};
use crate::config::{CurrentConfig, KafkaConfig};
use crate::kafka::{
    CompactedTopic, TopicReadError, TransactionError, TransactionRecord, TransactionalWriter,
    ensure_compacted_topic, read_committed_to_end,
};
use crate::metrics::Metrics;
use crate::stop::{self, Stop};

/// All records stand in this partition, so that they have one order.
const STATE_PARTITION: i32 = 0;
/// Bound on taking the name of the writer and on the first transaction.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(30);
/// Begins each transactional id, so that one access rule with a prefix is enough.
const TRANSACTIONAL_ID_PREFIX: &str = "servicenow-kafka-bridge-checkpoint-";

/// The positions of one instance's tables in a topic.
pub struct TopicPositions {
    /// How Kafka is reached may change by a reload.
    config: Arc<CurrentConfig>,
    topic: String,
    instance: String,
    /// This process, as it names itself in the topic.
    owner: Owner,
    metrics: Arc<Metrics>,
    /// Until a transaction fails, or Kafka is reached in another way.
    writer: Option<(KafkaConfig, TransactionalWriter)>,
}

impl fmt::Debug for TopicPositions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TopicPositions");
        shown.field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Reads what a topic holds of an instance, without taking it over. A topic that is missing holds nothing.
///
/// # Errors
/// It cannot be read, or is none of checkpoints.
pub fn read_contents(
    kafka: &KafkaConfig,
    topic: &str,
    instance: &str,
    stop: &Stop,
) -> Result<TopicContents, Error> {
    match read(kafka, topic, instance, stop) {
        Ok(contents) => usable(contents, topic),
        Err(error) if error.is_missing_topic() => Ok(TopicContents::default()),
        Err(error) => Err(away(topic, &error)),
    }
}

impl TopicPositions {
    /// Of the tables of the configured instance, in the configured topic.
    pub fn new(config: &Arc<CurrentConfig>, metrics: &Arc<Metrics>) -> TopicPositions {
        let current = config.get();
        TopicPositions {
            topic: current.offset.kafka_topic.clone(),
            instance: current.servicenow.base_url.clone(),
            config: Arc::clone(config),
            owner: Owner {
                session: format!("{:032x}", fastrand::u128(..)),
                host: host_name(),
                pid: std::process::id(),
            },
            metrics: Arc::clone(metrics),
            writer: None,
        }
    }

    /// Kafka's name of the writer: that of every process that writes the positions of this instance here.
    fn transactional_id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.topic, &self.instance] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hash = hash.finalize();
        let hash = base16ct::lower::encode_string(hash.get(..8).unwrap_or_default());
        format!("{TRANSACTIONAL_ID_PREFIX}{hash}")
    }

    fn key(&self, table: Option<&str>) -> StateKey {
        StateKey {
            instance: self.instance.clone(),
            table: table.map(str::to_owned),
        }
    }

    /// A new writer, which ends every other one.
    fn begin(&self, kafka: &KafkaConfig, deadline: Instant) -> Result<TransactionalWriter, Error> {
        let id = self.transactional_id();
        TransactionalWriter::start(kafka, &id, &self.metrics, deadline)
            .map_err(|error| away(&self.topic, &error))
    }

    fn owner_record(&self) -> TransactionRecord {
        let key = self.key(None);
        TransactionRecord {
            value: Some(encode_owner(&key, &self.owner)),
            key: encode_key(&key),
        }
    }

    /// Whether the positions are still this process's.
    fn look(&self, kafka: &KafkaConfig) -> Result<StillOurs, Error> {
        let (_trigger, stop) = stop::pair();
        let contents = read(kafka, &self.topic, &self.instance, &stop);
        let contents = contents.map_err(|error| away(&self.topic, &error))?;
        let seen = usable(contents, &self.topic)?.is_still_of(&self.owner);
        seen.map_err(|by| Error::TakenOver {
            place: place(&self.topic),
            by,
        })
    }

    /// A writer in place of one that failed.
    fn renew(&mut self, kafka: &KafkaConfig, deadline: Instant) -> Result<StillOurs, Error> {
        let (_trigger, stop) = stop::pair();
        ensure(kafka, &self.topic, &stop)?;
        // Looked at before, so that a process that has taken over is not ended by this one.
        self.look(kafka)?;
        let writer = self.begin(kafka, deadline)?;
        let seen = self.look(kafka)?;
        self.writer = Some((kafka.clone(), writer));
        Ok(seen)
    }

    fn records(
        &self,
        before: &StoredTables,
        next: &StoredTables,
    ) -> Result<Vec<TransactionRecord>, Error> {
        let changed = next
            .iter()
            .filter(|(table, stored)| before.get(*table) != Some(stored));
        let mut records = Vec::new();
        for (table, stored) in changed {
            let key = self.key(Some(table));
            let value = encode_entry(&key, stored).map_err(|what| Error::Unusable {
                place: place(&self.topic),
                what: format!("the position of table `{table}` does not fit: {what}"),
            })?;
            records.push(TransactionRecord {
                key: encode_key(&key),
                value: Some(value),
            });
        }
        let gone = before.keys().filter(|table| !next.contains_key(*table));
        records.extend(gone.map(|table| TransactionRecord {
            key: encode_key(&self.key(Some(table))),
            value: None,
        }));
        Ok(records)
    }

    /// Writes with the writer that is there. One that fails is thrown away.
    fn send(&mut self, records: &[TransactionRecord], deadline: Instant) -> Result<(), Error> {
        let Some((kafka, writer)) = self.writer.take() else {
            return Err(away(&self.topic, &"no connection"));
        };
        match writer.write((&self.topic, STATE_PARTITION), records, deadline) {
            Ok(()) => {
                self.writer = Some((kafka, writer));
                Ok(())
            }
            Err(TransactionError {
                reason,
                is_fenced: true,
            }) => {
                drop(writer);
                self.look(&kafka)?;
                Err(away(&self.topic, &reason))
            }
            Err(error) => Err(away(&self.topic, &error)),
        }
    }
}

impl RemotePositions for TopicPositions {
    fn place(&self) -> String {
        place(&self.topic)
    }

    fn take_over(&mut self, stop: &Stop) -> Result<RemoteTables, Error> {
        let kafka = self.config.get().kafka.clone();
        let deadline = Instant::now() + TAKE_OVER_TIMEOUT;
        ensure(&kafka, &self.topic, stop)?;
        // In this order: what a predecessor still writes must not come behind what is read.
        let writer = self.begin(&kafka, deadline)?;
        let contents = read(&kafka, &self.topic, &self.instance, stop);
        let contents = contents.map_err(|error| away(&self.topic, &error))?;
        let TopicContents {
            tables,
            refused,
            owner,
            foreign_positions,
            ..
        } = usable(contents, &self.topic)?;
        self.writer = Some((kafka, writer));
        self.send(&[self.owner_record()], deadline)?;
        let topic = self.topic.as_str();
        match owner {
            Some(owner) if owner.session != self.owner.session => {
                log::info!(topic = topic, tables = tables.len(), from:% = owner;
                    "the positions in Kafka were taken over from a process that had not ended its work");
            }
            _ => {
                log::info!(topic = topic, tables = tables.len(), of_other_instances = foreign_positions;
                    "the positions were read from Kafka");
            }
        }
        Ok(RemoteTables { tables, refused })
    }

    fn write(
        &mut self,
        before: &StoredTables,
        next: &StoredTables,
        deadline: Instant,
    ) -> Result<Duration, Error> {
        let began = Instant::now();
        let mut records = self.records(before, next)?;
        let kafka = &self.config.get().kafka;
        let is_current = |(used, _): &(KafkaConfig, TransactionalWriter)| used == kafka;
        if !self.writer.as_ref().is_some_and(is_current) {
            self.writer = None;
            if self.renew(kafka, deadline)? == StillOurs::Emptied {
                log::warn!(topic = self.topic, tables = next.len();
                    "the topic of the positions is another one than was read; all positions are written to it");
                records = self.records(&StoredTables::new(), next)?;
            }
            records.push(self.owner_record());
        }
        self.send(&records, deadline)?;
        Ok(began.elapsed())
    }

    fn release(&mut self, deadline: Instant) -> Result<(), Error> {
        if self.writer.is_none() {
            return Ok(());
        }
        let gone = TransactionRecord {
            key: encode_key(&self.key(None)),
            value: None,
        };
        self.send(&[gone], deadline)
    }
}

/// Makes the topic if it is missing.
fn ensure(kafka: &KafkaConfig, topic: &str, stop: &Stop) -> Result<(), Error> {
    let found = ensure_compacted_topic(kafka, topic, stop);
    match found.map_err(|error| away(topic, &error))? {
        CompactedTopic::Compacted => Ok(()),
        CompactedTopic::NotTold => {
            log::warn!(topic = topic;
                "Kafka does not say whether the topic of the positions is compacted, as it must be; grant the \
                 Kafka user DescribeConfigs on it");
            Ok(())
        }
        CompactedTopic::Deleting(policy) => Err(Error::Unusable {
            place: place(topic),
            what: format!(
                "its cleanup.policy is {policy}, so that Kafka deletes positions after a while; set it to \
                 compact (kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config \
                 cleanup.policy=compact), or set another `offset.kafka_topic`"
            ),
        }),
    }
}

/// What the topic holds.
fn read(
    kafka: &KafkaConfig,
    topic: &str,
    instance: &str,
    stop: &Stop,
) -> Result<TopicContents, TopicReadError> {
    let mut contents = TopicContents::default();
    read_committed_to_end(kafka, (topic, STATE_PARTITION), stop, |record| {
        let place = format!("{topic}:{STATE_PARTITION}:{}", record.offset);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        contents.take_in(instance, &place, key, value);
    })?;
    Ok(contents)
}

fn usable(contents: TopicContents, topic: &str) -> Result<TopicContents, Error> {
    match contents.unusable {
        Some(what) => Err(Error::Unusable {
            place: place(topic),
            what,
        }),
        None => Ok(contents),
    }
}

fn away(topic: &str, reason: &impl ToString) -> Error {
    Error::Away {
        place: place(topic),
        reason: reason.to_string(),
    }
}

/// The name of this host, as processes name themselves in the topic.
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

fn place(topic: &str) -> String {
    format!("topic {topic}")
}
