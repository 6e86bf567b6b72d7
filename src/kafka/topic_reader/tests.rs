//! Reading and marking against librdkafka's mock cluster.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use real_kafka::Embedded;

use super::*;
use crate::config::Compression;
use crate::health::Health;
use crate::kafka::{Batch, Producer, ProducerRecord, RecordHeaders, ReplayProgress};
use crate::metrics::Metrics;
use crate::stop::{self, StopTrigger};

const GROUP: &str = "g-dead-letters";

fn config(bootstrap: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: vec![bootstrap.to_owned()],
        compression: Compression::None,
        linger: Duration::from_millis(1),
        ..KafkaConfig::default()
    }
}

/// A topic `t` of two partitions with these keys and values in it, and what reads it.
fn topic(records: &[(&str, Option<&[u8]>)]) -> (Embedded, KafkaConfig, TopicReader) {
    let kafka = Embedded::start(2).unwrap();
    kafka.create_topic("t").unwrap();
    let config = config(kafka.bootstrap());
    fill(&config, records);
    let browser = TopicReader::new(&config, GROUP).unwrap();
    (kafka, config, browser)
}

fn fill(config: &KafkaConfig, records: &[(&str, Option<&[u8]>)]) {
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let producer = Producer::start(config, &metrics, &health).unwrap();
    let (_trigger, stop) = running();
    let batch = Batch::new(crossbeam_channel::bounded(1).0);
    let headers =
        RecordHeaders::copied(&[("a".to_owned(), None), ("b".to_owned(), Some(vec![0xff]))]);
    for (key, value) in records {
        let record = ProducerRecord {
            topic: "t",
            key: Some(key.as_bytes()),
            value: *value,
            headers: &headers,
            own_headers: &[],
        };
        producer
            .send(&record, &batch, &stop, READER_QUERY_TIMEOUT)
            .unwrap();
    }
    batch.close();
    assert_eq!(producer.shutdown(Instant::now() + READER_QUERY_TIMEOUT), 0);
    assert_eq!(batch.outcome(), Some(Ok(())));
}

fn running() -> (StopTrigger, Stop) {
    stop::pair()
}

fn all(browser: &TopicReader, ranges: &BTreeMap<i32, Range<i64>>) -> Vec<ConsumerRecord> {
    let (_trigger, stop) = running();
    let mut records = Vec::new();
    let visit = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    browser.read_ranges("t", ranges, &stop, visit).unwrap();
    records
}

#[test]
fn reads_what_is_there_and_no_more() {
    let values: Vec<String> = (0..50).map(|number| format!("v{number}")).collect();
    let records: Vec<(&str, Option<&[u8]>)> = values
        .iter()
        .map(|value| (value.as_str(), Some(value.as_bytes())))
        .collect();
    let (_kafka, config, browser) = topic(&records);
    let partitions = browser.partitions("t").unwrap();
    let count = |range: &Range<i64>| usize::try_from(range.end - range.start).unwrap();
    assert_eq!(partitions.values().map(count).sum::<usize>(), 50);
    fill(
        &config,
        &[("later", None), ("latest", None), ("last", None)],
    );

    let records = all(&browser, &partitions);
    let places: Vec<(i32, i64)> = records
        .iter()
        .map(|record| (record.partition, record.offset))
        .collect();
    assert!(places.is_sorted() && places.len() == 50, "{places:?}");
    let record = &records[7];
    assert_eq!(record.key, record.value);
    assert!(record.timestamp.is_some());
    let headers = [("a".to_owned(), None), ("b".to_owned(), Some(vec![0xff]))];
    assert_eq!(record.headers, headers);

    let (first, range) = partitions.first_key_value().unwrap();
    let some = BTreeMap::from([(*first, range.start + 3..range.start + 5)]);
    let offsets: Vec<i64> = all(&browser, &some).iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [3, 4]);

    let (_trigger, stop) = running();
    let found = browser.record("t", *first, 4, &stop).unwrap().unwrap();
    assert_eq!(found.offset, 4);
    assert_eq!(browser.record("t", *first, 4000, &stop).unwrap(), None);
}

#[test]
fn a_visit_may_break_and_a_stop_ends_it() {
    let (_kafka, _config, browser) = topic(&[("a", None), ("b", None), ("c", None)]);
    let partitions = browser.partitions("t").unwrap();
    let (trigger, stop) = running();
    let mut seen = 0;
    let once = |_: ConsumerRecord| {
        seen += 1;
        ControlFlow::Break(())
    };
    browser.read_ranges("t", &partitions, &stop, once).unwrap();
    assert_eq!(seen, 1);
    drop(trigger);
    let never = |_: ConsumerRecord| panic!("is stopped");
    browser.read_ranges("t", &partitions, &stop, never).unwrap();
}

#[test]
fn errors_say_what_is_wrong() {
    let (kafka, _config, browser) = topic(&[]);
    let error = browser.partitions("other").unwrap_err().to_string();
    assert!(error.starts_with("kafka: no such topic: other;"), "{error}");
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    kafka
        .with(move |cluster| {
            cluster.request_errors(RDKafkaApiKey::ListOffsets, &[denied; 4]);
        })
        .unwrap();
    let error = browser.partitions("t").unwrap_err().to_string();
    assert_eq!(
        error,
        "kafka: not allowed to use topic t; grant the Kafka user Describe and Read on the topic"
    );
}

#[test]
fn progress_is_read_back() {
    let (_kafka, config, browser) = topic(&[("a", None), ("a", None), ("a", None), ("a", None)]);
    let partitions = browser.partitions("t").unwrap();
    let (partition, _) = partitions.iter().find(|(_, range)| range.end == 4).unwrap();
    let load = || ReplayProgress::load(&config, GROUP, "t", &partitions).unwrap();
    let mut marks = load();
    assert!(!marks.is_done(*partition, 0) && marks.lowest_open(*partition) == 0);
    marks.mark_done(*partition, 0..1);
    marks.mark_done(*partition, 2..3);
    marks.commit().unwrap();
    marks.commit().unwrap();

    let marks = load();
    let done: Vec<bool> = (0..4)
        .map(|offset| marks.is_done(*partition, offset))
        .collect();
    assert_eq!(done, [true, false, true, false]);
    assert_eq!(marks.lowest_open(*partition), 1);
    marks.check_room(&[(*partition, 1)]).unwrap();
    let scattered: Vec<(i32, i64)> = (0..3000)
        .map(|number| (*partition, 5 + 2 * number))
        .collect();
    let error = marks.check_room(&scattered).unwrap_err().to_string();
    assert!(error.contains("replay or drop older ones first"), "{error}");
}

#[test]
fn a_commit_that_is_refused_says_so() {
    let (kafka, config, browser) = topic(&[("a", None)]);
    let partitions = browser.partitions("t").unwrap();
    let mut marks = ReplayProgress::load(&config, GROUP, "t", &partitions).unwrap();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    kafka
        .with(move |cluster| cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[denied]))
        .unwrap();
    marks.mark_done(0, 0..1);
    let error = marks.commit().unwrap_err().to_string();
    assert!(error.contains("consumer group g-dead-letters"), "{error}");
    marks.commit().unwrap();
}

#[test]
fn no_broker_answers() {
    let browser = TopicReader::new(&config("127.0.0.1:9"), GROUP).unwrap();
    let error = browser.partitions("t").unwrap_err().to_string();
    assert!(
        error.starts_with("kafka: no answer from 127.0.0.1:9: "),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
}
