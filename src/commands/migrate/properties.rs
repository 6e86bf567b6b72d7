//! Properties files of Java, as workers of Kafka Connect read them.
//!
//! The format is that of `java.util.Properties.load`: one setting a line, key and value separated by
//! `=`, `:` or a blank; `#` and `!` begin a comment; `\` at the end of a line continues it, and
//! elsewhere begins an escape.

use std::iter::Peekable;
use std::str::Chars;

/// The keys and values of a text.
///
/// # Errors
/// An escape `\uXXXX` that is none.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut line = first.to_owned();
        while is_continued(&line) {
            line.pop();
            let Some((_, next)) = lines.next() else {
                break;
            };
            line.push_str(next.trim_start_matches(is_blank));
        }
        let setting = setting(&line);
        settings.push(setting.map_err(|why| format!("line {}: {why}", number + 1))?);
    }
    Ok(settings)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Whether an odd number of `\` ends the line.
fn is_continued(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}

fn setting(line: &str) -> Result<(String, String), String> {
    let mut rest = line.chars().peekable();
    let key = part(&mut rest, |c| is_blank(c) || matches!(c, '=' | ':'))?;
    skip_blanks(&mut rest);
    if rest.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut rest);
    }
    let value = part(&mut rest, |_| false)?;
    Ok((key, value))
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| is_blank(*c)).is_some() {}
}

/// Text up to a character that ends it, with its escapes resolved.
fn part(rest: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|c| !ends(*c)) {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('u') => text.push(unicode(rest)?),
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('f') => text.push('\u{c}'),
            Some(c) => text.push(c),
            None => {}
        }
    }
    Ok(text)
}

/// The character of `\uXXXX`. Half of a pair, which Java allows, is no character here.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let digits: String = rest.by_ref().take(4).collect();
    let code = u32::from_str_radix(&digits, 16).ok();
    let is_whole = digits.len() == 4 && !digits.starts_with('+');
    match code.filter(|_| is_whole) {
        Some(code) => Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        None => Err("`\\u` is not followed by four hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms that `java.util.Properties.load` documents.
    #[test]
    fn the_forms_of_java() {
        let text = "# comment\n! another\n\na=1\n b : 2 \nc 3\nd\ntwo\\\n  lines = x\\\n    y\n\
                    k\\=ey=v=w\nu=\\u00e4\\t\\q\npath=C:\\\\x\\\\\n";
        let expected = [
            ("a", "1"),
            ("b", "2 "),
            ("c", "3"),
            ("d", ""),
            ("twolines", "xy"),
            ("k=ey", "v=w"),
            ("u", "ä\tq"),
            ("path", "C:\\x\\"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(
            read("a=\\u00g0").unwrap_err(),
            "line 1: `\\u` is not followed by four hexadecimal digits"
        );
        assert!(read("a=\\u+123").is_err());
        assert_eq!(read("a=1\\").unwrap(), [("a".to_owned(), "1".to_owned())]);
    }
}
