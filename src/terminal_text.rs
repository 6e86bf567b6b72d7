//! Text that comes from outside, made harmless for a terminal or a line of a log.
//!
//! Records, answers of servers and names in them may hold characters that move the cursor, recolour
//! the screen, turn the direction of writing or hide letters. This is the one list of them.

use std::borrow::Cow;

/// Whether a character does something to a terminal instead of being shown: control characters
/// (Unicode's Cc, line breaks and tabs among them), separators of lines and paragraphs, marks without
/// width, and the formatting characters that Unicode gives the property `Bidi_Control`
/// (<https://www.unicode.org/reports/tr9/>).
pub(crate) fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// One line in which active characters are replaced by U+FFFD.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| if is_active(c) { '\u{fffd}' } else { c };
    Cow::Owned(text.chars().map(replaced).collect())
}

/// JSON in which active characters are escaped. Valid JSON has them inside of strings only, where an
/// escape means the same.
pub(crate) fn clean_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_active(character) {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    text
}

/// The first `columns` characters at most, the last of which tells where more were cut off.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept = text.chars().take(columns.saturating_sub(1));
    kept.chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_gets_through() {
        let text = "a\u{1b}[2Jb\rc\u{9b}d\u{202e}e\u{61c}f\u{200b}g";
        assert_eq!(
            clean(text),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g"
        );
        assert_eq!(clean_json("\"\u{7f}\u{85}\""), r#""\u007f\u0085""#);
        assert_eq!(clean("Grüße, 漢字 👍"), "Grüße, 漢字 👍");
    }

    #[test]
    fn shortened() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äbcd", 3), "äb\u{2026}");
        assert_eq!(shorten("abc", 0), "\u{2026}");
    }
}
