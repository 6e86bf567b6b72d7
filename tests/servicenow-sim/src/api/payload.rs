//! Bodies of writes: JSON in, column names and texts out (servicenow_api.md section 2.1).

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::http::Request;
use crate::http::answer::Answer;
use crate::writes::Fields;

/// Why a body cannot be used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unreadable {
    /// Not `application/json`; XML is not simulated.
    MediaType,
    /// Longer than `glide.rest.max_content_length`.
    TooLarge {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not a JSON object, nor an array that begins with one.
    NotJson,
}

impl Unreadable {
    /// The refusal (section 2.6, checklist 18 and 31).
    pub(super) fn answer(self) -> Answer {
        let reading =
            |detail: &str| Answer::error(400, "Exception while reading request", Some(detail));
        match self {
            Unreadable::MediaType => Answer::error(
                415,
                "Unsupported Media Type",
                Some("Invalid Content-Type header"),
            ),
            Unreadable::TooLarge { length, max } => reading(&format!(
                "Rejected large REST payload with content-length = {length} bytes. \
                 Max allowed: {max} bytes."
            )),
            Unreadable::NotJson => reading("The payload is not valid JSON."),
        }
    }
}

/// Whether the instance takes the content type (section 2.8).
pub(super) fn is_json(request: &Request) -> bool {
    let kind = request.header("content-type").unwrap_or("application/json");
    kind.starts_with("application/json")
}

/// The fields of a write body, in the order sent.
pub(super) fn read(request: &Request, max: usize) -> Result<Fields, Unreadable> {
    if !is_json(request) {
        return Err(Unreadable::MediaType);
    }
    let length = request.body.len();
    if length > max {
        return Err(Unreadable::TooLarge { length, max });
    }
    fields(&request.body).ok_or(Unreadable::NotJson)
}

fn fields(body: &[u8]) -> Option<Fields> {
    let mut text = std::str::from_utf8(body).ok()?.trim_start();
    if text.starts_with('[') {
        // No bulk writes: of several records only the first counts (section 2.1, checklist 31).
        let records: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        text = records.first()?.get();
    }
    let map: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let mut list: Vec<(String, &RawValue)> = map.into_iter().collect();
    // The values borrow from the body, so that their places give the order in which they came.
    list.sort_by_key(|(_, value)| value.get().as_ptr());
    let texts = list
        .into_iter()
        .map(|(name, value)| Some((name, plain(value.get())?)));
    texts.collect()
}

/// A JSON value as a column takes it: every value is text (section 2.1, line 109).
fn plain(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'n' => Some(String::new()),
        // Numbers and booleans as they are written; objects and arrays as their own text.
        _ => Some(raw.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_becomes_text_in_the_order_sent() {
        let body =
            br#" {"z":"a\u00e9\n","b":1.50,"a":true,"n":null,"o":{"x": [1]},"l":[1,"2"],"e":""}"#;
        let fields = fields(body).unwrap();
        let want = [
            ("z", "aé\n"),
            ("b", "1.50"),
            ("a", "true"),
            ("n", ""),
            ("o", r#"{"x": [1]}"#),
            ("l", r#"[1,"2"]"#),
            ("e", ""),
        ];
        let got: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn only_the_first_record_of_an_array_counts() {
        assert_eq!(fields(br#"[{"a":"1"},{"a":"2"}]"#).unwrap().len(), 1);
        for bad in [
            "", "x", "1", "null", "[]", "[1]", "{\"a\":", "{} x", "[{}", "\u{1}",
        ] {
            assert!(fields(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(fields(b"{\"a\":\"\xff\"}").is_none());
    }
}
