//! The careful ways into a row: single values, and its display form.
//!
//! These parse. The hot path does not come here for plain rows.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The stored values of `columns` in a row, in their order; `None` for a column that is absent or null.
///
/// A value is a text, or `{"display_value":..,"value":..}` when display values were asked for; then
/// the `value` counts. Numbers and booleans are given as they are written.
///
/// # Errors
/// The row is not a JSON object.
pub fn raw_values(row: &[u8], columns: &[&str]) -> Result<Vec<Option<String>>, serde_json::Error> {
    let mut found = vec![None; columns.len()];
    each_field(row, |name, value| {
        if let Some(slot) = columns.iter().position(|column| *column == name)
            && let Some(slot) = found.get_mut(slot)
        {
            *slot = stored_value(value);
        }
    })?;
    Ok(found)
}

/// Appends a row that was fetched with both forms, reduced to its display values, to `out`.
///
/// # Errors
/// The row is not a JSON object.
pub fn display_only(row: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    out.push(b'{');
    let mut first = true;
    each_field(row, |name, value| {
        if !first {
            out.push(b',');
        }
        first = false;
        let name = serde_json::Value::from(name).to_string();
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(
            member(value, "display_value")
                .unwrap_or(value.get())
                .as_bytes(),
        );
    })?;
    out.push(b'}');
    Ok(())
}

fn stored_value(value: &RawValue) -> Option<String> {
    let text = member(value, "value").unwrap_or(value.get());
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).ok(),
        Some(b'n') | None => None,
        Some(_) => Some(text.to_owned()),
    }
}

/// The raw text of one member when `value` is an object that has it.
fn member<'a>(value: &'a RawValue, wanted: &str) -> Option<&'a str> {
    let mut found = None;
    if value.get().starts_with('{') {
        each_field(value.get().as_bytes(), |name, value| {
            if name == wanted {
                found = Some(value.get());
            }
        })
        .ok()?;
    }
    found
}

/// Calls `visit` with every field of an object, values unparsed.
fn each_field<'a>(
    object: &'a [u8],
    visit: impl FnMut(&str, &'a RawValue),
) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    FieldVisitor(visit).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct FieldVisitor<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> DeserializeSeed<'de> for FieldVisitor<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for FieldVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            (self.0)(&name, map.next_value()?);
        }
        // Nothing can follow; this asks the deserializer to see that.
        map.next_entry::<IgnoredAny, IgnoredAny>().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_stored_whatever_form_was_asked_for() {
        let row = br#"{"a":"x\"y","b":{"display_value":"B","value":"b"},"c":null,"d":7,
            "e":{"display_value":null,"value":""},"g":{"link":"https://h/1","value":"z"}}"#;
        let values = raw_values(row, &["a", "b", "c", "d", "e", "f", "g"]).unwrap();
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        assert_eq!(
            values,
            [
                Some("x\"y"),
                Some("b"),
                None,
                Some("7"),
                Some(""),
                None,
                Some("z")
            ]
        );
    }

    #[test]
    fn a_row_is_reduced_to_its_display_values() {
        let row = br#"{"state":{"display_value":"New","value":"1"},"u\"x":{"display_value":null,"value":""},"n":"1"}"#;
        let mut out = Vec::new();
        display_only(row, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"state":"New","u\"x":null,"n":"1"}"#
        );
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for row in ["", "[]", "{", "{}x", "{\"a\":}"] {
            assert!(raw_values(row.as_bytes(), &["a"]).is_err(), "{row}");
        }
    }
}
