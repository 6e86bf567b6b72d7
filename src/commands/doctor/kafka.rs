//! Kafka: brokers and topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::finding::FindingArea;
use super::report::FindingReport;
use crate::config::Config;
use crate::health::Health;
use crate::kafka::{self, Producer};
use crate::metrics::Metrics;
use crate::stop::Stop;

pub(super) fn examine(config: &Config, _stop: &Stop, report: &mut FindingReport<'_, '_>) {
    // A look must not make topics.
    let mut settings = config.kafka.clone();
    settings.create_topics = None;
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = match Producer::start(&settings, &metrics, &health) {
        Ok(producer) => producer,
        Err(error) => return report.add(FindingArea::Kafka.error("client", &error)),
    };
    look_up_topics(config, &producer, report);
    producer.shutdown(Instant::now() + Duration::from_secs(1));
}

fn look_up_topics(config: &Config, producer: &Producer, report: &mut FindingReport<'_, '_>) {
    let mut topics = config.topics();
    let mut found = producer.topics(&topics);
    if let Err(kafka::Error::MissingTopics(missing)) = &found
        && let Some(how) = &config.kafka.create_topics
    {
        for topic in missing {
            let seen = format!(
                "does not exist yet; `run` makes it with {} partitions (kafka.create_topics)",
                how.partitions
            );
            report.add(FindingArea::Kafka.ok(format!("topic {topic}"), seen));
        }
        topics.retain(|topic| !missing.contains(topic));
        found = producer.topics(&topics);
    }
    match found {
        Ok(topics) => {
            let words = topics
                .iter()
                .map(|topic| format!("{} ({} partitions)", topic.name, topic.partitions));
            let list: Vec<String> = words.collect();
            let list = match list.join(", ") {
                none if none.is_empty() => "none yet".to_owned(),
                list => list,
            };
            report.add(FindingArea::Kafka.ok("topics", list));
        }
        Err(error) => report.add(FindingArea::Kafka.error("topics", &error)),
    }
}
