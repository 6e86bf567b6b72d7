//! The few words of an answer's body that a message may show.

/// Letters of a query, and of the server's words, that a message shows.
pub(super) const MAX_SHOWN_CHARS: usize = 300;

/// What stands for words where an answer has none.
pub(super) const NO_REASON_GIVEN: &str = "no reason given";

/// `message: detail` of an error body or of its `error` value; `error: error_description` of a token
/// endpoint. Nothing else of a body is ever shown.
pub(crate) fn error_words(body: &[u8]) -> String {
    let value = serde_json::from_slice(body).unwrap_or(serde_json::Value::Null);
    let (outer, inner) = (&value, value.get("error").unwrap_or(&value));
    let texts = match inner {
        serde_json::Value::String(error) => {
            vec![error.as_str(), text(outer, "error_description")]
        }
        inner => vec![text(inner, "message"), text(inner, "detail")],
    };
    let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        NO_REASON_GIVEN.to_owned()
    } else {
        shown(&texts.join(": "))
    }
}

fn text<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or("")
}

/// Fit for a message: one line, at most 300 letters.
pub(crate) fn shown(text: &str) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut out: String = text.chars().take(MAX_SHOWN_CHARS).map(clean).collect();
    if text.chars().nth(MAX_SHOWN_CHARS).is_some() {
        out.push_str("...");
    }
    out
}
