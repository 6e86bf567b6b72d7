//! Reads a partition up to the end that it has now, committed records only.
//!
//! Records of a transaction that is still open hold back what stands behind them (the last stable offset).
//! So the end is asked for without regard to transactions, and a reading waits until it may see up to there:
//! a reader that took the last stable offset for the end would miss records that are committed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::Consumer as _;

use super::client_settings::{CLIENT_ID, ClientSettings};
use super::consumer_record::ConsumerRecord;
use super::read_error::TopicReadError;
use super::reader_client::{READER_QUERY_TIMEOUT, ReaderClient, ReaderContext};
use super::topic_reader::TopicReader;
use crate::config::KafkaConfig;
use crate::stop::Stop;

/// How long a transaction of another writer is waited for: Kafka aborts it after `transaction.timeout.ms`,
/// which is a minute for most clients.
const OPEN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause between two looks whether it is over.
const OPEN_TRANSACTION_RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Gives each committed record of a partition to `visit`, up to the end that the partition has when this is
/// called.
///
/// # Errors
/// Kafka refuses or does not answer, a transaction stays open for 90 s, or `stop` was given.
pub fn read_committed_to_end(
    config: &KafkaConfig,
    (topic, partition): (&str, i32),
    stop: &Stop,
    mut visit: impl FnMut(ConsumerRecord),
) -> Result<(), TopicReadError> {
    let end = high_watermark(config, topic, partition)?;
    let reader = TopicReader::new(config, CLIENT_ID)?;
    let deadline = Instant::now() + OPEN_TRANSACTION_TIMEOUT;
    let start = loop {
        let ranges = reader.partitions(topic)?;
        let stable = ranges.get(&partition).cloned().unwrap_or(0..0);
        if stable.end >= end {
            break stable.start;
        }
        if Instant::now() >= deadline {
            return Err(TopicReadError::Refused(format!(
                "a transaction of another writer to topic {topic} stays open"
            )));
        }
        if stop.wait(OPEN_TRANSACTION_RECHECK_INTERVAL) {
            break 0;
        }
    };
    reader.read_ranges(
        topic,
        &BTreeMap::from([(partition, start..end)]),
        stop,
        |record| {
            visit(record);
            ControlFlow::Continue(())
        },
    )?;
    if stop.is_stopped() {
        return Err(TopicReadError::Refused("stopped while reading".to_owned()));
    }
    Ok(())
}

/// The offset behind the last record of a partition, committed or not.
fn high_watermark(
    config: &KafkaConfig,
    topic: &str,
    partition: i32,
) -> Result<i64, TopicReadError> {
    let settings = ClientSettings::uncommitted_reader(config)?;
    let context = ReaderContext::new(settings.clone(), CLIENT_ID);
    let client = ReaderClient::from_config_and_context(&settings.client, context);
    let client = client.map_err(|error| settings.creation_error(error))?;
    let ends = client.fetch_watermarks(topic, partition, READER_QUERY_TIMEOUT);
    let (_, high) = ends.map_err(|error| {
        // Serves librdkafka's events, one of which may say why there is no connection.
        drop(client.poll(Duration::ZERO));
        client.context().read_error(&error, topic)
    })?;
    Ok(high)
}
