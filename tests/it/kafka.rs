//! The producer against a real Kafka: log-in, topics, limits, a broker that dies.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers as well"
)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use real_kafka::{Broker, Options, PASSWORD, USER, require_or_skip, shared};
use servicenow_kafka_bridge::config::{
    Compression, CreateTopics, KafkaConfig, SaslConfig, Secret, TlsFiles,
};
use servicenow_kafka_bridge::health::Health;
use servicenow_kafka_bridge::kafka::{
    Batch, DeliveryError, Error, Producer, ProducerRecord, RecordHeaders, SendError,
};
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::stop;

const SOON: Duration = Duration::from_secs(60);

fn config(address: String) -> KafkaConfig {
    KafkaConfig {
        brokers: vec![address],
        ..KafkaConfig::default()
    }
}

fn sasl_config(broker: &Broker, mechanism: &str, password: &str) -> KafkaConfig {
    let mut config = config(broker.sasl_addr());
    let tls = TlsFiles {
        ca_cert: Some(broker.ca_pem()),
        ..TlsFiles::default()
    };
    config.tls = Some(tls);
    config.sasl = Some(SaslConfig {
        mechanism: mechanism.to_owned(),
        username: USER.to_owned(),
        password: Secret::new(password),
    });
    config
}

/// A producer with what it needs, and one batch at a time.
struct Fixture {
    producer: Producer,
    health: Arc<Health>,
    stop: stop::Stop,
    _trigger: stop::StopTrigger,
    batch: Arc<Batch>,
    woken: Receiver<()>,
}

impl Fixture {
    fn new(config: &KafkaConfig) -> Fixture {
        let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
        let producer = Producer::start(config, &metrics, &health).unwrap();
        let (trigger, stop) = stop::pair();
        let (wake, woken) = bounded(1);
        let batch = Batch::new(wake);
        Fixture {
            producer,
            health,
            stop,
            _trigger: trigger,
            batch,
            woken,
        }
    }

    fn send(&self, topic: &str, key: &str, value: &[u8]) -> Result<(), SendError> {
        let headers = RecordHeaders::new(&[("sn_table", b"incident")]);
        let record = ProducerRecord {
            topic,
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &headers,
            own_headers: &[],
        };
        self.producer.send(&record, &self.batch, &self.stop, SOON)
    }

    /// Closes the batch, waits for it and begins the next.
    fn finish(&mut self) -> Result<(), DeliveryError> {
        self.batch.close();
        let deadline = Instant::now() + SOON;
        let outcome = loop {
            if let Some(outcome) = self.batch.outcome() {
                break outcome;
            }
            assert!(Instant::now() < deadline, "the batch was not done in time");
            self.woken.recv_deadline(deadline).ok();
        };
        let (wake, woken) = bounded(1);
        (self.batch, self.woken) = (Batch::new(wake), woken);
        outcome
    }

    fn eventually(&self, what: &str, mut holds: impl FnMut(&Fixture) -> bool) {
        let deadline = Instant::now() + SOON;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

#[test]
fn each_sasl_mechanism_over_tls() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    broker.create_topic("product.sasl", 3, &[]).unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let mut fixture = Fixture::new(&sasl_config(broker, mechanism, PASSWORD));
        fixture.send("product.sasl", mechanism, b"x").unwrap();
        assert_eq!(fixture.finish(), Ok(()), "{mechanism}");
        fixture.eventually("ready", |fixture| fixture.health.readiness().ok);
    }
    let records = broker.reader().read_to_end("product.sasl", SOON).unwrap();
    assert_eq!(records.len(), 3);
    assert!(
        records
            .iter()
            .all(|record| record.header("sn_table").unwrap() == "incident")
    );
}

#[test]
fn a_wrong_password_is_told_without_the_password() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    let fixture = Fixture::new(&sasl_config(broker, "SCRAM-SHA-512", "wrong-secret"));
    fixture.eventually("the reason", |fixture| {
        let lines = fixture.health.readiness().lines;
        assert!(!lines.concat().contains("wrong-secret"), "{lines:?}");
        lines.concat().contains("Authentication failed")
    });
    let error = fixture.producer.topics(&["t".to_owned()]).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("Authentication failed") && !text.contains("wrong-secret"),
        "{text}"
    );
    let start = Instant::now();
    assert_eq!(fixture.producer.shutdown(Instant::now()), 0);
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_client_certificate_where_the_broker_wants_one() {
    if !require_or_skip() {
        return;
    }
    let options = Options {
        require_client_certificate: true,
        ..Options::default()
    };
    let broker = Broker::start(&options).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    let mut config = sasl_config(&broker, "PLAIN", PASSWORD);
    let without = Fixture::new(&config);
    let (certificate, key) = broker.client_pem();
    if let Some(tls) = &mut config.tls {
        (tls.cert_file, tls.key_file) = (Some(certificate), Some(key));
    }
    let mut with = Fixture::new(&config);
    with.send("t", "key", b"x").unwrap();
    assert_eq!(with.finish(), Ok(()));
    assert!(!without.health.readiness().ok);
}

#[test]
fn a_ca_that_does_not_know_the_broker_is_told() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    let mut config = sasl_config(broker, "PLAIN", PASSWORD);
    config.tls = Some(TlsFiles::default());
    let fixture = Fixture::new(&config);
    fixture.eventually("the reason", |fixture| {
        fixture
            .health
            .readiness()
            .lines
            .concat()
            .contains("certificate verify failed")
    });
}

#[test]
fn topics_are_created_only_when_asked_for() {
    if !require_or_skip() {
        return;
    }
    // This broker would make a topic for anyone who asks.
    let options = Options {
        auto_create_topics: true,
        ..Options::default()
    };
    let broker = Broker::start(&options).unwrap();
    let names = ["made.one", "made.two"].map(str::to_owned);
    let mut config = config(broker.plain_addr());
    let fixture = Fixture::new(&config);
    for _ in 0..2 {
        let error = fixture.producer.topics(&names).unwrap_err();
        assert!(
            matches!(&error, Error::MissingTopics(missing) if *missing == names),
            "{error}"
        );
    }
    config.create_topics = Some(CreateTopics {
        partitions: 5,
        replication_factor: None,
        cleanup_policy: "compact,delete".to_owned(),
    });
    let mut fixture = Fixture::new(&config);
    for _ in 0..2 {
        let topics = fixture.producer.topics(&names).unwrap();
        let found: Vec<_> = topics
            .iter()
            .map(|topic| (topic.name.as_str(), topic.partitions))
            .collect();
        assert_eq!(found, [("made.one", 5), ("made.two", 5)]);
    }
    fixture.send("made.one", "key", b"x").unwrap();
    assert_eq!(fixture.finish(), Ok(()));

    if let Some(create) = &mut config.create_topics {
        create.replication_factor = Some(3);
    }
    let fixture = Fixture::new(&config);
    let error = fixture.producer.topics(&["three".to_owned()]).unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("fewer brokers than"), "{error}");
}

#[test]
fn a_batch_over_the_limit_of_the_topic_fails_for_good() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    broker
        .create_topic("product.small", 1, &[("max.message.bytes", "10000")])
        .unwrap();
    let mut config = config(broker.plain_addr());
    config.compression = Compression::None;
    let mut fixture = Fixture::new(&config);
    fixture
        .send("product.small", "large", &[b'x'; 20_000])
        .unwrap();
    let error = fixture.finish().unwrap_err();
    assert!(
        error.permanent && error.to_string().contains("max.message.bytes"),
        "{error}"
    );
    fixture.send("product.small", "small", b"x").unwrap();
    assert_eq!(fixture.finish(), Ok(()));
}

/// Kafka answers the sequence numbers of a producer it no longer knows; what matters is that the
/// producer goes on by itself and nothing is lost after the batch that was in between.
#[test]
fn a_topic_made_anew_takes_records_again() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    broker.create_topic("product.anew", 2, &[]).unwrap();
    let mut fixture = Fixture::new(&config(broker.plain_addr()));
    for key in 0..100 {
        fixture
            .send("product.anew", &key.to_string(), b"x")
            .unwrap();
    }
    assert_eq!(fixture.finish(), Ok(()));
    broker.delete_topic("product.anew").unwrap();
    broker.create_topic("product.anew", 2, &[]).unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        for key in 0..100 {
            fixture
                .send("product.anew", &key.to_string(), b"y")
                .unwrap();
        }
        match fixture.finish() {
            Ok(()) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
    let records = broker.reader().read_to_end("product.anew", SOON).unwrap();
    let keys: HashSet<String> = records.iter().map(|record| record.key_text()).collect();
    assert_eq!(keys.len(), 100);
    assert!(records.iter().all(|record| record.value_text() == "y"));
}

#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    const ROWS: usize = 30_000;
    if !require_or_skip() {
        return;
    }
    let broker = Broker::start(&Options::default()).unwrap();
    broker.create_topic("t", 3, &[]).unwrap();
    let mut fixture = Fixture::new(&config(broker.plain_addr()));
    let value = [b'x'; 1000];
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for _ in 0..2 {
                std::thread::park_timeout(Duration::from_millis(300));
                broker.kill();
                std::thread::park_timeout(Duration::from_secs(1));
                broker.restart().unwrap();
            }
        });
        for row in 0..ROWS {
            fixture.send("t", &row.to_string(), &value).unwrap();
            if row % 1000 == 0 {
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
        killer.join().unwrap();
    });
    assert_eq!(fixture.finish(), Ok(()));
    let records = broker.reader().read_to_end("t", SOON).unwrap();
    let keys: HashSet<String> = records.iter().map(|record| record.key_text()).collect();
    assert_eq!((keys.len(), records.len()), (ROWS, ROWS));
    fixture.eventually("ready", |fixture| fixture.health.readiness().ok);
}
