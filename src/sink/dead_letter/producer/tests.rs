//! Letters that Kafka does not take.

use std::time::Instant;

use super::*;
use crate::config::{Compression, KafkaConfig};
use crate::health::{ConditionKey, Health};
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::sink::refusal::{Refusal, RefusalKind};
use crate::sink::task::{PartitionFront, RecordHandle};
use crate::stop;

/// Letters of more than a thousand bytes are refused; for others there is no broker.
fn kafka() -> KafkaConfig {
    KafkaConfig {
        brokers: vec!["127.0.0.1:1".to_owned()],
        compression: Compression::None,
        linger: Duration::from_millis(5),
        queue_bytes: 1 << 20,
        max_message_bytes: 1000,
        ..KafkaConfig::default()
    }
}

/// A record whose letter is too large even without it.
fn refused(lease: &Stop) -> RefusedRecord {
    let topic: Arc<str> = Arc::from("in");
    let refusal = Refusal::unsent(RefusalKind::InvalidJson, "x".repeat(2000));
    let job = SinkTask {
        record: ConsumerRecord {
            topic: Arc::clone(&topic),
            partition: 0,
            offset: 7,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            unreadable_headers: false,
        },
        decision: Err(refusal.clone()),
        ordering_key: None,
        possibly_written_before: None,
        lease: lease.clone(),
        front: PartitionFront::new(),
        handle: RecordHandle {
            partition: TopicPartition { topic, number: 0 },
            offset: 7,
            epoch: 1,
            topic: 0,
            bytes: 0,
        },
    };
    RefusedRecord {
        task: job,
        table: "incident".to_owned(),
        refusal,
    }
}

fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_letter_of_a_revoked_partition_is_no_trouble() {
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = Producer::start(&kafka(), &metrics, &Arc::new(Health::new())).unwrap();
    let (refused_in, refused_out) = bounded(1);
    let (done_in, done) = bounded(1);
    let (end, stop) = stop::pair();
    let condition = health.condition(ConditionKey::DeadLetters, "");
    condition.ok();
    let letters = DeadLetterProducer {
        topic: "dead".to_owned(),
        producer: Arc::new(producer),
        refused: refused_out,
        done: done_in,
        metrics,
        condition,
        heartbeat: health.thread("dead-letters"),
        stop,
    };
    let thread = std::thread::Builder::new()
        .spawn(move || letters.run())
        .unwrap();
    let (lease, leased) = stop::pair();
    refused_in.send(refused(&leased)).unwrap();
    wait_for("the trouble", || !health.readiness().ok);
    let said = health.readiness().lines.concat();
    assert!(
        said.starts_with("dead letters: dead letters cannot be written: the record has"),
        "{said}"
    );
    drop(lease);
    let told = done.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(told.outcome, TaskOutcome::NotStarted);
    wait_for("its end", || health.readiness().ok);
    drop(end);
    thread.join().unwrap();
}
