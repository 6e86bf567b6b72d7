//! Records with the id of a schema in front: read as the registry says, and refused alone.

use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema as AvroSchema};
use crossbeam_channel::after;
use real_kafka::Draft;
use serde_json::{Value, json};
use servicenow_kafka_bridge::avro::{
    RecordEncoder, RecordSchema, TableColumn, TableColumns, TypingOptions, encode_key,
};
use servicenow_kafka_bridge::config::{Decimals, OnTypeError};
use servicenow_sim::Row;
use std::time::Duration;

use crate::support::bridge::{run, texts};
use crate::support::config::Config;
use crate::support::registry::{FakeRegistry, Kind};
use crate::support::sink::{SinkRig, TABLE, create};
use crate::support::wait_for;

/// The configuration with this registry.
pub(super) fn with_registry(rig: &SinkRig, url: &str) -> Config {
    let mut config = rig.config();
    let section = format!("\nschema_registry: {{url: '{url}', timeout: 2s}}");
    config.top.push_str(&section);
    config
}

/// Texts under these columns.
pub(super) fn strings(columns: &[&str]) -> RecordSchema {
    RecordSchema::strings(&TableColumns::named(TABLE, columns.iter().copied()))
}

/// A record as the bridge itself writes it.
pub(super) fn written(schema: &RecordSchema, id: u32, row: &Value) -> Vec<u8> {
    let mut record = Vec::new();
    let mut encoder = RecordEncoder::new(schema, id, OnTypeError::Hold);
    let report = encoder.encode(row.to_string().as_bytes(), &mut record);
    assert_eq!(report.unwrap().unknown, 0);
    record
}

/// An Avro string behind the id of its schema.
pub(super) fn key(id: u32, text: &str) -> Vec<u8> {
    let mut key = Vec::new();
    encode_key(id, text.as_bytes(), &mut key).unwrap();
    key
}

/// A body behind the id of its schema.
fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], body].concat()
}

/// Registers a schema of any type at a real registry; gives its id.
fn register(url: &str, subject: &str, kind: &str, schema: &str) -> u32 {
    let body = json!({"schema": schema, "schemaType": kind}).to_string();
    let request = ureq::post(format!("{url}/subjects/{subject}/versions"))
        .config()
        .http_status_as_error(false)
        .build();
    let request = request.header("Content-Type", "application/vnd.schemaregistry.v1+json");
    let text = request.send(body).unwrap().body_mut().read_to_string();
    let text = text.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    u32::try_from(answer["id"].as_u64().expect(&text)).unwrap()
}

const FOREIGN: &str = r#"{"type":"record","name":"Ticket","namespace":"shop","fields":[
    {"name":"correlation_id","type":"string"},
    {"name":"short_description","type":["null","string"]},
    {"name":"category","type":["null","int",{"type":"enum","name":"Category",
        "symbols":["network","software"]}]},
    {"name":"state","type":"int"},
    {"name":"active","type":"boolean"},
    {"name":"u_cost","type":["null",{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}]},
    {"name":"opened_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"u_due","type":{"type":"int","logicalType":"date"}},
    {"name":"description","type":["null","string"]}]}"#;

/// What every row of the next test is to hold.
fn columns() -> Value {
    json!({
        "short_description": "a\n\"é", "category": "software", "state": "6", "active": "false",
        "u_cost": "-1250.07", "opened_at": "2024-02-29 23:59:59", "u_due": "1969-12-31",
    })
}

/// The same as a record of another program.
fn foreign(id: u32) -> Vec<u8> {
    let some = |at, value| Avro::Union(at, Box::new(value));
    let text = |text: &str| Avro::String(text.to_owned());
    let cost = Decimal::from((-125_007_i32).to_be_bytes().to_vec());
    let fields = [
        ("correlation_id", text("foreign")),
        ("short_description", some(1, text("a\n\"é"))),
        ("category", some(2, Avro::Enum(1, "software".to_owned()))),
        ("state", Avro::Int(6)),
        ("active", Avro::Boolean(false)),
        ("u_cost", some(1, Avro::Decimal(cost))),
        ("opened_at", Avro::TimestampMillis(1_709_251_199_999)),
        ("u_due", Avro::Date(-1)),
        ("description", some(0, Avro::Null)),
    ];
    let record = Avro::Record(fields.map(|(name, value)| (name.to_owned(), value)).into());
    let schema = AvroSchema::parse_str(FOREIGN).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    framed(id, &writer.write_value_to_vec(record).unwrap())
}

fn typed() -> RecordSchema {
    let mut columns = TableColumns::named(TABLE, [] as [&str; 0]);
    columns.list = [
        ("correlation_id", "string"),
        ("short_description", "string"),
        ("category", "string"),
        ("state", "integer"),
        ("active", "boolean"),
        ("u_cost", "decimal"),
        ("opened_at", "glide_date_time"),
        ("u_due", "glide_date"),
    ]
    .map(|(name, kind)| TableColumn::typed(name, kind))
    .into();
    let decimals = Decimals::Bytes;
    RecordSchema::typed(
        &columns,
        &TypingOptions {
            decimals,
            raw: true,
        },
    )
}

fn named(name: &str) -> Value {
    let mut row = columns();
    row["correlation_id"] = name.into();
    row
}

fn row(rig: &SinkRig, name: &str) -> Row {
    let rows = rig.sim.rows(TABLE).unwrap();
    let mut rows = rows.into_iter();
    rows.find(|row| row.get("correlation_id") == Some(name))
        .unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn records_of_all_formats_become_the_same_rows() {
    if !real_registry::require_or_skip() {
        return;
    }
    let url = real_registry::shared().unwrap().url();
    let rig = SinkRig::new();
    let typed = typed();
    let ours = register(&url, "sink-typed", "AVRO", typed.json());
    let theirs = register(&url, "sink-foreign", "AVRO", FOREIGN);
    let object = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#;
    let object = register(&url, "sink-object", "JSON", object);
    rig.produce([
        Draft::new(written(&typed, ours, &named("ours"))),
        Draft::new(foreign(theirs)),
        Draft::new(framed(object, named("schema").to_string().as_bytes())),
        Draft::new(named("plain").to_string()),
        Draft::new(written(&typed, ours, &named("ours again"))),
    ]);
    let bridge = rig.start(&with_registry(&rig, &url));
    rig.finish(bridge);
    rig.assert_created_once(5);
    for name in ["ours", "foreign", "schema", "plain", "ours again"] {
        let row = row(&rig, name);
        for (column, value) in columns().as_object().unwrap() {
            assert_eq!(row.get(column), value.as_str(), "{name}: {column}");
        }
    }
    assert_eq!(rig.letters().len(), 0);
}

#[test]
fn a_bad_record_is_a_letter_that_can_be_replayed() {
    let (rig, fake) = (SinkRig::new(), FakeRegistry::start());
    let schema = strings(&["correlation_id", "short_description"]);
    let id = fake.add("in-value", schema.json(), Kind::Avro);
    let protobuf = fake.add("in-value", "message t {}", Kind::Protobuf);
    // The next one that is registered.
    let late = protobuf + 1;
    let record = |id: u32, name: &str| {
        let row = json!({"correlation_id": name, "short_description": "secret"});
        Draft::new(written(&schema, id, &row)).key(name)
    };
    let mut cut = written(&schema, id, &json!({"correlation_id": "cut"}));
    cut.pop();
    rig.produce(
        [
            record(id, "c-1"),
            record(late, "c-2"),
            Draft::new(cut).key("cut"),
            record(id, "c-3"),
            record(late, "c-4").header("origin", "a test"),
            record(protobuf, "c-5"),
            create(6),
        ]
        .map(|draft| draft.partition(0)),
    );
    let mut bridge = rig.start(&with_registry(&rig, &fake.url()));
    rig.wait_done(&mut bridge);
    rig.assert_created_once(3);
    bridge.wait_ready();
    let letters = rig.letters();
    let mut kinds = Vec::new();
    for (record, letter) in &letters {
        let error = letter["error"].as_str().unwrap();
        assert!(!error.contains("secret"), "{letter}");
        let kind = letter["error_kind"].as_str().unwrap();
        assert_eq!(record.header("sn_error_kind").as_deref(), Some(kind));
        kinds.push((record.key_text(), kind));
    }
    kinds.sort_unstable();
    let expected = [
        ("c-2", "unknown_schema"),
        ("c-4", "unknown_schema"),
        ("c-5", "unsupported_format"),
        ("cut", "invalid_avro"),
    ];
    assert_eq!(kinds, expected.map(|(key, kind)| (key.to_owned(), kind)));

    let call = |words: &str| {
        let args: Vec<&str> = words.split_whitespace().collect();
        texts(&run(rig.folder.path(), &args))
    };
    let (output, errors, _) = call("dead-letters list --key c-4");
    assert!(
        output.contains("unknown_schema") && !output.contains('\0'),
        "{output}{errors}"
    );
    let place = output.lines().nth(1).unwrap().split(' ').next().unwrap();
    let (output, ..) = call(&format!("dead-letters show {place}"));
    assert!(
        !output.contains(|c: char| c.is_control() && c != '\n'),
        "{output:?}"
    );

    // What was missing is registered now: one record goes straight to the instance, one to its topic.
    let same = schema.json().replacen('{', r#"{"since":"today","#, 1);
    assert_eq!(fake.add("late-value", &same, Kind::Avro), late);
    let forgotten = after(Duration::from_secs(6));
    let (output, errors, code) = call("dead-letters replay --direct --key c-2");
    assert_eq!(code, 0, "{output}{errors}");
    row(&rig, "c-2");
    // The bridge repeats a refusal for some seconds.
    wait_for("the refusal to be forgotten", || {
        forgotten.is_full().then_some(())
    });
    let (output, errors, code) = call("dead-letters replay --kind unknown_schema");
    assert_eq!(code, 0, "{output}{errors}");
    rig.wait_done(&mut bridge);
    rig.assert_created_once(5);
    row(&rig, "c-4");
    assert_eq!(rig.letters().len(), 4, "no new ones");
    // The registry is needed for it, too.
    fake.down(true);
    let (output, errors, code) = call("dead-letters replay --direct --key cut");
    assert_eq!(code, 1, "{output}{errors}");
    assert!(errors.contains("schema registry"), "{errors}");
    assert_eq!(bridge.terminate(), 0);
}

/// The identity of a row is the key's text, whatever schema the key was written with.
#[test]
fn a_row_of_a_key_stays_when_the_schema_of_the_key_changes() {
    let (rig, fake) = (SinkRig::new(), FakeRegistry::start());
    let schema = strings(&["correlation_id", "state"]);
    let id = fake.add("in-value", schema.json(), Kind::Avro);
    let text = fake.add("in-key", r#""string""#, Kind::Avro);
    let nullable = fake.add("in-key", r#"["null","string"]"#, Kind::Avro);
    let value = |state: &str| written(&schema, id, &json!({"state": state}));
    let second = framed(nullable, &[&[2], &key(text, "k")[5..]].concat());
    let drafts = [
        Draft::new(value("1")).key(key(text, "k")),
        Draft::new(value("2")).key(second.clone()),
        Draft::new(json!({"state": "3"}).to_string()).key("k"),
        Draft::new(value("1")).key(key(text, "gone")),
        // No number of a schema: bytes.
        Draft::new(value("7")).key(9_i64.to_be_bytes()),
        // A schema, or bytes that look like one: which row is meant cannot be told.
        Draft::new(value("8")).key(framed(4_000, b"\xff")),
    ];
    rig.produce(drafts.map(|draft| draft.partition(0)));
    rig.produce([Draft::tombstone().key(key(text, "gone")).partition(0)]);
    let config = with_registry(&rig, &fake.url());
    let config = config.sink_topic("create_id: key\noperation: upsert\ndeletes: true");
    let bridge = rig.start(&config);
    rig.finish(bridge);
    assert_eq!(states(&rig), ["3", "7"]);
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0].1;
    assert_eq!(letter["error_kind"], "unknown_schema");
    let error = letter["error"].as_str().unwrap();
    assert!(error.contains("set `key_format: bytes`"), "{error}");
    // What it says helps.
    let config = config.sink_topic("key_format: bytes");
    config.write(rig.folder.path());
    let (_, errors, code) = {
        let args = ["dead-letters", "replay", "--direct"];
        texts(&run(rig.folder.path(), &args))
    };
    assert_eq!(code, 0, "{errors}");
    assert_eq!(states(&rig), ["3", "7", "8"]);
}

/// The states of all rows, in order.
fn states(rig: &SinkRig) -> Vec<String> {
    let rows = rig.sim.rows(TABLE).unwrap();
    let states = rows.iter().filter_map(|row| row.get("state"));
    let mut states: Vec<String> = states.map(str::to_owned).collect();
    states.sort_unstable();
    states
}

/// What is not what its topic says is refused alone.
#[test]
fn a_topic_may_say_what_its_records_are() {
    let fake = FakeRegistry::start();
    let schema = strings(&["correlation_id"]);
    let id = fake.add("in-value", schema.json(), Kind::Avro);
    let content = |name: &str| json!({"correlation_id": name});
    for (format, good, bad, kinds) in [
        (
            "json_schema",
            1,
            [0, 2],
            ["invalid_json", "unsupported_format"],
        ),
        ("json", 2, [0, 1], ["invalid_json"; 2]),
        ("avro", 0, [1, 2], ["unknown_schema", "unsupported_format"]),
    ] {
        let rig = SinkRig::new();
        // Behind a schema, behind an id that is none of the registry's, and behind nothing.
        let named = |name: &str| {
            let plain = content(name).to_string();
            let values = [
                written(&schema, id, &content(name)),
                framed(9_000, plain.as_bytes()),
                plain.into_bytes(),
            ];
            values.map(|value| Draft::new(value).key(name).partition(0))
        };
        let [first, second] = bad.map(|at| named("bad")[at].clone());
        rig.produce([first, second, named("good")[good].clone()]);
        let config = with_registry(&rig, &fake.url());
        let bridge = rig.start(&config.sink_topic(&format!("format: {format}")));
        rig.finish(bridge);
        rig.assert_created_once(1);
        row(&rig, "good");
        let letters = rig.letters();
        let told = letters.iter().map(|(_, letter)| &letter["error_kind"]);
        assert_eq!(told.collect::<Vec<_>>(), kinds, "{format}");
        let asked = fake.count("GET", "/schemas/ids/");
        assert_eq!(0 < asked, format == "avro", "{format}: {asked}");
    }
}

/// A pause of the partition throws away what was fetched ahead, and the next fetch waits for the end of the last one,
/// half a second while no records come. So a new schema is waited for, unless the registry takes its time.
#[test]
fn new_schemas_pause_no_partition_while_the_registry_answers() {
    const SCHEMAS: usize = 20;
    let fake = FakeRegistry::start();
    let rig = SinkRig::new();
    let records = (0..SCHEMAS).map(|number| {
        let column = format!("u_{number}");
        let schema = strings(&["correlation_id", &column]);
        let id = fake.add(&format!("in-{number}"), schema.json(), Kind::Avro);
        let row = json!({"correlation_id": format!("c-{number}"), column: "x"});
        Draft::new(written(&schema, id, &row)).partition(0)
    });
    rig.produce(records);
    let config = with_registry(&rig, &fake.url());
    let mut bridge = rig.start(&config);
    rig.wait_done(&mut bridge);
    let log = bridge.log();
    assert_eq!(bridge.terminate(), 0);
    rig.assert_created_once(SCHEMAS);
    assert_eq!(fake.count("GET", "/schemas/ids/"), SCHEMAS);
    let pauses = log.matches("no more records are fetched").count();
    // A machine that is busy may be late for some.
    assert!(pauses < SCHEMAS / 2, "{pauses} pauses: {log}");
}

#[test]
fn nulls_clear_or_are_ignored() {
    let fake = FakeRegistry::start();
    let schema = strings(&["sys_id", "state", "category"]);
    let id = fake.add("in-value", schema.json(), Kind::Avro);
    for (nulls, category) in [("clear", ""), ("ignore", "network")] {
        let rig = SinkRig::new();
        let row = Row::new().set("state", "1").set("category", "network");
        let there = rig.sim.insert(TABLE, row).unwrap();
        let change = json!({"sys_id": there, "state": "2"});
        rig.produce([Draft::new(written(&schema, id, &change))]);
        let config = with_registry(&rig, &fake.url());
        let bridge = rig.start(&config.sink_topic(&format!("nulls: {nulls}")));
        rig.finish(bridge);
        assert_eq!(rig.column(&there, "state"), "2");
        assert_eq!(rig.column(&there, "category"), category, "{nulls}");
    }
}

#[test]
fn a_record_behind_a_schema_needs_a_registry() {
    let rig = SinkRig::new();
    rig.produce([Draft::new(framed(7, b"{}")).key("k"), create(1)]);
    let bridge = rig.start(&rig.config());
    rig.finish(bridge);
    rig.assert_created_once(1);
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0].1;
    assert_eq!(letter["error_kind"], "unsupported_format");
    let error = letter["error"].as_str().unwrap();
    assert!(error.contains("schema_registry.url"), "{letter}");
}
