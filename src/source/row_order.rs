//! Checks each row of a page against the slice that was asked for: pure, without I/O.
//!
//! An instance drops conditions that it does not understand, without an error, and may then answer with
//! the whole table (ServiceNow documentation "Table API", `sysparm_query`). So a row that was not asked
//! for is an error, never data. The exception are queries that were widened on purpose, because a
//! literal in the hour that repeats in autumn names two instants: rows outside of the slice are
//! expected then, and passed over.
//!
//! A row that was read already is such a row too, whatever its identifier looks like: a page that
//! begins anew would otherwise be asked for again at once, for ever.

use std::sync::Arc;

use super::read_ids::{ReadIds, RowId};
use crate::servicenow::query::{Cursor, EncodedQuery, Slice, hex_id};

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowVerdict {
    /// It belongs to the slice and is to be produced.
    Keep,
    /// As [`RowVerdict::Keep`]; it has the identifier of the row before, as rows of a view may.
    Repeated,
    /// It was read before, and a widened query gives it again.
    AlreadyRead,
    /// It lies beyond the end of the slice, and a widened query gives it too early.
    BeyondSlice,
}

/// Checks the rows of one page, which have to come in order.
#[derive(Debug)]
pub(super) struct RowOrderCheck {
    query: EncodedQuery,
    /// Last second of the slice.
    to: i64,
    /// The cursor.
    after: Option<(i64, RowId)>,
    /// Largest identifier of the slice.
    id_to: Option<u128>,
    /// The row before.
    previous: Option<(i64, RowId)>,
    /// What earlier pages had of the cursor's second.
    read_before: Arc<ReadIds>,
    /// What is kept of this page's last second.
    read: ReadIds,
}

impl RowOrderCheck {
    /// `read_before` is what earlier pages have read in the cursor's second.
    pub(super) fn new(
        query: EncodedQuery,
        slice: &Slice,
        read_before: Arc<ReadIds>,
    ) -> RowOrderCheck {
        let after = slice.after.as_ref().and_then(|Cursor { seconds, id }| {
            let id = id.as_ref()?;
            Some((*seconds, read_before.row_id(id.as_bytes())))
        });
        RowOrderCheck {
            query,
            to: slice.to,
            after,
            id_to: slice.id_to.as_ref().and_then(|id| hex_id(id.as_bytes())),
            previous: None,
            read: read_before.emptied(),
            read_before,
        }
    }

    /// Judges the next row of the page.
    ///
    /// # Errors
    /// In words: the row is outside of what was asked for, or out of order.
    pub(super) fn check(&mut self, seconds: i64, id: &[u8]) -> Result<RowVerdict, String> {
        let is_too_early = self
            .query
            .earliest
            .is_some_and(|earliest| seconds < earliest);
        if is_too_early || seconds > self.query.latest {
            return Err("a row outside of the asked time".to_owned());
        }
        let id = self.read_before.row_id(id);
        if self.is_out_of_order(seconds, id) {
            return Err("rows out of order".to_owned());
        }
        let repeats = self.previous.replace((seconds, id)) == Some((seconds, id));
        let already_read = self.is_already_read(seconds, id);
        if !self.query.widened {
            let beyond = matches!((self.id_to, id), (Some(to), RowId::Ordered(id)) if id > to);
            return if already_read {
                Err("a row that was read before".to_owned())
            } else if beyond {
                Err("a row outside of the asked identifiers".to_owned())
            } else {
                Ok(self.keep(seconds, id, repeats))
            };
        }
        Ok(if already_read {
            RowVerdict::AlreadyRead
        } else if seconds > self.to {
            RowVerdict::BeyondSlice
        } else {
            self.keep(seconds, id, repeats)
        })
    }

    fn keep(&mut self, seconds: i64, id: RowId, repeats: bool) -> RowVerdict {
        self.read.add(seconds, id);
        if repeats {
            RowVerdict::Repeated
        } else {
            RowVerdict::Keep
        }
    }

    /// What is kept of the page's last second, when it is read to its end.
    pub(super) fn into_read_ids(self) -> ReadIds {
        self.read
    }

    fn is_out_of_order(&self, seconds: i64, id: RowId) -> bool {
        let Some((previous, previous_id)) = self.previous else {
            return false;
        };
        if seconds != previous {
            return seconds < previous;
        }
        match (previous_id, id) {
            (RowId::Ordered(before), RowId::Ordered(now)) => now < before,
            _ => previous_id != id && self.read.contains(seconds, id),
        }
    }

    /// Whether the row is the cursor's, lies before it, or came with an earlier page. Which of two
    /// identifiers comes first is not always known; then a row counts as new that was not seen yet: it
    /// is better produced twice than never.
    fn is_already_read(&self, seconds: i64, id: RowId) -> bool {
        let Some((after, after_id)) = self.after else {
            return false;
        };
        if seconds != after {
            return seconds < after;
        }
        match (after_id, id) {
            (RowId::Ordered(after), RowId::Ordered(id)) => id <= after,
            _ => after_id == id || self.read_before.contains(seconds, id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Vec<u8> {
        format!("{number:032x}").into_bytes()
    }

    fn order(widened: bool) -> RowOrderCheck {
        let after = Cursor {
            seconds: 100,
            id: Some(format!("{:032x}", 5)),
        };
        let slice = Slice {
            after: Some(after),
            to: 200,
            id_to: None,
        };
        let (earliest, latest) = if widened { (50, 250) } else { (100, 200) };
        let encoded = EncodedQuery {
            text: String::new(),
            earliest: Some(earliest),
            latest,
            widened,
        };
        RowOrderCheck::new(encoded, &slice, Arc::default())
    }

    #[test]
    fn rows_of_the_slice_in_order_are_kept() {
        let mut order = order(false);
        for (seconds, number) in [(100, 6), (100, 7), (150, 1), (200, 9)] {
            assert_eq!(order.check(seconds, &id(number)), Ok(RowVerdict::Keep));
        }
        assert_eq!(order.check(200, b"glide.maint"), Ok(RowVerdict::Keep));
    }

    #[test]
    fn rows_that_were_not_asked_for_are_errors() {
        for (seconds, number) in [(99, 9), (201, 1), (100, 5), (100, 1)] {
            assert!(
                order(false).check(seconds, &id(number)).is_err(),
                "{seconds} {number}"
            );
        }
        for second in [(149, 9), (150, 2)] {
            let mut order = order(false);
            order.check(150, &id(3)).unwrap();
            assert!(order.check(second.0, &id(second.1)).is_err(), "{second:?}");
        }
    }

    #[test]
    fn a_row_that_was_read_before_is_known_whatever_its_identifier() {
        for ids in [
            ["INC1", "INC2"],
            ["javascript:x()", ""],
            ["A0EEBC999C0B4EF8BB6D6BB9BD380A11", "ä"],
        ] {
            let [cursor, other] = ids.map(str::as_bytes);
            let check = |widened, read: &[&[u8]]| {
                let mut order = order(widened);
                let known = Arc::make_mut(&mut order.read_before);
                order.after = Some((100, known.row_id(cursor)));
                for id in read {
                    known.add(100, known.row_id(id));
                }
                order
            };
            assert!(check(false, &[]).check(100, cursor).is_err(), "{ids:?}");
            assert!(check(false, &[other]).check(100, other).is_err());
            assert_eq!(check(false, &[]).check(100, other), Ok(RowVerdict::Keep));
            assert_eq!(
                check(false, &[other]).check(101, cursor),
                Ok(RowVerdict::Keep)
            );
            let mut widened = check(true, &[other]);
            assert_eq!(widened.check(100, other), Ok(RowVerdict::AlreadyRead));
            assert_eq!(widened.check(100, cursor), Ok(RowVerdict::AlreadyRead));
            let mut page = check(false, &[]);
            page.check(150, cursor).unwrap();
            page.check(150, other).unwrap();
            assert!(page.check(150, cursor).is_err(), "twice on one page");
        }
    }

    #[test]
    fn a_widened_answer_is_cut_to_the_slice() {
        let mut order = order(true);
        let verdicts: Vec<RowVerdict> = [(60, 1), (100, 5), (100, 6), (200, 1), (201, 1)]
            .into_iter()
            .map(|(seconds, number)| order.check(seconds, &id(number)).unwrap())
            .collect();
        use RowVerdict::{AlreadyRead, BeyondSlice, Keep};
        assert_eq!(
            verdicts,
            [AlreadyRead, AlreadyRead, Keep, Keep, BeyondSlice]
        );
    }
}
