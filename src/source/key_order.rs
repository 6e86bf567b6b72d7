//! Checks that rows come in the order of their identifiers, and are those that were asked for: pure.
//!
//! An instance drops conditions that it does not understand and answers with the whole table; without this
//! check the same page would be asked for again and again.

use crate::servicenow::query::{IdentifierRange, hex_id};

/// Checks the rows of one page.
pub(super) struct KeyOrderCheck<'a> {
    range: IdentifierRange<'a>,
    after: Option<&'a str>,
    limit: u32,
    /// Rows so far.
    pub(super) rows: u32,
    /// The identifier of the last one.
    pub(super) last: Option<String>,
}

impl<'a> KeyOrderCheck<'a> {
    /// Of at most `limit` rows of `range` behind `after`.
    pub(super) fn new(
        range: &IdentifierRange<'a>,
        after: Option<&'a str>,
        limit: u32,
    ) -> KeyOrderCheck<'a> {
        KeyOrderCheck {
            range: *range,
            after,
            limit,
            rows: 0,
            last: None,
        }
    }

    /// Takes the next row of the page.
    ///
    /// # Errors
    /// In words: it was not asked for, or is out of order.
    pub(super) fn check(&mut self, id: &[u8]) -> Result<(), String> {
        self.rows += 1;
        if self.rows > self.limit {
            return Err("more rows than were asked for".to_owned());
        }
        if self.after.is_some_and(|after| after.as_bytes() == id) {
            return Err("a row that was read before".to_owned());
        }
        // The order of other identifiers is that of the database's collation.
        if let Some(number) = hex_id(id) {
            let of = |text: Option<&str>| hex_id(text?.as_bytes());
            let is_before = of(self.after).is_some_and(|after| number < after)
                || of(self.range.from).is_some_and(|from| number < from);
            if is_before || of(self.range.to).is_some_and(|to| number >= to) {
                return Err("a row outside of the asked identifiers".to_owned());
            }
            if of(self.last.as_deref()).is_some_and(|last| number < last) {
                return Err("rows out of order".to_owned());
            }
        }
        self.last = Some(String::from_utf8_lossy(id).into_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_not_asked_for_are_errors() {
        let id = |number: u32| format!("{number:032x}");
        let (from, to, after) = (id(3), id(9), id(5));
        let range = IdentifierRange {
            from: Some(&from),
            to: Some(&to),
            ..IdentifierRange::default()
        };
        let all = |after: Option<&str>, numbers: &[u32]| {
            let mut check = KeyOrderCheck::new(&range, after, 2);
            numbers
                .iter()
                .try_for_each(|number| check.check(id(*number).as_bytes()))
        };
        assert_eq!(all(Some(&after), &[6, 8]), Ok(()));
        assert_eq!(all(None, &[3, 4]), Ok(()));
        for wrong in [&[5][..], &[4], &[9], &[8, 6], &[6, 7, 8]] {
            assert!(all(Some(&after), wrong).is_err(), "{wrong:?}");
        }
        assert!(all(None, &[2]).is_err());
        let mut check = KeyOrderCheck::new(&range, Some("b.x"), 9);
        check.check(b"glide.maint").unwrap();
        assert!(check.check(b"b.x").is_err());
    }
}
