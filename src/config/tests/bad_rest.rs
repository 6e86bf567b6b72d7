//! Problems of properties, tables and the rest.

use expect_test::expect;

use super::bad::{for_each_value, refused, refused_under};
use super::*;

#[test]
fn properties() {
    let names = [
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "max.in.flight",
        "retries",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "partitioner",
        "enable.gapless.guarantee",
        "transactional.id",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "linger.ms",
        "bootstrap.servers",
        "metadata.broker.list",
        "security.protocol",
        "sasl.password",
        "sasl.oauthbearer.config",
        "ssl.ca.location",
        "ssl.key.pem",
        "ssl.keystore.password",
        "compression.type",
        "message.max.bytes",
        "dr_cb",
        "opaque",
        "plugin.library.paths",
        "interceptors",
        "ssl.engine.location",
        "ssl.providers",
        "sasl.kerberos.kinit.cmd",
        "enable.auto.commit",
        "\"a b\"",
    ];
    let text = LEAST.replace("kafka:\n", "kafka:\n  properties: {VALUE: x}\n");
    for_each_value(
        &text,
        &names,
        expect![[r#"
        acks  kafka.properties.acks: cannot be changed: that no row is lost rests on it
        request.required.acks  kafka.properties.request.required.acks: cannot be changed: that no row is lost rests on it
        enable.idempotence  kafka.properties.enable.idempotence: cannot be changed: that no row is lost rests on it
        max.in.flight  kafka.properties.max.in.flight: cannot be changed: that records of one key stay in order rests on it
        retries  kafka.properties.retries: cannot be changed: that no row is lost rests on it
        message.timeout.ms  kafka.properties.message.timeout.ms: cannot be changed: that no row is lost rests on it
        delivery.timeout.ms  kafka.properties.delivery.timeout.ms: cannot be changed: that no row is lost rests on it
        partitioner  kafka.properties.partitioner: cannot be changed: keys keep their partitions by it; see `source.tables[].partitioner` for how keys are made
        enable.gapless.guarantee  kafka.properties.enable.gapless.guarantee: cannot be changed: that records of one key stay in order rests on it
        transactional.id  kafka.properties.transactional.id: cannot be set: the bridge names and bounds its transactions itself
        queue.buffering.max.kbytes  kafka.properties.queue.buffering.max.kbytes: has a key of its own: use `kafka.queue_bytes`
        queue.buffering.max.messages  kafka.properties.queue.buffering.max.messages: has a key of its own: use `kafka.queue_bytes`
        queue.buffering.max.ms  kafka.properties.queue.buffering.max.ms: has a key of its own: use `kafka.linger`
        linger.ms  kafka.properties.linger.ms: has a key of its own: use `kafka.linger`
        bootstrap.servers  kafka.properties.bootstrap.servers: has a key of its own: use `kafka.brokers`
        metadata.broker.list  kafka.properties.metadata.broker.list: has a key of its own: use `kafka.brokers`
        security.protocol  kafka.properties.security.protocol: has a key of its own: use `kafka.tls.enabled` and `kafka.sasl.mechanism`
        sasl.password  kafka.properties.sasl.password: has a key of its own: use `kafka.sasl.password`
        sasl.oauthbearer.config  kafka.properties.sasl.oauthbearer.config: is not known here: use `kafka.sasl` with PLAIN or SCRAM
        ssl.ca.location  kafka.properties.ssl.ca.location: has a key of its own: use `kafka.tls.ca_cert`
        ssl.key.pem  kafka.properties.ssl.key.pem: has a key of its own: use `kafka.tls.key_file`
        ssl.keystore.password  kafka.properties.ssl.keystore.password: has a key of its own: use `kafka.tls.cert_file` and `kafka.tls.key_file`
        compression.type  kafka.properties.compression.type: has a key of its own: use `kafka.compression`
        message.max.bytes  kafka.properties.message.max.bytes: has a key of its own: use `kafka.max_message_bytes`
        dr_cb  kafka.properties.dr_cb: cannot be set in a file: it takes code, not text
        opaque  kafka.properties.opaque: cannot be set in a file: it takes code, not text
        plugin.library.paths  kafka.properties.plugin.library.paths: cannot be set: it would load foreign code
        interceptors  kafka.properties.interceptors: cannot be set: it would load foreign code
        ssl.engine.location  kafka.properties.ssl.engine.location: cannot be set: it would load foreign code
        ssl.providers  kafka.properties.ssl.providers: cannot be set: it would load foreign code
        sasl.kerberos.kinit.cmd  kafka.properties.sasl.kerberos.kinit.cmd: cannot be set: it would run a command
        enable.auto.commit  kafka.properties.enable.auto.commit: cannot be changed: when positions are committed is decided here
        "a b"  kafka.properties.a b: is not the name of a librdkafka property
    "#]],
    );
    refused_under(
        "kafka",
        "properties: [acks]",
        expect![[r#"
        config.yaml:7: kafka.properties: expected keys and values, found a list
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "kafka",
        "properties: {client.id: [a]}",
        expect![[r#"
        config.yaml:7: kafka.properties.client.id: expected one value, found a list
        config.yaml: 1 problem"#]],
    );
}

#[test]
fn tables() {
    refused_under(
        "table",
        "timestamp_field: a b\nidentifier_field: Sys_ID",
        expect![[r#"
            config.yaml:13: source.tables[0].timestamp_field: `a b` is not a column name: lower case letters, digits, `_`, and `.` between the steps of a reference (the name, not the label)
            config.yaml:14: source.tables[0].identifier_field: `Sys_ID` is not a column name: lower case letters, digits, `_`, and `.` between the steps of a reference (the name, not the label)
            config.yaml: 2 problems"#]],
    );
    refused_under(
        "table",
        "timestamp_field: sys_id",
        expect![[r#"
        config.yaml:12: source.tables[0].identifier_field: is the same column as `timestamp_field`
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "table",
        "fields: [number, 'a,b', ]\npartitioner: random",
        expect![[r#"
            config.yaml:13: source.tables[0].fields[1]: `a,b` is not a column name: lower case letters, digits, `_`, and `.` between the steps of a reference (the name, not the label)
            config.yaml:14: source.tables[0].partitioner: `random` is not one of default, round_robin, field_based
            config.yaml: 2 problems"#]],
    );
    refused_under(
        "table",
        "partitioner: field_based",
        expect![[r#"
        config.yaml:12: source.tables[0].partition_key_fields: is required with `partitioner: field_based`
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "table",
        "fields: [number]\npartitioner: field_based\npartition_key_fields: [number, state, sys_id]",
        expect![[r#"
            config.yaml:15: source.tables[0].partition_key_fields[1]: `state` is not in `fields`, so the rows come without it; add it there
            config.yaml: 1 problem"#]],
    );
    refused_under(
        "table",
        "fields: number,state",
        expect![[r#"
        config.yaml:13: source.tables[0].fields: expected a list, found one value; write each item on a line after `- `
        config.yaml: 1 problem"#]],
    );
    refused_under(
        "table",
        "display_value: both\ntopic: ..",
        expect![[r#"
            config.yaml:13: source.tables[0].display_value: `both` is not one of false, true, all
            config.yaml:14: source.tables[0].topic: `..` is not a topic name: letters, digits, `.`, `_` and `-` only
            config.yaml: 2 problems"#]],
    );
    refused(
        &least_with("topic_prefix: sn", "topic_prefix: a b"),
        expect![[r#"
            config.yaml:12: source.tables[0].topic: `a b.incident` is not a topic name: letters, digits, `.`, `_` and `-` only
            config.yaml: 1 problem"#]],
    );
    refused(
        &least_with("  topic_prefix: sn\n", ""),
        expect![[r#"
        config.yaml:11: source.tables[0].topic: is required, as there is no `source.topic_prefix`
        config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}    - name: incident\n    - topic: x\n"),
        expect![[r#"
            config.yaml:13: source.tables[1].name: `incident` is already in source.tables[0]; keep one of them
            config.yaml:14: source.tables[2].name: is required
            config.yaml: 2 problems"#]],
    );
    refused(
        &least_with("    - name: incident\n", ""),
        expect![[r#"
        config.yaml:11: source.tables: is required: a list with a `name` for each table to poll
        config.yaml: 1 problem"#]],
    );
    for_each_value(
        &format!("{LEAST}      query: VALUE\n"),
        &[
            "ORDERBYnumber",
            "a=1^ORDERBYDESCnumber",
            "a=1^TRENDBYsys_created_on,month",
            "a=1^STARTAT100",
            "^ORa=1",
            "^NQa=1",
            "\"a=1\\nb=2\"",
            "^EQ",
        ],
        expect![[r#"
            ORDERBYnumber  source.tables[0].query: must not hold `ORDERBY`: rows are read in the order of the cursor
            a=1^ORDERBYDESCnumber  source.tables[0].query: must not hold `ORDERBY`: rows are read in the order of the cursor
            a=1^TRENDBYsys_created_on,month  source.tables[0].query: must not hold `TRENDBY`: it is for reports, and rows are read one by one
            a=1^STARTAT100  source.tables[0].query: must not hold `STARTAT`: where reading starts is told by the checkpoint
            ^ORa=1  source.tables[0].query: must not begin with `^OR` or `^NQ`
            ^NQa=1  source.tables[0].query: must not begin with `^OR` or `^NQ`
            "a=1\nb=2"  source.tables[0].query: must not hold line breaks or other control characters
            ^EQ  source.tables[0].query: holds no condition; remove it
        "#]],
    );
}

#[test]
fn the_rest() {
    refused(
        &least_with("enabled: true", "enabled: false"),
        expect![[r#"
            config.yaml:8: source.enabled: nothing to do: set `source.enabled: true` or `sink.enabled: true`
            config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}sink: {{enabled: true, concurrency: 1000}}\n"),
        expect![[r#"
            config.yaml:13: sink.topics: is required: a list with a `topic` and a `table` for each topic to consume
            config.yaml:13: sink.concurrency: 1000 is out of range: at most 256
            config.yaml: 2 problems"#]],
    );
    refused(
        &format!("{LEAST}sink: {{topics: [{{topic: a b, table: A}}]}}\n"),
        expect![[r#"
            config.yaml:13: sink.topics[0].topic: `a b` is not a topic name: letters, digits, `.`, `_` and `-` only
            config.yaml:13: sink.topics[0].table: `A` is not a table name: lower case letters, digits and `_` only, as in `u_my_table` (the name, not the label)
            config.yaml: 2 problems"#]],
    );
    refused(
        &format!("{LEAST}offset: {{storage: kafka, kafka_topic: a b, flush_interval: 5}}\n"),
        expect![[r#"
            config.yaml:13: offset.kafka_topic: `a b` is not a topic name: letters, digits, `.`, `_` and `-` only
            config.yaml:13: offset.flush_interval: 5 has no unit; write for example `5s` or `5ms`
            config.yaml: 2 problems"#]],
    );
    refused(
        &format!("{LEAST}offset: {{storage: fil}}\n"),
        expect![[r#"
        config.yaml:13: offset.storage: `fil` is not one of file, kafka, did you mean `file`?
        config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}log_format: xml\nlog_level: 5\n"),
        expect![[r#"
            config.yaml:13: log_format: `xml` is not one of json, text
            config.yaml:14: log_level: `5` is not one of debug, info, warn, error, trace
            config.yaml: 2 problems"#]],
    );
    for_each_value(
        &format!("{LEAST}observability: {{addr: VALUE}}\n"),
        &["'8080'", "':80800'", "'a b:80'", "'::1:80'", "':http'"],
        expect![[r#"
            '8080'  observability.addr: has no port; write for example `:8080` or `127.0.0.1:8080`
            ':80800'  observability.addr: the port after `:` must be a number from 0 to 65535
            'a b:80'  observability.addr: has a host that is no name or address (names beyond ASCII go in their `xn--` form); write for example `127.0.0.1:8080`
            '::1:80'  observability.addr: a v6 address goes in brackets, as in `[::1]:8080`
            ':http'  observability.addr: the port after `:` must be a number from 0 to 65535
        "#]],
    );
}

#[test]
fn the_admin_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let name = file.display().to_string();
    let text = format!("{LEAST}observability: {{admin_token_file: {name}}}\n");
    let words = |content: Option<&str>| {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let problems = parse(&text, &|_| None).unwrap_err().to_string();
        problems.replace(&name, "FILE")
    };
    expect![[r#"
        config.yaml:13: observability.admin_token_file: cannot use `FILE`: No such file or directory (os error 2)
        config.yaml: 1 problem"#]].assert_eq(&words(None));
    expect![[r#"
        config.yaml:13: observability.admin_token_file: cannot use `FILE`: it is empty
        config.yaml: 1 problem"#]]
    .assert_eq(&words(Some("\n")));
    expect![[r#"
        config.yaml:13: observability.admin_token_file: names a file with a blank or a special character in it
        config.yaml: 1 problem"#]].assert_eq(&words(Some("two words of a token\n")));
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let (config, warnings) = parse(&text, &|_| None).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(
        config.observability.admin.as_ref().unwrap().token.expose(),
        "0123456789abcdef"
    );
    let shown = show(&config);
    assert!(shown.contains(&format!("admin_token_file: {name}")) && !shown.contains("0123456789"));
    assert_eq!(
        parse(&shown.replace("'[redacted]'", "p"), &|_| None)
            .unwrap()
            .0,
        config
    );
    std::fs::write(&file, "hello").unwrap();
    let (_, warnings) = parse(&text, &|_| None).unwrap();
    expect!["config.yaml:13: observability.admin_token_file: names a file with a token that can be guessed; make one with `openssl rand -hex 32`"].assert_eq(&warnings[0].in_file("config.yaml"));
}

#[test]
fn letters_of_rows_that_are_too_large() {
    let under_source = |keys: &str, expected| refused_under("source", keys, expected);
    under_source(
        "on_oversize: dead_letter",
        expect![[r#"
        config.yaml:13: source.tables[0].on_oversize: is dead_letter, so a `dlq_topic` is required, here or in `source`
        config.yaml: 1 problem"#]],
    );
    under_source(
        "on_oversize: dead_letter\ndlq_topic: sn.incident",
        expect![[r#"
            config.yaml:14: source.tables[0].dlq_topic: is the topic of the table's records
            config.yaml: 1 problem"#]],
    );
    let keys = "on_oversize: dead_letter\ndlq_topic: sn.dead";
    refused_under(
        "table",
        "on_oversize: dead_letter",
        expect![[r#"
        config.yaml:13: source.tables[0].on_oversize: is dead_letter, so a `dlq_topic` is required, here or in `source`
        config.yaml: 1 problem"#]],
    );
    assert_eq!(
        good(&format!("{LEAST}      {}", keys.replace('\n', "\n      "))).topics(),
        ["sn.dead", "sn.incident"]
    );
}
