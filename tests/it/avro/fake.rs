//! The registry of the fault cases, asked by the bridge's own client: what it is wrong about would
//! prove nothing elsewhere.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use servicenow_kafka_bridge::avro::{RecordSchema, TableColumns};
use servicenow_kafka_bridge::config::{RegistryAuth, SchemaRegistryConfig, Secret};
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::registry;
use servicenow_kafka_bridge::registry::{Registry, RegistryFailure, SchemaFormat};
use servicenow_kafka_bridge::stop::{self, Stop, StopTrigger};

use crate::support::LONG;
use crate::support::registry::{FakeRegistry, Kind as Written};

/// The smallest schema.
const TEXT: &str = r#""string""#;

/// A registry, a client of it, and what keeps that going.
struct Bench {
    fake: FakeRegistry,
    client: Registry,
    stop: Stop,
    _trigger: StopTrigger,
}

fn bench(auth: RegistryAuth) -> Bench {
    let fake = FakeRegistry::start();
    let (trigger, stop) = stop::pair();
    Bench {
        client: client(&fake, auth),
        fake,
        stop,
        _trigger: trigger,
    }
}

fn client(fake: &FakeRegistry, auth: RegistryAuth) -> Registry {
    let config = SchemaRegistryConfig {
        urls: vec![fake.url()],
        auth,
        timeout: Duration::from_secs(30),
        ..SchemaRegistryConfig::default()
    };
    Registry::new(&config, &Metrics::new()).unwrap()
}

fn schema(columns: &[&str]) -> RecordSchema {
    RecordSchema::strings(&TableColumns::named("incident", columns.iter().copied()))
}

fn cause(error: &registry::Error) -> &RegistryFailure {
    error.cause().unwrap()
}

#[test]
fn a_schema_has_one_id_everywhere() {
    let bench = bench(RegistryAuth::None);
    let (fake, registry, stop) = (&bench.fake, &bench.client, &bench.stop);
    let subject = "sn/once ä-value";
    let (first, second) = (schema(&["sys_id"]), schema(&["sys_id", "number"]));
    assert_eq!(registry.latest(subject, stop), Ok(None));
    assert_eq!(registry.lookup(subject, first.json(), stop), Ok(None));
    assert_eq!(registry.register(subject, first.json(), stop), Ok(1));
    assert_eq!(registry.register(subject, second.json(), stop), Ok(2));
    assert_eq!(registry.lookup("other", first.json(), stop), Ok(None));
    assert_eq!(registry.register(subject, first.json(), stop), Ok(1));
    assert_eq!(registry.register("other", second.json(), stop), Ok(2));
    let texts = |schemas: &[(u32, &RecordSchema)]| {
        let all = schemas.iter();
        all.map(|(id, schema)| (*id, schema.json().to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fake.registered(subject),
        texts(&[(1, &first), (2, &second)])
    );
    assert_eq!(fake.registered("other"), texts(&[(2, &second)]));
    assert_eq!(fake.registered("nobody"), []);

    let latest = registry.latest(subject, stop).unwrap().unwrap();
    assert_eq!((latest.id, latest.version), (2, Some(2)));
    assert_eq!(latest.subject, subject);
    assert_eq!(
        (latest.schema.as_str(), &latest.format),
        (second.json(), &SchemaFormat::Avro)
    );
    let found = registry.lookup(subject, first.json(), stop);
    let found = found.unwrap().unwrap();
    assert_eq!((found.id, found.version), (1, Some(1)));
    assert_eq!(registry.schema_by_id(1, stop).unwrap().schema, first.json());
    assert_eq!(registry.mode(stop).as_deref(), Ok("READWRITE"));
    assert_eq!(
        registry.compatibility_level(subject, stop).as_deref(),
        Ok("BACKWARD")
    );
    fake.set_level(subject, "FULL");
    assert_eq!(
        registry.compatibility_level(subject, stop).as_deref(),
        Ok("FULL")
    );
    assert!(
        registry
            .check(subject, first.json(), stop)
            .unwrap()
            .compatible
    );

    let versions = "/subjects/sn/once ä-value/versions";
    assert_eq!(fake.count("POST", versions), 3);
    assert_eq!(fake.count("GET", versions), 2);
    let asked = fake.asked();
    let last = asked.last().unwrap();
    assert_eq!(last.path, format!("/compatibility{versions}"));
    assert_eq!(
        (last.query.as_str(), last.status),
        ("verbose=true", Some(200))
    );
    assert!(last.body.contains("com.servicenow.bridge"), "{}", last.body);
    let most = asked.len();
    assert!(
        fake.connections() < most,
        "connections are kept: {} for {most}",
        fake.connections()
    );
}

#[test]
fn what_is_missing_and_what_is_no_schema() {
    let bench = bench(RegistryAuth::None);
    let (fake, registry, stop) = (&bench.fake, &bench.client, &bench.stop);
    let error = registry.schema_by_id(7, stop).unwrap_err();
    assert!(
        matches!(cause(&error), RegistryFailure::NoSchema { .. }),
        "{error}"
    );
    let bad = r#"{"type":"recrd","name":"x"}"#;
    let error = registry.register("t", bad, stop).unwrap_err();
    assert!(
        matches!(cause(&error), RegistryFailure::InvalidSchema { .. }),
        "{error}"
    );
    assert_eq!(fake.registered("t"), []);

    let message = r#"syntax = "proto3"; message M {}"#;
    let id = fake.add("proto", message, Written::Protobuf);
    let writer = registry.schema_by_id(id, stop).unwrap();
    assert_eq!(
        (writer.schema.as_str(), &writer.format),
        (message, &SchemaFormat::Protobuf)
    );
    // The same text, but another kind.
    let as_json = fake.add("json", TEXT, Written::Json);
    let as_avro = fake.add("avro", TEXT, Written::Avro);
    assert_eq!((id, as_json, as_avro), (1, 2, 3));
    let kind = |subject| registry.latest(subject, stop).unwrap().unwrap().format;
    assert_eq!(
        (kind("json"), kind("avro")),
        (SchemaFormat::Json, SchemaFormat::Avro)
    );
    registry
        .schema_by_id(as_avro, stop)
        .unwrap()
        .avro()
        .unwrap();
}

#[test]
fn a_registry_that_is_down_comes_back_as_it_was() {
    let bench = bench(RegistryAuth::None);
    let (fake, registry, stop) = (&bench.fake, &bench.client, &bench.stop);
    assert_eq!(registry.register("t", TEXT, stop), Ok(1));
    assert_eq!(registry.schema_by_id(1, stop).unwrap().schema, TEXT);
    let connections = fake.connections();
    fake.down(true);
    let error = registry.latest("t", stop).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(connections < fake.connections(), "the client tried again");
    // The connection that was open ended at its next request.
    let asked = fake.asked();
    let killed = asked.iter().filter(|asked| asked.status.is_none());
    assert_eq!(killed.count(), 1, "{asked:?}");
    fake.down(false);
    assert_eq!(registry.schema_by_id(1, stop).unwrap().schema, TEXT);
    assert_eq!(registry.latest("t", stop).unwrap().unwrap().id, 1);
}

#[test]
fn connections_end_at_once_when_it_is_down() {
    let fake = FakeRegistry::start();
    let connect = || {
        let stream = TcpStream::connect(fake.url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    };
    let ask = |stream: &mut TcpStream| {
        let ask = b"GET /mode HTTP/1.1\r\nHost: fake\r\n\r\n";
        // It may be closed already.
        stream.write_all(ask).ok();
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer);
        let closed = |error: &Error| error.kind() == ErrorKind::ConnectionReset;
        match read {
            Ok(count) => String::from_utf8_lossy(&answer[..count]).into_owned(),
            Err(error) if closed(&error) => String::new(),
            Err(error) => panic!("{error}"),
        }
    };
    let mut open = connect();
    assert!(ask(&mut open).starts_with("HTTP/1.1 200 "));
    fake.down(true);
    assert_eq!(ask(&mut open), "");
    assert_eq!(ask(&mut connect()), "");
    fake.down(false);
    assert!(ask(&mut connect()).starts_with("HTTP/1.1 200 "));
}

#[test]
fn refusals_last_until_they_are_taken_back() {
    let bench = bench(RegistryAuth::None);
    let (fake, registry, stop) = (&bench.fake, &bench.client, &bench.stop);
    fake.refuse_with(Some((
        403,
        r#"{"error_code":40301,"message":"not your subject"}"#,
    )));
    let error = registry.mode(stop).unwrap_err();
    assert!(
        matches!(cause(&error), RegistryFailure::Forbidden { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("not your subject"), "{error}");
    fake.refuse_with(None);
    registry.mode(stop).unwrap();

    let reason = r#"{"error_code":409,"message":"field state became a number"}"#;
    fake.refuse_registering_with(Some((409, reason)));
    let error = registry.register("t", TEXT, stop).unwrap_err();
    let RegistryFailure::Incompatible { reasons, level } = cause(&error) else {
        panic!("{error}");
    };
    assert_eq!(reasons, &["field state became a number"]);
    assert_eq!(level.as_deref(), Some("BACKWARD"));
    assert!(!registry.check("t", TEXT, stop).unwrap().compatible);
    let read_only = r#"{"error_code":42205,"message":"read-only"}"#;
    fake.refuse_registering_with(Some((422, read_only)));
    let error = registry.register("t", TEXT, stop).unwrap_err();
    assert!(
        matches!(cause(&error), RegistryFailure::ReadOnly { .. }),
        "{error}"
    );
    assert!(registry.check("t", TEXT, stop).unwrap().compatible);
    assert_eq!(fake.registered("t"), []);
    fake.refuse_registering_with(None);
    assert_eq!(registry.register("t", TEXT, stop), Ok(1));
}

#[test]
fn credentials_are_looked_at() {
    let auth = RegistryAuth::Basic {
        username: "sr".to_owned(),
        password: Secret::new("pa:ss"),
    };
    let bench = bench(auth);
    let (fake, registry, stop) = (&bench.fake, &bench.client, &bench.stop);
    fake.require_authorization(Some("Basic c3I6cGE6c3M="));
    registry.mode(stop).unwrap();
    let stranger = client(fake, RegistryAuth::None);
    let error = stranger.mode(stop).unwrap_err();
    assert!(
        matches!(cause(&error), RegistryFailure::Unauthorized { .. }),
        "{error}"
    );
    assert_eq!(fake.asked().last().unwrap().status, Some(401));
    fake.require_authorization(None);
    stranger.mode(stop).unwrap();
}

#[test]
fn its_threads_end_with_it() {
    let bench = bench(RegistryAuth::None);
    bench.client.mode(&bench.stop).unwrap();
    // Joins the thread of the connection that the client keeps open.
    drop(bench.fake);
    let error = bench.client.mode(&bench.stop).unwrap_err();
    assert_eq!(error.metric_label(), "network", "{error}");
}
