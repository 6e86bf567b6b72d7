//! A worker with records that need no instance.

use crossbeam_channel::bounded;

use super::*;
use crate::config;
use crate::config::SinkTopicConfig;
use crate::health::ConditionKey;
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::metrics::Metrics;
use crate::servicenow::tests::server::{ScriptedServer, answer, bench};
use crate::sink::keyed_queue::KeyedQueue;
use crate::sink::task::{PartitionFront, RecordHandle};
use crate::sink::topic_context::HoldReasons;
use crate::sink::write::{RecordWriter, SuccessCounter};
use crate::stop::{self, Stop};

fn settings() -> config::SinkConfig {
    config::SinkConfig {
        enabled: true,
        concurrency: 1,
        group_id: "g".to_owned(),
        ..config::SinkConfig::default()
    }
}

fn topic() -> SinkTopicConfig {
    SinkTopicConfig {
        topic: "in".to_owned(),
        table: "incident".to_owned(),
        concurrency: 1,
        ..SinkTopicConfig::default()
    }
}

/// A record that is passed over.
fn task(offset: i64, lease: &Stop) -> SinkTask {
    let name: Arc<str> = Arc::from("in");
    SinkTask {
        record: ConsumerRecord {
            topic: Arc::clone(&name),
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            unreadable_headers: false,
        },
        decision: Ok(RecordAction::Skip(SkipReason::Tombstone)),
        ordering_key: Some(7),
        possibly_written_before: None,
        lease: lease.clone(),
        front: PartitionFront::new(),
        handle: RecordHandle {
            partition: TopicPartition {
                topic: name,
                number: 0,
            },
            offset,
            epoch: 1,
            topic: 0,
            bytes: 0,
        },
    }
}

#[test]
fn the_place_of_a_record_is_free_when_its_completion_comes() {
    let server = ScriptedServer::start(|_, _| answer("418 Not Asked", &[], ""));
    let bench = bench(&server, |_| {});
    let metrics = Arc::new(Metrics::new());
    let (queue, ready) = KeyedQueue::new(1);
    let (done_in, done) = bounded(1);
    let client = Arc::clone(&bench.client);
    let pulse = Arc::new(SuccessCounter::default());
    let writer = RecordWriter::new(client, "/api/now/table", &topic(), &settings(), pulse);
    let condition = bench
        .health
        .condition(ConditionKey::SinkTopic("in".to_owned()), "");
    let topic = Arc::new(TopicContext {
        name: Arc::from("in"),
        config: topic(),
        queue,
        writer,
        policy: RefusalPolicy::Skip,
        completions: done_in,
        metrics: Arc::clone(&metrics),
        hold_reasons: HoldReasons::new(condition, metrics.sink_held.with(&["in"])),
    });
    let (end, stop) = stop::pair();
    let worker = SinkWorker {
        number: 0,
        topic: Arc::clone(&topic),
        queue: ready,
        signals: StopSignals {
            abandon: stop.clone(),
            stop,
        },
        heartbeat: bench.health.thread("w0"),
        failed: Cell::new(false),
    };
    let thread = std::thread::Builder::new()
        .spawn(move || worker.run())
        .unwrap();
    let (_lease, leased) = stop::pair();
    for offset in 0..20_000 {
        let put = topic.queue.push(Some(7), task(offset, &leased));
        assert!(put.is_ok(), "there is no room for record {offset}");
        let told = done.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!(
            (told.handle.offset, told.outcome),
            (offset, TaskOutcome::Finished)
        );
    }
    drop(end);
    thread.join().unwrap();
}
