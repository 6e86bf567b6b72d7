//! Rows written with the schemas of a scripted registry. The instance is never asked, because only
//! what is registered counts with `auto_register: false`.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;
use crate::avro::TableColumns;
use crate::config;
use crate::health::Health;
use crate::servicenow::InstanceClient;
use crate::servicenow::tests::server::{
    JSON_HEADER, ScriptedServer, SeenRequest, ServerAction, answer,
};
use crate::stop;

const FOREIGN_RECORD_SCHEMA: &str =
    r#"{"type":"record","name":"x","fields":[{"name":"a","type":"string"}]}"#;

/// The answer that describes a version, whose id is 100 more.
fn version(number: u32, schema: &str) -> Vec<ServerAction> {
    let body = serde_json::json!({
        "subject": "sn.incident-value", "version": number, "id": 100 + number, "schema": schema
    });
    answer("200 OK", &[JSON_HEADER], &body.to_string())
}

fn ours(columns: &[&str]) -> String {
    let columns = TableColumns::named("incident", columns.iter().copied());
    RecordSchema::strings(&columns).json().to_owned()
}

/// The encoder of a table for which only other programs register schemas.
fn encoder_without_registering(server: &ScriptedServer) -> RowEncoder {
    let text = format!(
        "servicenow: {{base_url: 'http://127.0.0.1:1', auth: {{type: basic, basic: {{username: u, \
         password: p}}}}}}\n\
         kafka: {{brokers: ['localhost:9092']}}\n\
         schema_registry: {{url: 'http://{}', auto_register: false}}\n\
         source:\n  enabled: true\n  topic_prefix: sn\n  tables: [{{name: incident}}]\n",
        server.addr
    );
    let (config, _) = config::parse(&text, &|_| None).unwrap_or_else(|p| panic!("{p}"));
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let client = Arc::new(InstanceClient::start(&config.servicenow, &metrics, &health).unwrap());
    let instance = Arc::new(SourceInstance::new(client, &config.servicenow));
    let registry = Arc::new(Registry::new(&config.schema_registry, &metrics).unwrap());
    RowEncoder::new(&config.source.tables[0], &instance, &registry, &metrics)
}

/// Version 2 adds a column to the bridge's schema, and version 3 on top of it is foreign.
#[test]
fn a_lookup_finds_the_own_schema_below_a_foreign_one() {
    let (_trigger, stop) = stop::pair();
    let later = Arc::new(AtomicBool::new(false));
    let is_later = Arc::clone(&later);
    let server = ScriptedServer::start(move |_, seen: &SeenRequest| {
        let path = seen.line.split(' ').nth(1).unwrap();
        match path.strip_prefix("/subjects/sn.incident-value/versions") {
            Some("") => answer("200 OK", &[JSON_HEADER], "[1,2,3]"),
            Some("/latest") if is_later.load(SeqCst) => version(3, FOREIGN_RECORD_SCHEMA),
            Some("/latest" | "/1") => version(1, &ours(&["sys_id"])),
            Some("/2") => version(2, &ours(&["sys_id", "u_new"])),
            _ => answer("404 Not Found", &[JSON_HEADER], r#"{"error_code":40401}"#),
        }
    });
    let mut encoder = encoder_without_registering(&server);
    let id = |encoder: &RowEncoder| encoder.active.as_ref().map(|active| active.id);
    encoder.prepare(&stop).unwrap();
    assert_eq!(id(&encoder), Some(101));
    later.store(true, SeqCst);
    let row = br#"{"sys_id":"a","u_new":"x"}"#;
    encoder.look_up_for(row, &stop).unwrap();
    assert_eq!(id(&encoder), Some(102));
    let mut out = RecordBuffers::default();
    let attempt = encoder.try_encode(None, row, b"a", &mut out).unwrap();
    assert_eq!(attempt, EncodeAttempt::Encoded);
    assert_eq!(out.value, [0, 0, 0, 0, 102, 2, 2, b'a', 2, 2, b'x']);
}
