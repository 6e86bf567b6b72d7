//! Where paths lead (servicenow_api.md section 2.1, line 93).

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Table {
        version: &'a str,
        table: &'a str,
        id: Option<&'a str>,
    },
    Stats {
        table: &'a str,
    },
    Batch,
    Token,
    Unknown,
    Page,
}

/// The route of a path.
pub(super) fn route(path: &str) -> Route<'_> {
    if path == "/oauth_token.do" {
        return Route::Token;
    }
    let Some(rest) = path.strip_prefix("/api/") else {
        return Route::Page;
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    // No version is the latest (section 2.1, line 93).
    let (version, parts) = match parts.as_slice() {
        ["now", version @ ("v1" | "v2"), rest @ ..] => (*version, rest),
        ["now", rest @ ..] => ("", rest),
        _ => return Route::Unknown,
    };
    match parts {
        ["table", table] => Route::Table {
            version,
            table,
            id: None,
        },
        ["table", table, id] => Route::Table {
            version,
            table,
            id: Some(id),
        },
        ["stats", table] => Route::Stats { table },
        ["batch"] => Route::Batch,
        _ => Route::Unknown,
    }
}

/// The table of a Table API path.
pub(crate) fn table_of(path: &str) -> Option<&str> {
    row_of(path).map(|(table, _)| table)
}

/// The table and the `sys_id` of a Table API path.
pub(super) fn row_of(path: &str) -> Option<(&str, Option<&str>)> {
    match route(path) {
        Route::Table { table, id, .. } => Some((table, id)),
        _ => None,
    }
}

/// The table of a Stats API path.
pub(crate) fn stats_of(path: &str) -> Option<&str> {
    match route(path) {
        Route::Stats { table } => Some(table),
        _ => None,
    }
}

/// Whether a path leads to the Batch API.
pub(crate) fn is_batch(path: &str) -> bool {
    route(path) == Route::Batch
}
