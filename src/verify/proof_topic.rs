//! Certificates as records of the topic of proofs (`proof_topic`).

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::certificate::Certificate;
use super::error::Error;
use crate::config::TableConfig;
use crate::kafka::{Batch, Producer, ProducerRecord, RecordHeaders};
use crate::stop::Stop;

/// How long Kafka may take for the record of a certificate.
pub const PROOF_ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends a certificate to the topic of proofs, if there is one, and waits until Kafka has it.
///
/// # Errors
/// Kafka does not take it, or not in time.
pub fn publish(
    producer: &Producer,
    table: &TableConfig,
    certificate: &Certificate,
    stop: &Stop,
) -> Result<(), Error> {
    let Some(topic) = &table.proof_topic else {
        return Ok(());
    };
    let failed = |words: String| {
        Error::Unusable(format!(
            "the certificate did not get to topic `{topic}`: {words}"
        ))
    };
    // Without this, a record to a topic that is not there would be waited for in vain.
    let found = producer.topics(std::slice::from_ref(topic));
    found.map_err(|error| failed(error.to_string()))?;
    let value = serde_json::to_vec(certificate).unwrap_or_default();
    let record = ProducerRecord {
        topic,
        key: Some(table.name.as_bytes()),
        value: Some(&value),
        headers: &RecordHeaders::new(&[("sn_table", table.name.as_bytes())]),
        own_headers: &[],
    };
    let (wake, woken) = bounded(1);
    let batch = Batch::new(wake);
    let sent = producer.send(&record, &batch, stop, PROOF_ACK_TIMEOUT);
    batch.close();
    sent.map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + PROOF_ACK_TIMEOUT;
    loop {
        match batch.outcome() {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => return Err(failed(error.to_string())),
            None => {}
        }
        crossbeam_channel::select! {
            recv(woken) -> _ => {}
            recv(stop.receiver()) -> _ => return Err(Error::Stopped),
            default(deadline.saturating_duration_since(Instant::now())) => {
                return Err(failed("it was not acknowledged in time".to_owned()));
            }
        }
    }
}
