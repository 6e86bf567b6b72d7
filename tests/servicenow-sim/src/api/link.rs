//! The `Link` header (servicenow_api.md section 2.5).

use std::fmt::Write as _;

use crate::http::Request;
use crate::http::answer::Answer;

/// Writes the header; `None` for a result on a single page.
///
/// `base` is the instance's own address, whatever host the client used (line 160).
pub(super) fn header(
    base: &str,
    request: &Request,
    limit: usize,
    offset: usize,
    total: usize,
) -> Option<String> {
    if limit == 0 || (total <= limit && offset == 0) {
        return None;
    }
    // Other parameters are echoed as they were sent, unknown ones too (section 2.2, line 116).
    let mut others = String::new();
    for part in request.raw_query.split('&').filter(|part| !part.is_empty()) {
        let name = part.split('=').next().unwrap_or_default();
        if !matches!(name, "sysparm_limit" | "sysparm_offset") {
            others.push_str(part);
            others.push('&');
        }
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let mut text = String::new();
    let mut add = |rel: &str, at: i128| {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        write!(
            text,
            "{comma}<{base}{path}?{others}sysparm_limit={limit}&sysparm_offset={at}>;rel=\"{rel}\""
        )
        .unwrap_or(());
    };
    let last = total.saturating_sub(1) / limit * limit;
    add("first", 0);
    if offset > 0 {
        add("prev", offset.saturating_sub(limit) as i128);
    } else if limit == 1 {
        // Seen in three captures: the first page of size one has a previous page at -1 (line 159).
        add("prev", -1);
    }
    if offset + limit < total {
        add("next", (offset + limit) as i128);
    }
    add("last", last as i128);
    Some(text)
}

/// The 400 of a query that is too long to be echoed four times (section 2.5).
pub(super) fn too_long(total: usize) -> Answer {
    let detail = format!(
        "The requested query is too long to build the response pagination header URLs. Please do \
         one of the following: shorten the sysparm_query, or query without pagination by setting \
         the parameter 'sysparm_suppress_pagination_header' to true, or set 'sysparm_limit' with a \
         value larger then {total} to bypass the need for pagination."
    );
    Answer::error(400, "Pagination not supported", Some(&detail))
}
