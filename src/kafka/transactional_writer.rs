//! Writes records in transactions: all of them or none. Kafka knows the writer by a name, and a later one of
//! the same name ends the earlier one (fencing).
//!
//! The calls block the calling thread, up to a deadline. A writer of which one has failed is of no more use:
//! the outcome is not known, and only a new writer, by its higher epoch, keeps a request that is still on
//! its way from being counted to a later transaction (the hole that KIP-890 closes, which librdkafka 2.12
//! does not have).

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::batch::Batch;
use super::client_context::{ClientCallbacks, ClientSignals};
use super::client_settings::ClientSettings;
use super::error::Error;
use super::producer::client::ProducerClient;
use crate::config::KafkaConfig;
use crate::metrics::Metrics;

/// A record of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The key.
    pub key: Vec<u8>,
    /// The body; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Why a transaction did not come to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionError {
    /// The reason, with what to do where that is known.
    pub reason: String,
    /// Kafka says that a later writer of the same name is there. librdkafka has been seen to say so in error
    /// (its issue 3928).
    pub is_fenced: bool,
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TransactionError {}

/// The writer.
pub struct TransactionalWriter {
    client: ProducerClient,
    signals: Arc<ClientSignals>,
    settings: ClientSettings,
}

impl fmt::Debug for TransactionalWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalWriter")
            .finish_non_exhaustive()
    }
}

impl TransactionalWriter {
    /// Makes a writer of this name. When this returns, no earlier one of the name can write any more, and
    /// what that had not committed is aborted.
    ///
    /// # Errors
    /// librdkafka refuses the settings, or Kafka does not answer in time or refuses.
    pub fn start(
        config: &KafkaConfig,
        id: &str,
        metrics: &Arc<Metrics>,
        deadline: Instant,
    ) -> Result<TransactionalWriter, TransactionError> {
        let made = |error: Error| TransactionError {
            reason: error.to_string(),
            is_fenced: false,
        };
        let settings = ClientSettings::transactional(config, id).map_err(made)?;
        let signals = ClientSignals::new(settings.clone(), metrics);
        let client: ProducerClient = settings
            .client
            .create_with_context(ClientCallbacks(Arc::clone(&signals)))
            .map_err(|error| made(settings.creation_error(error)))?;
        let writer = TransactionalWriter {
            client,
            signals,
            settings,
        };
        let begun = writer.client.init_transactions(left(deadline));
        begun.map_err(|error| writer.failed("take the name of a writer", &error))?;
        Ok(writer)
    }

    /// Writes these records to one partition in a transaction of their own, and waits until Kafka has
    /// committed it. The writer is of no use after an error.
    ///
    /// # Errors
    /// The transaction was not seen to be committed. It may be all the same.
    pub fn write(
        &self,
        (topic, partition): (&str, i32),
        records: &[TransactionRecord],
        deadline: Instant,
    ) -> Result<(), TransactionError> {
        let begun = self.client.begin_transaction();
        begun.map_err(|error| self.failed("begin a transaction", &error))?;
        let (wake, _woken) = crossbeam_channel::bounded(1);
        let batch = Batch::new(wake);
        for record in records {
            let native = BaseRecord::<[u8], [u8], _> {
                topic,
                partition: Some(partition),
                payload: record.value.as_deref(),
                key: Some(record.key.as_slice()),
                timestamp: None,
                headers: None,
                delivery_opaque: Arc::clone(&batch),
            };
            batch.add();
            if let Err((error, _)) = self.client.send(native) {
                batch.withdraw();
                return Err(self.failed("write a record", &error));
            }
        }
        batch.close();
        // Serves the delivery reports until all are there.
        let committed = self.client.commit_transaction(left(deadline));
        if let Some(Err(error)) = batch.outcome() {
            return Err(TransactionError {
                reason: error.to_string(),
                is_fenced: self.is_fenced(),
            });
        }
        committed.map_err(|error| self.failed("commit a transaction", &error))
    }

    fn failed(&self, what: &str, error: &KafkaError) -> TransactionError {
        // Why connections failed is told by callbacks, which a poll serves.
        self.client.poll(std::time::Duration::ZERO);
        let code = error.rdkafka_error_code();
        let advice = match code {
            Some(Code::TransactionalIdAuthorizationFailed) => {
                "; grant the Kafka user Describe and Write on the transactional id"
            }
            Some(Code::TopicAuthorizationFailed) => "; grant the Kafka user Write on the topic",
            _ => "",
        };
        let cause = match self.signals.cause() {
            Some(cause) => format!(" ({cause})"),
            None => String::new(),
        };
        let words = self.settings.scrub(&error.to_string());
        TransactionError {
            reason: format!("kafka: cannot {what}: {words}{cause}{advice}"),
            is_fenced: code.is_some_and(is_fenced) || self.is_fenced(),
        }
    }

    fn is_fenced(&self) -> bool {
        let fatal = self.client.client().fatal_error();
        fatal.is_some_and(|(code, _)| is_fenced(code))
    }
}

fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch
    )
}

fn left(deadline: Instant) -> std::time::Duration {
    deadline.saturating_duration_since(Instant::now())
}
