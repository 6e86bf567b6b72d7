//! The Table API's reading requests. Parameters: ServiceNow documentation "Table API".

use super::query::QueryColumns;
use super::request::{MAX_LOOKUP_ANSWER_BYTES, MAX_WHOLE_ANSWER_BYTES, ReadRequest};
use crate::config::{DisplayValue, TableConfig};

/// Metric label of requests to a table.
pub(super) const TABLE_ENDPOINT_LABEL: &str = "/api/now/table/{table}";
/// Metric label of count requests.
const STATS_ENDPOINT_LABEL: &str = "/api/now/stats/{table}";

/// The requests for one table.
#[derive(Debug, Clone)]
pub struct TableRequests {
    path: String,
    what: String,
    fields: Option<String>,
    display: DisplayValue,
}

impl TableRequests {
    /// For `table` under `table_api_path`.
    pub fn new(table_api_path: &str, table: &TableConfig) -> TableRequests {
        TableRequests {
            path: format!("{table_api_path}/{}", table.name),
            what: format!("table `{}`", table.name),
            fields: fetched_columns(table).map(|fields| fields.join(",")),
            display: table.display_value,
        }
    }

    /// For listings of `table`: its identifiers, timestamps and counts of updates.
    pub fn versions(table_api_path: &str, table: &TableConfig) -> TableRequests {
        let columns = [
            &*table.identifier_field,
            &*table.timestamp_field,
            "sys_mod_count",
        ];
        TableRequests {
            fields: Some(columns.join(",")),
            display: DisplayValue::False,
            ..TableRequests::new(table_api_path, table)
        }
    }

    /// The same, with one more column where the columns are named.
    #[must_use]
    pub fn with_column(mut self, column: &str) -> TableRequests {
        if let Some(fields) = &mut self.fields {
            fields.push(',');
            fields.push_str(column);
        }
        self
    }

    /// One page: at most `limit` rows of `query`, with a count of all of them if `count`.
    pub fn list(&self, query: &str, limit: u32, count: bool) -> ReadRequest<'static> {
        let display = match self.display {
            DisplayValue::False => "false",
            // The cursor needs stored values, so `true` is made from `all` on this side.
            DisplayValue::True | DisplayValue::All => "all",
        };
        let mut params = vec![
            ("sysparm_query", query.to_owned()),
            ("sysparm_limit", limit.to_string()),
            ("sysparm_display_value", display.to_owned()),
            ("sysparm_exclude_reference_link", "true".to_owned()),
            // A long query fails when it must be echoed in a Link header.
            ("sysparm_suppress_pagination_header", "true".to_owned()),
            ("sysparm_no_count", (!count).to_string()),
        ];
        if let Some(fields) = &self.fields {
            params.push(("sysparm_fields", fields.clone()));
        }
        ReadRequest {
            path: self.path.clone(),
            params,
            endpoint: TABLE_ENDPOINT_LABEL,
            what: self.what.clone(),
            max_answer_bytes: MAX_WHOLE_ANSWER_BYTES,
            private: false,
            optional: false,
        }
    }
}

/// The count of all rows of `table` that `query` asks for, from the Aggregate API under
/// `stats_api_path`: for instances that send no `X-Total-Count`.
pub fn count(stats_api_path: &str, table: &str, query: &str) -> ReadRequest<'static> {
    ReadRequest {
        path: format!("{stats_api_path}/{table}"),
        params: vec![
            ("sysparm_query", query.to_owned()),
            ("sysparm_count", "true".to_owned()),
        ],
        endpoint: STATS_ENDPOINT_LABEL,
        what: format!("row count of table `{table}`"),
        max_answer_bytes: MAX_LOOKUP_ANSWER_BYTES,
        private: false,
        optional: true,
    }
}

/// Count and sum of `column` over the rows of `table` that `query` asks for, from the Aggregate API under
/// `stats_api_path`.
pub fn sums(stats_api_path: &str, table: &str, query: &str, column: &str) -> ReadRequest<'static> {
    let mut request = count(stats_api_path, table, query);
    let column = column.to_owned();
    request.params.push(("sysparm_sum_fields", column));
    request.what = format!("sums of table `{table}`");
    request
}

/// A request for `path` of the Table API with `params`, for probes.
pub fn probe(
    table_api_path: &str,
    table: &str,
    params: Vec<(&'static str, String)>,
) -> ReadRequest<'static> {
    ReadRequest {
        path: format!("{table_api_path}/{table}"),
        params,
        endpoint: TABLE_ENDPOINT_LABEL,
        what: format!("table `{table}`"),
        max_answer_bytes: MAX_WHOLE_ANSWER_BYTES,
        private: false,
        optional: false,
    }
}

/// A request for the identifier of any one row: whether the table exists and may be read, at the lowest
/// cost.
pub fn one_row(table_api_path: &str, table: &str) -> ReadRequest<'static> {
    let params = vec![
        ("sysparm_fields", "sys_id".to_owned()),
        ("sysparm_limit", "1".to_owned()),
    ];
    look_up(table_api_path, table, params)
}

/// As [`probe`], for a question whose answer is short.
pub fn look_up(
    table_api_path: &str,
    table: &str,
    params: Vec<(&'static str, String)>,
) -> ReadRequest<'static> {
    ReadRequest {
        max_answer_bytes: MAX_LOOKUP_ANSWER_BYTES,
        ..probe(table_api_path, table, params)
    }
}

/// Names of the cursor columns and the filter of a table.
pub fn query_columns(table: &TableConfig) -> QueryColumns {
    QueryColumns {
        timestamp: table.timestamp_field.clone(),
        identifier: table.identifier_field.clone(),
        filter: table.query.clone(),
    }
}

/// The columns that are asked for: what was configured, the cursor columns, and what tells versions and
/// our own writes; `None` is all.
pub fn fetched_columns(table: &TableConfig) -> Option<Vec<String>> {
    if table.fields.is_empty() {
        return None;
    }
    let mut fields = table.fields.clone();
    let mut needed = vec![&*table.identifier_field, &*table.timestamp_field];
    if table.skip_own_writes || table.has_version_headers() {
        needed.push("sys_mod_count");
    }
    if table.skip_own_writes {
        needed.push("sys_updated_by");
    }
    for column in needed {
        if !fields.iter().any(|field| field == column) {
            fields.push(column.to_owned());
        }
    }
    Some(fields)
}
