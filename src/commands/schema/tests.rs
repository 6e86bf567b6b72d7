//! The command against a scripted registry; the instance is not needed where the columns are named.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::*;
use crate::commands::terminal::tests::{Written, written};
use crate::config;
use crate::servicenow::tests::server::{ScriptedServer, SeenRequest, ServerAction, answer};

fn config(url: &str, more: &str) -> Config {
    let text = format!(
        "servicenow:\n  base_url: http://127.0.0.1:1\n  max_retries: 1\n  auth: {{type: basic, \
         basic: {{username: u, password: p}}}}\n\
         kafka: {{brokers: ['localhost:9092']}}\n\
         schema_registry: {{url: '{url}', auto_register: false}}\n\
         source:\n  enabled: true\n  topic_prefix: sn\n  tables:\n    - name: incident\n      \
         fields: [number]\n{more}    - {{name: plain, format: json}}\n"
    );
    config::parse(&text, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .0
}

fn ok(body: &str) -> Vec<ServerAction> {
    answer("200 OK", &["Content-Type: application/json"], body)
}

const SUBJECT_NOT_FOUND: &str = r#"{"error_code":40401,"message":"Subject not found"}"#;
/// The registered schema has a column that is gone, and lacks those of today.
const OUTDATED_VERSION: &str = r#"{"subject":"sn.incident-value","version":3,"id":7,"schema":"{\"type\":\"record\",\"name\":\"incident\",\"namespace\":\"com.servicenow.bridge\",\"fields\":[{\"name\":\"old\",\"type\":[\"null\",\"string\"],\"default\":null},{\"name\":\"number\",\"type\":[\"null\",\"string\"],\"default\":null}]}"}"#;

fn registry(latest: Option<&'static str>, compatible: bool) -> ScriptedServer {
    comparing(latest, compatible, "FULL", r#"["at /fields/0"]"#)
}

/// A registry with a compatibility level, and the messages of a comparison.
fn comparing(
    latest: Option<&'static str>,
    compatible: bool,
    level: &'static str,
    messages: &'static str,
) -> ScriptedServer {
    ScriptedServer::start(
        move |_, seen: &SeenRequest| match seen.line.split(' ').nth(1).unwrap() {
            "/subjects/sn.incident-value/versions/latest" => match latest {
                Some(latest) => ok(latest),
                None => answer("404 Not Found", &[], SUBJECT_NOT_FOUND),
            },
            path if path.starts_with("/compatibility/") && latest.is_some() => ok(&format!(
                r#"{{"is_compatible":{compatible},"messages":{messages}}}"#
            )),
            path if path.starts_with("/config/") => {
                ok(&format!(r#"{{"compatibilityLevel":"{level}"}}"#))
            }
            path if path.ends_with("/versions") && compatible => ok(r#"{"id":8}"#),
            path if path.ends_with("/versions") => {
                answer("409 Conflict", &[], r#"{"error_code":409,"message":"no"}"#)
            }
            _ => answer("404 Not Found", &[], SUBJECT_NOT_FOUND),
        },
    )
}

/// What the command writes, and its exit code.
fn run(config: &Config, action: SchemaAction, table: &str, json: bool) -> Written {
    let table = table.to_owned();
    let options = SchemaOptions { table, json };
    written(None, |terminal| execute(config, action, &options, terminal))
}

fn check(server: &ScriptedServer, more: &str, action: SchemaAction, expected: &Expect) {
    let config = config(&format!("http://{}", server.addr), more);
    let all = run(&config, action, "incident", false);
    let errors = all.errors.replace("servicenow-kafka-bridge: ", "! ");
    let text = format!("{}{errors}exit {}\n", all.output, all.code);
    expected.assert_eq(&text.replace(&server.addr.to_string(), "HOST"));
}

#[test]
fn a_new_table() {
    let server = registry(None, true);
    check(
        &server,
        "",
        SchemaAction::Show,
        &expect![[r#"
            subject sn.incident-value: nothing is registered
            {
              "type":"record",
              "name":"incident",
              "namespace":"com.servicenow.bridge",
              "fields":[
                {"name":"number","type":["null","string"],"default":null},
                {"name":"sys_id","type":["null","string"],"default":null},
                {"name":"sys_updated_on","type":["null","string"],"default":null}
              ]
            }
            exit 0
        "#]],
    );
    check(
        &server,
        "",
        SchemaAction::Diff,
        &expect![[r#"
            subject sn.incident-value: nothing is registered
            the registry would take the schema of `schema show`
            exit 1
        "#]],
    );
    let key = "      schema: {key: avro}\n";
    check(
        &server,
        key,
        SchemaAction::Register,
        &expect![[r#"
        subject sn.incident-value: id 8
        subject sn.incident-key: id 8
        exit 0
    "#]],
    );
    assert_eq!(server.count("POST /subjects/sn.incident-key/versions "), 1);
}

#[test]
fn a_table_that_has_grown() {
    let server = registry(Some(OUTDATED_VERSION), true);
    check(
        &server,
        "",
        SchemaAction::Diff,
        &expect![[r#"
            subject sn.incident-value: version 3, id 7, is registered
              column `old` is gone; its field stays and is null
              column `sys_id` is new, as string
              column `sys_updated_on` is new, as string
            the registry would take the schema of `schema show`
            exit 1
        "#]],
    );
    check(
        &server,
        "",
        SchemaAction::Register,
        &expect![[r#"
        subject sn.incident-value: id 8
        exit 0
    "#]],
    );
    let seen = server.seen();
    let sent = seen
        .iter()
        .find(|seen| seen.line.ends_with("/versions HTTP/1.1"));
    let body = &sent.unwrap().body;
    for column in ["old", "number", "sys_id", "sys_updated_on"] {
        assert!(
            body.contains(&format!(r#"\"name\":\"{column}\""#)),
            "{body}"
        );
    }
}

#[test]
fn a_table_that_does_not_fit() {
    let server = registry(Some(OUTDATED_VERSION), false);
    check(
        &server,
        "",
        SchemaAction::Diff,
        &expect![[r#"
        subject sn.incident-value: version 3, id 7, is registered
          column `old` is gone; its field stays and is null
          column `sys_id` is new, as string
          column `sys_updated_on` is new, as string
        the registry would refuse the schema of `schema show`
          field `old`: at /fields/0
          the subject's compatibility is FULL
        exit 78
    "#]],
    );
    check(
        &server,
        "",
        SchemaAction::Register,
        &expect![[r#"
        ! schema registry: POST http://HOST/subjects/sn.incident-value/versions (subject `sn.incident-value`): the schema does not fit to what is registered (compatibility FULL): field `old`: at /fields/0; relax the compatibility of the subject for this change, or use another topic
        exit 78
    "#]],
    );
}

/// Apicurio says so of every schema where no rule is set, and takes them all.
#[test]
fn a_registry_that_compares_nothing_refuses_nothing() {
    let server = comparing(Some(OUTDATED_VERSION), false, "NONE", "[]");
    check(
        &server,
        "",
        SchemaAction::Diff,
        &expect![[r#"
            subject sn.incident-value: version 3, id 7, is registered
              column `old` is gone; its field stays and is null
              column `sys_id` is new, as string
              column `sys_updated_on` is new, as string
            the registry takes the schema of `schema show`: it compares nothing (NONE)
            exit 1
        "#]],
    );
    let mut config = config(&format!("http://{}", server.addr), "");
    config.schema_registry.auto_register = true;
    let registry = Registry::new(&config.schema_registry, &Metrics::new()).unwrap();
    let table = &config.source.tables[0];
    let (_trigger, stop) = stop::pair();
    let said = super::check(&config, table, &registry, &mut Vec::new(), &stop).unwrap();
    assert!(said.ends_with("is registered; a new one will be"), "{said}");
}

#[test]
fn a_refusal_has_a_reason() {
    let server = comparing(Some(OUTDATED_VERSION), false, "FULL", "[]");
    let config = config(&format!("http://{}", server.addr), "");
    let done = run(&config, SchemaAction::Diff, "incident", false);
    assert_eq!(done.code, 78, "{done:?}");
    let lines = done.output.lines();
    let after = lines.skip_while(|it| !it.contains("would refuse"));
    let after: Vec<&str> = after.skip(1).collect();
    assert_eq!(
        after,
        [
            "  it gives no reason",
            "  the subject's compatibility is FULL"
        ]
    );
}

#[test]
fn json_has_everything() {
    let server = registry(Some(OUTDATED_VERSION), true);
    let config = config(&format!("http://{}", server.addr), "");
    for action in [
        SchemaAction::Show,
        SchemaAction::Diff,
        SchemaAction::Register,
    ] {
        let done = run(&config, action, "incident", true);
        let code = u8::from(action == SchemaAction::Diff);
        assert_eq!(
            (done.output.lines().count(), done.code),
            (1, code),
            "{done:?}"
        );
        let object: Value = serde_json::from_str(&done.output).unwrap();
        assert_eq!(object["subject"], "sn.incident-value");
        assert_eq!(object["schema"]["fields"][0]["name"], "old");
        assert_eq!(object["registered"]["version"], 3);
        assert_eq!(object["is_registered"], false);
    }
}

#[test]
fn what_has_no_schema_is_said() {
    let answer = |url: &str, more: &str, table: &str| {
        let mut config = config("http://127.0.0.1:1", more);
        if url.is_empty() {
            config.schema_registry.urls.clear();
        }
        run(&config, SchemaAction::Show, table, false)
    };
    for (url, more, table, code, part) in [
        ("x", "", "nothing", 64, "is not in `source.tables`"),
        ("x", "", "plain", 78, "`format: json`"),
        ("", "", "incident", 78, "`schema_registry.url` is not set"),
        (
            "x",
            "",
            "incident",
            75,
            "schema registry: GET http://127.0.0.1:1/",
        ),
        (
            "x",
            "      schema: {style: typed}\n",
            "incident",
            75,
            "sys_db_object",
        ),
    ] {
        let done = answer(url, more, table);
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.errors.contains(part), "{done:?}");
    }
}

#[test]
fn schemas_have_a_line_for_each_field() {
    let json = r#"{"type":"record","doc":"a \"[,]\\","fields":[{"a":[1,2]},{"b":{}}]}"#;
    assert_eq!(
        lines(json),
        "{\n  \"type\":\"record\",\n  \"doc\":\"a \\\"[,]\\\\\",\n  \"fields\":[\n    \
         {\"a\":[1,2]},\n    {\"b\":{}}\n  ]\n}"
    );
}
