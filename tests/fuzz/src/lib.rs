//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! No bytes may make a parser panic, and what it accepts must keep what it promises. The seeds in
//! `corpus` are replayed through the same functions by `tests/it/corpus.rs`, on a stable toolchain.

use std::io::{self, Read};
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::value::RawValue;
use servicenow_kafka_bridge::avro::decode::{WriterSchema, to_json, to_text};
use servicenow_kafka_bridge::avro::{
    RecordEncoder, RecordSchema, TableColumn, TableColumns, TypingOptions, WIRE_PREFIX_BYTES,
};
use servicenow_kafka_bridge::checkpoint_topic::{
    StateKey, decode_entry, decode_key, encode_entry, encode_key,
};
use servicenow_kafka_bridge::config::{Decimals, DisplayValue, OnTypeError};
use servicenow_kafka_bridge::servicenow::page::{
    CursorColumns, PageChunk, PageError, PageReader, row as row_fields,
};
use servicenow_kafka_bridge::sink::DeadLetter;

/// A body that arrives in pieces of at most `piece` bytes.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.piece.min(self.rest.len()).min(buffer.len());
        let (now, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.rest = rest;
        Ok(length)
    }
}

/// The text, the identifier and the second of a row.
type FoundRow = (Vec<u8>, Vec<u8>, i64);

/// The rows of a page, if the page counts.
fn rows_of(body: &[u8], piece: usize, display: DisplayValue) -> Result<Vec<FoundRow>, PageError> {
    let columns = CursorColumns::new("sys_updated_on", "sys_id", display);
    let mut reader = PageReader::new(Pieces { rest: body, piece }, columns);
    let mut rows = Vec::new();
    let mut spare = None;
    while let PageChunk::Rows(block) = reader.next(spare.take())? {
        rows.extend(block.rows.iter().map(|row| {
            let bytes = |range| block.slice(range).to_vec();
            (bytes(&row.text), bytes(&row.id), row.seconds)
        }));
        spare = Some(block);
    }
    Ok(rows)
}

/// A list answer of ServiceNow: the splitter, the search for the cursor columns, the response gate.
/// The first byte chooses the form of the values and the size of the pieces in which it arrives.
///
/// However it is cut, the same rows come out; and where the body is JSON, they are the rows of its
/// `result`, and there is no `error` in it.
pub fn page(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let forms = [DisplayValue::False, DisplayValue::True, DisplayValue::All];
    let display = forms[usize::from(choice % 3)];
    let whole = rows_of(body, usize::MAX, display).ok();
    let pieces = rows_of(body, 1 + usize::from(choice / 3), display).ok();
    assert_eq!(whole, pieces, "the pieces in which a page arrives matter");
    let Some(rows) = whole else { return };
    if let Ok(page) = serde_json::from_slice::<Value>(body) {
        assert!(
            page.get("error").is_none_or(Value::is_null),
            "an error was passed over"
        );
        let result = page["result"].as_array().expect("rows without `result`");
        assert_eq!(rows.len(), result.len(), "rows were lost or made up");
        for ((text, id, _), expected) in rows.iter().zip(result) {
            let row: Value = serde_json::from_slice(text).expect("a row that is no JSON");
            let stored = &expected["sys_id"];
            let stored = stored.get("value").unwrap_or(stored);
            // Of a name that repeats the last value counts for the judge, and the first one here.
            let text = String::from_utf8_lossy(text);
            let once = text.matches("sys_id").count() == 1 && !text.contains('\\');
            if let Some(stored) = stored.as_str()
                && once
            {
                assert_eq!(id, stored.as_bytes(), "another identifier");
            }
            if display != DisplayValue::True {
                assert_eq!(&row, expected, "another row");
            }
        }
    }
}

/// Columns of every type that a typed schema knows.
fn columns() -> TableColumns {
    let typed = [
        ("sys_id", "GUID"),
        ("sys_updated_on", "glide_date_time"),
        ("active", "boolean"),
        ("count", "integer"),
        ("price", "currency"),
        ("opened", "glide_date_time"),
        ("due", "glide_date"),
        ("duration", "glide_duration"),
        ("ratio", "float"),
        ("caller", "reference"),
    ];
    let list = typed.map(|(name, internal_type)| TableColumn::typed(name, internal_type));
    TableColumns {
        table: "incident".to_owned(),
        list: list.into(),
        ..TableColumns::default()
    }
}

/// Schemas of those columns: all texts, and types with decimals in both forms, each with and without
/// the map of texts that do not fit; what reads their records beside them.
static ROW_SCHEMAS: LazyLock<Vec<(RecordSchema, WriterSchema)>> = LazyLock::new(|| {
    let mut schemas = vec![RecordSchema::strings(&columns())];
    for decimals in [Decimals::Bytes, Decimals::String] {
        for raw in [false, true] {
            let options = TypingOptions { decimals, raw };
            schemas.push(RecordSchema::typed(&columns(), &options));
        }
    }
    let reader = |schema: &RecordSchema| WriterSchema::parse(schema.json(), &[]);
    let with_reader = |schema: RecordSchema| {
        let reader = reader(&schema).expect("a schema of ours");
        (schema, reader)
    };
    schemas.into_iter().map(with_reader).collect()
});

/// A row of ServiceNow on its way to Avro. The first byte chooses the schema and what becomes of
/// values that do not fit.
///
/// What is encoded was JSON, and can be read back; what is refused leaves nothing behind.
pub fn row(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    row_fields::raw_values(text, &["sys_id", "sys_updated_on"]).ok();
    let mut display = Vec::new();
    if row_fields::display_only(text, &mut display).is_ok() {
        serde_json::from_slice::<&RawValue>(&display).expect("display values that are no JSON");
    }
    let (schema, writer) = &ROW_SCHEMAS[usize::from(choice) % ROW_SCHEMAS.len()];
    let policies = [
        OnTypeError::Null,
        OnTypeError::StringField,
        OnTypeError::Hold,
    ];
    let mut encoder = RecordEncoder::new(schema, 7, policies[usize::from(choice / 8 % 3)]);
    // The second time the encoder knows the order of the columns.
    let mut first = None;
    for _ in 0..2 {
        let mut record = b"before".to_vec();
        let result = encoder.encode(text, &mut record);
        let (before, record) = record.split_at(6);
        assert_eq!(before, b"before");
        match result {
            Err(_) => assert!(record.is_empty(), "a refused row left bytes"),
            Ok(_) => {
                serde_json::from_slice::<&RawValue>(text).expect("a row that is no JSON");
                let json = to_json(writer, &record[WIRE_PREFIX_BYTES..]).expect("a record of ours");
                serde_json::from_slice::<&RawValue>(&json).expect("no JSON");
            }
        }
        let same = first.get_or_insert_with(|| record.to_vec()).as_slice() == record;
        assert!(same, "the same row gives another record");
    }
}

/// Schemas of other programs, for [`avro_record`].
const FOREIGN: [&str; 5] = [
    r#"{"type":"record","name":"flat","fields":[
        {"name":"text","type":["null","string"]},{"name":"more","type":["null","string"]},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
        {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
        {"name":"due","type":{"type":"int","logicalType":"date"}}]}"#,
    r#"{"type":"record","name":"nested","fields":[
        {"name":"numbers","type":{"type":"map","values":"long"}},
        {"name":"texts","type":{"type":"array","items":"string"}},
        {"name":"kind","type":{"type":"enum","name":"kind","symbols":["A","B"]}},
        {"name":"inner","type":{"type":"record","name":"inner","fields":[{"name":"yes","type":"boolean"}]}}]}"#,
    r#"{"type":"record","name":"kinds","fields":[
        {"name":"a","type":"int"},{"name":"b","type":"float"},{"name":"c","type":"double"},
        {"name":"d","type":"boolean"},{"name":"e","type":["null",{"type":"fixed","name":"f","size":16}]},
        {"name":"g","type":"bytes"},{"name":"h","type":{"type":"long","logicalType":"timestamp-nanos"}},
        {"name":"i","type":{"type":"long","logicalType":"time-micros"}},
        {"name":"j","type":{"type":"fixed","name":"k","size":12,"logicalType":"duration"}},
        {"name":"l","type":{"type":"string","logicalType":"uuid"}},
        {"name":"m","type":{"type":"bytes","logicalType":"big-decimal"}}]}"#,
    r#"{"type":"record","name":"node","fields":[
        {"name":"next","type":["null","node"]},{"name":"children","type":{"type":"array","items":"node"}}]}"#,
    r#"{"type":"record","name":"nothing","fields":[{"name":"n","type":{"type":"array","items":"null"}}]}"#,
];

/// The schemas of [`FOREIGN`].
static WRITERS: LazyLock<Vec<WriterSchema>> = LazyLock::new(|| {
    let parse = |text: &&str| WriterSchema::parse(text, &[]).expect("a schema");
    FOREIGN.iter().map(parse).collect()
});

/// The bytes of an Avro record of another program. The first byte chooses its schema; the last one
/// seldom, as its records may stand for the longest JSON that is made.
///
/// What is read is one JSON object.
pub fn avro_record(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let (common, last) = (FOREIGN.len() - 1, u8::MAX);
    let chosen = if choice == last {
        common
    } else {
        usize::from(choice) % common
    };
    let schema = &WRITERS[chosen];
    if let Ok(json) = to_json(schema, body) {
        let value = serde_json::from_slice::<&RawValue>(&json).expect("no JSON");
        assert!(value.get().starts_with('{'), "no object");
    }
    to_text(schema, body).ok();
}

/// The text of a schema as a registry gives it, and those it refers to, with a zero byte between them.
///
/// What is accepted reads any bytes without a panic. What is taken for a schema of ours is the same
/// when it is read again.
pub fn avro_schema(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut texts = text.split('\0');
    let text = texts.next().unwrap_or_default();
    let references: Vec<&str> = texts.collect();
    if let Ok(schema) = WriterSchema::parse(text, &references) {
        for body in [&[][..], &[0; 64], &[2; 64], data] {
            to_json(&schema, body).ok();
            to_text(&schema, body).ok();
        }
    }
    if let Ok(ours) = RecordSchema::parse(text) {
        let again = RecordSchema::parse(ours.json()).expect("a schema of ours");
        assert_eq!(again.fields(), ours.fields());
        assert_eq!(again.table(), ours.table());
    }
}

/// The text of a configuration, as far as it is YAML.
pub fn yaml(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        servicenow_kafka_bridge::config::is_yaml(text);
    }
}

/// A dead letter, of this bridge, of the Go program or of another one.
///
/// What is read is the same when it is written and read again.
pub fn dead_letter(data: &[u8]) {
    if let Ok(letter) = DeadLetter::decode(data) {
        let again = DeadLetter::decode(&letter.encode()).expect("a letter of ours");
        assert_eq!(again, letter);
    }
}

/// What a client sends to the admin port.
///
/// A whole request is the same without what follows it, and not whole without its last byte.
pub fn http_head(data: &[u8]) {
    use servicenow_kafka_bridge::admin::request_length;
    if let Some(length) = request_length(data) {
        assert_eq!(request_length(&data[..length]), Some(length));
        assert_eq!(request_length(&data[..length - 1]), None);
    }
}

/// A record of the topic of the positions: the key up to the first line break, then the value.
///
/// What is read is written as something that is read as the same.
pub fn checkpoint_record(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (key, value) = bytes.split_at(end.unwrap_or(bytes.len()));
    let Some(key) = decode_key(Some(key)) else {
        return;
    };
    assert_eq!(decode_key(Some(&encode_key(&key))), Some(key.clone()));
    let value = value.get(1..).unwrap_or_default();
    if let Ok(stored) = decode_entry(&key, value) {
        // One that is just small enough to be read may be written in a longer form.
        let Ok(written) = encode_entry(&key, &stored) else {
            return;
        };
        assert_eq!(decode_entry(&key, &written), Ok(stored));
        let other = StateKey {
            instance: format!("{}x", key.instance),
            table: key.table,
        };
        assert!(decode_entry(&other, &written).is_err());
    }
}
