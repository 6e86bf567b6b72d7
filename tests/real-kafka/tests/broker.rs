//! The real broker itself: it starts, takes records over TLS with a log-in, and keeps its data when
//! it is killed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers as well"
)]

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use real_kafka::{Broker, Options, PASSWORD, USER};

const SOON: Duration = Duration::from_secs(60);

fn produce(config: &ClientConfig, topic: &str, keys: std::ops::Range<u32>) {
    let producer: BaseProducer = config.create().unwrap();
    for key in keys {
        let key = key.to_string();
        let record = BaseRecord::to(topic).key(&key).payload("value");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(SOON).unwrap();
}

fn plain(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.plain_addr());
    config.set("enable.idempotence", "true");
    config
}

#[test]
fn a_killed_broker_comes_back_with_its_data() {
    if !real_kafka::require_or_skip() {
        return;
    }
    let broker = Broker::start(&Options::default()).unwrap();
    broker
        .create_topic("t", 3, &[("cleanup.policy", "compact")])
        .unwrap();
    produce(&plain(&broker), "t", 0..100);
    broker.kill();
    assert!(!broker.reader().answers(Duration::from_millis(500)));
    broker.restart().unwrap();
    produce(&plain(&broker), "t", 100..150);
    let records = broker.reader().read_to_end("t", SOON).unwrap();
    assert_eq!(records.len(), 150);
    assert_eq!(broker.reader().count("t").unwrap(), 150);
}

#[test]
fn the_sasl_listener_takes_each_mechanism() {
    if !real_kafka::require_or_skip() {
        return;
    }
    let broker = real_kafka::shared().unwrap();
    broker.create_topic("sasl", 1, &[]).unwrap();
    for (number, mechanism) in (0..).zip(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", broker.sasl_addr())
            .set("security.protocol", "sasl_ssl")
            .set("ssl.ca.location", broker.ca_pem().to_str().unwrap())
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", USER)
            .set("sasl.password", PASSWORD);
        produce(&config, "sasl", number..number + 1);
    }
    assert_eq!(broker.reader().read_all("sasl", 3, SOON).unwrap().len(), 3);
}
