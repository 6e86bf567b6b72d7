//! What records ask for, and what of them is sent.

use real_kafka::Draft;
use serde_json::{Value, json};
use servicenow_sim::{LoggedRequest, Operation, Row};

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::sink::{SinkRig, TABLE};

/// A record with this value.
fn record(value: &Value) -> Draft {
    Draft::new(value.to_string())
}

/// Writes records and waits until they are done.
fn done(rig: &SinkRig, config: &Config, records: impl IntoIterator<Item = Draft>) -> Bridge {
    rig.produce(records);
    let mut bridge = rig.start(config);
    rig.wait_done(&mut bridge);
    bridge
}

/// The applied writes, as words.
fn operations(rig: &SinkRig) -> Vec<&'static str> {
    let applied = rig.applied();
    applied.iter().map(|write| write.operation.name()).collect()
}

/// The kinds of the dead letters.
fn kinds(rig: &SinkRig) -> Vec<String> {
    let letters = rig.letters();
    letters
        .iter()
        .map(|(_, letter)| letter["error_kind"].as_str().unwrap().to_owned())
        .collect()
}

/// The bodies that were sent.
fn bodies(rig: &SinkRig) -> Vec<String> {
    let writes = rig.sim.table_requests(TABLE).into_iter();
    let writes = writes.filter(|request| request.operation().is_some());
    writes
        .map(|request: LoggedRequest| String::from_utf8(request.body).unwrap())
        .collect()
}

#[test]
fn with_a_sys_id_an_update_else_an_insert_and_the_header_wins() {
    let rig = SinkRig::new();
    let id = rig.row("there");
    let new = "0123456789abcdef0123456789abcdef";
    let bridge = done(
        &rig,
        &rig.config().sink("concurrency: 1"),
        [
            record(&json!({"sys_id": id, "state": "2"})),
            record(&json!({"state": "3"})),
            record(&json!({"sys_id": new, "state": "4"})).header("sn_operation", "insert"),
            record(&json!({"sys_id": new, "state": "5"})).header("sn_operation", "UPSERT"),
        ]
        .map(|draft| draft.key("k").partition(0)),
    );
    assert_eq!(operations(&rig), ["Update", "Insert", "Insert", "Update"]);
    assert_eq!(rig.column(&id, "state"), "2");
    assert_eq!(rig.column(new, "state"), "5");
    assert_eq!(rig.sim.count(TABLE).unwrap(), 3);
    assert_eq!(kinds(&rig).len(), 0);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn tombstones_delete_only_where_that_is_enabled() {
    for enabled in [false, true] {
        let rig = SinkRig::new();
        let [first, second] = ["first", "second"].map(|name| rig.row(name));
        let config = rig.config().sink_topic(&format!("deletes: {enabled}"));
        let named = json!({"sys_id": second}).to_string();
        let bridge = done(
            &rig,
            &config,
            [
                Draft::tombstone().key(first.as_str()),
                Draft::new(named).key("x").header("sn_operation", "delete"),
            ],
        );
        let left = if enabled { 0 } else { 2 };
        assert_eq!(rig.sim.count(TABLE).unwrap(), left);
        for reason in ["tombstone", "delete_not_enabled"] {
            let series =
                format!("bridge_sink_skipped_total{{table=\"incident\",reason=\"{reason}\"}}");
            assert_eq!(bridge.metric(&series), if enabled { 0.0 } else { 1.0 });
        }
        assert_eq!(kinds(&rig).len(), 0);
        assert_eq!(bridge.terminate(), 0);
    }
}

#[test]
fn upserts_find_their_row_by_the_key_field() {
    let rig = SinkRig::new();
    let there = rig.row("there");
    for _ in 0..2 {
        let twin = Row::new().set("correlation_id", "twins");
        rig.sim.insert(TABLE, twin).unwrap();
    }
    let upsert =
        |key: &str, state: &str| record(&json!({"correlation_id": key, "state": state})).key(key);
    let config = rig.config().sink_topic("key_field: correlation_id");
    let bridge = done(
        &rig,
        &config,
        [
            upsert("row-there", "2"),
            upsert("new", "3"),
            upsert("new", "4"),
            upsert("twins", "5"),
        ],
    );
    assert_eq!(rig.column(&there, "state"), "2");
    assert_eq!(kinds(&rig), ["ambiguous_key"]);
    let rows = rig.sim.rows(TABLE).unwrap();
    let new: Vec<&Row> = rows
        .iter()
        .filter(|row| row.get("correlation_id") == Some("new"))
        .collect();
    assert_eq!((rows.len(), new.len()), (4, 1));
    assert_eq!(new[0].get("state"), Some("4"));
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn updates_without_a_row() {
    let missing = "0123456789abcdef0123456789abcdef";
    for (on_missing, rows, letters) in [("dead_letter", 0, 1), ("insert", 1, 0), ("skip", 0, 0)] {
        let rig = SinkRig::new();
        let config = rig
            .config()
            .sink_topic(&format!("on_missing: {on_missing}"));
        let draft = record(&json!({"sys_id": missing, "state": "2"})).key(missing);
        let bridge = done(&rig, &config, [draft]);
        assert_eq!(rig.sim.count(TABLE).unwrap(), rows, "{on_missing}");
        assert_eq!(kinds(&rig).len(), letters, "{on_missing}");
        if rows == 1 {
            assert_eq!(rig.column(missing, "state"), "2");
        }
        let skipped = "bridge_sink_skipped_total{table=\"incident\",reason=\"missing\"}";
        let expected = f64::from(u8::from(on_missing == "skip"));
        assert_eq!(bridge.metric(skipped), expected);
        assert_eq!(bridge.terminate(), 0);
    }
}

#[test]
fn what_of_a_record_is_sent() {
    let rig = SinkRig::new();
    let row = Row::new()
        .set("description", "old")
        .set("short_description", "old")
        .set("close_notes", "old");
    let id = rig.sim.insert(TABLE, row).unwrap();
    let value = json!({
        "sys_id": id,
        "short_description": null,
        "description": "new",
        "reassignment_count": 7,
        "active": false,
        "u_cost": {"value": "1.50", "display_value": "$1.50", "currency_display_value": "USD;1.50"},
        "watch_list": ["a", "b"],
        "assigned_to": {"link": "https://x/y", "value": "abc"},
        "sys_updated_on": "2001-01-01 00:00:00",
        "sys_updated_by": "somebody",
        "sys_mod_count": "99",
        "sys_created_on": "2001-01-01 00:00:00",
        "sys_created_by": "somebody",
        "sys_tags": "",
    });
    let bridge = done(&rig, &rig.config(), [record(&value).key("k")]);
    let body: Value = serde_json::from_str(&bodies(&rig)[0]).unwrap();
    let expected = json!({
        "short_description": "",
        "description": "new",
        "reassignment_count": 7,
        "active": false,
        "u_cost": "1.50",
        "watch_list": "a,b",
        "assigned_to": "abc",
    });
    assert_eq!(body, expected);
    assert_eq!(rig.column(&id, "short_description"), "");
    assert_eq!(
        rig.column(&id, "close_notes"),
        "old",
        "absent is left alone"
    );
    assert_eq!(rig.column(&id, "sys_updated_by"), "bridge");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn only_the_fields_that_are_listed_are_sent() {
    let rig = SinkRig::new();
    let config = rig
        .config()
        .sink_topic("fields: [state, short_description]");
    let value = json!({"state": "2", "priority": "1", "short_description": "x"});
    let bridge = done(&rig, &config, [record(&value).key("k")]);
    let writes = rig.applied();
    let mut names: Vec<&str> = writes[0]
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["short_description", "state", "sys_id"]);
    assert_eq!(bridge.terminate(), 0);
}

/// Records of our own source, with all columns and the header that it sends, make the same rows in
/// another instance, and change them.
#[test]
fn records_of_the_source_go_through() {
    let source = servicenow_sim::Sim::start(servicenow_sim::Options::default()).unwrap();
    let mut rows = servicenow_sim::Generator::new(5, 200, source.now() - 7_200);
    let rows: Vec<Row> = rows.by_ref().take(30).collect();
    source.insert_many(TABLE, rows).unwrap();
    let rig = SinkRig::new();
    let mut drafts = Vec::new();
    let there = source.rows(TABLE).unwrap();
    for round in 0..2 {
        for row in &there {
            let mut value: serde_json::Map<String, Value> = row
                .iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            value.insert("close_notes".to_owned(), json!(format!("round {round}")));
            let draft = record(&Value::Object(value));
            let key = row.get("sys_id").unwrap();
            let draft = draft.key(key).header("sn_operation", "upsert");
            drafts.push(draft.header("sn_table", TABLE));
        }
    }
    let bridge = done(&rig, &rig.config(), drafts);
    assert_eq!(kinds(&rig).len(), 0);
    assert_eq!(rig.sim.count(TABLE).unwrap(), there.len());
    for row in &there {
        let id = row.get("sys_id").unwrap();
        assert_eq!(rig.column(id, "close_notes"), "round 1");
        let number = row.get("short_description").unwrap();
        assert_eq!(rig.column(id, "short_description"), number);
    }
    let deletes = rig.applied();
    assert!(deletes.iter().all(|it| it.operation != Operation::Delete));
    assert_eq!(bridge.terminate(), 0);
}

/// As the source writes them: the row is named by the key alone.
#[test]
fn rows_that_are_named_by_the_key() {
    let rig = SinkRig::new();
    let [first, second] = ["first", "second"].map(|name| rig.row(name));
    let config = rig
        .config()
        .sink_topic("key_is_sys_id: true\ndeletes: true\non_missing: insert");
    let new = "0123456789abcdef0123456789abcdef";
    let state = |state: &str| record(&json!({"state": state}));
    let bridge = done(
        &rig,
        &config,
        [
            state("2").key(first.as_str()),
            Draft::tombstone().key(second.as_str()),
            state("3").key(new),
            state("4").key("no sys_id"),
        ],
    );
    assert_eq!(rig.column(&first, "state"), "2");
    assert_eq!(rig.column(new, "state"), "3");
    assert_eq!(rig.sim.count(TABLE).unwrap(), 2);
    assert_eq!(kinds(&rig), ["invalid_identity"]);
    assert_eq!(bridge.terminate(), 0);
}

/// Records of Kafka Connect's JSON converter and of Debezium, also one in the other.
#[test]
fn rows_in_envelopes() {
    let rig = SinkRig::new();
    let [changed, removed] = ["changed", "removed"].map(|name| rig.row(name));
    let connect = |payload: Value| json!({"schema": {"type": "struct"}, "payload": payload});
    let change = |op: &str, before: Value, after: Value| json!({"before": before, "after": after, "source": {}, "op": op, "ts_ms": 1});
    let config = rig.config().sink_topic("deletes: true");
    let bridge = done(
        &rig,
        &config.sink("concurrency: 1"),
        [
            record(&connect(json!({"correlation_id": "plain", "state": "1"}))),
            record(&change(
                "c",
                Value::Null,
                json!({"correlation_id": "created"}),
            )),
            record(&connect(change(
                "u",
                json!({"sys_id": changed, "state": "1"}),
                json!({"sys_id": changed, "state": "2"}),
            ))),
            record(&change("d", json!({"sys_id": removed}), Value::Null)),
            // What follows a removal: a record without a value, with a key that Connect wrote.
            Draft::new(connect(Value::Null).to_string()).key(connect(json!(removed)).to_string()),
            record(&change("u", Value::Null, json!({"state": "2"}))),
        ]
        .map(|draft| draft.partition(0)),
    );
    assert_eq!(operations(&rig), ["Insert", "Insert", "Update", "Delete"]);
    assert_eq!(rig.column(&changed, "state"), "2");
    assert_eq!(rig.sim.count(TABLE).unwrap(), 3);
    let rows = rig.sim.rows(TABLE).unwrap();
    let named = |id: &str| rows.iter().any(|row| row.get("correlation_id") == Some(id));
    assert!(named("plain") && named("created") && named("row-changed"));
    assert_eq!(kinds(&rig), ["no_identity"]);
    assert_eq!(bridge.terminate(), 0);
}
