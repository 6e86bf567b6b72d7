//! What fastavro reads of our records, field by field, beside what the row said.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use servicenow_kafka_bridge::avro::dictionary::{TableDescription, describe};
use servicenow_kafka_bridge::avro::{
    EncodeReport, KEY_SCHEMA, RecordEncoder, RecordSchema, TableColumn, TableColumns,
    TypingOptions, WIRE_PREFIX_BYTES, encode_key,
};
use servicenow_kafka_bridge::config::OnTypeError;
use servicenow_kafka_bridge::health::Health;
use servicenow_kafka_bridge::metrics::Metrics;
use servicenow_kafka_bridge::servicenow::InstanceClient;
use servicenow_kafka_bridge::{config, stop};
use servicenow_sim::{Generator, Row, Sim};

use crate::support::config::Config;
use crate::support::fastavro;

fn encoded(encoder: &mut RecordEncoder, row: &str) -> (Vec<u8>, EncodeReport) {
    let mut record = Vec::new();
    let report = encoder.encode(row.as_bytes(), &mut record).unwrap();
    (record, report)
}

/// What fastavro reads of rows that were written with `schema`.
fn read_back(schema: &RecordSchema, rows: &[String]) -> Vec<Value> {
    let mut encoder = RecordEncoder::new(schema, 7, OnTypeError::StringField);
    let rows = rows.iter();
    let records: Vec<Vec<u8>> = rows.map(|row| encoded(&mut encoder, row).0).collect();
    let bodies = records.iter().map(|record| body(record));
    let wanted: Vec<_> = bodies.map(|body| (schema.json(), None, body)).collect();
    fastavro::read(&wanted)
}

/// Without what names the schema.
fn body(record: &[u8]) -> &[u8] {
    assert_eq!(record[..WIRE_PREFIX_BYTES], [0, 0, 0, 0, 7]);
    &record[WIRE_PREFIX_BYTES..]
}

fn typed(columns: &TableColumns) -> RecordSchema {
    let typing = TypingOptions {
        raw: true,
        ..TypingOptions::default()
    };
    RecordSchema::typed(columns, &typing)
}

/// Columns by name and the dictionary's type.
fn columns<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> TableColumns {
    let mut columns = TableColumns::named("t", [] as [&str; 0]);
    let list = list.into_iter();
    columns.list = list
        .map(|(name, kind)| TableColumn::typed(name, kind))
        .collect();
    columns
}

/// Type of the dictionary, value in a row, what is read of it as text, and what with its type.
fn values() -> Vec<(&'static str, Value, Value, Value)> {
    let long = "ä".repeat(5_000);
    let same = |kind, text: &str| (kind, json!(text), json!(text), json!(text));
    vec![
        same("string", ""),
        same("string", "Grüße, \"Zürich\"\\\n\t\u{1}\u{7f}\u{2028} 😀"),
        same("string", &long),
        same("string", "null"),
        ("string", json!(null), json!(null), json!(null)),
        (
            "string",
            json!([1, "x"]),
            json!("[1,\"x\"]"),
            json!("[1,\"x\"]"),
        ),
        ("integer", json!(""), json!(""), json!(null)),
        ("integer", json!("-15"), json!("-15"), json!(-15)),
        ("integer", json!("64"), json!("64"), json!(64)),
        ("integer", json!(7), json!("7"), json!(7)),
        ("count", json!("3.00"), json!("3.00"), json!(3)),
        (
            "longint",
            json!(i64::MAX.to_string()),
            json!(i64::MAX.to_string()),
            json!(i64::MAX),
        ),
        (
            "longint",
            json!(i64::MIN.to_string()),
            json!(i64::MIN.to_string()),
            json!(i64::MIN),
        ),
        ("boolean", json!("true"), json!("true"), json!(true)),
        ("boolean", json!("0"), json!("0"), json!(false)),
        ("boolean", json!(false), json!("false"), json!(false)),
        ("boolean", json!(""), json!(""), json!(null)),
        ("float", json!("-0.125"), json!("-0.125"), json!(-0.125)),
        (
            "percent_complete",
            json!("33"),
            json!("33"),
            json!(f64::from(33)),
        ),
        ("float", json!("1e300"), json!("1e300"), json!(1e300)),
        ("decimal", json!("0"), json!("0"), json!("0.00")),
        ("decimal", json!("-0.01"), json!("-0.01"), json!("-0.01")),
        ("decimal", json!("-1.28"), json!("-1.28"), json!("-1.28")),
        ("decimal", json!("1.28"), json!("1.28"), json!("1.28")),
        (
            "decimal",
            json!("9999999999999.5"),
            json!("9999999999999.5"),
            json!("9999999999999.50"),
        ),
        same("currency", "-1234567.0089"),
        ("price", json!("12"), json!("12"), json!("12.0000")),
        ("price", json!(""), json!(""), json!(null)),
        same("glide_date_time", "2024-02-29 23:59:59"),
        same("glide_date_time", "1969-12-31 23:59:59"),
        same("due_date", "0001-01-01 00:00:00"),
        same("glide_date_time", "9999-12-31 23:59:59"),
        ("glide_date_time", json!(""), json!(""), json!(null)),
        same("glide_date", "2024-02-29"),
        same("glide_date", "1969-12-31"),
        same("date", "1582-10-15"),
        (
            "glide_duration",
            json!("1970-01-02 04:23:17"),
            json!("1970-01-02 04:23:17"),
            json!(102_197),
        ),
        same("glide_time", "08:30:00"),
        (
            "reference",
            json!({"link": "https://instance/api/x", "value": "46d44a"}),
            json!("46d44a"),
            json!("46d44a"),
        ),
        (
            "reference",
            json!({"display_value": "Joe", "value": ""}),
            json!(""),
            json!(""),
        ),
        (
            "decimal",
            json!({"display_value": "€ 1,50", "value": "1.5"}),
            json!("1.5"),
            json!("1.50"),
        ),
    ]
}

/// Values that are not of their column's type.
const MISFITS: [(&str, &str); 5] = [
    ("integer", "zwölf"),
    ("boolean", "yes"),
    ("decimal", "0.001"),
    ("glide_date_time", "24.12.2024 18:00"),
    ("glide_date", "2023-02-29"),
];

#[test]
fn values_of_every_type() {
    if !fastavro::require_or_skip() {
        return;
    }
    let values = values();
    let name = |at: usize| format!("c{at}");
    let names: Vec<String> = (0..values.len()).map(name).collect();
    let kinds = values.iter().map(|(kind, ..)| *kind);
    // The last one is in no row.
    let all = names.iter().map(String::as_str).zip(kinds);
    let columns = columns(all.chain([("absent.one", "integer")]));
    let object = |pick: fn(&(&str, Value, Value, Value)) -> Value| {
        let fields = names.iter().cloned().zip(values.iter().map(pick));
        fields.collect::<Map<String, Value>>()
    };
    let row = Value::Object(object(|(_, row, ..)| row.clone())).to_string();

    let mut as_text = object(|(_, _, text, _)| text.clone());
    as_text.insert("absent_one".to_owned(), Value::Null);
    let strings = RecordSchema::strings(&columns);
    same_fields(
        &read_back(&strings, std::slice::from_ref(&row))[0],
        &as_text,
    );

    let mut as_typed = object(|(.., typed)| typed.clone());
    as_typed.insert("absent_one".to_owned(), Value::Null);
    as_typed.insert("_raw".to_owned(), Value::Null);
    same_fields(&read_back(&typed(&columns), &[row])[0], &as_typed);
}

#[test]
fn what_does_not_fit_is_in_the_raw_map() {
    if !fastavro::require_or_skip() {
        return;
    }
    let named = MISFITS.map(|(kind, text)| (format!("u_{kind}"), kind, text));
    let columns = columns(named.iter().map(|(name, kind, _)| (name.as_str(), *kind)));
    let row: Map<String, Value> = named
        .iter()
        .map(|(name, _, text)| (name.clone(), json!(text)))
        .collect();
    let mut expected: Map<String, Value> = row.clone();
    expected.values_mut().for_each(|value| *value = Value::Null);
    expected.insert("_raw".to_owned(), Value::Object(row.clone()));
    let read = read_back(&typed(&columns), &[Value::Object(row).to_string()]);
    same_fields(&read[0], &expected);
}

/// Compares one field after the other, so that a failure names it.
fn same_fields(read: &Value, expected: &Map<String, Value>) {
    let read = read.as_object().unwrap();
    for (name, value) in expected {
        assert_eq!(read.get(name), Some(value), "field {name}");
    }
    assert_eq!(read.len(), expected.len(), "fields that nobody expects");
}

/// The types of `incident`, from the instance's own dictionary.
fn described(sim: &Sim) -> TableColumns {
    let text = Config::new(sim.url(), "localhost:9").text();
    let config = config::parse(&text, &|_| None).unwrap().0;
    let (metrics, health) = (Arc::new(Metrics::new()), Arc::new(Health::new()));
    let client = InstanceClient::start(&config.servicenow, &metrics, &health).unwrap();
    let (_trigger, stop) = stop::pair();
    match describe(&client, "/api/now/table", "incident", &stop).unwrap() {
        TableDescription::Columns(columns) => columns,
        TableDescription::Hidden(why) => panic!("{why}"),
    }
}

/// What a typed field must hold for a stored text.
fn expected(internal_type: &str, text: &str) -> Value {
    match (internal_type, text) {
        ("integer" | "decimal" | "boolean" | "glide_date_time" | "glide_date", "") => Value::Null,
        ("integer", text) => json!(text.parse::<i64>().unwrap()),
        ("boolean", text) => json!(text == "true"),
        ("decimal", text) => {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            json!(format!("{whole}.{part:0<2}"))
        }
        (_, text) => json!(text),
    }
}

/// The row as the instance may send it: as it is, or with references as objects, without some of its
/// columns, and with nulls. Gives what the columns hold then.
fn in_form(row: &Row, columns: &TableColumns, form: usize) -> Map<String, Value> {
    let mut object = Map::new();
    for (at, (name, text)) in row.iter().enumerate() {
        let is_reference = columns.find(name).unwrap().reference.is_some();
        let value = match (form, (at + form) % 5) {
            (0, _) => json!(text),
            (_, 0) => continue,
            (_, 1) => Value::Null,
            _ if is_reference && text.is_empty() => json!(""),
            _ if is_reference => json!({"link": format!("https://i/{text}"), "value": text}),
            _ => json!(text),
        };
        object.insert(name.to_owned(), value);
    }
    object
}

#[test]
fn rows_of_an_instance() {
    if !fastavro::require_or_skip() {
        return;
    }
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let mut rows = Generator::new(42, 2_000, sim.now() - 7_200);
    let special = [
        ("Größe \"42\"\\\u{8} – 日本\u{1F600}", "-12.5", "1969-12-31"),
        ("", "-0.01", "2024-02-29"),
        (" \r\n\t", "123456789.1", "0001-01-01"),
        ("null", "", ""),
    ];
    let special = special.map(|(text, cost, due)| {
        let row = rows.row().set("short_description", text);
        row.set("u_cost", cost)
            .set("u_due", due)
            .set("reopen_count", "-3")
    });
    let many: Vec<Row> = rows.take(200).chain(special).collect();
    sim.insert_many("incident", many).unwrap();
    let columns = described(&sim);
    let forms: Vec<Map<String, Value>> = sim
        .rows("incident")
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, row)| in_form(row, &columns, at % 6))
        .collect();
    assert_eq!(forms.len(), 204);
    let texts: Vec<String> = forms.iter().map(|form| json!(form).to_string()).collect();

    let stored = |form: &Map<String, Value>, name: &str| {
        let value = form.get(name)?;
        value
            .get("value")
            .unwrap_or(value)
            .as_str()
            .map(Value::from)
    };
    let compare = |schema: &RecordSchema, expect: &dyn Fn(&TableColumn, &str) -> Value| {
        let read = read_back(schema, &texts);
        for (form, read) in forms.iter().zip(&read) {
            let all = columns.list.iter().map(|column| {
                let text = stored(form, &column.name);
                let value = text.map(|text| expect(column, text.as_str().unwrap()));
                (column.name.clone(), value.unwrap_or_default())
            });
            same_fields(read, &all.collect());
        }
    };
    compare(&RecordSchema::strings(&columns), &|_, text| json!(text));
    let typed = RecordSchema::typed(&columns, &TypingOptions::default());
    compare(&typed, &|column, text| {
        expected(&column.internal_type, text)
    });
    // All of these types were there to be compared.
    for kind in ["integer", "decimal", "boolean", "glide_date"] {
        let has = columns
            .list
            .iter()
            .any(|column| column.internal_type == kind);
        assert!(has, "no column of type {kind}");
    }
}

#[test]
fn readers_of_an_older_and_of_a_newer_schema() {
    if !fastavro::require_or_skip() {
        return;
    }
    let old = typed(&columns([("sys_id", "GUID"), ("count", "integer")]));
    let new = typed(&columns([("at", "glide_date_time"), ("sys_id", "GUID")]));
    let new = old.evolve(&new).schema.unwrap();
    let write = |schema: &RecordSchema, row: &str| {
        encoded(&mut RecordEncoder::new(schema, 7, OnTypeError::Null), row).0
    };
    let by_old = write(&old, r#"{"sys_id":"a","count":"-1"}"#);
    let by_new = write(&new, r#"{"sys_id":"b","at":"2024-01-02 03:04:05"}"#);
    let read = fastavro::read(&[
        (old.json(), Some(new.json()), body(&by_old)),
        (new.json(), Some(old.json()), body(&by_new)),
        (new.json(), None, body(&by_new)),
    ]);
    let at = "2024-01-02 03:04:05";
    assert_eq!(
        read,
        [
            json!({"sys_id": "a", "count": -1, "_raw": null, "at": null}),
            json!({"sys_id": "b", "count": null, "_raw": null}),
            json!({"sys_id": "b", "count": null, "_raw": null, "at": at}),
        ]
    );
}

#[test]
fn keys() {
    if !fastavro::require_or_skip() {
        return;
    }
    let mut key = Vec::new();
    encode_key(7, "46d4-ä".as_bytes(), &mut key).unwrap();
    let read = fastavro::read(&[(KEY_SCHEMA, None, body(&key))]);
    assert_eq!(read, [json!("46d4-ä")]);
}

/// Counted out by hand from Avro 1.12, "Binary Encoding", and Confluent's "Wire format". fastavro is
/// lenient where other readers are not: it takes the branch -1 for the last one.
#[test]
fn bytes_of_every_type() {
    let columns = columns([
        ("text", "string"),
        ("flag", "boolean"),
        ("count", "integer"),
        ("share", "float"),
        ("cost", "decimal"),
        ("at", "glide_date_time"),
        ("day", "glide_date"),
        ("took", "glide_duration"),
        ("who", "reference"),
        ("gone", "integer"),
    ]);
    let schema = RecordSchema::typed(&columns, &TypingOptions::default());
    let row = r#"{"text":"hü","flag":"true","count":"-3","share":"1.5","cost":"-1.28",
        "at":"1970-01-01 00:00:01","day":"1969-12-31","took":"1970-01-01 00:00:05","who":""}"#;
    let mut encoder = RecordEncoder::new(&schema, 0x0001_0203, OnTypeError::Hold);
    let (record, report) = encoded(&mut encoder, row);
    assert_eq!(report, EncodeReport::default());
    let parts: [&[u8]; 11] = [
        // A zero, and the id.
        &[0, 0, 1, 2, 3],
        // Each field begins with its branch: 0x02 is the second, 0x00 null. A text: length, UTF-8.
        &[0x02, 0x06, b'h', 0xc3, 0xbc],
        &[0x02, 0x01],
        // -3 in zig-zag.
        &[0x02, 0x05],
        // Little-endian.
        &[0x02, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
        // -128 hundredths: one byte.
        &[0x02, 0x02, 0x80],
        // 1000 milliseconds.
        &[0x02, 0xd0, 0x0f],
        // One day before 1970.
        &[0x02, 0x01],
        &[0x02, 0x0a],
        // An empty text is none but a text.
        &[0x02, 0x00],
        &[0x00],
    ];
    assert_eq!(record, parts.concat());
}
