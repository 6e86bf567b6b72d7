//! Spans of identifiers, one for each question to the table: pure.
//!
//! A prefix of an identifier need not be evenly spread, so the spans are cut where the topic's rows say.
//! The first one is open below and the last one above, so that rows with other identifiers than
//! hexadecimal ones fall into one of them, wherever the instance's order puts them.

use std::ops::Range;

/// A span of identifiers. What is `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdSlice {
    /// The first identifier of it.
    pub from: Option<u128>,
    /// The first one behind it.
    pub to: Option<u128>,
}

impl IdSlice {
    /// All rows.
    pub const ALL: IdSlice = IdSlice {
        from: None,
        to: None,
    };

    /// From the beginnings of two identifiers, as `00..40` or `c0..`; `None`: it is no such span.
    pub fn parse(text: &str) -> Option<IdSlice> {
        let (from, to) = text.split_once("..")?;
        let end = |digits: &str| {
            let id = smallest_with(digits)?;
            Some((!digits.is_empty()).then_some(id))
        };
        let slice = IdSlice {
            from: end(from)?,
            to: end(to)?,
        };
        let is_empty = slice.to.is_some_and(|to| to <= slice.from.unwrap_or(0));
        (!is_empty).then_some(slice)
    }

    /// The part of it that ends before `cut`, if that is inside, or all of it; and what is behind.
    pub fn split_at(self, cut: Option<u128>) -> (IdSlice, Option<IdSlice>) {
        let is_inside = |cut: &u128| {
            self.from.is_none_or(|from| *cut > from) && self.to.is_none_or(|to| *cut < to)
        };
        match cut.filter(is_inside) {
            None => (self, None),
            Some(cut) => {
                let (from, to) = (Some(cut), Some(cut));
                (IdSlice { to, ..self }, Some(IdSlice { from, ..self }))
            }
        }
    }

    /// The hexadecimal identifiers in it.
    pub fn range(self) -> Range<u128> {
        // The greatest identifier of all would be left out, which no row has.
        self.from.unwrap_or(0)..self.to.unwrap_or(u128::MAX)
    }

    /// The condition of an encoded query for the rows of this span; empty for all rows.
    pub fn condition(self, identifier: &str) -> String {
        let from = self.from.map(|from| format!("{identifier}>={from:032x}"));
        let to = self.to.map(|to| format!("{identifier}<{to:032x}"));
        let parts: Vec<String> = from.into_iter().chain(to).collect();
        parts.join("^")
    }
}

/// The smallest identifier with this beginning; `None`: these are no hexadecimal digits of one.
fn smallest_with(digits: &str) -> Option<u128> {
    const HEX_DIGITS: usize = 32;
    if digits.len() > HEX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&format!("{digits:0<HEX_DIGITS$}"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_cut_inside_only() {
        let span = |from, to| IdSlice { from, to };
        let (before, behind) = IdSlice::ALL.split_at(Some(4));
        assert_eq!(
            (before, behind),
            (span(None, Some(4)), Some(span(Some(4), None)))
        );
        let part = span(Some(4), Some(9));
        assert_eq!(part.split_at(Some(8)).1, Some(span(Some(8), Some(9))));
        for cut in [None, Some(4), Some(9), Some(1)] {
            assert_eq!(part.split_at(cut), (part, None));
        }
    }

    #[test]
    fn a_span_is_read_from_beginnings() {
        let span = |from, to| Some(IdSlice { from, to });
        assert_eq!(IdSlice::parse(".."), span(None, None));
        assert_eq!(IdSlice::parse("c..").unwrap().from, Some(0xc << 124));
        assert_eq!(IdSlice::parse("0..40").unwrap().to, Some(0x40 << 120));
        for wrong in ["", "4", "4..4", "8..4", "x..", "..0", "4.5"] {
            assert_eq!(IdSlice::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn open_ends_have_no_condition() {
        assert_eq!(IdSlice::ALL.condition("sys_id"), "");
        let part = IdSlice {
            from: Some(1),
            to: Some(255),
        };
        assert_eq!(
            part.condition("sys_id"),
            "sys_id>=00000000000000000000000000000001^sys_id<000000000000000000000000000000ff"
        );
        assert_eq!(part.range(), 1..255);
    }
}
