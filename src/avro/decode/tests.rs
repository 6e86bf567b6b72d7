use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{BigDecimal, Days, Decimal, Duration, Millis, Months};
use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::avro::{RecordEncoder, RecordSchema, TableColumn, TableColumns, TypingOptions};
use crate::config::{Decimals, OnTypeError};

fn columns() -> TableColumns {
    let mut columns = TableColumns::named("t", [] as [&str; 0]);
    columns.list = [
        ("u_text", "string"),
        ("flag", "boolean"),
        ("count", "integer"),
        ("share", "float"),
        ("cost", "decimal"),
        ("at", "glide_date_time"),
        ("day", "glide_date"),
        ("took", "glide_duration"),
        ("a.b", "reference"),
        ("_raw", "string"),
    ]
    .map(|(name, kind)| TableColumn::typed(name, kind))
    .into();
    columns
}

fn typed(raw: bool) -> RecordSchema {
    let decimals = Decimals::Bytes;
    RecordSchema::typed(&columns(), &TypingOptions { decimals, raw })
}

/// The JSON of a row after it was encoded and decoded.
fn there_and_back(schema: &RecordSchema, on_type_error: OnTypeError, row: &str) -> Value {
    let mut record = Vec::new();
    let mut encoder = RecordEncoder::new(schema, 5, on_type_error);
    encoder.encode(row.as_bytes(), &mut record).unwrap();
    let WireFrame::Framed { id: 5, body } = frame(&record) else {
        panic!("no frame");
    };
    let writer = WriterSchema::parse(schema.json(), &[]).unwrap();
    serde_json::from_slice(&to_json(&writer, body).unwrap()).unwrap()
}

#[test]
fn a_row_comes_back() {
    let row = json!({
        "u_text": "a\n\"é😀", "flag": "true", "count": "-15", "share": "12.5", "cost": "-1250.07",
        "at": "2024-02-29 23:59:59", "day": "1969-12-31", "took": "1970-01-02 04:23:17",
        "a.b": "Joe", "_raw": "mine",
    });
    for schema in [typed(false), typed(true), RecordSchema::strings(&columns())] {
        let back = there_and_back(&schema, OnTypeError::Null, &row.to_string());
        assert_eq!(back, row);
    }
    let misfits = r#"{"flag":"yes","count":"1,5","took":"1 Day","u_text":"","at":""}"#;
    let mut expected = json!({
        "u_text": "", "flag": null, "count": null, "share": null, "cost": null, "at": null,
        "day": null, "took": null, "a.b": null, "_raw": null,
    });
    let back = there_and_back(&typed(true), OnTypeError::Null, misfits);
    assert_eq!(back, expected);
    for (name, text) in [("flag", "yes"), ("count", "1,5"), ("took", "1 Day")] {
        expected[name] = Value::from(text);
    }
    let back = there_and_back(&typed(true), OnTypeError::StringField, misfits);
    assert_eq!(back, expected);
}

#[test]
fn texts_of_misfits_win_over_nulls_wherever_their_field_stands() {
    let mut more = columns();
    more.list.push(TableColumn::typed("late", "integer"));
    let grown = typed(true).evolve(&RecordSchema::typed(&more, &TypingOptions::default()));
    let grown = grown.schema.unwrap();
    assert_eq!(grown.fields().last().unwrap().column, "late");
    let back = there_and_back(&grown, OnTypeError::StringField, r#"{"late":"x"}"#);
    assert_eq!(back["late"], "x");
}

const ORDER_SCHEMA: &str = r#"{"type":"record","name":"order","namespace":"shop","fields":[
    {"name":"id","type":"int"},
    {"name":"caller","type":"string","servicenow.name":"caller_id.name"},
    {"name":"ratio","type":"float"}, {"name":"open","type":"boolean"},
    {"name":"kind","type":{"type":"enum","name":"kind","symbols":["NEW","OLD"]}},
    {"name":"blob","type":"bytes"},
    {"name":"hash","type":{"type":"fixed","name":"md","size":2}},
    {"name":"cost","type":{"type":"fixed","name":"money","size":9,"logicalType":"decimal","precision":20,"scale":3}},
    {"name":"any","type":{"type":"bytes","logicalType":"big-decimal"}},
    {"name":"us","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
    {"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
    {"name":"time","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"took","type":{"type":"fixed","name":"dur","size":12,"logicalType":"duration"}},
    {"name":"uuid","type":{"type":"fixed","name":"uid","size":16,"logicalType":"uuid"}},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"line","fields":[
        {"name":"n","type":"long"},{"name":"when","type":{"type":"int","logicalType":"date"}},
        {"name":"next","type":["null","line"]}]}}},
    {"name":"tags","type":{"type":"map","values":["null","double","shop.kind"]}},
    {"name":"again","type":"md"}
]}"#;

fn order() -> Avro {
    let some = |at, value| Avro::Union(at, Box::new(value));
    let text = |text: &str| Avro::String(text.to_owned());
    let line = |n, next| {
        let fields = [
            ("n", Avro::Long(n)),
            ("when", Avro::Date(-1)),
            ("next", next),
        ];
        Avro::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let lines = line(1, some(1, line(2, some(0, Avro::Null))));
    let took = Duration::new(Months::new(0), Days::new(1), Millis::new(3_600_999));
    let tags = [
        ("a", some(1, Avro::Double(1.5))),
        ("b", some(2, Avro::Enum(1, "OLD".to_owned()))),
    ];
    let fields = [
        ("id", Avro::Int(-7)),
        ("caller", text("x\"")),
        ("ratio", Avro::Float(0.1)),
        ("open", Avro::Boolean(true)),
        ("kind", Avro::Enum(1, "OLD".to_owned())),
        ("blob", Avro::Bytes(vec![0, 255])),
        ("hash", Avro::Fixed(2, vec![1, 2])),
        (
            "cost",
            Avro::Decimal(Decimal::from((-1_234_567_i128).to_be_bytes()[7..].to_vec())),
        ),
        (
            "any",
            Avro::BigDecimal("-0.050".parse::<BigDecimal>().unwrap()),
        ),
        ("us", some(1, Avro::TimestampMicros(-1))),
        ("local", Avro::LocalTimestampMillis(1_709_251_199_999)),
        ("time", Avro::TimeMillis(86_399_999)),
        ("took", Avro::Duration(took)),
        (
            "uuid",
            Avro::Uuid(apache_avro::Uuid::from_u128(
                0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            )),
        ),
        ("lines", Avro::Array(vec![lines])),
        (
            "tags",
            Avro::Map(tags.map(|(name, value)| (name.to_owned(), value)).into()),
        ),
        ("again", Avro::Fixed(2, vec![3, 4])),
    ];
    Avro::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn written() -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(ORDER_SCHEMA).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(order()).unwrap()
}

#[test]
fn records_of_other_writers_become_json() {
    let schema = WriterSchema::parse(ORDER_SCHEMA, &[]).unwrap();
    let bytes = written();
    let json = to_json(&schema, &bytes).unwrap();
    let value: Value = serde_json::from_slice(&json).unwrap();
    let lines: Vec<String> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    expect![[r#"
        again: "AwQ="
        any: "-0.050"
        blob: "AP8="
        caller_id.name: "x\""
        cost: "-1234.567"
        hash: "AQI="
        id: "-7"
        kind: "OLD"
        lines: [{"n":1,"next":{"n":2,"next":null,"when":"1969-12-31"},"when":"1969-12-31"}]
        local: "2024-02-29 23:59:59"
        open: "true"
        ratio: "0.1"
        tags: {"a":1.5,"b":"OLD"}
        time: "23:59:59"
        took: "1970-01-02 01:00:00"
        us: "1969-12-31 23:59:59"
        uuid: "00112233-4455-6677-8899-aabbccddeeff""#]]
    .assert_eq(&lines.join("\n"));
    for cut in 0..bytes.len() {
        assert!(to_json(&schema, &bytes[..cut]).is_err(), "cut at {cut}");
    }
    let error = to_json(&schema, &bytes[..2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field `caller_id.name`: the record ends early"
    );
    let more = [&bytes[..], &[0]].concat();
    assert!(to_json(&schema, &more).is_err());
}

#[test]
fn schemas_that_refer_to_others() {
    let place = r#"{"type":"record","name":"place","namespace":"x","fields":[{"name":"city","type":"string"}]}"#;
    let text = r#"["null",{"type":"record","name":"t","namespace":"x","fields":[{"name":"at","type":"place"}]}]"#;
    let schema = WriterSchema::parse(text, &[place]).unwrap();
    assert_eq!(
        to_json(&schema, b"\x02\x02A").unwrap(),
        br#"{"at":{"city":"A"}}"#
    );
    assert!(to_json(&schema, b"\0").is_err());
    assert!(WriterSchema::parse(text, &[]).is_err());
    let map = WriterSchema::parse(r#"{"type":"map","values":"long"}"#, &[]).unwrap();
    // A block with a negative count, which is followed by its size.
    assert_eq!(
        to_json(&map, b"\x01\x06\x02a\x0e\0").unwrap(),
        br#"{"a":"7"}"#
    );
}

#[test]
fn sizes_are_bounded() {
    let record = |field: &str| {
        let text =
            format!(r#"{{"type":"record","name":"t","fields":[{{"name":"a","type":{field}}}]}}"#);
        WriterSchema::parse(&text, &[]).map_err(|error| error.to_string())
    };
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for field in [
        r#""string""#,
        r#""bytes""#,
        r#"{"type":"array","items":"null"}"#,
        r#"{"type":"array","items":{"type":"record","name":"e","fields":[]}}"#,
        r#"{"type":"map","values":"null"}"#,
        r#"{"type":"fixed","name":"f","size":9000000000000000000}"#,
        // Records that contain themselves without end and need no byte for it.
        r#""t""#,
        r#"["t"]"#,
        r#"{"type":"array","items":"t"}"#,
    ] {
        let schema = record(field).unwrap();
        let bytes = if field.contains("items\":\"t") {
            vec![2; 100_000]
        } else {
            huge.to_vec()
        };
        assert!(to_json(&schema, &bytes).is_err(), "{field}");
    }
    let scale = r#"{"type":"bytes","logicalType":"decimal","precision":2000000,"scale":1000000}"#;
    assert!(record(scale).is_err());
    let double = record(r#""double""#).unwrap();
    assert!(to_json(&double, &f64::NAN.to_le_bytes()).is_err());
    assert_eq!(
        to_json(&double, &1e21_f64.to_le_bytes()).unwrap(),
        br#"{"a":"1000000000000000000000"}"#
    );
}

#[test]
fn a_frame_has_a_zero_byte_and_four_bytes_of_id() {
    assert_eq!(
        frame(b"\0\0\0\x01\x02"),
        WireFrame::Framed { id: 258, body: b"" }
    );
    for plain in [&b""[..], b"\0\0\0\x01", b"{\"a\":1}", b"\x01\0\0\0\0\0"] {
        assert_eq!(frame(plain), WireFrame::Plain);
    }
}

#[test]
fn a_key_has_the_same_text_whatever_schema_wrote_it() {
    let text = |schema: &str, body: &[u8]| {
        let schema = WriterSchema::parse(schema, &[]).unwrap();
        to_text(&schema, body).map(|text| String::from_utf8(text).unwrap())
    };
    for (schema, body, expected) in [
        (r#""string""#, &b"\x02k"[..], "k"),
        (r#"["null","string"]"#, b"\x02\x02k", "k"),
        (r#"["null","string"]"#, b"\0", ""),
        (r#""long""#, b"\x0d", "-7"),
        (r#""int""#, b"\x0d", "-7"),
        (r#""boolean""#, b"\x01", "true"),
        (r#""double""#, b"\0\0\0\0\0\0\xf8\x3f", "1.5"),
        (
            r#"{"type":"enum","name":"e","symbols":["A","B"]}"#,
            b"\x02",
            "B",
        ),
        (
            r#"{"type":"array","items":"int"}"#,
            b"\x04\x02\x04\0",
            "[1,2]",
        ),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"id","type":"int"}]}"#,
            b"\x02",
            r#"{"id":"1"}"#,
        ),
    ] {
        assert_eq!(text(schema, body).as_deref(), Ok(expected), "{schema}");
    }
    for (schema, body) in [
        (r#""string""#, &b"\x06k"[..]),
        (r#""string""#, b"\x02kk"),
        (r#""null""#, b"\0"),
        (r#""string""#, b""),
    ] {
        assert!(text(schema, body).is_err(), "{schema} {body:?}");
    }
}

proptest! {
    #[test]
    fn readers_of_the_old_schema_read_on(
        old in prop::collection::btree_set("[a-c]\\.?[a-c]", 0..5),
        new in prop::collection::btree_set("[a-c]\\.?[a-c]", 0..5),
    ) {
        let before = RecordSchema::strings(&TableColumns::named("t", old.clone()));
        let evolution = before.evolve(&RecordSchema::strings(&TableColumns::named("t", new.clone())));
        let after = evolution.schema.unwrap_or(before.clone());
        let parsed = |schema: &RecordSchema| apache_avro::Schema::parse_str(schema.json()).unwrap();
        let (reader, writer) = (parsed(&before), parsed(&after));
        let row: Map<String, Value> = new.iter().map(|name| (name.clone(), json!(name))).collect();
        let mut record = Vec::new();
        let mut encoder = RecordEncoder::new(&after, 1, OnTypeError::Hold);
        let report = encoder.encode(Value::Object(row).to_string().as_bytes(), &mut record).unwrap();
        prop_assert_eq!(report.unknown, 0);
        let old_reader = apache_avro::reader::datum::GenericDatumReader::builder(&writer)
            .reader_schema(&reader).build().unwrap();
        let Avro::Record(fields) = old_reader.read_value(&mut &record[5..]).unwrap() else { panic!() };
        prop_assert_eq!(fields.len(), old.len());
        for (field, (name, value)) in before.fields().iter().zip(&fields) {
            prop_assert_eq!(&field.name, name);
            let column = Avro::String(field.column.clone());
            let expected = if new.contains(&field.column) { column } else { Avro::Null };
            prop_assert!(matches!(value, Avro::Union(_, value) if **value == expected));
        }
        // And the other way round: a reader with the new schema reads a record of the old one.
        let new_reader = apache_avro::reader::datum::GenericDatumReader::builder(&reader)
            .reader_schema(&writer).build().unwrap();
        let mut record = Vec::new();
        RecordEncoder::new(&before, 1, OnTypeError::Hold).encode(b"{}", &mut record).unwrap();
        prop_assert!(new_reader.read_value(&mut &record[5..]).is_ok());
    }

    #[test]
    fn a_changed_record_is_read_or_refused(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let schema = WriterSchema::parse(ORDER_SCHEMA, &[]).unwrap();
        let mut bytes = written();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(json) = to_json(&schema, &bytes) {
            prop_assert!(serde_json::from_slice::<Map<String, Value>>(&json).is_ok());
        }
    }

    #[test]
    fn rows_of_texts_come_back(texts in prop::collection::vec("\\PC{0,12}|[\"\\\\\u{0}-\u{1f}]{0,4}", 10)) {
        let names = columns().list.into_iter().map(|column| column.name);
        let row: Map<String, Value> = names.zip(texts.into_iter().map(Value::from)).collect();
        let row = Value::Object(row);
        let schema = RecordSchema::strings(&columns());
        prop_assert_eq!(there_and_back(&schema, OnTypeError::Hold, &row.to_string()), row);
    }
}
