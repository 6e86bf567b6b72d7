use apache_avro::Decimal;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::avro::{TableColumn, TableColumns, TypingOptions, decimal};
use crate::servicenow::query::parse_time;

const FIELD_TYPES: [(&str, &str); 9] = [
    ("text", "string"),
    ("flag", "boolean"),
    ("count", "integer"),
    ("share", "float"),
    ("cost", "decimal"),
    ("at", "glide_date_time"),
    ("day", "glide_date"),
    ("took", "glide_duration"),
    ("a.b", "reference"),
];

fn typed() -> RecordSchema {
    let mut columns = TableColumns::named("t", [] as [&str; 0]);
    columns.list = FIELD_TYPES
        .map(|(name, kind)| TableColumn::typed(name, kind))
        .into();
    let typing = TypingOptions {
        raw: true,
        ..TypingOptions::default()
    };
    RecordSchema::typed(&columns, &typing)
}

fn parsed(schema: &RecordSchema) -> apache_avro::Schema {
    apache_avro::Schema::parse_str(schema.json()).unwrap()
}

fn encoded(encoder: &mut RecordEncoder, row: &str) -> (Vec<u8>, EncodeReport) {
    let mut out = Vec::new();
    let report = encoder.encode(row.as_bytes(), &mut out).unwrap();
    (out, report)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_of_a_record() {
    let columns = TableColumns::named("t", ["a", "b", "c"]);
    let mut encoder = RecordEncoder::new(
        &RecordSchema::strings(&columns),
        0x0102_0304,
        OnTypeError::Null,
    );
    for (row, body) in [
        (r#"{"a":"xyz","b":"","c":null}"#, "020678797a020000"),
        (r#"{"c":"1","a":"x\n\u00e9"}"#, "0208780ac3a900020231"),
        (r#" { "b" : 7 , "a" : true } "#, "02087472756502023700"),
        (
            r#"{"a":{"link":"h","value":"v"},"b":{"display_value":null,"value":""}}"#,
            "020276020000",
        ),
        (
            r#"{"a":{"x":1},"b":[1,"}"],"c":{}}"#,
            "020e7b2278223a317d020e5b312c227d225d02047b7d",
        ),
        ("{}", "000000"),
    ] {
        let (bytes, report) = encoded(&mut encoder, row);
        assert_eq!(hex(&bytes), format!("0001020304{body}"), "{row}");
        assert_eq!(report, EncodeReport::default());
    }
    let mut key = Vec::new();
    encode_key(9, b"abc", &mut key).unwrap();
    assert_eq!(hex(&key), "000000000906616263");
    assert_eq!(encode_key(9, b"\xff", &mut key), Err(EncodeError::Key));
    assert_eq!(
        apache_avro::Schema::parse_str(KEY_SCHEMA).unwrap(),
        apache_avro::Schema::String
    );
}

#[test]
fn columns_in_any_order() {
    let columns = TableColumns::named("t", ["a", "b", "c"]);
    let mut encoder = RecordEncoder::new(&RecordSchema::strings(&columns), 1, OnTypeError::Null);
    let expected = encoded(&mut encoder, r#"{"a":"1","b":"2","c":"3"}"#).0;
    for row in [
        r#"{"c":"3","b":"2","a":"1"}"#,
        r#"{"a":"1","b":"2","c":"3"}"#,
        r#"{"\u0061":"1","b" : "2","c":"3"}"#,
        r#"{"a":"0","b":"2","c":"3","a":"1"}"#,
        r#"{"b":"2","x":"?","a":"1","y":{"value":"z"},"c":"3"}"#,
        r#"{"b":"2","x":"?","a":"1","y":{"value":"z"},"c":"3"}"#,
    ] {
        let (bytes, report) = encoded(&mut encoder, row);
        assert_eq!(bytes, expected, "{row}");
        assert_eq!(report.unknown, if row.contains('x') { 2 } else { 0 });
    }
    assert_eq!(encoder.unknown(), ["x", "y"]);
    for many in 0..3 {
        let row: Vec<String> = (0..3000).map(|n| format!(r#""k{many}_{n}":"v""#)).collect();
        let row = format!("{{{},\"c\":\"3\",\"b\":\"2\",\"a\":\"1\"}}", row.join(","));
        let (bytes, report) = encoded(&mut encoder, &row);
        assert_eq!((bytes, report.unknown), (expected.clone(), 3000));
    }
    assert_eq!(encoder.unknown().len(), 64);
}

#[test]
fn values_that_do_not_fit() {
    let schema = typed();
    let row = r#"{"flag":"yes","count":"\u0031x","cost":["1"],"text":"ok","at":""}"#;
    let mut encoder = RecordEncoder::new(&schema, 1, OnTypeError::Null);
    let (bytes, report) = encoded(&mut encoder, row);
    assert_eq!(hex(&bytes[5..]), "02046f6b000000000000000000");
    assert_eq!((report.unknown, report.misfits), (0, 3));
    let misfits: Vec<_> = encoder.misfits().collect();
    assert_eq!(misfits, [("flag", 1), ("count", 1), ("cost", 1)]);

    let mut encoder = RecordEncoder::new(&schema, 1, OnTypeError::StringField);
    let (bytes, _) = encoded(&mut encoder, row);
    let reader = parsed(&schema);
    let reader = GenericDatumReader::builder(&reader).build().unwrap();
    let Avro::Record(fields) = reader.read_value(&mut &bytes[5..]).unwrap() else {
        panic!()
    };
    let text = |text: &str| Avro::String(text.to_owned());
    let texts = [("flag", "yes"), ("count", "1x"), ("cost", r#"["1"]"#)];
    let texts = texts.map(|(name, value)| (name.to_owned(), text(value)));
    let texts = Avro::Union(1, Box::new(Avro::Map(texts.into())));
    assert_eq!(fields.last().unwrap(), &("_raw".to_owned(), texts));

    let mut encoder = RecordEncoder::new(&schema, 1, OnTypeError::Hold);
    let mut out = b"before".to_vec();
    let error = encoder.encode(row.as_bytes(), &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value of `flag` is no boolean (see on_type_error)"
    );
    assert_eq!(out, b"before");
    let torn = br#"{"text":"a\ud83d"}"#;
    assert!(encoder.encode(torn, &mut out).is_err());
    let mut encoder = RecordEncoder::new(&schema, 1, OnTypeError::StringField);
    let (bytes, report) = encoded(
        &mut encoder,
        r#"{"text":"a\ud83d","flag":{"value":"true"}}"#,
    );
    assert_eq!(hex(&bytes[5..16]), "020861efbfbd0201000000");
    assert_eq!(report.misfits, 1);
}

#[test]
fn text_that_is_no_json_object_is_malformed() {
    let schema = typed();
    let mut encoder = RecordEncoder::new(&schema, 1, OnTypeError::Null);
    let mut out = Vec::new();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
    for row in [
        "",
        "[]",
        "{",
        "{}x",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":"b"#,
        r#"{"a":"b",}"#,
        r#"{,}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":01}"#,
        r#"{"a":tru}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":1 2}"#,
        r#"{"a":{"value":"x"}"#,
        r#"{"a":[1,]}"#,
        r#"{a:1}"#,
        r#"{"a":'b'}"#,
        r#"{"text":"x","text":1.}"#,
        r#"{"text":"\"#,
        &deep,
    ] {
        let result = encoder.encode(row.as_bytes(), &mut out);
        assert!(matches!(result, Err(EncodeError::Malformed(_))), "{row}");
    }
    assert!(encoder.encode(b"{\"a\":\"\xff\"}", &mut out).is_err());
    assert!(out.is_empty());
}

/// The library's value for the text of a column of type `kind`; `None`: the text does not fit.
fn generic(kind: FieldType, text: &str) -> Option<Avro> {
    if text.is_empty() && kind != FieldType::String {
        return Some(Avro::Null);
    }
    let midnight = |text: &str| parse_time(format!("{text} 00:00:00").as_bytes());
    Some(match kind {
        FieldType::String => Avro::String(text.to_owned()),
        FieldType::Boolean => Avro::Boolean(match text {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        }),
        FieldType::Long => {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let is_whole = part.bytes().all(|digit| digit == b'0');
            if !is_whole {
                return None;
            }
            Avro::Long(whole.parse().ok()?)
        }
        FieldType::Double => Avro::Double(text.parse().ok().filter(|v: &f64| v.is_finite())?),
        FieldType::Decimal { precision, scale } => {
            let unscaled = decimal::parse(text.as_bytes(), precision, scale)?;
            Avro::Decimal(Decimal::from(decimal::to_bytes(unscaled, &mut [0; 16])))
        }
        FieldType::Timestamp => Avro::TimestampMillis(parse_time(text.as_bytes())? * 1000),
        FieldType::Date => Avro::Date(i32::try_from(midnight(text)? / 86_400).unwrap()),
        FieldType::Seconds => Avro::Long(parse_time(text.as_bytes())?),
        FieldType::TextMap => return None,
    })
}

fn column_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "\\PC{0,20}",
        "[\"\\\\/\u{0}-\u{1f}a😀]{0,8}",
        "true|false|yes|0|1",
        "-?[0-9]{1,20}",
        "-?[0-9]{1,16}\\.[0-9]{1,3}",
        any::<f64>().prop_map(|value| value.to_string()),
        (1_970_u32..2_100, 1_u32..14, 1_u32..32).prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}")),
        (0_u32..2_100, 1_u32..13, 1_u32..32, 0_u32..25)
            .prop_map(|(y, m, d, h)| format!("{y:04}-{m:02}-{d:02} {h:02}:30:59")),
    ]
}

/// A value in one of the forms that the Table API gives it.
fn form(text: String, form: u8) -> Value {
    match form {
        0 => json!({"link": "https://h/x", "value": text}),
        1 => json!({"display_value": text.clone() + "!", "value": text}),
        2 => json!({"display_value": null, "value": text}),
        _ => Value::from(text),
    }
}

proptest! {
    #[test]
    fn it_writes_the_same_bytes_as_the_library(
        texts in prop::collection::vec((0..FIELD_TYPES.len(), column_text(), 0_u8..9), 0..12),
        more in prop::option::of("[a-z]{9}"),
    ) {
        let schema = typed();
        let mut row = serde_json::Map::new();
        for (at, text, shape) in &texts {
            row.insert(FIELD_TYPES[*at].0.to_owned(), form(text.clone(), *shape));
        }
        row.extend(more.clone().map(|name| (name, json!([1]))));
        let text_of = |column: &str| {
            let value = row.get(column)?;
            value.get("value").unwrap_or(value).as_str()
        };
        let mut misfits = 0;
        let fields = schema.fields().iter().map(|field| {
            let value = text_of(&field.column).map(|text| {
                let value = generic(field.kind, text);
                misfits += u32::from(value.is_none());
                value.unwrap_or(Avro::Null)
            });
            let value = match value {
                None | Some(Avro::Null) => Avro::Union(0, Box::new(Avro::Null)),
                Some(value) => Avro::Union(1, Box::new(value)),
            };
            (field.name.clone(), value)
        });
        let expected = Avro::Record(fields.collect());
        let parsed = parsed(&schema);
        let writer = GenericDatumWriter::builder(&parsed).build().unwrap();
        let library = writer.write_value_to_vec(expected.clone()).unwrap();

        let mut encoder = RecordEncoder::new(&schema, 7, OnTypeError::Null);
        for _ in 0..2 {
            let mut ours = Vec::new();
            let text = Value::Object(row.clone()).to_string();
            let report = encoder.encode(text.as_bytes(), &mut ours).unwrap();
            prop_assert_eq!(&ours[..5], [0, 0, 0, 0, 7]);
            prop_assert_eq!(hex(&ours[5..]), hex(&library));
            prop_assert_eq!(report, EncodeReport { unknown: u32::from(more.is_some()), misfits });
            let reader = GenericDatumReader::builder(&parsed).build().unwrap();
            prop_assert_eq!(&reader.read_value(&mut &ours[5..]).unwrap(), &expected);
        }
    }

    #[test]
    fn it_accepts_exactly_what_serde_json_accepts(
        row in prop_oneof![
            "\\{(\"[a-b]{1,2}\":(\"[ab\\\\\"\n]{0,3}\"|[-0-9.eE+]{1,4}|null|\\{\"value\":\"x\"\\}),?){0,4}\\}",
            "[{}\\[\\]\":,a0\\\\ ]{0,20}",
            "\\PC{0,20}",
        ],
    ) {
        let is_json = serde_json::from_str::<&RawValue>(&row).is_ok_and(|raw| raw.get().starts_with('{'));
        let mut encoder = RecordEncoder::new(&typed(), 1, OnTypeError::StringField);
        let result = encoder.encode(row.as_bytes(), &mut Vec::new());
        prop_assert_eq!(result.is_ok(), is_json, "{} {:?}", row, result);
    }

    #[test]
    fn the_learned_order_of_keys_changes_no_byte(
        rows in prop::collection::vec(
            prop_oneof![
                "\\{(\"(text|flag|cost|x|\\\\u0078)\":(\"\"|\"\"|\"\"|\"a\"|null|1),?){0,6}\\}",
                "\\{\"text\":\"\",(\"flag\":\"(true)?\",)?\"x\":\"\",\"cost\": ?\"\",?\\}?",
            ],
            1..6,
        ),
    ) {
        let mut learned = RecordEncoder::new(&typed(), 1, OnTypeError::Null);
        for row in rows {
            let mut new = RecordEncoder::new(&typed(), 1, OnTypeError::Null);
            let (mut ours, mut expected) = (Vec::new(), Vec::new());
            let result = learned.encode(row.as_bytes(), &mut ours);
            let wanted = new.encode(row.as_bytes(), &mut expected);
            prop_assert_eq!(result.is_ok(), wanted.is_ok(), "{}", row);
            prop_assert_eq!(result.ok(), wanted.ok(), "{}", row);
            prop_assert_eq!(hex(&ours), hex(&expected), "{}", row);
        }
    }

    #[test]
    fn it_never_panics(row in prop::collection::vec(any::<u8>(), 0..60), cut in 0_usize..80) {
        let mut encoder = RecordEncoder::new(&typed(), 1, OnTypeError::StringField);
        encoder.encode(&row, &mut Vec::new()).ok();
        let good = r#"{"text":"a\ud83d\ude00","flag":{"display_value":"x","value":"true"},"cost":1.5}"#;
        let cut = cut.min(good.len());
        let cut_off = encoder.encode(&good.as_bytes()[..cut], &mut Vec::new());
        prop_assert_eq!(cut_off.is_ok(), cut == good.len());
    }
}
