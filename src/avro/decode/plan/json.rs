//! The JSON of a schema, as far as reading needs it.
//!
//! All else is passed over, so it costs no memory and may be what no machine can hold, as the default
//! `1e400` or an attribute that nests without end.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::SchemaError;

/// Deepest nesting of objects and lists. A nullable record takes four: it, its fields, one of them
/// and the union. Of a thread's usual stack of 2 MiB this needs at most a fifth, and three quarters
/// without optimisation.
const MAX_DEPTH: u32 = 512;

/// A member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum Key {
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

/// A value. It is small, as a text may have one in every two bytes.
#[derive(Debug)]
pub(super) enum Json<'t> {
    Text(&'t str),
    /// One that was written with escapes.
    Unescaped(Box<str>),
    Number(u64),
    List(Box<[Json<'t>]>),
    Object(Box<[(Key, Json<'t>)]>),
    /// What no member that is needed may be.
    Other,
}

impl<'t> Json<'t> {
    pub(super) fn read(text: &'t str) -> Result<Json<'t>, SchemaError> {
        let mut source = serde_json::Deserializer::from_str(text);
        // It cannot be set; the places have a bound of their own.
        source.disable_recursion_limit();
        let json = Place { left: MAX_DEPTH }.deserialize(&mut source);
        let json = json.and_then(|json| source.end().map(|()| json));
        json.map_err(|error| {
            SchemaError::new(match error.classify() {
                Category::Data => error.to_string(),
                _ => format!("it is no JSON: {error}"),
            })
        })
    }

    /// A member, of an object.
    pub(super) fn get(&self, key: Key) -> Option<&Json<'t>> {
        let Json::Object(members) = self else {
            return None;
        };
        let member = members.iter().find(|(other, _)| *other == key);
        member.map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            Json::Unescaped(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Json<'t>]> {
        match self {
            Json::List(list) => Some(list),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<usize> {
        match self {
            Json::Number(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place {
    /// How many objects and lists may still nest.
    left: u32,
}

impl Place {
    fn inside<E: Error>(self) -> Result<Place, E> {
        let left = self.left.checked_sub(1);
        let too_deep = || {
            E::custom(format_args!(
                "its types are nested too deeply, in more than {MAX_DEPTH} objects and lists"
            ))
        };
        Ok(Place {
            left: left.ok_or_else(too_deep)?,
        })
    }
}

impl<'t> DeserializeSeed<'t> for Place {
    type Value = Json<'t>;

    fn deserialize<D: Deserializer<'t>>(self, source: D) -> Result<Json<'t>, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Place {
    type Value = Json<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'t>, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json<'t>, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json<'t>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'t>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'t>, E> {
        Ok(Json::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<Json<'t>, E> {
        Ok(Json::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'t>, E> {
        Ok(Json::Unescaped(text.into()))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut source: A) -> Result<Json<'t>, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(value) = source.next_element_seed(inside)? {
            list.push(value);
        }
        Ok(Json::List(list.into()))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut source: A) -> Result<Json<'t>, A::Error> {
        let inside = self.inside()?;
        let mut members = Vec::<(Key, Json<'t>)>::new();
        while let Some(key) = source.next_key()? {
            if key == Key::Other {
                source.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = source.next_value_seed(inside)?;
            // Of a name that is there twice, the last value counts, as in Java.
            members.retain(|(other, _)| *other != key);
            members.push((key, value));
        }
        Ok(Json::Object(members.into()))
    }
}
