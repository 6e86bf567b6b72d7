//! The schemas that tables get from a simulated instance with a dictionary, and from one that hides it.

use std::sync::Arc;

use servicenow_sim::{Options, Sim};

use super::*;
use crate::config;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::servicenow::tests::server::{JSON_HEADER, ScriptedServer, SeenRequest, answer};
use crate::stop;

/// The schema that a table with these settings should have, on an instance at `url`.
fn ask(url: &str, settings: &str) -> DesiredSchema {
    try_ask(url, settings).unwrap()
}

fn try_ask(url: &str, settings: &str) -> Result<DesiredSchema, SchemaUnavailable> {
    let text = format!(
        "servicenow:\n  base_url: {url}\n  max_retries: 1\n  auth: {{type: basic, basic: \
         {{username: bridge, password: secret}}}}\n\
         kafka: {{brokers: ['localhost:9092']}}\n\
         source:\n  enabled: true\n  topic_prefix: sn\n  tables:\n    - {{name: incident{settings}}}\n"
    );
    let (config, _) = config::parse(&text, &|_| None).unwrap_or_else(|p| panic!("{p}"));
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let client = InstanceClient::start(&config.servicenow, &metrics, &health).unwrap();
    let (_trigger, stop) = stop::pair();
    let path = &config.servicenow.table_api_path;
    desired_schema(&client, path, &config.source.tables[0], &stop)
}

fn columns(wanted: &DesiredSchema) -> Vec<&str> {
    let fields = wanted.schema.fields().iter();
    fields.map(|field| field.column.as_str()).collect()
}

#[test]
fn the_dictionary_gives_names_and_types() {
    let sim = Sim::start(Options::default()).unwrap();
    let all = ask(sim.url(), "");
    assert_eq!(all.notes, [""; 0]);
    for column in ["number", "sys_id", "caller_id"] {
        assert!(columns(&all).contains(&column), "{:?}", columns(&all));
    }
    let typed = ", fields: [number, sys_created_on, caller_id.name], schema: {style: typed}";
    let some = ask(sim.url(), typed);
    assert_eq!(
        columns(&some),
        [
            "number",
            "sys_created_on",
            "caller_id.name",
            "sys_id",
            "sys_updated_on",
            "_raw"
        ]
    );
    assert!(
        some.schema.json().contains("timestamp-"),
        "{}",
        some.schema.json()
    );
    let plain = ask(sim.url(), ", schema: {style: typed, on_type_error: 'null'}");
    assert!(
        !plain.schema.json().contains(r#""_raw""#),
        "{}",
        plain.schema.json()
    );
}

/// An instance whose user may not see the dictionary, and which has `rows` in its table.
fn hiding(rows: &'static str) -> ScriptedServer {
    ScriptedServer::start(move |_, seen: &SeenRequest| {
        if seen.line.contains("/table/incident?") {
            answer("200 OK", &[JSON_HEADER], rows)
        } else {
            answer("200 OK", &[JSON_HEADER], r#"{"result":[]}"#)
        }
    })
}

#[test]
fn columns_come_from_rows_where_the_dictionary_is_hidden() {
    // A text may end in half a letter, as ServiceNow cuts by UTF-16 units.
    let server = hiding(r#"{"result":[{"b":"\ud83d","a":"2"},{"c":"","a":"3"}]}"#);
    let url = format!("http://{}", server.addr);
    let of_rows = ask(&url, "");
    assert_eq!(columns(&of_rows), ["a", "b", "c"]);
    assert_eq!(of_rows.notes.len(), 1);
    assert!(
        of_rows.notes[0].contains("sys_dictionary"),
        "{:?}",
        of_rows.notes
    );
}

/// Columns that are registered as texts would stay texts when the user gets the right to see types.
#[test]
fn types_wait_for_the_right_to_see_them() {
    let server = hiding(r#"{"result":[{"b":"1","a":"2"}]}"#);
    let url = format!("http://{}", server.addr);
    for fields in ["", ", fields: [x]"] {
        let asked = try_ask(&url, &format!("{fields}, schema: {{style: typed}}"));
        let Err(SchemaUnavailable::Hidden(why)) = asked else {
            panic!("{asked:?}");
        };
        for words in [
            "sys_db_object shows no row for `incident`",
            "give the integration user read access to sys_db_object and sys_dictionary",
            "set `schema.style: strings`",
        ] {
            assert!(why.contains(words), "{why}");
        }
    }
}

/// Which answers about the dictionary's tables are refusals. Texts then do without the dictionary, and
/// types are an error that names the right.
#[test]
fn refusals_of_the_dictionary() {
    const ACL: &str =
        r#"{"error":{"message":"User Not Authorized","detail":"Failed ACL"},"status":"failure"}"#;
    const API_ACL: &str = r#"{"error":{"message":"User Not Authorized","detail":"Failed API level ACL Validation"},"status":"failure"}"#;
    for (status, body, refused) in [
        ("403 Forbidden", ACL, true),
        ("403 Forbidden", API_ACL, true),
        // These are no refusals of the instance itself and may pass.
        ("401 Unauthorized", ACL, false),
        ("403 Forbidden", "<html>nginx</html>", false),
        ("404 Not Found", "<html>nginx</html>", false),
        ("503 Service Unavailable", "<html>nginx</html>", false),
        ("200 OK", r#"{"result":"maintenance"}"#, false),
    ] {
        let rows = r#"{"result":[{"a":"1"}]}"#;
        let server = ScriptedServer::start(move |_, seen: &SeenRequest| {
            if seen.line.contains("/table/incident?") {
                answer("200 OK", &[JSON_HEADER], rows)
            } else {
                answer(status, &[JSON_HEADER], body)
            }
        });
        let url = format!("http://{}", server.addr);
        let texts = try_ask(&url, "");
        assert_eq!(texts.is_ok(), refused, "{status}: {texts:?}");
        let types = try_ask(&url, ", schema: {style: typed}");
        let hidden = matches!(types, Err(SchemaUnavailable::Hidden(_)));
        assert_eq!(hidden, refused, "{status}: {types:?}");
        assert!(types.is_err(), "{status}: {types:?}");
    }
}

#[test]
fn a_table_without_known_columns_is_reported() {
    let server = hiding(r#"{"result":[]}"#);
    let nothing = ask(&format!("http://{}", server.addr), "");
    assert_eq!(columns(&nothing), [""; 0]);
    assert!(
        nothing.notes[1].contains("name them in `fields`"),
        "{:?}",
        nothing.notes
    );
}

#[test]
fn named_texts_need_no_instance() {
    let wanted = ask(
        "http://127.0.0.1:1",
        ", fields: [number], skip_own_writes: true",
    );
    let expected = [
        "number",
        "sys_id",
        "sys_updated_on",
        "sys_mod_count",
        "sys_updated_by",
    ];
    assert_eq!(columns(&wanted), expected);
}
