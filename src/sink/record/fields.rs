//! The fields of a record's value. Their JSON is kept as it was written, so that numbers and escapes
//! reach the instance unchanged.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::sink::refusal::{Refusal, RefusalKind};

/// A column and its value.
pub(super) type RecordField = (String, Box<RawValue>);

/// Members of the objects that the Table API writes for a field when display values are asked for. An
/// object with these members only stands for its `value`.
const VALUE_FORM_MEMBERS: [&str; 3] = ["value", "display_value", "link"];

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

/// The value that is sent: of an object of display value, link and value the last, and for null the
/// empty text, which clears a field.
pub(super) fn stored(value: Box<RawValue>) -> Box<RawValue> {
    let value = value_of_forms(&value).unwrap_or(value);
    if value.get() == "null" {
        RawValue::from_string("\"\"".to_owned()).unwrap_or(value)
    } else {
        value
    }
}

/// Whether a value is null, or an object that stands for null.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null" || value_of_forms(value).is_some_and(|value| value.get() == "null")
}

fn value_of_forms(value: &RawValue) -> Option<Box<RawValue>> {
    let members = members(value)?;
    let forms = |(name, _): &RecordField| VALUE_FORM_MEMBERS.contains(&name.as_str());
    members
        .iter()
        .all(forms)
        .then(|| member_value(members))
        .flatten()
}

/// The member `value` of an object, whatever else it has.
pub(super) fn inner_value(value: &RawValue) -> Option<Box<RawValue>> {
    member_value(members(value)?)
}

fn members(value: &RawValue) -> Option<Vec<RecordField>> {
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
