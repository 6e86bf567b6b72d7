//! Checks each row of a page against the slice that was asked for: pure, without I/O.
//!
//! An instance drops conditions that it does not understand, without an error, and may then answer with
//! the whole table (ServiceNow documentation "Table API", `sysparm_query`). So a row that was not asked
//! for is an error, never data. The exception are queries that were widened on purpose, because a
//! literal in the hour that repeats in autumn names two instants: rows outside of the slice are
//! expected then, and passed over.

use crate::servicenow::query::{Cursor, EncodedQuery, Slice, hex_id};

/// What becomes of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowVerdict {
    /// It belongs to the slice and is to be produced.
    Keep,
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
    /// The cursor: its second, and its identifier as a number, if it is one.
    after: Option<(i64, Option<u128>)>,
    /// Largest identifier of the slice.
    id_to: Option<u128>,
    /// The row before, in the same form as the cursor.
    previous: Option<(i64, Option<u128>)>,
}

impl RowOrderCheck {
    pub(super) fn new(query: EncodedQuery, slice: &Slice) -> RowOrderCheck {
        let number = |id: &String| hex_id(id.as_bytes());
        let after = slice
            .after
            .as_ref()
            .and_then(|Cursor { seconds, id }| id.as_ref().map(|id| (*seconds, number(id))));
        let id_to = slice.id_to.as_ref().and_then(number);
        RowOrderCheck {
            query,
            to: slice.to,
            after,
            id_to,
            previous: None,
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
        let number = hex_id(id);
        if let Some((previous, previous_id)) = self.previous.replace((seconds, number)) {
            let repeats = previous_id
                .zip(number)
                .is_some_and(|(before, now)| now <= before);
            if seconds < previous || (seconds == previous && repeats) {
                return Err("rows out of order".to_owned());
            }
        }
        let already_read = self.is_already_read(seconds, number);
        if !self.query.widened {
            let beyond = self.id_to.zip(number).is_some_and(|(to, id)| id > to);
            return if already_read || beyond {
                Err("a row outside of the asked identifiers".to_owned())
            } else {
                Ok(RowVerdict::Keep)
            };
        }
        Ok(if already_read {
            RowVerdict::AlreadyRead
        } else if seconds > self.to {
            RowVerdict::BeyondSlice
        } else {
            RowVerdict::Keep
        })
    }

    /// Whether the row is the cursor's or lies before it. A row in the cursor's second whose identifier
    /// cannot be compared here counts as new: it is better produced twice than never.
    fn is_already_read(&self, seconds: i64, id: Option<u128>) -> bool {
        self.after.is_some_and(|(after, after_id)| {
            seconds < after
                || (seconds == after
                    && after_id
                        .zip(id)
                        .is_some_and(|(after_id, id)| id <= after_id))
        })
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
        RowOrderCheck::new(encoded, &slice)
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
        for second in [(149, 9), (150, 3), (150, 2)] {
            let mut order = order(false);
            order.check(150, &id(3)).unwrap();
            assert!(order.check(second.0, &id(second.1)).is_err(), "{second:?}");
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
