//! Certificates: written to a file and to the topic of proofs, and compared with the topic of the table.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::commands::failure::{CommandFailure, ExitResult, exit_code};
use crate::commands::terminal::Terminal;
use crate::config::{Config, TableConfig};
use crate::health::Health;
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::verify::{self, Certificate, PROOF_ACK_TIMEOUT, SliceCheck};

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
    if table.proof_topic.is_none() {
        return Ok(());
    }
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = Producer::start(&config.kafka, &metrics, &health)
        .map_err(|error| CommandFailure::new(exit_code::CONFIGURATION, error))?;
    let published = verify::publish(&producer, table, certificate, stop);
    producer.shutdown(Instant::now() + PROOF_ACK_TIMEOUT);
    Ok(published?)
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
