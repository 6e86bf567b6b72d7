//! Takes secrets out of words that come from outside.
//!
//! A server may quote the request that it refuses, and with it a password or a token. Its words are shown
//! in the log, in readiness and in dead letters. So every secret in use is registered here, for the whole
//! process: what must not be shown by one client must not be shown by another. All words of servers
//! pass [`super::error_body::shown`], and those of librdkafka its `scrub`; both call [`redact`] on
//! the whole text before they cut it.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Weak};

use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use zeroize::Zeroizing;

use super::encoding;
use crate::sync::Mutex;

/// What is shown in the place of a secret.
const SECRET_STAND_IN: &str = "[redacted]";
/// Letters from which on a secret is replaced wherever it stands. A shorter one may be a part of
/// ordinary words, so it is replaced only where it is a word by itself.
const MIN_CHARS_ANYWHERE: usize = 8;
/// Letters from which on it is enough to be a word. A shorter one may be an ordinary word, so it is
/// replaced only where it stands as a value does: directly behind `=`, `:` or a quotation mark.
const MIN_CHARS_AS_WORD: usize = 4;

/// The secrets in use.
static IN_USE: Mutex<Vec<Weak<SecretForms>>> = Mutex::new(Vec::new());

/// A secret that is kept out of words for as long as this, or a copy of it, lives.
#[derive(Clone)]
pub(crate) struct HiddenSecret {
    _forms: Arc<SecretForms>,
}

impl fmt::Debug for HiddenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET_STAND_IN)
    }
}

/// A secret as requests and answers write it.
struct SecretForms(Vec<SecretForm>);

struct SecretForm {
    text: Zeroizing<String>,
    place: SecretPlace,
}

/// Where a form of a secret is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretPlace {
    Anywhere,
    Word,
    Value,
}

/// Keeps `secret` out of words, in every form in which it may be quoted.
pub(crate) fn hide(secret: &str) -> HiddenSecret {
    register(secret, None)
}

/// As [`hide`], of a password that is sent beside a name: in the Basic scheme (RFC 7617) both together
/// become one text.
pub(crate) fn hide_password(name: &str, password: &str) -> HiddenSecret {
    let pair = Zeroizing::new([name, ":", password].concat());
    register(password, Some(&pair))
}

/// `text` without any secret that is in use.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let secrets: Vec<Arc<SecretForms>> = {
        let mut in_use = IN_USE.lock();
        in_use.retain(|secret| secret.strong_count() > 0);
        in_use.iter().filter_map(Weak::upgrade).collect()
    };
    let mut forms: Vec<&SecretForm> = secrets.iter().flat_map(|secret| &secret.0).collect();
    // One secret may be a part of another.
    forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
    let mut text = Cow::Borrowed(text);
    for form in forms {
        if let Some(without) = form.replaced_in(&text) {
            text = Cow::Owned(without);
        }
    }
    text
}

fn register(secret: &str, pair: Option<&str>) -> HiddenSecret {
    let forms = Arc::new(SecretForms::of(secret, pair));
    IN_USE.lock().push(Arc::downgrade(&forms));
    HiddenSecret { _forms: forms }
}

impl SecretForms {
    fn of(secret: &str, pair: Option<&str>) -> SecretForms {
        if secret.is_empty() {
            return SecretForms(Vec::new());
        }
        let length = secret.chars().count();
        let place = if length >= MIN_CHARS_ANYWHERE {
            SecretPlace::Anywhere
        } else if length >= MIN_CHARS_AS_WORD {
            SecretPlace::Word
        } else {
            SecretPlace::Value
        };
        let mut texts = written_forms(secret);
        texts.extend(base64_forms(secret));
        texts.sort_unstable_by(|one, other| one.as_str().cmp(other));
        texts.dedup();
        let plain = texts.into_iter().map(|text| SecretForm { text, place });
        let pairs = pair.into_iter().flat_map(base64_forms);
        let pairs = pairs.map(|text| SecretForm {
            text,
            place: SecretPlace::Anywhere,
        });
        SecretForms(plain.chain(pairs).collect())
    }
}

/// The secret as it is, percent-encoded (RFC 3986), as a field of a form, in JSON, and in HTML.
fn written_forms(secret: &str) -> Vec<Zeroizing<String>> {
    let mut percent = Zeroizing::new(String::new());
    encoding::push_value(&mut percent, secret);
    let json = serde_json::Value::from(secret).to_string();
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let percent_lower = with_lower_hex(&percent);
    let texts = [
        secret.to_owned(),
        percent.replace("%20", "+"),
        percent_lower.replace("%20", "+"),
        percent_lower,
        percent.to_string(),
        json.trim_matches('"').to_owned(),
        html.replace('\'', "&#39;"),
        html,
    ];
    texts.into_iter().map(Zeroizing::new).collect()
}

/// Base64 in both alphabets, without its padding.
fn base64_forms(secret: &str) -> Vec<Zeroizing<String>> {
    let standard = BASE64_STANDARD_NO_PAD.encode(secret);
    let for_urls = BASE64_URL_SAFE_NO_PAD.encode(secret);
    [standard, for_urls]
        .into_iter()
        .map(Zeroizing::new)
        .collect()
}

/// Percent-encoding with the digits `a` to `f`.
fn with_lower_hex(percent: &str) -> String {
    let mut digits_left = 0;
    let letter = |letter: char| {
        if letter == '%' {
            digits_left = 2;
            return letter;
        }
        let is_digit = digits_left > 0;
        digits_left -= i32::from(is_digit);
        if is_digit {
            letter.to_ascii_lowercase()
        } else {
            letter
        }
    };
    percent.chars().map(letter).collect()
}

impl SecretForm {
    /// `text` without this form; `None` where it is not in there.
    fn replaced_in(&self, text: &str) -> Option<String> {
        let mut without = String::new();
        let mut done = 0;
        for (at, found) in text.match_indices(self.text.as_str()) {
            let (before, from) = text.split_at_checked(at)?;
            let after = from.get(found.len()..)?;
            if self.is_quoted_between(before, after) {
                without.push_str(text.get(done..at)?);
                without.push_str(SECRET_STAND_IN);
                done = at + found.len();
            }
        }
        (done > 0).then(|| without + text.get(done..).unwrap_or_default())
    }

    /// Whether what stands before and after lets it be the secret.
    fn is_quoted_between(&self, before: &str, after: &str) -> bool {
        let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-');
        let ends = !after.starts_with(is_letter) || self.text.ends_with(|it| !is_letter(it));
        match self.place {
            SecretPlace::Anywhere => true,
            SecretPlace::Word => {
                let begins = !before.ends_with(is_letter) || !self.text.starts_with(is_letter);
                begins && ends
            }
            SecretPlace::Value => before.ends_with(['=', ':', '"', '\'']) && ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_in_each_form_while_it_is_in_use() {
        let secret = "pä&s \"s\\w=1%'";
        let hidden = hide_password("bridge-redaction", secret);
        for echo in [
            secret,
            "p%C3%A4%26s%20%22s%5Cw%3D1%25%27",
            "p%c3%a4%26s%20%22s%5cw%3d1%25%27",
            "p%C3%A4%26s+%22s%5Cw%3D1%25%27",
            "p%c3%a4%26s+%22s%5cw%3d1%25%27",
            r#"pä&s \"s\\w=1%'"#,
            "pä&amp;s &quot;s\\w=1%&#39;",
        ] {
            let words = format!("no such client: x{echo}x of {echo}");
            assert_eq!(
                redact(&words),
                "no such client: x[redacted]x of [redacted]",
                "{echo}"
            );
        }
        for whole in [format!("bridge-redaction:{secret}"), secret.to_owned()] {
            let words = format!(
                "Authorization: Basic {}==",
                BASE64_STANDARD_NO_PAD.encode(whole)
            );
            assert_eq!(redact(&words), "Authorization: Basic [redacted]==");
        }
        drop(hidden);
        assert_eq!(redact(secret), secret);
    }

    #[test]
    fn short_secrets_do_not_garble_words() {
        let hidden = [hide("q"), hide("qwe"), hide("zyxwv")];
        for (words, shown) in [
            ("a quick request", "a quick request"),
            ("q is a letter, qwe three", "q is a letter, qwe three"),
            (
                "client_secret=q&x=\"qwe\" user:q",
                "client_secret=[redacted]&x=\"[redacted]\" user:[redacted]",
            ),
            ("state=quick", "state=quick"),
            ("zyxwvut my_zyxwv", "zyxwvut my_zyxwv"),
            ("zyxwv, (zyxwv)", "[redacted], ([redacted])"),
        ] {
            assert_eq!(redact(words), shown);
        }
        drop(hidden);
    }

    #[test]
    fn the_longer_one_of_two_secrets_goes_whole() {
        let hidden = [hide("fedcba98"), hide("fedcba98-76543210")];
        assert_eq!(redact("<fedcba98-76543210>"), "<[redacted]>");
        drop(hidden);
        let empty = hide("");
        assert_eq!(redact("x=\"\""), "x=\"\"");
        drop(empty);
    }
}
