//! A worker with records that need no instance.

use crossbeam_channel::bounded;

use super::*;
use crate::config::{CreateId, OnMissing, SinkOperation, SinkTopic};
use crate::kafka::{Partition, Received};
use crate::metrics::Metrics;
use crate::servicenow::tests::server::{Server, answer, bench};
use crate::sink::task::Ticket;
use crate::sink::keyed_queue::Lanes;
use crate::sink::topic_context::Troubles;
use crate::sink::write::{Pulse, Writer};
use crate::{config, stop};

fn settings() -> config::Sink {
    config::Sink {
        enabled: true,
        topics: Vec::new(),
        concurrency: 1,
        dlq_topic: None,
        group_id: "g".to_owned(),
        commit_on_partial_failure: true,
        on_error: config::OnError::Hold,
        retry_for: None,
        record_retry_for: Duration::from_secs(60),
        transaction_time: Duration::from_secs(60),
    }
}

fn topic() -> SinkTopic {
    SinkTopic {
        topic: "in".to_owned(),
        table: "incident".to_owned(),
        concurrency: 1,
        format: config::SinkFormat::Auto,
        key_format: config::SinkKeyFormat::Auto,
        operation: SinkOperation::Auto,
        key_field: None,
        fields: Vec::new(),
        nulls: config::Nulls::Clear,
        deletes: false,
        on_missing: OnMissing::DeadLetter,
        create_id: CreateId::Record,
    }
}

/// A record that is passed over.
fn job(offset: i64, lease: &Stop) -> Job {
    let name: Arc<str> = Arc::from("in");
    Job {
        record: Received {
            topic: Arc::clone(&name),
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            unreadable_headers: false,
        },
        decision: Ok(Decision::Skip("tombstone")),
        lane: Some(7),
        suspect: None,
        lease: lease.clone(),
        ticket: Ticket {
            partition: Partition {
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
fn the_place_of_a_record_is_free_when_it_is_told_done() {
    let server = Server::start(|_, _| answer("418 Not Asked", &[], ""));
    let bench = bench(&server, |_| {});
    let metrics = Arc::new(Metrics::new());
    let (lanes, queue) = Lanes::new(1);
    let (done_in, done) = bounded(1);
    let client = Arc::clone(&bench.client);
    let pulse = Arc::new(Pulse::default());
    let writer = Writer::new(client, "/api/now/table", &topic(), &settings(), pulse);
    let condition = bench.health.condition("sink in", "");
    let topic = Arc::new(Topic {
        name: Arc::from("in"),
        config: topic(),
        lanes,
        writer,
        policy: Policy::Skip,
        done: done_in,
        metrics: Arc::clone(&metrics),
        troubles: Troubles::new(condition, metrics.sink_held.with(&["in"])),
    });
    let (end, stop) = stop::pair();
    let worker = Worker {
        number: 0,
        topic: Arc::clone(&topic),
        queue,
        abandon: stop.clone(),
        stop,
        heartbeat: bench.health.thread("w0"),
        failed: Cell::new(false),
    };
    let thread = std::thread::Builder::new()
        .spawn(move || worker.run())
        .unwrap();
    let (_lease, leased) = stop::pair();
    for offset in 0..20_000 {
        let put = topic.lanes.put(Some(7), job(offset, &leased));
        assert!(put.is_ok(), "there is no room for record {offset}");
        let told = done.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!((told.ticket.offset, told.end), (offset, End::Finished));
    }
    drop(end);
    thread.join().unwrap();
}
