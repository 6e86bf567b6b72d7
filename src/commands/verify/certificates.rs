//! Certificates: written to a file and to the topic of proofs, and compared with the topic of the table.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use crate::commands::failure::{CommandFailure, ExitResult, exit_code};
use crate::commands::terminal::Terminal;
use crate::config::{Config, TableConfig};
use crate::health::Health;
use crate::kafka::{Batch, Producer, ProducerRecord, RecordHeaders};
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::verify::{self, Certificate, SliceCheck};

/// How long Kafka may take for the record of a certificate.
const PROOF_ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// Writes a certificate to a file.
pub(super) fn write(certificate: &Certificate, file: &Path) -> Result<(), CommandFailure> {
    let text = serde_json::to_string_pretty(certificate).unwrap_or_default();
    fs::write(file, text + "\n").map_err(|error| {
        let words = format!(
            "cannot write the certificate to {}: {error}",
            file.display()
        );
        CommandFailure::new(exit_code::TRY_AGAIN, words)
    })
}

/// Sends a certificate to the topic of proofs, if there is one, and waits until Kafka has it.
pub(super) fn publish(
    config: &Config,
    table: &TableConfig,
    certificate: &Certificate,
    stop: &Stop,
) -> Result<(), CommandFailure> {
    let Some(topic) = &table.proof_topic else {
        return Ok(());
    };
    let failed = |words: String| {
        let words = format!("the certificate did not get to topic `{topic}`: {words}");
        CommandFailure::new(exit_code::TRY_AGAIN, words)
    };
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = Producer::start(&config.kafka, &metrics, &health);
    let producer = producer.map_err(|error| failed(error.to_string()))?;
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
    let (wake, _woken) = bounded(1);
    let batch = Batch::new(wake);
    let sent = producer.send(&record, &batch, stop, PROOF_ACK_TIMEOUT);
    batch.close();
    sent.map_err(|error| failed(error.to_string()))?;
    producer.shutdown(Instant::now() + PROOF_ACK_TIMEOUT);
    match batch.outcome() {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(failed(error.to_string())),
        None => Err(failed("it was not acknowledged in time".to_owned())),
    }
}

/// Compares the topic with a certificate.
pub(super) fn check(
    config: &Config,
    table: &TableConfig,
    file: &Path,
    stop: &Stop,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let unusable = |words: String| {
        let words = format!("the certificate {}: {words}", file.display());
        CommandFailure::new(exit_code::USAGE, words)
    };
    let text = fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let certificate: Certificate =
        serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    let found = verify::check_topic(&config.kafka, table, &certificate, stop)?;
    for (check, slices) in &found {
        let words = match check {
            SliceCheck::Same => "the topic says the same of",
            SliceCheck::Moved => "rows have newer records, so that nothing can be said, in",
            SliceCheck::ThrownAway => {
                "the topic has thrown records away, so that nothing can be said, in"
            }
            SliceCheck::Differs => "the topic says something else of",
        };
        let names: Vec<String> = slices.iter().map(|slice| format!("{slice:02x}")).collect();
        let mut line = format!(
            "{words} {} of {} slices",
            slices.len(),
            certificate.slices.len()
        );
        if *check != SliceCheck::Same {
            line = format!("{line}: {}", names.join(" "));
        }
        terminal.line(&line)?;
    }
    let differs = found.contains_key(&SliceCheck::Differs);
    Ok(if differs {
        exit_code::NOT_AS_ASKED
    } else {
        exit_code::DONE
    })
}
