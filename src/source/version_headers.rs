//! The headers by which a record says which version of its row it holds, and a hash of what that holds: pure.

use crate::delivered::{
    CONTENT_HEADER, MOD_COUNT_HEADER, UPDATED_HEADER, content_hash, content_header,
};
use crate::servicenow::page::PageRow;
use crate::servicenow::query::TimeLiterals;

/// The version of one row, as its record says it.
#[derive(Debug)]
pub(super) struct VersionHeaders {
    updated: String,
    mod_count: Option<String>,
    content: Option<String>,
}

impl VersionHeaders {
    pub(super) fn of(row: &PageRow) -> VersionHeaders {
        VersionHeaders {
            updated: TimeLiterals::Utc.text_of(row.seconds),
            mod_count: row.mod_count.map(|count| count.to_string()),
            content: None,
        }
    }

    /// With the hash of what the row holds, for a record from which that cannot be told.
    pub(super) fn with_content(self, row: &[u8]) -> VersionHeaders {
        VersionHeaders {
            content: Some(content_header(content_hash(row))),
            ..self
        }
    }

    /// Names and values.
    pub(super) fn entries(&self) -> Vec<(&'static str, &[u8])> {
        let updated = (UPDATED_HEADER, self.updated.as_bytes());
        let count = self.mod_count.as_ref();
        let count = count.map(|count| (MOD_COUNT_HEADER, count.as_bytes()));
        let content = self.content.as_ref();
        let content = content.map(|content| (CONTENT_HEADER, content.as_bytes()));
        std::iter::once(updated)
            .chain(count)
            .chain(content)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_count_has_a_stamp_alone() {
        let mut row = PageRow {
            text: 0..0,
            id: 0..0,
            seconds: 1_700_000_000,
            mod_count: Some(7),
        };
        let updated = (UPDATED_HEADER, &b"2023-11-14 22:13:20"[..]);
        let both = [updated, (MOD_COUNT_HEADER, &b"7"[..])];
        assert_eq!(VersionHeaders::of(&row).entries(), both);
        row.mod_count = None;
        assert_eq!(VersionHeaders::of(&row).entries(), [updated]);
        let with_content = VersionHeaders::of(&row).with_content(br#"{"a":"b"}"#);
        let content = ("sn_content", &b"e0684ea7"[..]);
        assert_eq!(with_content.entries(), [updated, content]);
    }
}
