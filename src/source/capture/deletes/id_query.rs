//! Encoded queries for rows by their identifiers: pure, without I/O.

use crate::delivered::IndexSlice;
use crate::servicenow::query::{IdentifierRange, QueryColumns, TimeLiterals, query_value_fault};

/// The column that names a row on the instance.
pub(in crate::source::capture) const SYS_ID: &str = "sys_id";
/// Identifiers of one question: no query longer than about 4,000 letters.
pub(in crate::source::capture) const IDS_OF_A_QUESTION: usize = 100;

/// Rows with one of these identifiers, as far as `filter` finds them. What cannot be a part of a query
/// is left out.
pub(in crate::source::capture) fn with_ids(filter: Option<&str>, ids: &[String]) -> String {
    let usable = ids.iter().filter(|id| can_be_asked_for(id));
    let list: Vec<&str> = usable.map(String::as_str).collect();
    columns(filter).restricted(&format!("{SYS_ID}IN{}", list.join(",")))
}

/// Whether an identifier can stand in a list of a query. A comma separates its items.
pub(in crate::source::capture) fn can_be_asked_for(id: &str) -> bool {
    !id.is_empty() && !id.contains(',') && query_value_fault(id.as_bytes()).is_none()
}

/// Rows of a slice, in the order of their identifiers, behind `after`.
pub(in crate::source::capture) fn of_slice(
    filter: Option<&str>,
    slice: &IndexSlice,
    after: Option<&str>,
) -> String {
    let hex = |bound: Option<u128>| bound.map(|bound| format!("{bound:032x}"));
    let (from, to) = (hex(slice.from), hex(slice.to));
    let range = IdentifierRange {
        from: from.as_deref(),
        to: to.as_deref(),
        ..IdentifierRange::default()
    };
    // No time stands in it.
    let query = columns(filter).by_identifier(&range, after, &TimeLiterals::Utc);
    query.text
}

fn columns(filter: Option<&str>) -> QueryColumns {
    QueryColumns {
        timestamp: String::new(),
        identifier: SYS_ID.to_owned(),
        filter: filter.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_their_identifiers() {
        let ids = ["a", "b^c", "d,e", "f"].map(str::to_owned);
        assert_eq!(with_ids(None, &ids), "sys_idINa,f");
        assert_eq!(
            with_ids(Some("active=true^NQpriority=1"), &ids),
            "active=true^sys_idINa,f^NQpriority=1^sys_idINa,f"
        );
    }

    #[test]
    fn rows_of_a_slice() {
        let whole = IndexSlice::default();
        let middle = IndexSlice {
            from: Some(0xa),
            to: Some(0xb0),
            ..whole
        };
        assert_eq!(of_slice(None, &whole, None), "ORDERBYsys_id");
        assert_eq!(of_slice(Some("x=1"), &whole, None), "x=1^ORDERBYsys_id");
        assert_eq!(
            of_slice(Some("x=1^NQy=2"), &whole, Some("k")),
            "x=1^sys_id>k^NQy=2^sys_id>k^ORDERBYsys_id"
        );
        assert_eq!(
            of_slice(None, &middle, None),
            "sys_id>=0000000000000000000000000000000a^sys_id<000000000000000000000000000000b0^ORDERBYsys_id"
        );
        assert_eq!(
            of_slice(None, &middle, Some("0000000000000000000000000000000c")),
            "sys_id>0000000000000000000000000000000c^sys_id<000000000000000000000000000000b0^ORDERBYsys_id"
        );
    }
}
