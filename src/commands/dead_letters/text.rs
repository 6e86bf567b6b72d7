//! Bytes of letters as text for a terminal.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use crate::avro::decode::{WireFrame, frame};
use crate::terminal_text::{clean, clean_json};

/// Bytes as one line: as they are, or in Base64, also where numbers happen to be letters.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    match (str::from_utf8(bytes), frame(bytes)) {
        (Ok(text), WireFrame::Plain) => clean(text).into_owned(),
        (Err(_), _) | (_, WireFrame::Framed { .. }) => format!("base64:{}", STANDARD.encode(bytes)),
    }
}

/// A body for the eye: JSON in its order with a line for each value, other text as it is, bytes in
/// Base64. Of what is behind the id of a schema that id is said.
pub(super) fn body(bytes: &[u8]) -> String {
    if let WireFrame::Framed { id, body: inner } = frame(bytes) {
        let json = serde_json::from_slice::<IgnoredAny>(inner).is_ok();
        let shown = if json { body(inner) } else { of_bytes(bytes) };
        return format!("(behind schema {id})\n{shown}");
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return of_bytes(bytes);
    };
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => indent(&clean_json(text.trim_ascii())),
        Err(_) => {
            let lines: Vec<Cow<'_, str>> = text.lines().map(clean).collect();
            lines.join("\n")
        }
    }
}

/// Breaks the lines of valid JSON. Numbers and names stay as they are written, which they would not
/// in a parser's values.
fn indent(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    while let Some(character) = characters.next() {
        if inside {
            text.push(character);
            inside = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => {
                inside = true;
                text.push(character);
            }
            '{' | '[' => {
                text.push(character);
                while characters.next_if(char::is_ascii_whitespace).is_some() {}
                if !characters
                    .peek()
                    .is_some_and(|next| matches!(next, '}' | ']'))
                {
                    depth += 1;
                    line(&mut text, depth);
                } else if let Some(end) = characters.next() {
                    text.push(end);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(character);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            white if white.is_ascii_whitespace() => {}
            other => text.push(other),
        }
    }
    text
}

/// `1 letter`, `2 letters`.
pub(super) fn plural(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::terminal_text::is_active;

    #[test]
    fn bytes_are_shown_as_text_where_they_are_some() {
        assert_eq!(of_bytes(b"\xff"), "base64:/w==");
        assert_eq!(body(b"a\n\x1bb"), "a\n\u{fffd}b");
        assert_eq!(of_bytes(b"\0\0\0\0\x07\x02k"), "base64:AAAAAAcCaw==");
        assert_eq!(
            body(b"\0\0\0\0\x07\x02k"),
            "(behind schema 7)\nbase64:AAAAAAcCaw=="
        );
        assert_eq!(body(b"\0\0\0\0\x07{}"), "(behind schema 7)\n{}");
        assert_eq!(body("\"\u{9b}\"".as_bytes()), r#""\u009b""#);
    }

    #[test]
    fn json_for_the_eye() {
        let text = r#"{"b":[1.10,{}, [ ]],"a":"x,{\"\\","a":null}"#;
        let expected = "{\n  \"b\": [\n    1.10,\n    {},\n    []\n  ],\n  \
                        \"a\": \"x,{\\\"\\\\\",\n  \"a\": null\n}";
        assert_eq!(body(text.as_bytes()), expected);
        assert_eq!(body(b" 17 "), "17");
    }

    proptest! {
        #[test]
        fn json_stays_what_it_is(texts in proptest::collection::vec(".{0,6}", 0..5)) {
            let value = serde_json::json!({"k": texts, "e": {"[": []}, "n": 1});
            let shown = body(value.to_string().as_bytes());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
            prop_assert!(!shown.chars().any(|c| c != '\n' && is_active(c)));
        }
    }
}
