//! The source's half of the loop guard: finds the rows whose last change is the sink's own write.
//!
//! [`crate::own_writes`] says which those are, and why.

use std::sync::Arc;

use serde::Deserialize;

use crate::json_text::JsonText;
use crate::own_writes::OwnWriteLog;

/// Finds the rows of one table that the sink wrote last.
#[derive(Debug, Clone)]
pub(super) struct OwnRowFilter(Arc<OwnWriteLog>);

/// The columns that tell versions apart. A value is a text, or an object with the text as its member
/// `value`.
#[derive(Deserialize)]
struct RowVersionColumns {
    sys_mod_count: JsonText,
    sys_updated_by: JsonText,
}

impl OwnRowFilter {
    pub(super) fn new(writes: Arc<OwnWriteLog>) -> OwnRowFilter {
        OwnRowFilter(writes)
    }

    /// Whether this row is the sink's own write and may be left out. A row without the columns is not.
    pub(super) fn is_own(&self, id: &[u8], row: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (Ok(id), Ok(version)) = (
            std::str::from_utf8(id),
            serde_json::from_slice::<RowVersionColumns>(row),
        ) else {
            return false;
        };
        let count = version.sys_mod_count.0.and_then(|count| count.parse().ok());
        match (count, version.sys_updated_by.0.as_deref()) {
            (Some(count), Some(by)) => self.0.is_own(id, count, by),
            _ => false,
        }
    }

    /// Kafka has every row up to this second (UTC, since 1970).
    pub(super) fn record_read_to(&self, seconds: i64) {
        self.0.record_read_to(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_every_form() {
        let writes = Arc::new(OwnWriteLog::default());
        let own = OwnRowFilter::new(Arc::clone(&writes));
        let row = br#"{"sys_id":"a","sys_mod_count":"4","sys_updated_by":"bridge"}"#;
        assert!(!own.is_own(b"a", row));
        writes.record_write("a", 4, "bridge");
        assert!(own.is_own(b"a", row) && !own.is_own(b"b", row));
        let both = br#"{"sys_mod_count":{"display_value":"4","value":"4"},
            "sys_updated_by":{"display_value":"bridge","value":"bridge"}}"#;
        assert!(own.is_own(b"a", both));
        for other in [
            &br#"{"sys_mod_count":"5","sys_updated_by":"bridge"}"#[..],
            br#"{"sys_mod_count":"4","sys_updated_by":"abel"}"#,
            br#"{"sys_mod_count":"4"}"#,
        ] {
            assert!(!own.is_own(b"a", other));
        }
    }
}
