//! The producer against librdkafka's mock cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use real_kafka::Embedded;

use super::*;
use crate::config::Secret;
use crate::kafka::RecordHeaders;
use crate::metrics::Metrics;

const SOON: Duration = Duration::from_secs(20);

fn config(bootstrap: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: vec![bootstrap.to_owned()],
        linger: Duration::from_millis(5),
        ..KafkaConfig::default()
    }
}

struct Bench {
    producer: Producer,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: Stop,
    trigger: Option<StopTrigger>,
    batch: Arc<Batch>,
    woken: Receiver<()>,
}

fn bench(config: &KafkaConfig) -> Bench {
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = Producer::start(config, &metrics, &health).unwrap();
    let (trigger, stop) = stop::pair();
    let (wake, woken) = bounded(1);
    Bench {
        producer,
        metrics,
        health,
        stop,
        trigger: Some(trigger),
        batch: Batch::new(wake),
        woken,
    }
}

impl Bench {
    fn send(&self, topic: &str, key: Option<&str>, value: &[u8]) -> Result<(), SendError> {
        let record = ProducerRecord {
            topic,
            key: key.map(str::as_bytes),
            value: Some(value),
            headers: &RecordHeaders::default(),
            own_headers: &[],
        };
        self.producer.send(&record, &self.batch, &self.stop, SOON)
    }

    fn outcome(&self) -> Result<(), DeliveryError> {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if let Some(outcome) = self.batch.outcome() {
                return outcome;
            }
            self.woken.recv_deadline(deadline).ok();
        }
        panic!("the batch was not done in time");
    }
}

/// Waits for something that comes by itself.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn records_arrive_with_headers_and_the_batch_is_done() {
    let kafka = Embedded::start(2).unwrap();
    kafka.create_topic("t").unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    let headers = RecordHeaders::new(&[("sn_table", b"incident"), ("sn_operation", b"upsert")]);
    for number in 0..1000 {
        let (key, value) = (format!("key{number}"), format!("value{number}"));
        let record = ProducerRecord {
            topic: "t",
            key: Some(key.as_bytes()),
            value: (number != 7).then_some(value.as_bytes()),
            headers: &headers,
            own_headers: &[],
        };
        let sent = bench
            .producer
            .send(&record, &bench.batch, &bench.stop, SOON);
        assert_eq!(sent, Ok(()));
    }
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
    assert!(bench.batch.is_done());
    assert_eq!(
        bench.metrics.produce_latency.count(),
        1,
        "one sample a batch"
    );

    let records = kafka.reader().read_to_end("t", SOON).unwrap();
    let values: HashMap<String, String> = records
        .iter()
        .map(|record| (record.key_text(), record.value_text()))
        .collect();
    assert_eq!((records.len(), values.len()), (1000, 1000));
    assert_eq!(values["key999"], "value999");
    for record in records {
        assert_eq!(record.header("sn_table").unwrap(), "incident");
        assert_eq!(record.header("sn_operation").unwrap(), "upsert");
        assert_eq!(
            record.value.is_none(),
            record.key_text() == "key7",
            "tombstone"
        );
    }
    assert_eq!(bench.producer.shutdown(Instant::now() + SOON), 0);
}

/// Java's `Utils.murmur2`, from the tests of Apache Kafka: a key goes to
/// `(hash & 0x7fffffff) % partitions`, as with the Go program.
#[test]
fn keys_go_to_the_partitions_of_java_and_go() {
    let vectors: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        ("abc", 479_470_107),
    ];
    const PARTITIONS: i32 = 97;
    let kafka = Embedded::start(PARTITIONS).unwrap();
    kafka.create_topic("t").unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    for (key, _) in vectors {
        bench.send("t", Some(key), b"x").unwrap();
    }
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
    let records = kafka.reader().read_to_end("t", SOON).unwrap();
    assert_eq!(records.len(), vectors.len());
    for record in records {
        let (_, hash) = vectors
            .iter()
            .find(|(key, _)| *key == record.key_text())
            .unwrap();
        let expected = (hash & 0x7fff_ffff) % PARTITIONS;
        assert_eq!(record.partition, expected, "{}", record.key_text());
    }
}

#[test]
fn records_without_a_key_are_spread() {
    let kafka = Embedded::start(4).unwrap();
    kafka.create_topic("t").unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    bench.producer.topics(&["t".to_owned()]).unwrap();
    for _ in 0..200 {
        bench.send("t", None, b"x").unwrap();
        std::thread::park_timeout(Duration::from_millis(1));
    }
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
    let records = kafka.reader().read_to_end("t", SOON).unwrap();
    let first = records[0].partition;
    assert!(records.iter().any(|record| record.partition != first));
}

#[test]
fn a_full_queue_blocks_until_it_has_drained() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let mut config = config(kafka.bootstrap());
    config.queue_bytes = 64 << 10;
    config.max_message_bytes = 20_000;
    let bench = bench(&config);
    let body = vec![b'x'; 2000];
    for number in 0..1000 {
        bench.send("t", Some(&number.to_string()), &body).unwrap();
        // 64 KiB are 32 records; reports that wait to be served are counted as well.
        assert!(bench.producer.queued() < 100);
    }
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
    assert_eq!(kafka.reader().count("t").unwrap(), 1000);
}

#[test]
fn a_queue_that_stays_full_is_an_error_and_a_stop_ends_the_wait() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let mut config = config(kafka.bootstrap());
    config.queue_bytes = 64 << 10;
    config.max_message_bytes = 20_000;
    let mut bench = bench(&config);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let (body, headers) = (vec![b'x'; 2000], RecordHeaders::default());
    let record = ProducerRecord {
        topic: "t",
        key: None,
        value: Some(&body),
        headers: &headers,
        own_headers: &[],
    };
    let send = |stop: &Stop, time| {
        let mut sent = 0;
        loop {
            match bench.producer.send(&record, &bench.batch, stop, time) {
                Ok(()) => sent += 1,
                Err(error) => return (sent, error),
            }
        }
    };
    assert_eq!(
        send(&bench.stop, Duration::from_millis(200)),
        (32, SendError::Full)
    );
    let trigger = bench.trigger.take();
    let start = Instant::now();
    let waiter = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| send(&bench.stop, Duration::from_secs(600)));
        std::thread::park_timeout(Duration::from_millis(100));
        drop(trigger);
        waiter.join().unwrap()
    });
    assert_eq!(waiter, (0, SendError::Stopped));
    assert!(start.elapsed() < SOON);

    // What cannot be delivered is counted and fails its batch.
    bench.batch.close();
    let start = Instant::now();
    assert_eq!(
        bench
            .producer
            .shutdown(Instant::now() + Duration::from_millis(300)),
        32
    );
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let error = bench.outcome().unwrap_err();
    assert!(!error.permanent && bench.batch.is_done(), "{error}");
    let sent = bench
        .producer
        .send(&record, &bench.batch, &bench.stop, SOON);
    assert_eq!(sent, Err(SendError::Stopped));
}

#[test]
fn a_record_over_the_limit_is_refused_and_leaves_no_trace_in_the_batch() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let mut config = config(kafka.bootstrap());
    config.max_message_bytes = 2000;
    let bench = bench(&config);
    let refused = bench.send("t", Some("key"), &[b'x'; 2000]).unwrap_err();
    assert_eq!(
        refused,
        SendError::TooLarge {
            bytes: 2003,
            limit: 2000
        }
    );
    bench.send("t", Some("key"), b"small").unwrap();
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
}

#[test]
fn a_batch_the_broker_refuses_fails_for_good() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let too_large = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE];
    kafka
        .with(move |cluster| cluster.request_errors(RDKafkaApiKey::Produce, &too_large))
        .unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    bench.send("t", Some("key"), b"x").unwrap();
    bench.batch.close();
    let error = bench.outcome().unwrap_err();
    assert!(
        error.permanent && error.code == "MessageSizeTooLarge",
        "{error}"
    );
    assert_eq!(bench.metrics.produce_errors.with(&["t"]).get(), 1);
}

#[test]
fn passing_errors_of_the_broker_are_not_seen() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    kafka
        .with(move |cluster| cluster.request_errors(RDKafkaApiKey::Produce, &passing))
        .unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    for number in 0..500 {
        bench.send("t", Some(&number.to_string()), b"x").unwrap();
    }
    bench.batch.close();
    assert_eq!(bench.outcome(), Ok(()));
    assert_eq!(
        kafka.reader().count("t").unwrap(),
        500,
        "no duplicates either"
    );
}

#[test]
fn after_a_fatal_error_the_batch_fails_and_a_new_client_works() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    kafka
        .with(move |cluster| cluster.request_errors(RDKafkaApiKey::InitProducerId, &refused))
        .unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    let error = match bench.send("t", Some("key"), b"x") {
        Ok(()) => {
            bench.batch.close();
            bench.outcome().unwrap_err()
        }
        Err(SendError::Rejected(error)) => error,
        Err(other) => panic!("{other}"),
    };
    assert!(
        error.to_string().starts_with("produce to topic t: "),
        "{error}"
    );
    eventually("a new client takes records", || {
        let (wake, woken) = bounded(1);
        let batch = Batch::new(wake);
        let headers = RecordHeaders::default();
        let record = ProducerRecord {
            topic: "t",
            key: None,
            value: Some(b"y"),
            headers: &headers,
            own_headers: &[],
        };
        if bench
            .producer
            .send(&record, &batch, &bench.stop, SOON)
            .is_err()
        {
            return false;
        }
        batch.close();
        woken.recv_timeout(SOON).unwrap();
        batch.outcome() == Some(Ok(()))
    });
    eventually("ready again", || bench.health.readiness().ok);
}

#[test]
fn readiness_follows_the_broker() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    let lines = bench.health.readiness().lines;
    assert!(
        lines.is_empty() || lines[0] == "kafka: no broker has answered yet",
        "{lines:?}"
    );
    eventually("ready", || bench.health.readiness().ok);
    assert!(bench.metrics.kafka_connected.get() == 1.0);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    eventually("not ready", || !bench.health.readiness().ok);
    assert!(bench.metrics.kafka_connected.get() == 0.0);
    let lines = bench.health.readiness().lines;
    assert!(
        lines[0].starts_with("kafka: no broker answers: "),
        "{lines:?}"
    );
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    eventually("ready again", || bench.health.readiness().ok);
    assert!(bench.health.liveness(Instant::now()).ok);
}

#[test]
fn missing_topics_are_named() {
    let kafka = Embedded::start(3).unwrap();
    kafka.create_topic("there").unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    let there = TopicInfo {
        name: "there".to_owned(),
        partitions: 3,
    };
    assert_eq!(
        bench.producer.topics(&["there".to_owned()]).unwrap(),
        [there]
    );
    let names = ["there", "not.there"].map(str::to_owned);
    let error = bench.producer.topics(&names).unwrap_err();
    assert!(error.is_retryable());
    let expected = "kafka: no such topic: not.there; create it ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn a_record_for_a_missing_topic_fails_with_words() {
    let kafka = Embedded::start(1).unwrap();
    let mut config = config(kafka.bootstrap());
    let propagation = "topic.metadata.propagation.max.ms".to_owned();
    config.properties.push((propagation, Secret::new("500")));
    let bench = bench(&config);
    let error = match bench.send("missing", Some("key"), b"x") {
        Ok(()) => {
            bench.batch.close();
            bench.outcome().unwrap_err()
        }
        Err(SendError::Rejected(error)) => error,
        Err(other) => panic!("{other}"),
    };
    assert!(error.permanent, "{error}");
    assert!(
        error
            .to_string()
            .contains("the topic does not exist; create it"),
        "{error}"
    );
}

#[test]
fn a_shutdown_does_not_wait_for_the_linger() {
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    let mut config = config(kafka.bootstrap());
    config.linger = Duration::from_secs(30);
    let bench = bench(&config);
    bench.send("t", Some("key"), b"x").unwrap();
    bench.batch.close();
    let start = Instant::now();
    assert_eq!(bench.producer.shutdown(Instant::now() + SOON), 0);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.batch.outcome(), Some(Ok(())));
    assert_eq!(
        bench.producer.shutdown(Instant::now()),
        0,
        "twice is harmless"
    );
}

#[test]
fn nothing_is_left_behind_when_nothing_was_sent() {
    let kafka = Embedded::start(1).unwrap();
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let bench = bench(&config(kafka.bootstrap()));
    eventually("the reason is known", || {
        bench
            .health
            .readiness()
            .lines
            .concat()
            .contains("no broker answers")
    });
    assert_eq!(bench.producer.shutdown(Instant::now()), 0);
}
