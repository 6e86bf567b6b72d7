//! Writes the text of a value as the bytes of its field's type.

use super::super::model::FieldType;
use super::super::wire::{put_bytes, put_long};
use super::super::{decimal, times};

/// Appends the value of type `kind` that `text` stands for. `false`: it stands for no such value, and
/// nothing was appended.
pub(super) fn put(kind: FieldType, text: &[u8], out: &mut Vec<u8>) -> bool {
    let number = match kind {
        FieldType::String => {
            put_bytes(text, out);
            return true;
        }
        FieldType::Boolean => {
            let truth = match text {
                b"true" | b"1" => 1,
                b"false" | b"0" => 0,
                _ => return false,
            };
            out.push(truth);
            return true;
        }
        FieldType::Double => return put_double(text, out),
        FieldType::Decimal { precision, scale } => {
            let Some(value) = decimal::parse(text, precision, scale) else {
                return false;
            };
            put_bytes(decimal::to_bytes(value, &mut [0; 16]), out);
            return true;
        }
        FieldType::Long => whole(text),
        // Times end in the year 9999, so the milliseconds do not overflow.
        FieldType::Timestamp => times::seconds(text).map(|seconds| seconds * 1000),
        FieldType::Date => times::days(text),
        FieldType::Seconds => times::seconds(text),
        FieldType::TextMap => None,
    };
    match number {
        Some(number) => put_long(number, out),
        None => return false,
    }
    true
}

/// A whole number. `12.00` is one too.
fn whole(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return i64::try_from(decimal::parse(text, 19, 0)?).ok();
    }
    let negative = digits.len() < text.len();
    digits.iter().try_fold(0_i64, |value, digit| {
        let (value, digit) = (value.checked_mul(10)?, i64::from(digit - b'0'));
        if negative {
            value.checked_sub(digit)
        } else {
            value.checked_add(digit)
        }
    })
}

fn put_double(text: &[u8], out: &mut Vec<u8>) -> bool {
    // Rust also reads words such as `inf` and `NaN`, which are no numbers of an instance.
    let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.iter().all(plain) {
        return false;
    }
    let value: Option<f64> = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    match value.filter(|value| value.is_finite()) {
        Some(value) => out.extend_from_slice(&value.to_le_bytes()),
        None => return false,
    }
    true
}
