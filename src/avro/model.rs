//! The schema of a table's records, and the text in which it is registered.
//!
//! Every schema that this bridge registers is one record whose fields are all nullable with null as
//! their default. That form makes every change of columns compatible in both directions: a field that
//! only the reader has takes its default, one that only the writer has is passed over (Avro 1.12,
//! "Schema Resolution").

use std::fmt::{self, Write as _};

use memchr::memchr_iter;
use serde_json::Value;

use super::columns::ChoiceEntry;
use super::names::mangled;

/// Namespace of the records. The Go bridge uses the same, so that its subjects go on.
pub const AVRO_NAMESPACE: &str = "com.servicenow.bridge";
/// The field for texts of values that do not fit the types of their fields, by column.
pub const RAW_FIELD: &str = "_raw";

/// Objects in the text of a schema that is read back: far more than a table has columns and choices.
const MAX_SCHEMA_OBJECTS: usize = 50_000;

/// The type of a field's value when it is not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// `string`.
    String,
    /// `boolean`.
    Boolean,
    /// `long`.
    Long,
    /// `double`.
    Double,
    /// `bytes` with the logical type `decimal`.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u32,
        /// Digits behind the point, at most `precision`.
        scale: u32,
    },
    /// `long` with the logical type `timestamp-millis`: milliseconds since 1970 UTC.
    Timestamp,
    /// `int` with the logical type `date`: days since 1970.
    Date,
    /// `long` of seconds, for durations. Avro's own logical type `duration` has months in it, which have
    /// no fixed length, and few readers know it.
    Seconds,
    /// `map` of `string`: the type of [`RAW_FIELD`].
    TextMap,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldType::String => f.write_str("string"),
            FieldType::Boolean => f.write_str("boolean"),
            FieldType::Long => f.write_str("long"),
            FieldType::Double => f.write_str("double"),
            FieldType::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            FieldType::Timestamp => f.write_str("timestamp-millis"),
            FieldType::Date => f.write_str("date"),
            FieldType::Seconds => f.write_str("long (seconds)"),
            FieldType::TextMap => f.write_str("map of string"),
        }
    }
}

/// One field of a [`RecordSchema`], and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaField {
    /// Its name in the record.
    pub name: String,
    /// The column it holds. Where Avro does not allow the column's name as a field name, the schema has
    /// the column's name in the property `servicenow.name`.
    pub column: String,
    /// Its type.
    pub kind: FieldType,
    /// The column's label; empty for none. Avro's property `doc`.
    pub doc: String,
    /// The column's type in the dictionary; property `servicenow.type`. Empty for none.
    pub internal_type: String,
    /// The table that a reference points to; property `servicenow.reference`.
    pub reference: Option<String>,
    /// The choice list; property `servicenow.choices`.
    pub choices: Vec<ChoiceEntry>,
}

impl SchemaField {
    /// A field about whose column only the name is known.
    pub(super) fn new(name: String, column: &str, kind: FieldType) -> SchemaField {
        SchemaField {
            name,
            column: column.to_owned(),
            kind,
            doc: String::new(),
            internal_type: String::new(),
            reference: None,
            choices: Vec::new(),
        }
    }
}

/// The schema of a table's records: its fields with what they mean, and the text that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSchema {
    names: RecordNames,
    pub(super) fields: Vec<SchemaField>,
    json: String,
}

/// The names of a record, and of the table whose rows it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordNames {
    /// Name of the record, without its namespace.
    pub(super) name: String,
    /// Its namespace; empty for none.
    pub(super) namespace: String,
    /// The table; property `servicenow.table` where Avro does not allow its name.
    pub(super) table: String,
    /// The table's label; empty for none.
    pub(super) doc: String,
}

impl RecordNames {
    /// The names of a table's records, as this bridge gives them.
    pub(super) fn of_table(table: &str, doc: String) -> RecordNames {
        RecordNames {
            name: mangled(table),
            namespace: AVRO_NAMESPACE.to_owned(),
            table: table.to_owned(),
            doc,
        }
    }
}

/// A schema that was not made by this bridge or the Go bridge; says where that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignSchema(String);

impl fmt::Display for ForeignSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a schema of this bridge: {}", self.0)
    }
}

impl std::error::Error for ForeignSchema {}

impl RecordSchema {
    /// The full name of the record, by which some strategies call its subject.
    pub fn full_name(&self) -> String {
        let RecordNames {
            name, namespace, ..
        } = &self.names;
        if namespace.is_empty() {
            name.clone()
        } else {
            format!("{namespace}.{name}")
        }
    }

    pub(super) fn new(names: RecordNames, fields: Vec<SchemaField>) -> RecordSchema {
        let mut schema = RecordSchema {
            names,
            fields,
            json: String::new(),
        };
        schema.json = schema.text();
        schema
    }

    /// The same schema with other fields.
    pub(super) fn with_fields(&self, fields: Vec<SchemaField>) -> RecordSchema {
        RecordSchema::new(self.names.clone(), fields)
    }

    /// The text to register. The same columns give the same text, byte for byte, so that
    /// registering it again changes nothing.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The fields, in the order in which they are written.
    pub fn fields(&self) -> &[SchemaField] {
        &self.fields
    }

    /// The table whose rows it describes.
    pub fn table(&self) -> &str {
        &self.names.table
    }

    /// Reads the text of a schema that this bridge or the Go bridge has registered.
    ///
    /// # Errors
    /// The schema is no record, or has a field of a form that this bridge never writes.
    pub fn parse(json: &str) -> Result<RecordSchema, ForeignSchema> {
        if memchr_iter(b'{', json.as_bytes()).count() > MAX_SCHEMA_OBJECTS {
            return Err(ForeignSchema(format!(
                "it has more than {MAX_SCHEMA_OBJECTS} objects"
            )));
        }
        let value: Value = serde_json::from_str(json)
            .map_err(|error| ForeignSchema(format!("no JSON (column {})", error.column())))?;
        if text_of(&value, "type") != "record" {
            return Err(ForeignSchema("it is no record".to_owned()));
        }
        let fields = value
            .get("fields")
            .and_then(Value::as_array)
            .ok_or_else(|| ForeignSchema("the record has no fields".to_owned()))?
            .iter()
            .map(field)
            .collect::<Result<_, _>>()?;
        let name = text_of(&value, "name");
        let table = match text_of(&value, "servicenow.table") {
            table if table.is_empty() => name.clone(),
            table => table,
        };
        let names = RecordNames {
            name,
            namespace: text_of(&value, "namespace"),
            table,
            doc: text_of(&value, "doc"),
        };
        Ok(RecordSchema::new(names, fields))
    }

    fn text(&self) -> String {
        let mut text = format!(r#"{{"type":"record","name":{}"#, quoted(&self.names.name));
        member(&mut text, "namespace", &self.names.namespace);
        member(&mut text, "doc", &self.names.doc);
        if self.names.table != self.names.name {
            member(&mut text, "servicenow.table", &self.names.table);
        }
        text.push_str(r#","fields":["#);
        for (at, field) in self.fields.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            field.write(&mut text);
        }
        text.push_str("]}");
        text
    }
}

impl SchemaField {
    fn write(&self, text: &mut String) {
        let name = quoted(&self.name);
        let kind = self.kind.json();
        // Writing to memory does not fail.
        write!(
            text,
            r#"{{"name":{name},"type":["null",{kind}],"default":null"#
        )
        .ok();
        member(text, "doc", &self.doc);
        if self.column != self.name {
            member(text, "servicenow.name", &self.column);
        }
        member(text, "servicenow.type", &self.internal_type);
        member(
            text,
            "servicenow.reference",
            self.reference.as_deref().unwrap_or_default(),
        );
        if self.kind == FieldType::Seconds {
            member(text, "servicenow.unit", "seconds");
        }
        for (at, choice) in self.choices.iter().enumerate() {
            text.push_str(if at == 0 {
                r#","servicenow.choices":["#
            } else {
                ","
            });
            let (value, label) = (quoted(&choice.value), quoted(&choice.label));
            write!(text, r#"{{"value":{value},"label":{label}}}"#).ok();
        }
        text.push_str(if self.choices.is_empty() { "}" } else { "]}" });
    }
}

impl FieldType {
    /// The JSON of its Avro type (Avro 1.12, "Logical Types").
    fn json(self) -> String {
        match self {
            FieldType::String => r#""string""#.to_owned(),
            FieldType::Boolean => r#""boolean""#.to_owned(),
            FieldType::Long | FieldType::Seconds => r#""long""#.to_owned(),
            FieldType::Double => r#""double""#.to_owned(),
            FieldType::Decimal { precision, scale } => format!(
                r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#
            ),
            FieldType::Timestamp => {
                r#"{"type":"long","logicalType":"timestamp-millis"}"#.to_owned()
            }
            FieldType::Date => r#"{"type":"int","logicalType":"date"}"#.to_owned(),
            FieldType::TextMap => r#"{"type":"map","values":"string"}"#.to_owned(),
        }
    }

    /// The type with this JSON; `None` if this bridge never writes it. `seconds`: a `long` counts
    /// seconds.
    fn of(json: &Value, seconds: bool) -> Option<FieldType> {
        let number = |name: &str| u32::try_from(json.get(name)?.as_u64()?).ok();
        let name = json
            .as_str()
            .map_or_else(|| text_of(json, "type"), str::to_owned);
        match (name.as_str(), text_of(json, "logicalType").as_str()) {
            ("string", "") => Some(FieldType::String),
            ("boolean", "") => Some(FieldType::Boolean),
            ("long", "") if seconds => Some(FieldType::Seconds),
            ("long", "") => Some(FieldType::Long),
            ("double", "") => Some(FieldType::Double),
            ("long", "timestamp-millis") => Some(FieldType::Timestamp),
            ("int", "date") => Some(FieldType::Date),
            ("bytes", "decimal") => {
                let precision = number("precision")?;
                let scale = number("scale").unwrap_or(0);
                let fits = (1..=38).contains(&precision) && scale <= precision;
                fits.then_some(FieldType::Decimal { precision, scale })
            }
            ("map", "") if text_of(json, "values") == "string" => Some(FieldType::TextMap),
            _ => None,
        }
    }
}

/// Reads one field of a schema.
fn field(json: &Value) -> Result<SchemaField, ForeignSchema> {
    let name = text_of(json, "name");
    let wrong = |what: &str| ForeignSchema(format!("field `{name}` {what}"));
    let seconds = text_of(json, "servicenow.unit") == "seconds";
    let kind = match json
        .get("type")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([null, other]) if null == "null" => FieldType::of(other, seconds),
        _ => return Err(wrong("is not null or one other type")),
    };
    let kind = kind.ok_or_else(|| wrong("has a type that the bridge does not write"))?;
    if kind == FieldType::TextMap && name != RAW_FIELD {
        return Err(wrong("is a map"));
    }
    let column = match text_of(json, "servicenow.name") {
        column if column.is_empty() => name.clone(),
        column => column,
    };
    let choices = json.get("servicenow.choices").and_then(Value::as_array);
    let choice = |choice: &Value| ChoiceEntry {
        value: text_of(choice, "value"),
        label: text_of(choice, "label"),
    };
    Ok(SchemaField {
        column,
        kind,
        doc: text_of(json, "doc"),
        internal_type: text_of(json, "servicenow.type"),
        reference: Some(text_of(json, "servicenow.reference")).filter(|table| !table.is_empty()),
        choices: choices.into_iter().flatten().map(choice).collect(),
        name,
    })
}

fn text_of(json: &Value, member: &str) -> String {
    let text = json.get(member).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// Appends a member to the JSON of an object, unless its text is empty.
fn member(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        write!(out, r#","{name}":{}"#, quoted(text)).ok();
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
