//! Problems and warnings of `sink`.

use expect_test::{Expect, expect};

use super::*;

/// Problems, or the warnings where there are none.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` makes a value where it is called"
)]
fn remarks(sink: &str, expected: Expect) {
    let found = match parse(&format!("{LEAST}{sink}"), &env) {
        Err(problems) => problems.to_string(),
        Ok((_, warnings)) => {
            let line = |warning: &ConfigWarning| format!("{}: {}\n", warning.path, warning.message);
            warnings.iter().map(line).collect()
        }
    };
    expected.assert_eq(&found);
}

#[test]
fn topics() {
    remarks(
        "sink: {enabled: true, dlq_topic: b, topics: [{topic: a, table: t}, {topic: a}, {topic: b, table: t}]}\n",
        expect![[r#"
            config.yaml:13: sink.topics[1].table: is required
            config.yaml:13: sink.topics[1].topic: `a` is already in sink.topics[0]; keep one of them
            config.yaml:13: sink.topics[2].topic: is the dead letter topic itself: a letter would make the next one
            config.yaml: 3 problems"#]],
    );
    remarks(
        "sink:
  enabled: true
  topics:
    - {topic: a, table: t, key_field: sys_id, operation: merge, on_missing: drop}
    - {topic: b, table: t, key_field: number, fields: [state], create_id: hash}
",
        expect![[r#"
            config.yaml:16: sink.topics[0].key_field: `sys_id` is kept by the instance; name another column
            config.yaml:16: sink.topics[0].operation: `merge` is not one of auto, insert, update, upsert
            config.yaml:16: sink.topics[0].on_missing: `drop` is not one of dead_letter, insert, skip
            config.yaml:17: sink.topics[1].fields: must hold the `key_field` `number`, or new rows come without it
            config.yaml:17: sink.topics[1].create_id: `hash` is not one of record, key, field, none
            config.yaml: 5 problems"#]],
    );
}

#[test]
fn times() {
    remarks(
        "sink: {retry_for: for ever, record_retry_for: 0s, transaction_time: 20m}\n",
        expect![[r#"
            config.yaml:13: sink.retry_for: `for ever` is not a duration; write for example `500ms`, `30s`, `5m` or `1h30m`
            config.yaml:13: sink.transaction_time: 20m is out of range: 100ms to 10m
            config.yaml: 2 problems"#]],
    );
    remarks(
        "sink: {retry_for: 1ms}\n",
        expect![[r#"
        config.yaml:13: sink.retry_for: 1ms is out of range: `unlimited`, or from 100ms to 2400h
        config.yaml: 1 problem"#]],
    );
    remarks("sink: {retry_for: unlimited}\n", expect![""]);
}

#[test]
fn what_happens_to_bad_records() {
    remarks(
        "sink: {on_error: skip}\n",
        expect![[r#"
        sink.on_error: records that cannot be written are lost; a `dlq_topic` would keep them
    "#]],
    );
    remarks(
        "sink: {on_error: skip, dlq_topic: d}\n",
        expect![[r#"
        sink.on_error: is not used: it is for `commit_on_partial_failure: true` without `dlq_topic`
    "#]],
    );
    remarks(
        "sink: {commit_on_partial_failure: false, dlq_topic: d}\n",
        expect![[r#"
            sink.dlq_topic: is not used with `commit_on_partial_failure: false`: a record that cannot be written holds its partition
        "#]],
    );
    remarks(
        "sink: {topics: [{topic: a, table: t, create_id: none, create_id_field: u_x}]}\n",
        expect![[r#"
            sink.topics[0].create_id: a create whose answer is lost is sent again, so that a row may be created twice
            sink.topics[0].create_id_field: is not used: set `create_id: field` or remove it
        "#]],
    );
}

#[test]
fn both_directions() {
    remarks(
        "sink: {enabled: true, topics: [{topic: sn.incident, table: t}], dlq_topic: sn.incident}\n",
        expect![[r#"
            config.yaml:13: sink.topics: topic `sn.incident` is written by source table `incident` and consumed by the sink: each change of a row would come back as a change
            config.yaml:13: sink.dlq_topic: is also the topic of a source table
            config.yaml:13: sink.topics[0].topic: is the dead letter topic itself: a letter would make the next one
            config.yaml: 3 problems"#]],
    );
    remarks(
        "sink: {enabled: true, topics: [{topic: in, table: incident}]}\n",
        expect![[r#"
            sink.topics: table `incident` is read and written: set `skip_own_writes: true` in its source table, or what the sink writes comes out of the source again
        "#]],
    );
}
