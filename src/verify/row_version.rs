//! Which row, and which version of it: pure.

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
}

impl fmt::Display for RowIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowIdentifier::Hex(number) => write!(f, "{number:032x}"),
            RowIdentifier::Other(id) => f.write_str(id),
        }
    }
}

/// The version of a row. What is `None` is not known, and is not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowVersion {
    /// The stored timestamp, in seconds since 1970 UTC.
    pub seconds: Option<i64>,
    /// The stored `sys_mod_count`.
    pub mod_count: Option<u32>,
}

impl RowVersion {
    /// Whether both may be the same version, by all that is known of both.
    pub fn matches(self, other: RowVersion) -> bool {
        fn agree<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        agree(self.seconds, other.seconds) && agree(self.mod_count, other.mod_count)
    }
}

impl fmt::Display for RowVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.seconds.map(jiff::Timestamp::from_second);
        match (time, self.seconds) {
            (Some(Ok(time)), _) => time.fmt(f)?,
            (_, Some(seconds)) => seconds.fmt(f)?,
            (_, None) => f.write_str("no stamp")?,
        }
        let count = self.mod_count.iter();
        count.copied().try_for_each(|count| write!(f, " #{count}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seconds: Option<i64>, mod_count: Option<u32>) -> RowVersion {
        RowVersion { seconds, mod_count }
    }

    #[test]
    fn what_is_not_known_is_not_compared() {
        let full = version(Some(5), Some(2));
        for same in [
            full,
            version(Some(5), None),
            version(None, Some(2)),
            version(None, None),
        ] {
            assert!(full.matches(same) && same.matches(full), "{same}");
        }
        for other in [
            version(Some(6), Some(2)),
            version(Some(5), Some(3)),
            version(Some(6), None),
        ] {
            assert!(!full.matches(other) && !other.matches(full), "{other}");
        }
    }

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
