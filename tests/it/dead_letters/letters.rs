//! A dead letter topic on the shared broker, with what is put into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use real_kafka::{Broker, Record, shared};
use servicenow_kafka_bridge::config::KafkaConfig;
use servicenow_kafka_bridge::health::Health;
use servicenow_kafka_bridge::kafka::{
    Batch, ConsumerRecord, Producer, ProducerRecord as Native, RecordHeaders,
};
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::sink::{DeadLetter, Refusal, RefusalKind};
use servicenow_kafka_bridge::stop;
use tempfile::TempDir;

use crate::support::LONG;
use crate::support::config::Config;

/// The create id of the letters here.
pub(crate) const ID: &str = "00112233445566778899aabbccddeeff";

/// Key, value, headers.
type Put<'a> = (
    Option<&'a [u8]>,
    Option<&'a [u8]>,
    &'a [(String, Option<Vec<u8>>)],
);

/// Topics of one test, and a configuration that names them.
pub(crate) struct Rig {
    broker: &'static Broker,
    folder: TempDir,
    /// The topic of the sink.
    pub(crate) topic: String,
    /// The dead letter topic, of one partition.
    pub(crate) letters: String,
}

impl Rig {
    pub(crate) fn new(name: &str) -> Rig {
        let broker = shared().unwrap();
        let rig = Rig {
            broker,
            folder: tempfile::tempdir().unwrap(),
            topic: format!("{name}.incident"),
            letters: format!("{name}.letters"),
        };
        broker.create_topic(&rig.topic, 3, &[]).unwrap();
        broker.create_topic(&rig.letters, 1, &[]).unwrap();
        let config = Config::new("http://127.0.0.1:9", &broker.plain_addr())
            .consume(&rig.topic, "incident", name)
            .sink(&format!("dlq_topic: {}", rig.letters));
        config.write(rig.folder());
        rig
    }

    /// A configuration with these lines in its `sink` section.
    pub(crate) fn config(&self, sink: &str) -> Config {
        let mut config = Config::new("http://127.0.0.1:9", &self.broker.plain_addr());
        config.top = format!("sink:\n  {sink}");
        config
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts letters into the dead letter topic as the sink does.
    pub(crate) fn put(&self, letters: &[DeadLetter]) {
        let texts: Vec<Vec<u8>> = letters.iter().map(DeadLetter::encode).collect();
        let headers: Vec<_> = letters.iter().map(DeadLetter::headers).collect();
        let parts = letters.iter().zip(&texts).zip(&headers);
        let records: Vec<Put<'_>> = parts
            .map(|((letter, text), headers)| {
                (
                    letter.key.as_deref(),
                    Some(text.as_slice()),
                    headers.as_slice(),
                )
            })
            .collect();
        self.produce(&self.letters, &records);
    }

    /// Puts anything into the dead letter topic.
    pub(crate) fn put_raw(&self, key: &[u8], value: &[u8]) {
        self.produce(&self.letters, &[(Some(key), Some(value), &[])]);
    }

    /// Puts letters into the dead letter topic, each in a transaction that is committed or not.
    pub(crate) fn put_in_transactions(&self, letters: &[(DeadLetter, bool)]) {
        use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
        let producer: BaseProducer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", self.broker.plain_addr())
            .set("transactional.id", &self.letters)
            .create()
            .unwrap();
        producer.init_transactions(LONG).unwrap();
        for (letter, commit) in letters {
            producer.begin_transaction().unwrap();
            let text = letter.encode();
            let record = BaseRecord::<[u8], [u8]>::to(&self.letters).payload(&text);
            producer.send(record).unwrap();
            producer.flush(LONG).unwrap();
            if *commit {
                producer.commit_transaction(LONG).unwrap();
            } else {
                producer.abort_transaction(LONG).unwrap();
            }
        }
    }

    /// The lowest letter that is not done.
    pub(crate) fn base(&self) -> i64 {
        use rdkafka::consumer::{BaseConsumer, Consumer as _};
        let group = format!("{}-dead-letters", self.letters.trim_end_matches(".letters"));
        let consumer: BaseConsumer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", self.broker.plain_addr())
            .set("group.id", group)
            .create()
            .unwrap();
        let mut asked = rdkafka::TopicPartitionList::new();
        asked.add_partition(&self.letters, 0);
        let committed = consumer.committed_offsets(asked, LONG).unwrap();
        let element = &committed.elements()[0];
        assert_eq!(element.metadata(), "");
        element.offset().to_raw().unwrap()
    }

    pub(crate) fn produce(&self, topic: &str, records: &[Put<'_>]) {
        let config = KafkaConfig {
            brokers: vec![self.broker.plain_addr()],
            linger: std::time::Duration::from_millis(5),
            ..KafkaConfig::default()
        };
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
        let producer = Producer::start(&config, &metrics, &health).unwrap();
        let (_trigger, stop) = stop::pair();
        let batch = Batch::new(crossbeam_channel::bounded(1).0);
        for (key, value, headers) in records {
            let record = Native {
                topic,
                key: *key,
                value: *value,
                headers: &RecordHeaders::copied(headers),
                own_headers: &[],
            };
            producer.send(&record, &batch, &stop, LONG).unwrap();
        }
        batch.close();
        producer.shutdown(Instant::now() + LONG);
        assert_eq!(batch.outcome(), Some(Ok(())));
    }

    /// What is in the topic of the sink.
    pub(crate) fn replayed(&self) -> Vec<Record> {
        self.broker.reader().read_to_end(&self.topic, LONG).unwrap()
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> u64 {
        self.broker.reader().count(&self.topic).unwrap()
    }

    /// A record of the topic as the sink consumes it.
    pub(crate) fn original(&self) -> ConsumerRecord {
        let mut found = None;
        let visit = |message: &rdkafka::message::BorrowedMessage<'_>| {
            use rdkafka::message::Message as _;
            found = Some(ConsumerRecord {
                topic: Arc::from(message.topic()),
                partition: message.partition(),
                offset: message.offset(),
                timestamp: message.timestamp().to_millis(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: Vec::new(),
                unreadable_headers: false,
            });
            true
        };
        self.broker.reader().each(&self.topic, LONG, visit).unwrap();
        found.unwrap()
    }
}

pub(crate) fn refusal() -> Refusal {
    Refusal {
        kind: RefusalKind::Forbidden,
        status: Some(403),
        error: "insert into incident: 403".to_owned(),
        attempts: 1,
    }
}

/// A letter of ours about record `7/number` of a topic.
pub(crate) fn letter(topic: &str, number: i64) -> DeadLetter {
    let record = ConsumerRecord {
        topic: Arc::from(topic),
        partition: 7,
        offset: number,
        timestamp: Some(1_706_140_000_000),
        key: Some(format!("K-{number}").into_bytes()),
        value: Some(format!("{{\"n\": {number}}}\n").into_bytes()),
        headers: vec![
            ("trace".to_owned(), Some(vec![0xff, 0])),
            ("sn_create_id".to_owned(), Some(b"old".to_vec())),
            ("none".to_owned(), None),
        ],
        unreadable_headers: false,
    };
    let now = "2024-01-25T00:00:00Z".parse().unwrap();
    DeadLetter::new(
        &record,
        "incident",
        Some("insert"),
        Some(ID),
        &refusal(),
        now,
    )
}

/// A letter as the Go program writes it.
pub(crate) fn go_letter(topic: &str, payload: &str) -> Vec<u8> {
    let letter = serde_json::json!({
        "original_payload": payload,
        "error": "it went wrong",
        "timestamp": "2024-02-01T00:00:00Z",
        "topic": topic,
        "table": "incident",
    });
    letter.to_string().into_bytes()
}
