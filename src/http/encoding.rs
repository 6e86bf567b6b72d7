//! How text is put into a request: percent-encoding (RFC 3986), and Base64 for the Basic scheme.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

/// Everything but the unreserved characters of RFC 3986 section 2.3: right for a value of a query, a
/// field of a form, and one step of a path.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// As [`VALUE`], but slashes and what else may stand in a path stay (section 3.3).
const PATH: &AsciiSet = &VALUE
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Appends a value of a query, a field of a form or one step of a path.
pub(crate) fn push_value(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, VALUE));
}

/// Appends a path, whose slashes stay.
pub(crate) fn push_path(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, PATH));
}

/// Appends `name=value&...` of the pairs.
pub(crate) fn push_pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (name, text)) in pairs.enumerate() {
        if index > 0 {
            out.push('&');
        }
        push_value(out, name);
        out.push('=');
        push_value(out, text);
    }
}

/// The value of `Authorization` for the Basic scheme (RFC 7617); `None` where it is no header.
pub(crate) fn basic_authorization(username: &str, password: &str) -> Option<HeaderValue> {
    const SCHEME: &[u8] = b"Basic ";
    let pair = Zeroizing::new([username, ":", password].concat());
    let length = base64::encoded_len(pair.len(), true)?;
    // Room for all: a buffer that grows leaves a copy behind, which is not wiped.
    let mut value = Zeroizing::new(vec![0; SCHEME.len() + length]);
    let (scheme, encoded) = value.split_at_mut_checked(SCHEME.len())?;
    scheme.copy_from_slice(SCHEME);
    BASE64_STANDARD
        .encode_slice(pair.as_bytes(), encoded)
        .ok()?;
    secret_header(std::str::from_utf8(&value).ok()?)
}

/// The value of `Authorization` for the Bearer scheme (RFC 6750); `None` where it is no header.
pub(crate) fn bearer_authorization(token: &str) -> Option<HeaderValue> {
    secret_header(&Zeroizing::new(["Bearer ", token].concat()))
}

/// A header that no debug output shows; `None` where it has other characters than printable ASCII.
pub(crate) fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            push_value(&mut out, text);
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
        push_path(&mut out, "/api/now/table/u_grün?x#y z");
        assert_eq!(out, "/api/now/table/u_gr%C3%BCn%3Fx%23y%20z");
        out.clear();
        push_path(&mut out, "-._~/!$&'()*+,;=:@");
        assert_eq!(out, "-._~/!$&'()*+,;=:@");
    }

    #[test]
    fn pairs_are_joined() {
        let mut out = String::new();
        push_pairs(&mut out, [("a", "1&2"), ("b", "")].into_iter());
        assert_eq!(out, "a=1%262&b=");
    }

    #[test]
    fn credentials_become_headers() {
        // The example of RFC 7617 section 2.
        let basic = basic_authorization("Aladdin", "open sesame").unwrap();
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let bearer = bearer_authorization("mF_9.B5f-4.1JqM").unwrap();
        assert_eq!(bearer, "Bearer mF_9.B5f-4.1JqM");
        assert!(basic.is_sensitive() && bearer.is_sensitive());
        assert_eq!(bearer_authorization("a\nb"), None);
    }
}
