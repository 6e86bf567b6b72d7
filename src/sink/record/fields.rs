//! The fields of a record's value. Their JSON is kept as it was written, so that numbers and escapes
//! reach the instance unchanged.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::{NestedValues, names};
use crate::sink::refusal::{Refusal, RefusalKind};

/// A column and its value.
pub(super) type RecordField = (String, Box<RawValue>);

/// Members that the Table API writes beside `value` when it is asked for display values or links. An object
/// with `value` and one of them stands for its `value`, whatever else is there: currencies have
/// `currency_display_value`, other applications add members of their own.
const VALUE_FORM_MEMBERS: [&str; 2] = ["display_value", "link"];
/// What a column's name may be at most, to be named in an error.
const MAX_NAMED_COLUMN_BYTES: usize = 80;

/// The fields of an object in their order. Of a name that repeats the last value counts.
///
/// # Errors
/// `value` is not a JSON object.
pub(super) fn parse(value: &[u8]) -> Result<Vec<RecordField>, Refusal> {
    object(value).map_err(|error| {
        // serde's own words may show a piece of the record.
        let why = match error.classify() {
            serde_json::error::Category::Data => "is not an object",
            serde_json::error::Category::Eof => "ends early",
            _ => "is not JSON",
        };
        let (line, column) = (error.line(), error.column());
        Refusal::unsent(
            RefusalKind::InvalidJson,
            format!("the record's value {why}: line {line}, column {column}"),
        )
    })
}

/// The value that is sent for the column `name`: of an object of display value, link and value the last, for
/// null the empty text, which clears a field, and for a list of plain values their texts with commas between
/// them, as columns of the type list keep them.
///
/// # Errors
/// The value has a structure that no column keeps. With `nested` it is sent as JSON in a text instead.
pub(super) fn stored(
    name: &str,
    value: Box<RawValue>,
    nested: NestedValues,
) -> Result<Box<RawValue>, Refusal> {
    let value = plain_form(value);
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(quoted("", value)),
        Some(b'[') => match joined(&value) {
            Ok(text) => Ok(quoted(&text, value)),
            Err(_) if nested == NestedValues::Stringify => Ok(stringified(value)),
            Err(why) => Err(why.refusal(name)),
        },
        Some(b'{') if nested == NestedValues::Stringify => Ok(stringified(value)),
        Some(b'{') => Err(NoPlainValue::Object.refusal(name)),
        _ => Ok(value),
    }
}

/// The value, or of an object of display value, link and value the last.
pub(super) fn plain_form(value: Box<RawValue>) -> Box<RawValue> {
    value_of_forms(&value).unwrap_or(value)
}

/// Why a value has no plain form.
#[derive(Debug, Clone, Copy)]
enum NoPlainValue {
    Object,
    NestedList,
    CommaInList,
}

impl NoPlainValue {
    fn refusal(self, name: &str) -> Refusal {
        let column = match names::check_column(name) {
            Ok(()) if name.len() <= MAX_NAMED_COLUMN_BYTES => format!("column `{name}`"),
            _ => "a column".to_owned(),
        };
        let why = match self {
            NoPlainValue::Object => "is an object",
            NoPlainValue::NestedList => {
                "is a list that holds more than texts, numbers and booleans"
            }
            NoPlainValue::CommaInList => {
                "is a list, one of whose values has a comma, which would make two values of it"
            }
        };
        Refusal::unsent(
            RefusalKind::NestedValue,
            format!(
                "the value of {column} {why}, and a column keeps plain values only; leave it out with \
                 `fields`, or set `nested: stringify` to write it as JSON in a text"
            ),
        )
    }
}

/// The values of a list, with commas between them.
fn joined(list: &RawValue) -> Result<String, NoPlainValue> {
    let values: Vec<Box<RawValue>> =
        serde_json::from_str(list.get()).map_err(|_| NoPlainValue::NestedList)?;
    let mut joined = String::new();
    for (index, value) in values.into_iter().enumerate() {
        let value = plain_form(value);
        if value.get() == "null" {
            return Err(NoPlainValue::NestedList);
        }
        let text = text(&value).ok_or(NoPlainValue::NestedList)?;
        if text.contains(',') {
            return Err(NoPlainValue::CommaInList);
        }
        if index > 0 {
            joined.push(',');
        }
        joined.push_str(&text);
    }
    Ok(joined)
}

/// The JSON of a value as a text. `from_string` refuses no JSON, so `value` is never given back.
fn stringified(value: Box<RawValue>) -> Box<RawValue> {
    let text = value.get().to_owned();
    quoted(&text, value)
}

fn quoted(text: &str, value: Box<RawValue>) -> Box<RawValue> {
    let json = serde_json::Value::from(text).to_string();
    RawValue::from_string(json).unwrap_or(value)
}

/// Whether a value is null, or an object that stands for null.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null" || value_of_forms(value).is_some_and(|value| value.get() == "null")
}

fn value_of_forms(value: &RawValue) -> Option<Box<RawValue>> {
    let members = members(value)?;
    let stands_beside = |(name, _): &RecordField| VALUE_FORM_MEMBERS.contains(&name.as_str());
    let is_form = members.len() == 1 || members.iter().any(stands_beside);
    is_form.then(|| member_value(members)).flatten()
}

/// The member `value` of an object, whatever else it has.
pub(super) fn inner_value(value: &RawValue) -> Option<Box<RawValue>> {
    member_value(members(value)?)
}

/// The members of a value, if it is an object.
pub(super) fn members(value: &RawValue) -> Option<Vec<RecordField>> {
    let text = value.get();
    text.starts_with('{')
        .then(|| object(text.as_bytes()).ok())?
}

fn member_value(members: Vec<RecordField>) -> Option<Box<RawValue>> {
    let mut members = members.into_iter();
    let (_, value) = members.find(|(name, _)| name == "value")?;
    Some(value)
}

/// The text of a string, as decoded.
pub(super) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The text of a string, a number or a boolean.
pub(super) fn text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'"') => string(value),
        Some(b'{' | b'[') | None => None,
        Some(_) => Some(value.get().to_owned()),
    }
}

fn object(text: &[u8]) -> Result<Vec<RecordField>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let fields = deserializer.deserialize_map(FieldsVisitor)?;
    deserializer.end()?;
    Ok(fields)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<RecordField>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<RecordField>, A::Error> {
        let mut fields: Vec<RecordField> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: Box<RawValue> = map.next_value()?;
            match places.get(&name).and_then(|place| fields.get_mut(*place)) {
                Some(field) => field.1 = value,
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push((name, value));
                }
            }
        }
        Ok(fields)
    }
}
