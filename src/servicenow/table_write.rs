//! Requests that change a row, and the reads that tell what became of them.
//!
//! A write is sent once. A caller that repeats it must know what that does: after an error of which
//! [`Error::possibly_executed_at`] is true, the instance may have executed it.

use std::io::Read;

use ureq::http::Method;

use super::answer::{result_of, row_of};
use super::client::InstanceClient;
use super::error::{AttemptedRequest, Error};
use super::exchange::{OutgoingRequest, RequestPayload};
use super::request::{MAX_LOOKUP_ANSWER_BYTES, MAX_WHOLE_ANSWER_BYTES, ReadRequest, target};
use super::response::InstanceResponse;
use super::table_api::TABLE_ENDPOINT_LABEL;
use crate::json_text::replace_half_pairs;
use crate::stop::Stop;

/// Metric label of requests to a row.
const ROW_ENDPOINT_LABEL: &str = "/api/now/table/{table}/{sys_id}";
/// Bytes of an answer that are read; what is asked for fits in there many times.
const MAX_WRITE_ANSWER_BYTES: u64 = 64 * 1024;
/// The columns of a [`RowAfterWrite`].
const WRITTEN_COLUMNS: [&str; 3] = ["sys_id", "sys_mod_count", "sys_updated_by"];
/// Entries of a row's journal that are looked at.
const MAX_JOURNAL_ENTRIES: u32 = 50;
/// Where journal entries are kept.
const JOURNAL_TABLE: &str = "sys_journal_field";

/// The kind of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteVerb {
    /// POST: makes a row.
    Insert,
    /// PATCH: changes a row.
    Update,
    /// DELETE: removes a row.
    Delete,
}

/// A writing request.
#[derive(Debug, Clone)]
pub struct TableWrite<'a> {
    /// The kind.
    pub verb: WriteVerb,
    /// Path from the root, not encoded.
    pub path: String,
    /// Query parameters with raw values.
    pub params: Vec<(&'a str, String)>,
    /// Label of metrics: the path with its variable parts named.
    pub endpoint: &'static str,
    /// The object of the request in the user's words: ``table `incident` ``.
    pub what: String,
    /// The fields, as a JSON object.
    pub body: Option<&'a [u8]>,
}

/// The row after a write, as far as the answer tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowAfterWrite {
    /// The row's sys_id.
    pub sys_id: Option<String>,
    /// The row's `sys_mod_count`.
    pub mod_count: Option<u64>,
    /// The row's `sys_updated_by`.
    pub updated_by: Option<String>,
}

impl WriteVerb {
    fn method(self) -> Method {
        match self {
            WriteVerb::Insert => Method::POST,
            WriteVerb::Update => Method::PATCH,
            WriteVerb::Delete => Method::DELETE,
        }
    }

    fn word(self) -> &'static str {
        match self {
            WriteVerb::Insert => "POST",
            WriteVerb::Update => "PATCH",
            WriteVerb::Delete => "DELETE",
        }
    }
}

impl<'a> TableWrite<'a> {
    /// Makes a row of `table` under `table_api_path`.
    pub fn insert(table_api_path: &str, table: &str, body: &'a [u8]) -> TableWrite<'a> {
        TableWrite {
            verb: WriteVerb::Insert,
            path: format!("{table_api_path}/{table}"),
            params: short_answer(),
            endpoint: TABLE_ENDPOINT_LABEL,
            what: words(table),
            body: Some(body),
        }
    }

    /// Changes the fields in `body` of a row.
    pub fn update(
        table_api_path: &str,
        table: &str,
        sys_id: &str,
        body: &'a [u8],
    ) -> TableWrite<'a> {
        TableWrite {
            verb: WriteVerb::Update,
            path: format!("{table_api_path}/{table}/{sys_id}"),
            params: short_answer(),
            endpoint: ROW_ENDPOINT_LABEL,
            what: words(table),
            body: Some(body),
        }
    }

    /// Removes a row.
    pub fn delete(table_api_path: &str, table: &str, sys_id: &str) -> TableWrite<'a> {
        TableWrite {
            verb: WriteVerb::Delete,
            path: format!("{table_api_path}/{table}/{sys_id}"),
            params: Vec::new(),
            endpoint: ROW_ENDPOINT_LABEL,
            what: words(table),
            body: None,
        }
    }

    fn asked(&self, base_url: &str) -> AttemptedRequest {
        AttemptedRequest {
            method: self.verb.word(),
            url: format!("{base_url}{}", self.path),
            what: self.what.clone(),
            ..AttemptedRequest::default()
        }
    }
}

/// One row by its sys_id. 404: it is not there, or hidden.
pub fn row(table_api_path: &str, table: &str, sys_id: &str, fields: &str) -> ReadRequest<'static> {
    ReadRequest {
        path: format!("{table_api_path}/{table}/{sys_id}"),
        params: vec![
            ("sysparm_fields", fields.to_owned()),
            ("sysparm_exclude_reference_link", "true".to_owned()),
        ],
        endpoint: ROW_ENDPOINT_LABEL,
        what: words(table),
        max_answer_bytes: MAX_LOOKUP_ANSWER_BYTES,
        private: true,
        optional: false,
    }
}

/// As [`row`], for columns that may hold long texts.
pub fn row_values(
    table_api_path: &str,
    table: &str,
    sys_id: &str,
    fields: &str,
) -> ReadRequest<'static> {
    ReadRequest {
        max_answer_bytes: MAX_WHOLE_ANSWER_BYTES,
        ..row(table_api_path, table, sys_id, fields)
    }
}

/// At most `limit` rows of an encoded query, which errors do not show.
pub fn find_rows(
    table_api_path: &str,
    table: &str,
    query: String,
    fields: &str,
    limit: u32,
) -> ReadRequest<'static> {
    ReadRequest {
        path: format!("{table_api_path}/{table}"),
        params: vec![
            ("sysparm_query", query),
            ("sysparm_fields", fields.to_owned()),
            ("sysparm_limit", limit.to_string()),
            ("sysparm_exclude_reference_link", "true".to_owned()),
            ("sysparm_suppress_pagination_header", "true".to_owned()),
            ("sysparm_no_count", "true".to_owned()),
        ],
        endpoint: TABLE_ENDPOINT_LABEL,
        what: words(table),
        max_answer_bytes: MAX_LOOKUP_ANSWER_BYTES,
        private: true,
        optional: false,
    }
}

/// The newest entries in a journal column of a row: `value` and `sys_created_on`.
pub fn journal_entries(table_api_path: &str, sys_id: &str, column: &str) -> ReadRequest<'static> {
    let query = format!("element_id={sys_id}^element={column}^ORDERBYDESCsys_created_on");
    // The first two show whether the conditions were obeyed.
    let fields = "element_id,element,sys_id,value,sys_created_on";
    let find = find_rows(
        table_api_path,
        JOURNAL_TABLE,
        query,
        fields,
        MAX_JOURNAL_ENTRIES,
    );
    // An entry may hold a long mail.
    ReadRequest {
        max_answer_bytes: MAX_WHOLE_ANSWER_BYTES,
        ..find
    }
}

impl InstanceClient {
    /// One authenticated attempt, as [`InstanceClient::get`]. It is sent again by itself only after a 401,
    /// when nothing was executed.
    ///
    /// # Errors
    /// Everything but a status that says that it was done: 201, 204, or 200 with JSON that is no
    /// error. What the answer of a 201 or 204 holds does not matter.
    pub fn write(&self, write: &TableWrite<'_>, stop: &Stop) -> Result<RowAfterWrite, Error> {
        let asked = write.asked(self.base_url());
        // A new row gets its domain from the user.
        let target = match write.verb {
            WriteVerb::Insert => target(&write.path, &write.params),
            WriteVerb::Update | WriteVerb::Delete => self.target(&write.path, &write.params),
        };
        let out = OutgoingRequest {
            method: write.verb.method(),
            target: &target,
            endpoint: write.endpoint,
            credential: None,
            payload: write
                .body
                .map_or(RequestPayload::None, RequestPayload::Json),
            optional: false,
        };
        let response = self.attempt(&out, &asked, stop)?;
        self.written(&asked, response)
    }

    fn written(
        &self,
        asked: &AttemptedRequest,
        response: InstanceResponse,
    ) -> Result<RowAfterWrite, Error> {
        let InstanceResponse { meta, body } = response;
        let mut bytes = Vec::new();
        let read = body.take(MAX_WRITE_ANSWER_BYTES).read_to_end(&mut bytes);
        replace_half_pairs(&mut bytes);
        let whole = u64::try_from(bytes.len()).is_ok_and(|length| length < MAX_WRITE_ANSWER_BYTES);
        let counts = meta.status == 200 && whole;
        let result = match read {
            Err(error) if counts => Err(self.shared.transport.cause_of_read(&error)),
            _ => result_of(&bytes),
        };
        let result = match result {
            Err(cause) if counts => {
                return Err(self.bad_answer(asked, cause).sent_at(Some(meta.sent)));
            }
            result => result.ok().flatten(),
        };
        let mut written = result.map(said).unwrap_or_default();
        if written.sys_id.is_none() {
            written.sys_id = meta.location.as_deref().and_then(id_of_location);
        }
        Ok(written)
    }
}

/// The last segment of a Location, if it is a sys_id of the platform's making.
fn id_of_location(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?;
    let id = path.rsplit('/').next()?;
    let good = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| id.to_owned())
}

/// The columns that can be read in the text of a `result`.
fn said(result: &str) -> RowAfterWrite {
    let row = row_of(result, &WRITTEN_COLUMNS);
    let column = |name| row.text(name).map(str::to_owned);
    RowAfterWrite {
        sys_id: column("sys_id").filter(|id| !id.is_empty()),
        mod_count: column("sys_mod_count").and_then(|count| count.parse().ok()),
        updated_by: column("sys_updated_by"),
    }
}

/// Asks for no more than is used, as the row is not wanted back.
fn short_answer() -> Vec<(&'static str, String)> {
    vec![
        ("sysparm_fields", WRITTEN_COLUMNS.join(",")),
        ("sysparm_exclude_reference_link", "true".to_owned()),
    ]
}

fn words(table: &str) -> String {
    format!("table `{table}`")
}
