//! Where reading a table in the order of its identifiers goes on: pure.

use crate::control::SnapshotPart;
use crate::source::page_fetch::{KeyPage, KeyPageRequest};

/// A table, or a part of one, page by page.
#[derive(Debug)]
pub(super) struct KeyWalk {
    /// The last identifier that was read; `None`: the first one is next.
    after: Option<String>,
    /// Rows that are left, by the instance's count.
    remaining: Option<u64>,
    /// Rows per page now.
    limit: u32,
    /// Most rows per page.
    most: u32,
    /// Pages without a row behind the last identifier, in rows: all of these are hidden.
    offset: u32,
    /// Whether the next page has to be counted.
    count: bool,
}

impl KeyWalk {
    /// Behind this identifier, in pages of `most` rows.
    pub(super) fn behind(after: Option<String>, remaining: Option<u64>, most: u32) -> KeyWalk {
        KeyWalk {
            after,
            remaining,
            limit: most,
            most,
            offset: 0,
            count: true,
        }
    }

    /// The last identifier that was read.
    pub(super) fn after(&self) -> Option<&String> {
        self.after.as_ref()
    }

    /// Rows that are left, by the instance's count; `None`: it does not count.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Rows per page now.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// The page that is next.
    pub(super) fn next_page(&self, part: &SnapshotPart) -> KeyPageRequest {
        KeyPageRequest {
            part: part.clone(),
            after: self.after.clone(),
            offset: self.offset,
            limit: self.limit,
            count: self.count,
        }
    }

    /// The page of this request is read; true when it was the last one.
    pub(super) fn take(&mut self, request: &KeyPageRequest, page: KeyPage) -> bool {
        let left = page.total.or(self.remaining);
        self.remaining = left.map(|left| left.saturating_sub(u64::from(page.rows)));
        let is_full = page.rows >= request.limit;
        self.count = !is_full
            || self
                .remaining
                .is_none_or(|left| left <= u64::from(request.limit));
        let is_end = match page.total {
            Some(total) => total <= u64::from(request.limit) + u64::from(request.offset),
            None => request.count && page.rows == 0,
        };
        if page.last.is_some() {
            self.after = page.last;
            self.offset = 0;
        } else if request.count {
            self.offset = self.offset.saturating_add(request.limit);
        }
        self.limit = self.limit.saturating_mul(2).min(self.most);
        is_end
    }

    /// A page was too much for the instance.
    pub(super) fn shrink(&mut self) {
        self.limit = (self.limit / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: u32, last: &str, total: Option<u64>) -> KeyPage {
        KeyPage {
            rows,
            last: (rows > 0).then(|| last.to_owned()),
            total,
        }
    }

    #[test]
    fn only_the_first_and_the_last_pages_are_counted() {
        let mut walk = KeyWalk::behind(None, None, 10);
        let part = SnapshotPart::default();
        for (rows, total, counts, is_end) in [
            (10, Some(35), true, false),
            (10, None, false, false),
            (10, None, false, false),
            (5, Some(5), true, true),
        ] {
            let request = walk.next_page(&part);
            assert_eq!(request.count, counts, "{rows} of {total:?}");
            assert_eq!(walk.take(&request, page(rows, "a", total)), is_end);
        }
        assert_eq!(walk.remaining(), Some(0));
    }

    #[test]
    fn hidden_rows_are_passed_and_a_page_that_is_too_much_is_cut() {
        let mut walk = KeyWalk::behind(Some("a".to_owned()), None, 8);
        let part = SnapshotPart::default();
        walk.shrink();
        let request = walk.next_page(&part);
        assert_eq!((request.limit, request.after.as_deref()), (4, Some("a")));
        assert!(!walk.take(&request, page(0, "", Some(9))));
        let request = walk.next_page(&part);
        assert_eq!((request.limit, request.offset), (8, 4));
        assert!(walk.take(&request, page(5, "f", Some(9))));
        assert_eq!(walk.after().map(String::as_str), Some("f"));
    }
}
