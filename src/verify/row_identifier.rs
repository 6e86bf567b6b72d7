//! Which row: pure.

use std::fmt;

use crate::servicenow::query::hex_id;

/// The identifier of a row, in the least room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowIdentifier {
    /// 32 lower-case hex digits, as nearly all rows have.
    Hex(u128),
    /// Any other: base data and some plugins have names there.
    Other(Box<str>),
}

impl RowIdentifier {
    /// From its text.
    pub fn new(id: &str) -> RowIdentifier {
        match hex_id(id.as_bytes()) {
            Some(number) => RowIdentifier::Hex(number),
            None => RowIdentifier::Other(id.into()),
        }
    }

    /// From the bytes of its text; `None`: they are none.
    pub(super) fn of_bytes(id: &[u8]) -> Option<RowIdentifier> {
        match hex_id(id) {
            Some(number) => Some(RowIdentifier::Hex(number)),
            None => std::str::from_utf8(id).ok().map(RowIdentifier::new),
        }
    }
}

impl fmt::Display for RowIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowIdentifier::Hex(number) => write!(f, "{number:032x}"),
            RowIdentifier::Other(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_as_they_were() {
        for id in [
            "00000000000000000000000000000001",
            "0123456789ABCDEF0123456789abcdef",
            "global",
        ] {
            assert_eq!(RowIdentifier::new(id).to_string(), id);
        }
    }
}
