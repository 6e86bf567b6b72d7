//! Decimals: their text, their unscaled number, and its bytes, which are big-endian two's complement
//! (Avro 1.12, "Decimal").

use std::fmt::Write as _;

/// The unscaled number of a plain decimal text, for instance 1250 of `12.5` with a scale of 2. `None`:
/// the text is no such number, or has more digits than `precision` or `scale` allow. Nothing is
/// rounded.
pub(super) fn parse(text: &[u8], precision: u32, scale: u32) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value = 0_i128;
    // How many digits may still follow the point; `None` while it has not come.
    let mut room = None;
    let mut any = false;
    for byte in digits {
        match (byte, &mut room) {
            (b'.', None) => room = Some(scale),
            // Zeros behind the last digit of the scale change nothing.
            (b'0', Some(0)) => any = true,
            (b'0'..=b'9', Some(0)) => return None,
            (b'0'..=b'9', room) => {
                any = true;
                if let Some(room) = room {
                    *room -= 1;
                }
                value = value
                    .checked_mul(10)?
                    .checked_add(i128::from(byte - b'0'))?;
            }
            _ => return None,
        }
    }
    let value = value.checked_mul(10_i128.checked_pow(room.unwrap_or(scale))?)?;
    let fits = any && value < 10_i128.checked_pow(precision)?;
    fits.then_some(if negative { -value } else { value })
}

/// The fewest bytes that hold `value`, written into `all`.
pub(super) fn to_bytes(value: i128, all: &mut [u8; 16]) -> &[u8] {
    *all = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let mut bytes = &all[..];
    while let [first, rest @ ..] = bytes {
        let next_has_sign = rest.first().is_some_and(|next| (next ^ sign) & 0x80 == 0);
        if *first != sign || !next_has_sign {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// The number that `bytes` hold; `None`: it needs more than 128 bits.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<i128> {
    let sign = match bytes.first() {
        Some(first) if first & 0x80 != 0 => 0xff,
        _ => 0,
    };
    let more = bytes.len().saturating_sub(16);
    let (more, last) = bytes.split_at_checked(more)?;
    let mut all = [sign; 16];
    all.get_mut(16 - last.len()..)?.copy_from_slice(last);
    let value = i128::from_be_bytes(all);
    let same_sign = (value < 0) == (sign != 0);
    (same_sign && more.iter().all(|byte| *byte == sign)).then_some(value)
}

/// Appends the plain text of an unscaled number, with all digits of its scale.
pub(super) fn put_text(value: i128, scale: usize, out: &mut String) {
    let digits = value.unsigned_abs().to_string();
    if value < 0 {
        out.push('-');
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded
        .split_at_checked(padded.len() - scale)
        .unwrap_or((&padded, ""));
    out.push_str(whole);
    if !part.is_empty() {
        // Writing to memory does not fail.
        write!(out, ".{part}").ok();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_texts_become_unscaled_numbers() {
        for (text, value) in [
            ("12.5", Some(1250)),
            ("-0.01", Some(-1)),
            ("+7", Some(700)),
            ("007.10000", Some(710)),
            (".5", Some(50)),
            ("5.", Some(500)),
            ("999.99", Some(99_999)),
            ("1000", None),
            ("0.001", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("1,000.5", None),
            ("1e2", None),
            ("$5", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(parse(text.as_bytes(), 5, 2), value, "{text}");
        }
        let widest = "9".repeat(38);
        let widest_value = parse(widest.as_bytes(), 38, 0).unwrap();
        assert_eq!(widest_value.to_string(), widest);
        assert_eq!(parse(widest.as_bytes(), 38, 38), None);
    }

    #[test]
    fn numbers_take_the_fewest_bytes() {
        for (number, expected) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
        ] {
            let mut all = [0; 16];
            assert_eq!(to_bytes(number, &mut all), expected);
            assert_eq!(from_bytes(expected), Some(number));
        }
        assert_eq!(from_bytes(&[]), Some(0));
        assert_eq!(from_bytes(&[0xff; 40]), Some(-1));
        assert_eq!(from_bytes(&[1; 17]), None);
        assert_eq!(from_bytes(&[&[0][..], &[0xff; 16]].concat()), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(number: i128, scale in 0_usize..39) {
            let mut all = [0; 16];
            prop_assert_eq!(from_bytes(to_bytes(number, &mut all)), Some(number));
            let mut text = String::new();
            put_text(number, scale, &mut text);
            let fits = number.unsigned_abs() < 10_u128.pow(38);
            let back = parse(text.as_bytes(), 38, u32::try_from(scale).unwrap());
            prop_assert_eq!(back, fits.then_some(number));
        }
    }
}
