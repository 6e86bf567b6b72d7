//! The client of the schema registry against a real Apicurio.

use real_registry::{Server, require_or_skip, shared};
use serde_json::json;
use servicenow_kafka_bridge::avro::{RecordSchema, TableColumns};
use servicenow_kafka_bridge::config::SchemaRegistryConfig;
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::registry::{RecordPart, Registry, RegistryFailure, SchemaFormat};
use servicenow_kafka_bridge::stop::{self, Stop, StopTrigger};

use crate::support::avro::registry_at;

/// A client, and what keeps it going.
struct Bench {
    server: &'static Server,
    registry: Registry,
    stop: Stop,
    _trigger: StopTrigger,
}

fn bench(change: impl FnOnce(&mut SchemaRegistryConfig)) -> Bench {
    let server = shared().unwrap();
    let mut config = registry_at(&server.url());
    change(&mut config);
    let (trigger, stop) = stop::pair();
    Bench {
        server,
        registry: Registry::new(&config, &Metrics::new()).unwrap(),
        stop,
        _trigger: trigger,
    }
}

fn schema(columns: &[&str]) -> RecordSchema {
    RecordSchema::strings(&TableColumns::named("incident", columns.iter().copied()))
}

#[test]
fn a_schema_is_registered_once_and_found_again() {
    if !require_or_skip() {
        return;
    }
    let bench = bench(|_| {});
    let (registry, stop) = (&bench.registry, &bench.stop);
    let subject = registry.subject("sn/once", RecordPart::Value, None);
    let schema = schema(&["sys_id", "number"]);
    assert_eq!(registry.latest(&subject, stop), Ok(None));
    assert_eq!(registry.lookup(&subject, schema.json(), stop), Ok(None));
    assert!(
        registry
            .check(&subject, schema.json(), stop)
            .unwrap()
            .compatible
    );
    let id = registry.register(&subject, schema.json(), stop).unwrap();
    assert_eq!(registry.register(&subject, schema.json(), stop), Ok(id));
    let found = registry
        .lookup(&subject, schema.json(), stop)
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.id, found.version, &found.subject),
        (id, Some(1), &subject)
    );
    let latest = registry.latest(&subject, stop).unwrap().unwrap();
    assert_eq!((latest.id, latest.format), (id, SchemaFormat::Avro));
    assert_eq!(latest.schema, schema.json(), "as it was sent");
    let writer = registry.schema_by_id(id, stop).unwrap();
    assert_eq!(
        (writer.schema.as_str(), &writer.format),
        (schema.json(), &SchemaFormat::Avro)
    );
    writer.avro().unwrap();
    assert_eq!(registry.mode(stop).as_deref(), Ok("READWRITE"));
}

#[test]
fn what_grows_fits_and_what_changes_does_not() {
    if !require_or_skip() {
        return;
    }
    let bench = bench(|_| {});
    let (registry, stop) = (&bench.registry, &bench.stop);
    let first = schema(&["sys_id", "number"]);
    registry
        .register("grows-value", first.json(), stop)
        .unwrap();
    bench
        .server
        .set_level("grows-value", "FULL_TRANSITIVE")
        .unwrap();
    assert_eq!(
        registry.compatibility_level("grows-value", stop).as_deref(),
        Ok("FULL_TRANSITIVE")
    );
    let grown = first.evolve(&schema(&["sys_id", "state"])).schema.unwrap();
    let check = |schema| registry.check("grows-value", schema, stop).unwrap();
    assert!(check(grown.json()).compatible);
    let used = registry
        .register_or_latest("grows-value", grown.json(), stop)
        .unwrap();
    let latest = registry.latest("grows-value", stop).unwrap().unwrap();
    assert_eq!((latest.version, latest.id), (Some(2), used.id));

    let changed = first.json().replace(
        r#"{"name":"number","type":["null","string"],"default":null"#,
        r#"{"name":"number","type":"long""#,
    );
    assert_ne!(changed, first.json());
    assert!(!check(&changed).compatible);
    let error = registry
        .register("grows-value", &changed, stop)
        .unwrap_err();
    let words = error.to_string();
    assert_eq!(error.metric_label(), "incompatible");
    assert!(!error.is_retryable());
    for part in [
        "subject `grows-value`",
        "FULL_TRANSITIVE",
        "field `number`: ",
        "LONG",
    ] {
        assert!(words.contains(part), "no {part} in {words}");
    }
}

#[test]
fn what_is_missing_is_said() {
    if !require_or_skip() {
        return;
    }
    let manual = bench(|config| config.auto_register = false);
    let schema = schema(&["sys_id"]);
    let publish = || {
        manual
            .registry
            .register_or_latest("manual-value", schema.json(), &manual.stop)
    };
    let error = publish().unwrap_err();
    assert!(
        matches!(error.cause(), Some(RegistryFailure::NoSubject { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("auto_register: true"), "{error}");
    let id = bench(|_| {})
        .registry
        .register("manual-value", schema.json(), &manual.stop)
        .unwrap();
    assert_eq!(publish().unwrap().id, id);

    let error = manual
        .registry
        .schema_by_id(4_000_000, &manual.stop)
        .unwrap_err();
    assert!(
        matches!(error.cause(), Some(RegistryFailure::NoSchema { .. })),
        "{error}"
    );
    let bad = r#"{"type":"recrd","name":"x"}"#;
    let error = manual
        .registry
        .register("bad-value", bad, &manual.stop)
        .unwrap_err();
    assert!(
        matches!(error.cause(), Some(RegistryFailure::InvalidSchema { .. })),
        "{error}"
    );
}

#[test]
fn an_address_without_its_path_is_explained() {
    if !require_or_skip() {
        return;
    }
    let bench = bench(|config| {
        config.urls = vec![config.urls[0].replace("/apis/ccompat/v7", "")];
    });
    let error = bench.registry.mode(&bench.stop).unwrap_err();
    assert!(error.to_string().contains("/apis/ccompat/v7"), "{error}");
    assert!(!error.is_retryable());
}

/// Records outlive the versions of their schemas. What is deleted, but not for good, still serves; of
/// Apicurio as long as its subject has another version.
#[test]
fn a_deleted_version_is_still_referred_to() {
    if !require_or_skip() {
        return;
    }
    let bench = bench(|_| {});
    let (registry, stop) = (&bench.registry, &bench.stop);
    let color = r#"{"type":"enum","name":"Color","namespace":"ns","symbols":["RED"]}"#;
    let more = color.replace(r#"["RED"]"#, r#"["RED","BLUE"]"#);
    registry.register("color-value", color, stop).unwrap();
    registry.register("color-value", &more, stop).unwrap();
    let car = json!({
        "schema": r#"{"type":"record","name":"Car","fields":[{"name":"color","type":"ns.Color"}]}"#,
        "references": [{"name": "ns.Color", "subject": "color-value", "version": 1}],
    });
    let call = |method, path: &str| bench.server.call(method, path, &car.to_string()).unwrap();
    call("POST", "/subjects/car-value/versions");
    let id = registry.latest("car-value", stop).unwrap().unwrap().id;
    for subject in ["car-value", "color-value"] {
        call("DELETE", &format!("/subjects/{subject}/versions/1"));
    }
    let writer = registry.schema_by_id(id, stop).unwrap();
    assert_eq!(writer.references[0].schema, color);
    writer.avro().unwrap();
}
