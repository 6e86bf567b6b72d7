//! Writing rows with a scripted registry; the instance is not needed where columns are named.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;
use crate::health::Health;
use crate::servicenow::Client;
use crate::servicenow::tests::server::{Act, JSON, Seen, Server, answer};
use crate::stop;

const FOREIGN: &str = r#"{"type":"record","name":"x","fields":[{"name":"a","type":"string"}]}"#;

/// The answer that describes a version, whose id is 100 more.
fn version(number: u32, schema: &str) -> Vec<Act> {
    let body = serde_json::json!({
        "subject": "sn.incident-value", "version": number, "id": 100 + number, "schema": schema
    });
    answer("200 OK", &[JSON], &body.to_string())
}

fn ours(columns: &[&str]) -> String {
    let columns = Columns::named("incident", columns.iter().copied());
    Schema::strings(&columns).json().to_owned()
}

/// A table that registers nothing.
fn pinned(server: &Server) -> Avro {
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
    let client = Arc::new(Client::start(&config.servicenow, &metrics, &health).unwrap());
    let zone = config.servicenow.query_time_zone.clone();
    let instance = Arc::new(Instance::new(client, "/api/now/table", zone));
    let registry = Arc::new(Registry::new(&config.schema_registry, &metrics).unwrap());
    Avro::new(&config.source.tables[0], &instance, &registry, &metrics)
}

/// Somebody registers a column, and somebody else something on top of it.
#[test]
fn a_look_finds_our_own_below_a_foreign_schema() {
    let (_trigger, stop) = stop::pair();
    let later = Arc::new(AtomicBool::new(false));
    let is_later = Arc::clone(&later);
    let server = Server::start(move |_, seen: &Seen| {
        let path = seen.line.split(' ').nth(1).unwrap();
        match path.strip_prefix("/subjects/sn.incident-value/versions") {
            Some("") => answer("200 OK", &[JSON], "[1,2,3]"),
            Some("/latest") if is_later.load(SeqCst) => version(3, FOREIGN),
            Some("/latest" | "/1") => version(1, &ours(&["sys_id"])),
            Some("/2") => version(2, &ours(&["sys_id", "u_new"])),
            _ => answer("404 Not Found", &[JSON], r#"{"error_code":40401}"#),
        }
    });
    let mut avro = pinned(&server);
    let id = |avro: &Avro| avro.writer.as_ref().map(|writer| writer.id);
    avro.prepare(&stop).unwrap();
    assert_eq!(id(&avro), Some(101));
    later.store(true, SeqCst);
    let row = br#"{"sys_id":"a","u_new":"x"}"#;
    avro.grow(row, &stop).unwrap();
    assert_eq!(id(&avro), Some(102));
    let mut out = Bytes::default();
    avro.encode(None, row, b"a", &mut out, true).unwrap();
    assert_eq!(out.value, [0, 0, 0, 0, 102, 2, 2, b'a', 2, 2, b'x']);
}
