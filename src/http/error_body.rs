//! The few words of an error's answer that a message may show.
//!
//! Bodies hold records and, from a broken gateway, anything. So no message quotes one: only the
//! fields in which a server explains its refusal are taken, cut and on one line.

use std::io::Read;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::redaction::redact;
use crate::json_text::{JsonText, replace_half_pairs};

/// Letters of a query, and of a server's words, that a message shows.
pub(crate) const MAX_SHOWN_CHARS: usize = 300;
/// Stands where an answer gives no reason.
pub(crate) const NO_REASON_GIVEN: &str = "no reason given";
/// Bytes of an error's body that are read: enough for its words, and in nearly all cases for its end,
/// so that the connection can be used again.
const MAX_ERROR_BODY_BYTES: u64 = 16 * 1024;

/// The start of an error's body; empty where it cannot be read, as the status says enough.
pub(crate) fn read_start(body: impl Read) -> Vec<u8> {
    let mut start = Vec::new();
    let read = body.take(MAX_ERROR_BODY_BYTES).read_to_end(&mut start);
    if read.is_err() {
        start.clear();
    }
    replace_half_pairs(&mut start);
    start
}

/// `message: detail` of an error body or of its `error` value; `error: error_description` of a token
/// endpoint (RFC 6749 section 5.2).
pub(crate) fn error_words(body: &[u8]) -> String {
    let answer: ErrorBody<'_> = serde_json::from_slice(body).unwrap_or_default();
    let texts = match answer.error.map(RawValue::get) {
        Some(code) if code.starts_with('"') => {
            [serde_json::from_str(code).ok(), answer.error_description.0]
        }
        Some(object) => {
            let words: ErrorWords = serde_json::from_str(object).unwrap_or_default();
            [words.message.0, words.detail.0]
        }
        None => [answer.message.0, answer.detail.0],
    };
    let texts: Vec<String> = texts
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        NO_REASON_GIVEN.to_owned()
    } else {
        shown(&texts.join(": "))
    }
}

/// Whether a body has the form of an error of the instance's APIs, `{"error":{"message":..}}`, or for a
/// `login` that of a token endpoint, `{"error":".."}` (RFC 6749 section 5.2). What refuses on the way to
/// the instance has other forms.
pub(crate) fn is_api_error(body: &[u8], login: bool) -> bool {
    let answer: ErrorBody<'_> = serde_json::from_slice(body).unwrap_or_default();
    answer.error.is_some_and(|error| {
        let words = serde_json::from_str::<ErrorWords>(error.get());
        words.is_ok_and(|words| words.message.0.is_some()) || login && error.get().starts_with('"')
    })
}

/// The fields of an error's body that hold words; all others are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody<'a> {
    /// The code of a token endpoint, or the object of the Table API.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    error_description: JsonText,
    message: JsonText,
    detail: JsonText,
}

/// The words inside of `error`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorWords {
    message: JsonText,
    detail: JsonText,
}

/// Fit for a message: without secrets, on one line, at most [`MAX_SHOWN_CHARS`] letters.
pub(crate) fn shown(text: &str) -> String {
    let text = redact(text);
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut out: String = text.chars().take(MAX_SHOWN_CHARS).map(clean).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_clean() {
        let body = format!(
            r#"{{"error":{{"message":"a\r\n\u001b[31m{}"}}}}"#,
            "ü".repeat(1000)
        );
        let words = error_words(body.as_bytes());
        assert_eq!(words.chars().count(), MAX_SHOWN_CHARS + 3);
        assert!(!words.contains(char::is_control));
    }

    #[test]
    fn no_more_than_the_start_is_read() {
        assert_eq!(read_start(std::io::repeat(b'x')).len(), 16 * 1024);
    }
}
