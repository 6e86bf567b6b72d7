//! The request log: what clients sent, so that tests can assert it (checklist 40).

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::http::Request;
use crate::writes::{self, Operation};

/// One request and what it was answered.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// Number of the request, from 1.
    pub id: u64,
    /// When its head was complete.
    pub at: Instant,
    /// Server time of the node that answered, epoch seconds.
    pub server_time: i64,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// Method.
    pub method: String,
    /// Decoded path.
    pub path: String,
    /// Decoded query parameters in the order sent.
    pub params: Vec<(String, String)>,
    /// Headers in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Status of the answer; 0 while it is being made, and when none is sent.
    pub status: u16,
    /// Rows in the answer.
    pub rows: usize,
    /// Body bytes on the wire; 0 until the answer was sent.
    pub bytes: u64,
    /// Name of the fault that was injected.
    pub fault: Option<&'static str>,
    /// Number of the batch that it came in as an item; the batch itself has none.
    pub batch: Option<u64>,
}

impl LoggedRequest {
    /// A request that arrives now.
    pub(crate) fn new(request: &Request, server_time: i64) -> LoggedRequest {
        LoggedRequest {
            id: 0,
            at: Instant::now(),
            server_time,
            connection: request.connection,
            method: request.method.clone(),
            path: request.path.clone(),
            params: request.params.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            status: 0,
            rows: 0,
            bytes: 0,
            fault: None,
            batch: None,
        }
    }

    /// A query parameter's first value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The encoded query, empty if none was sent.
    pub fn query(&self) -> &str {
        self.param("sysparm_query").unwrap_or_default()
    }

    /// Whether this is a request to the token endpoint.
    pub fn is_token(&self) -> bool {
        self.path == "/oauth_token.do"
    }

    /// Whether this is a request to the Batch API. Its items are entries of their own.
    pub fn is_batch(&self) -> bool {
        crate::api::is_batch(&self.path)
    }

    /// The table of a Table API request.
    pub fn table(&self) -> Option<&str> {
        crate::api::table_of(&self.path)
    }

    /// The method that counts: that of `X-HTTP-Method-Override` on a POST, else its own.
    pub fn effective_method(&self) -> &str {
        writes::method(&self.method, self.header("x-http-method-override"))
    }

    /// What a write to the Table API asks for; `None` for everything else.
    pub fn operation(&self) -> Option<Operation> {
        self.table()?;
        Operation::of(self.effective_method())
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    list: VecDeque<LoggedRequest>,
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Log {
        Log {
            capacity,
            entries: Mutex::default(),
        }
    }

    /// Adds a request that is being answered; gives its number.
    pub(crate) fn begin(&self, mut request: LoggedRequest) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.next += 1;
        let id = entries.next;
        request.id = id;
        while entries.list.len() >= self.capacity.max(1) {
            entries.list.pop_front();
        }
        entries.list.push_back(request);
        id
    }

    /// Changes an entry, if it is still kept.
    pub(crate) fn update(&self, id: u64, change: impl FnOnce(&mut LoggedRequest)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest are at the end.
        if let Some(entry) = entries.list.iter_mut().rev().find(|entry| entry.id == id) {
            change(entry);
        }
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.list.iter().cloned().collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&LoggedRequest) -> bool) -> usize {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.list.iter().filter(|entry| wanted(entry)).count()
    }

    pub(crate) fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .list
            .clear();
    }
}
