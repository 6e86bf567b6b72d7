//! The numbers and texts that Avro's bytes are made of (Avro 1.12, "Binary Encoding"), and the five
//! bytes in front of a record that name its schema.

/// The first byte of a framed record (Confluent, "Wire format").
pub(super) const WIRE_MAGIC_BYTE: u8 = 0;
/// Bytes in front of a framed record's body: a zero byte, then the id of its schema, big-endian.
pub const WIRE_PREFIX_BYTES: usize = 5;
/// Most bytes of a number, which is written with a variable length.
const MAX_VARINT_BYTES: usize = 10;

/// The bytes in front of a record whose schema has this id.
pub(super) fn prefix(id: u32) -> [u8; WIRE_PREFIX_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [WIRE_MAGIC_BYTE, a, b, c, d]
}

/// Appends an `int` or a `long`: zig-zag, seven bits a byte, the lowest first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "zig-zag is about bits, and the low seven of them are meant"
)]
pub(super) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends `bytes` or a `string`: the length, then the bytes.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // No slice is longer than an `i64` can say.
    put_long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// Takes an `int` or a `long` from the front of `bytes`. `None`: the bytes end early, or the number has
/// more than 64 bits.
#[expect(
    clippy::cast_possible_wrap,
    reason = "zig-zag is about bits: the half of any number fits"
)]
pub(super) fn take_long(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for at in 0..MAX_VARINT_BYTES {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if at == MAX_VARINT_BYTES - 1 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// The text of a framed key whose schema is `"string"`; `None`: the bytes are none.
pub fn text_of_key(key: &[u8]) -> Option<&[u8]> {
    let (frame, mut body) = key.split_at_checked(WIRE_PREFIX_BYTES)?;
    let length = take_long(&mut body)?;
    let is_text = frame.first() == Some(&WIRE_MAGIC_BYTE)
        && usize::try_from(length).is_ok_and(|length| length == body.len());
    is_text.then_some(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_as_in_the_specification() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            put_long(value, &mut out);
            assert_eq!(out, bytes);
        }
        assert_eq!(take_long(&mut &[0x80; 11][..]), None);
        assert_eq!(
            take_long(&mut &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2][..]),
            None
        );
        assert_eq!(take_long(&mut &[0x80][..]), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            let mut out = Vec::new();
            put_long(value, &mut out);
            let mut rest = &out[..];
            prop_assert_eq!(take_long(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }
    }
}
