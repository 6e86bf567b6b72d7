//! The JSON of a schema, as far as reading records needs it.
//!
//! All other members are passed over. They cost no memory, and may be something that no machine can
//! hold, such as the default `1e400` or an attribute that nests without end.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::error::WriterSchemaError;

/// Deepest nesting of objects and lists. A nullable record takes four levels: itself, the list of its
/// fields, one of them, and the union. Of a thread's usual stack of 2 MiB this needs at most a fifth,
/// and three quarters in a build without optimisation.
const MAX_SCHEMA_DEPTH: u32 = 512;

/// The name of a member that reading needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum SchemaKey {
    Type,
    Name,
    Namespace,
    Fields,
    Items,
    Values,
    Symbols,
    Size,
    LogicalType,
    Precision,
    Scale,
    #[serde(rename = "servicenow.name")]
    Column,
    #[serde(rename = "servicenow.unit")]
    Unit,
    #[serde(other)]
    Other,
}

/// A value. The type is kept small, because a text can have a value in every two of its bytes.
#[derive(Debug)]
pub(super) enum SchemaJson<'t> {
    Text(&'t str),
    /// A text that was written with escapes.
    Unescaped(Box<str>),
    Number(u64),
    List(Box<[SchemaJson<'t>]>),
    Object(Box<[(SchemaKey, SchemaJson<'t>)]>),
    /// A value that is valid for none of the members that are needed.
    Other,
}

impl<'t> SchemaJson<'t> {
    pub(super) fn read(text: &'t str) -> Result<SchemaJson<'t>, WriterSchemaError> {
        let mut source = serde_json::Deserializer::from_str(text);
        // The library's limit cannot be set, so the nesting is bounded here instead.
        source.disable_recursion_limit();
        let budget = NestingBudget {
            left: MAX_SCHEMA_DEPTH,
        };
        let json = budget
            .deserialize(&mut source)
            .and_then(|json| source.end().map(|()| json));
        json.map_err(|error| {
            WriterSchemaError::new(match error.classify() {
                Category::Data => error.to_string(),
                _ => format!("it is no JSON: {error}"),
            })
        })
    }

    /// A member, if this is an object that has it.
    pub(super) fn get(&self, key: SchemaKey) -> Option<&SchemaJson<'t>> {
        let SchemaJson::Object(members) = self else {
            return None;
        };
        let member = members.iter().find(|(other, _)| *other == key);
        member.map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            SchemaJson::Text(text) => Some(text),
            SchemaJson::Unescaped(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[SchemaJson<'t>]> {
        match self {
            SchemaJson::List(list) => Some(list),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<usize> {
        match self {
            SchemaJson::Number(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Reads a value at a certain depth.
#[derive(Clone, Copy)]
struct NestingBudget {
    /// How many objects and lists may still nest.
    left: u32,
}

impl NestingBudget {
    fn inside<E: Error>(self) -> Result<NestingBudget, E> {
        let left = self.left.checked_sub(1);
        let too_deep = || {
            E::custom(format_args!(
                "its types are nested too deeply, in more than {MAX_SCHEMA_DEPTH} objects and lists"
            ))
        };
        Ok(NestingBudget {
            left: left.ok_or_else(too_deep)?,
        })
    }
}

impl<'t> DeserializeSeed<'t> for NestingBudget {
    type Value = SchemaJson<'t>;

    fn deserialize<D: Deserializer<'t>>(self, source: D) -> Result<SchemaJson<'t>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for NestingBudget {
    type Value = SchemaJson<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Other)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SchemaJson<'t>, E> {
        Ok(SchemaJson::Unescaped(text.into()))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut source: A) -> Result<SchemaJson<'t>, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(value) = source.next_element_seed(inside)? {
            list.push(value);
        }
        Ok(SchemaJson::List(list.into()))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut source: A) -> Result<SchemaJson<'t>, A::Error> {
        let inside = self.inside()?;
        let mut members = Vec::<(SchemaKey, SchemaJson<'t>)>::new();
        while let Some(key) = source.next_key()? {
            if key == SchemaKey::Other {
                source.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = source.next_value_seed(inside)?;
            // Where a name repeats, its last value counts, as in Java.
            members.retain(|(other, _)| *other != key);
            members.push((key, value));
        }
        Ok(SchemaJson::Object(members.into()))
    }
}
