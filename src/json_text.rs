//! Texts in the JSON of others.

use std::fmt;

use memchr::memchr;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The escape that stands for a letter which cannot be read.
const REPLACEMENT_ESCAPE: &[u8] = b"\\ufffd";

/// Replaces each half of a surrogate pair that stands alone (`\ud83d` without the other half) by the
/// escape of U+FFFD, in place. ServiceNow cuts texts by UTF-16 units, so that half a letter may be left
/// at the end of one; strict parsers refuse the whole answer for it.
pub(crate) fn replace_half_pairs(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let start = at + found;
        at = match json.get(start..).and_then(unicode_escape) {
            // A high half and the low one behind it.
            Some(0xd800..0xdc00)
                if matches!(
                    json.get(start + 6..).and_then(unicode_escape),
                    Some(0xdc00..0xe000)
                ) =>
            {
                start + 12
            }
            Some(0xd800..0xe000) => {
                if let Some(half) = json.get_mut(start..start + 6) {
                    half.copy_from_slice(REPLACEMENT_ESCAPE);
                }
                start + 6
            }
            _ => start + 2,
        };
    }
}

/// The number of a `\u` escape at the start of `text`.
fn unicode_escape(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// A value as text: a text, a number or a boolean, or the `value` of an object of forms. Of all else
/// there is none, and it is passed over without being built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JsonText(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonText, D::Error> {
        deserializer.deserialize_any(JsonTextVisitor)
    }
}

struct JsonTextVisitor;

impl<'de> Visitor<'de> for JsonTextVisitor {
    type Value = JsonText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<JsonText, E> {
        Ok(JsonText(Some(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonText, E> {
        Ok(JsonText(Some(value.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<JsonText, E> {
        Ok(JsonText(Some(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<JsonText, E> {
        Ok(JsonText(Some(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<JsonText, E> {
        Ok(JsonText(Some(number.to_string())))
    }

    fn visit_unit<E>(self) -> Result<JsonText, E> {
        Ok(JsonText(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsonText, A::Error> {
        while let Some(IgnoredAny) = items.next_element()? {}
        Ok(JsonText(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<JsonText, A::Error> {
        let mut text = JsonText(None);
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == "value" {
                text = members.next_value()?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_pairs_are_replaced_and_nothing_else() {
        for (before, after) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00x\ud83d\ude00""#, r#""\ufffdx\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\u00e4\"\ud83"#, r#""\u00e4\"\ud83"#),
            (r"\", r"\"),
            ("", ""),
        ] {
            let mut json = before.as_bytes().to_vec();
            replace_half_pairs(&mut json);
            assert_eq!(String::from_utf8(json).unwrap(), after);
        }
    }

    #[test]
    fn values_as_texts() {
        for (json, text) in [
            (r#""a\n""#, Some("a\n")),
            ("7", Some("7")),
            ("-7", Some("-7")),
            ("true", Some("true")),
            (r#"{"display_value":{"a":[1]},"value":"x"}"#, Some("x")),
            (r#"{"value":null}"#, None),
            ("{}", None),
            ("[[1],2]", None),
            ("null", None),
        ] {
            let JsonText(found) = serde_json::from_str(json).unwrap();
            assert_eq!(found.as_deref(), text, "{json}");
        }
    }
}
