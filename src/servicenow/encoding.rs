//! Percent-encoding of paths, query values and form fields; Base64 for the Basic scheme.

/// Appends `text` with everything but RFC 3986's unreserved characters percent-encoded, UTF-8 byte
/// by byte. Right for a value of a query and for a field of a form.
pub(crate) fn value(out: &mut String, text: &str) {
    percent(out, text, b"-._~");
}

/// Appends a path: as [`value`], but slashes and what else may stand in a path stay.
pub(super) fn path(out: &mut String, text: &str) {
    percent(out, text, b"-._~/!$&'()*+,;=:@");
}

/// `name=value&...` of the pairs.
pub(super) fn pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (name, text)) in pairs.enumerate() {
        if index > 0 {
            out.push('&');
        }
        value(out, name);
        out.push('=');
        value(out, text);
    }
}

fn percent(out: &mut String, text: &str, keep: &[u8]) {
    out.reserve(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                out.push(digit.to_ascii_uppercase());
            }
        }
    }
}

/// Standard Base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let letter = |six: u32| {
        let six = u8::try_from(six & 63).unwrap_or(0);
        char::from(match six {
            0..26 => b'A' + six,
            26..52 => b'a' + (six - 26),
            52..62 => b'0' + (six - 52),
            62 => b'+',
            _ => b'/',
        })
    };
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.push(letter(bits >> 18));
        out.push(letter(bits >> 12));
        out.push(if chunk.len() > 1 {
            letter(bits >> 6)
        } else {
            '='
        });
        out.push(if chunk.len() > 2 { letter(bits) } else { '=' });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            value(&mut out, text);
            assert_eq!(out, expected);
        };
        check("active=true^sys_id>a", "active%3Dtrue%5Esys_id%3Ea");
        check("a b+c&d#e%f@g", "a%20b%2Bc%26d%23e%25f%40g");
        check("Zürich 雪", "Z%C3%BCrich%20%E9%9B%AA");
        check("-._~09azAZ", "-._~09azAZ");
        check("\u{0}\n\u{7f}/", "%00%0A%7F%2F");
    }

    #[test]
    fn paths_keep_their_slashes() {
        let mut out = String::new();
        path(&mut out, "/api/now/table/u_grün?x#y z");
        assert_eq!(out, "/api/now/table/u_gr%C3%BCn%3Fx%23y%20z");
    }

    #[test]
    fn pairs_are_joined() {
        let mut out = String::new();
        pairs(&mut out, [("a", "1&2"), ("b", "")].into_iter());
        assert_eq!(out, "a=1%262&b=");
    }

    #[test]
    fn base64_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, expected) in cases {
            assert_eq!(base64(plain.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }
}
