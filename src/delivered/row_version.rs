//! Which version of its row a record holds: pure.

use std::fmt;

use crate::kafka::ConsumerRecord;
use crate::servicenow::page::MOD_COUNT_COLUMN;
use crate::servicenow::page::row::raw_values;
use crate::servicenow::query::parse_time;

/// Header with the stored timestamp of the row, in UTC, as the Table API writes it.
pub const UPDATED_HEADER: &str = "sn_updated";
/// Header with the stored `sys_mod_count` of the row; left out where the row has no such column.
pub const MOD_COUNT_HEADER: &str = "sn_mod_count";

/// The version of a row. What is `None` is not known, and is not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowVersion {
    /// The stored timestamp, in seconds since 1970 UTC.
    pub seconds: Option<i64>,
    /// The stored `sys_mod_count`.
    pub mod_count: Option<u32>,
}

impl RowVersion {
    /// As the headers of a record say it.
    pub fn of_headers(record: &ConsumerRecord) -> RowVersion {
        RowVersion {
            seconds: record.header(UPDATED_HEADER).and_then(parse_time),
            mod_count: record.header(MOD_COUNT_HEADER).and_then(number),
        }
    }

    /// As the columns of a row in JSON say it, whose times are stored ones.
    pub fn of_columns(row: &[u8], timestamp: &str) -> RowVersion {
        let values = raw_values(row, &[timestamp, MOD_COUNT_COLUMN]).unwrap_or_default();
        let text = |at: usize| values.get(at)?.as_deref().map(str::as_bytes);
        RowVersion {
            seconds: text(0).and_then(parse_time),
            mod_count: text(1).and_then(number),
        }
    }

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

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
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
}
