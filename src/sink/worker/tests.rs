//! A worker with records that need no instance, and with one that it holds.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::bounded;

use super::*;
use crate::config;
use crate::config::SinkTopicConfig;
use crate::health::ConditionKey;
use crate::kafka::{ConsumerRecord, TopicPartition};
use crate::metrics::Metrics;
use crate::servicenow::tests::server::{ClientBench, JSON_HEADER, ScriptedServer, answer, bench};
use crate::sink::RecordContent;
use crate::sink::keyed_queue::KeyedQueue;
use crate::sink::record::{self, IdentityScope};
use crate::sink::task::{PartitionFront, RecordHandle};
use crate::sink::topic_context::HoldReasons;
use crate::sink::write::{RecordWriter, SuccessCounter};
use crate::stop::{self, Stop, StopTrigger};

fn settings() -> config::SinkConfig {
    config::SinkConfig {
        enabled: true,
        concurrency: 1,
        group_id: "g".to_owned(),
        transaction_time: Duration::from_millis(50),
        record_retry_for: Duration::from_millis(1),
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

/// A worker of the topic, its context, the completions that it gives, and what ends it.
fn worker(
    bench: &ClientBench,
    policy: RefusalPolicy,
) -> (
    SinkWorker,
    Arc<TopicContext>,
    Receiver<Completion>,
    StopTrigger,
) {
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
        policy,
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
        last_failure: Cell::default(),
    };
    (worker, topic, done, end)
}

#[test]
fn the_place_of_a_record_is_free_when_its_completion_comes() {
    let server = ScriptedServer::start(|_, _| answer("418 Not Asked", &[], ""));
    let bench = bench(&server, |_| {});
    let (worker, topic, done, end) = worker(&bench, RefusalPolicy::Skip);
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

/// Were it forgotten, a held record would be written anew by each try, as often as it is held.
#[test]
fn a_try_of_a_held_record_knows_that_an_earlier_one_may_have_written_it() {
    let writes = AtomicUsize::new(0);
    let server = ScriptedServer::start(move |_, request| {
        let line = request.line.as_str();
        let failure = |words: &str| {
            format!(r#"{{"error":{{"message":"{words}","detail":null}},"status":"failure"}}"#)
        };
        if line.starts_with("POST") && writes.fetch_add(1, Ordering::Relaxed) == 0 {
            answer("500 Internal Server Error", &[JSON_HEADER], &failure("x"))
        } else if line.starts_with("POST") {
            answer(
                "403 Forbidden",
                &[JSON_HEADER],
                &failure("Operation Failed"),
            )
        } else if line.contains("sysparm_limit=1") {
            answer("200 OK", &[JSON_HEADER], r#"{"result":[]}"#)
        } else {
            answer("404 Not Found", &[JSON_HEADER], &failure("No Record found"))
        }
    });
    let bench = bench(&server, |config| {
        config.retry_backoff = Duration::from_millis(5);
    });
    let (worker, _topic, _done, _end) = worker(&bench, RefusalPolicy::Hold);
    let (lease, leased) = stop::pair();
    let mut task = task(0, &leased);
    task.front.set(Some(0));
    task.record.value = Some(br#"{"a":"1"}"#.to_vec());
    let scope = IdentityScope {
        instance: "i".to_owned(),
        cluster: "c".to_owned(),
    };
    let content = RecordContent::plain(&task.record);
    task.decision = record::parse_action(&task.record, &content, &topic(), &scope);
    let first = worker.attempt(&task);
    assert!(matches!(first, WriteOutcome::Refused(_)), "{first:?}");
    let before = server.seen().len();
    assert!(server.seen()[0].line.starts_with("POST"));
    worker.attempt(&task);
    let line = server.seen()[before].line.clone();
    assert!(line.starts_with("GET"), "{line}");
    // The next owner must know as well.
    drop(lease);
    let completion = worker.hold(task, "why".to_owned());
    assert_eq!(completion.outcome, TaskOutcome::Abandoned);
}
