//! The schema registry and the formats: what is refused, what is odd, and what it means.

use expect_test::{Expect, expect};

use super::bad::{refused, refused_under};
use super::*;

/// Warnings about `LEAST` with more at its end.
fn remarks(text: &str, expected: &Expect) {
    let (_, warnings) = parse(&format!("{LEAST}{text}"), &env).unwrap_or_else(|p| panic!("{p}"));
    let lines: Vec<String> = warnings
        .iter()
        .map(|warning| format!("{}: {}\n", warning.path, warning.message))
        .collect();
    expected.assert_eq(&lines.concat());
}

const URL: &str = "schema_registry: {url: 'https://r:8081'}\n";

#[test]
fn addresses() {
    let urls = |text: &str| good(text).schema_registry.urls;
    assert_eq!(urls(LEAST), [""; 0]);
    assert_eq!(urls(&format!("{LEAST}{URL}")), ["https://r:8081"]);
    // The Go program's key, and both where they agree.
    let go = "kafka:\n  schema_registry_url: 'http://A:8081/, https://b/apis/ccompat/v7/'\n";
    let text = LEAST.replace("kafka:\n", go);
    let both = ["http://a:8081", "https://b/apis/ccompat/v7"];
    assert_eq!(urls(&text), both);
    let again = "schema_registry: {url: 'http://a:8081,https://b/apis/ccompat/v7'}\n";
    assert_eq!(urls(&format!("{text}{again}")), both);
    refused(
        &format!("{text}{URL}"),
        expect![[r#"
        config.yaml:14: schema_registry.url: differs from `kafka.schema_registry_url`; keep one of them
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "kafka",
        "schema_registry_url: registry:8081",
        expect![[r#"
            config.yaml:7: kafka.schema_registry_url: is not a URL; write for example `https://registry.example.com:8081`
            config.yaml: 1 problem"#]],
    );
    for bad in [
        "http://me:hunter2@r",
        "ftp://r",
        "http://r?x=1",
        "http://a,,http://b",
    ] {
        let text = format!("{LEAST}schema_registry: {{url: '{bad}'}}\n");
        let problems = parse(&text, &env).unwrap_err().to_string();
        assert!(problems.contains("schema_registry.url: "), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn log_ins() {
    let auth = |auth: &str| format!("{LEAST}schema_registry:\n  url: https://r\n  auth: {auth}\n");
    let registry = |text: &str| good(&auth(text)).schema_registry.auth;
    assert_eq!(registry("{}"), RegistryAuth::None);
    assert_eq!(
        registry("{type: basic, username: u, password: '${SN_SECRET}'}"),
        RegistryAuth::Basic {
            username: "u".to_owned(),
            password: Secret::new("topsecret")
        }
    );
    assert_eq!(
        registry("{type: bearer, token: abc}"),
        RegistryAuth::Bearer {
            token: Secret::new("abc")
        }
    );
    refused(
        &auth("{type: basic}"),
        expect![[r#"
        config.yaml:15: schema_registry.auth.username: is required with `type: basic`
        config.yaml:15: schema_registry.auth.password: is required with `type: basic`; or set `password_file`
        config.yaml: 2 problems"#]],
    );
    refused(
        &auth("{type: bearer, token_file: /not/there}"),
        expect![[r#"
            config.yaml:15: schema_registry.auth.token_file: cannot use `/not/there`: No such file or directory (os error 2)
            config.yaml: 1 problem"#]],
    );
    refused(
        &auth("{type: bearer}"),
        expect![[r#"
        config.yaml:15: schema_registry.auth.token: is required with `type: bearer`; or set `token_file`
        config.yaml: 1 problem"#]],
    );
    refused(
        &auth("{type: oauth, token: 'a b', username: 'a:b'}"),
        expect![[r#"
            config.yaml:15: schema_registry.auth.type: `oauth` is not one of none, basic, bearer
            config.yaml:15: schema_registry.auth.token: must be printable ASCII without blanks, as it goes into a header
            config.yaml:15: schema_registry.auth.username: must not hold `:`, which ends the name in basic auth
            config.yaml: 3 problems"#]],
    );
}

#[test]
fn words_and_times() {
    refused(
        &format!(
            "{LEAST}schema_registry: {{auto_register: maybe, normalize: 2, subject_strategy: topics, \
             timeout: 10, tls: {{cert_file: Cargo.toml}}, urll: x}}\n"
        ),
        expect![[r#"
            config.yaml:13: schema_registry.auto_register: `maybe` is not true or false
            config.yaml:13: schema_registry.normalize: `2` is not true or false
            config.yaml:13: schema_registry.subject_strategy: `topics` is not one of topic, record, topic_record, did you mean `topic`?
            config.yaml:13: schema_registry.timeout: 10 has no unit; write for example `10s` or `10ms`
            config.yaml:13: schema_registry.tls.key_file: is required with `cert_file`
            config.yaml:13: schema_registry.urll: unknown key, did you mean `url`?
            config.yaml: 6 problems"#]],
    );
    let bad = "schema: {style: type, decimals: byte, on_type_error: skip, key: json, x: 1}";
    refused_under(
        "source",
        bad,
        expect![[r#"
        config.yaml:9: source.schema.style: `type` is not one of strings, typed, did you mean `typed`?
        config.yaml:9: source.schema.decimals: `byte` is not one of bytes, string, did you mean `bytes`?
        config.yaml:9: source.schema.on_type_error: `skip` is not one of null, string_field, hold
        config.yaml:9: source.schema.key: `json` is not one of string, avro
        config.yaml:9: source.schema.x: unknown key
        config.yaml: 5 problems"#]],
    );
    refused(
        &format!("{LEAST}      format: xml\n      {bad}\n"),
        expect![[r#"
            config.yaml:13: source.tables[0].format: `xml` is not one of avro, json
            config.yaml:14: source.tables[0].schema.style: `type` is not one of strings, typed, did you mean `typed`?
            config.yaml:14: source.tables[0].schema.decimals: `byte` is not one of bytes, string, did you mean `bytes`?
            config.yaml:14: source.tables[0].schema.on_type_error: `skip` is not one of null, string_field, hold
            config.yaml:14: source.tables[0].schema.key: `json` is not one of string, avro
            config.yaml:14: source.tables[0].schema.x: unknown key
            config.yaml: 6 problems"#]],
    );
}

#[test]
fn avro_needs_a_registry() {
    refused(
        &format!(
            "{LEAST}      format: avro\nsink: {{topics: [{{topic: t, table: t, format: avro}}]}}\n"
        ),
        expect![[r#"
            config.yaml:13: source.tables[0].format: needs a registry: set `schema_registry.url`
            config.yaml:14: sink.topics[0].format: needs a registry: set `schema_registry.url`
            config.yaml: 2 problems"#]],
    );
}

#[test]
fn what_the_user_sees_has_no_types() {
    let table = |display: &str, style: &str| {
        format!("{LEAST}      display_value: {display}\n      schema: {{style: {style}}}\n{URL}")
    };
    refused(
        &table("true", "typed"),
        expect![[r#"
            config.yaml:13: source.tables[0].display_value: must be false or all with `schema.style: typed`, as what the user sees has no types
            config.yaml: 1 problem"#]],
    );
    good(&table("true", "strings"));
    good(&table("all", "typed"));
}

#[test]
fn tables_override_the_source() {
    let config = good(&format!(
        "{}      schema: {{style: strings, key: avro}}\n    - name: other\n      format: json\n{URL}",
        LEAST.replace(
            "  tables:",
            "  schema: {style: typed, decimals: string, on_type_error: hold}\n  tables:"
        )
    ));
    let [table, other] = &config.source.tables[..] else {
        panic!()
    };
    assert_eq!(
        (table.format, other.format),
        (TableFormat::Avro, TableFormat::Json)
    );
    assert_eq!(other.schema, config.source.schema);
    let expected = TableSchemaConfig {
        style: SchemaStyle::Strings,
        decimals: Decimals::String,
        on_type_error: OnTypeError::Hold,
        key: KeyFormat::Avro,
    };
    assert_eq!(table.schema, expected);
}

#[test]
fn a_bare_null_is_no_word() {
    let text = |null: &str| {
        format!(
            "{}      schema: {{on_type_error: {null}}}\n",
            LEAST.replace("  tables:", "  schema: {on_type_error: hold}\n  tables:")
        )
    };
    let table = good(&text("'null'")).source.tables[0].schema;
    assert_eq!(table.on_type_error, OnTypeError::Null);
    refused(
        &text("null"),
        expect![[r#"
        config.yaml:14: source.tables[0].schema.on_type_error: is empty, as a bare `null` is nothing in YAML: write `'null'`, or remove it
        config.yaml: 1 problem"#]],
    );
    // Where that is inherited the two mean the same.
    let inherited = text("null").replace("on_type_error: hold", "on_type_error: 'null'");
    assert_eq!(good(&inherited).source.tables[0].schema, table);
}

#[test]
fn odd_settings() {
    remarks(
        "schema_registry: {auth: {type: basic, username: u, password: p}}\n",
        &expect![[r#"
            schema_registry.url: is not set: there is no Avro, and nothing here is used
        "#]],
    );
    remarks(
        "schema_registry: {url: 'http://r:8081', auth: {type: bearer, token: t, username: u}, tls: {ca_cert: Cargo.toml}}\n",
        &expect![[r#"
            schema_registry.url: is http: the credentials travel unprotected; use https
            schema_registry.auth.username: is not used with `type: bearer`
            schema_registry.tls: is not used, as `url` is http
        "#]],
    );
    remarks(
        "schema_registry: {url: 'http://localhost:8081', auth: {username: u}}\n",
        &expect![[r#"
            schema_registry.auth.type: is not set: nobody logs in to the registry
        "#]],
    );
    remarks(
        &format!("    - {{name: a, topic: t}}\n    - {{name: b, topic: t}}\n{URL}"),
        &expect![[r#"
            schema_registry.subject_strategy: is topic, so the tables `a` and `b` share one schema, as they share the topic `t`; with topic_record each has its own
        "#]],
    );
    remarks(
        "schema_registry: {url: 'https://r', auth: {type: basic, username: u, password: p, token: t}}\n",
        &expect![[r#"
            schema_registry.auth.token: is not used with `type: basic`
        "#]],
    );
}

#[test]
fn what_is_shown_loads_again_without_the_secrets() {
    for auth in [
        "{type: basic, username: u, password: hunter2}",
        "{type: bearer, token: hunter2}",
    ] {
        let config = good(&format!(
            "{LEAST}schema_registry: {{url: 'https://a, https://b/x', auth: {auth}, normalize: true, \
             auto_register: false, subject_strategy: topic_record, timeout: 3s}}\n"
        ));
        let shown = show(&config);
        assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
        let again = good(&shown);
        assert_eq!(show(&again), shown);
        assert_eq!(again.schema_registry.urls, ["https://a", "https://b/x"]);
        assert_eq!(again.schema_registry.timeout, Duration::from_secs(3));
        assert_eq!(again.source.tables, config.source.tables);
    }
}
