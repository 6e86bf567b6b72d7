//! An answer of the instance: its head, its body, and whether a body that was read whole is a result.

use std::fmt;
use std::io::{self, Read};
use std::time::Instant;

use serde_json::Value;
use ureq::BodyReader;

use super::error::InstanceFailure;
use crate::http::error_body::error_words;

/// The head of an answer, as far as it is used.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The instance's clock, seconds since the epoch.
    pub date: Option<i64>,
    /// When the request went out.
    pub sent: Instant,
    /// When the head was there.
    pub received: Instant,
    /// HTTP status.
    pub status: u16,
    /// `Location`, cut.
    pub location: Option<String>,
    /// `X-Total-Count`: rows of the query, whatever the limit and the access rules.
    pub total_count: Option<u64>,
}

/// A 200 with JSON, its body still to be read.
#[derive(Debug)]
pub struct InstanceResponse {
    /// From the head.
    pub meta: ResponseHead,
    /// The body.
    pub body: ResponseBody,
}

/// A body: inflated, at most `max_response_bytes` long. An early end is an [`io::Error`]; see
/// [`super::InstanceClient::body_error`]. Read to its end, its connection is used again.
pub struct ResponseBody(BodyReader<'static>);

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl ResponseBody {
    pub(super) fn new(reader: BodyReader<'static>) -> ResponseBody {
        ResponseBody(reader)
    }

    /// The body in whole.
    pub(super) fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// The value of `result` in an answer that was read whole. A status of 200 alone proves nothing: an
/// instance that runs out of time answers 200 with an error inside (KB0778443).
pub(super) fn result_of(bytes: &[u8]) -> Result<Value, InstanceFailure> {
    // serde's words carry a position, never content.
    let answer: Value = serde_json::from_slice(bytes)
        .map_err(|why| InstanceFailure::Body(format!("no JSON: {why}")))?;
    let Value::Object(mut answer) = answer else {
        return Err(InstanceFailure::Body(
            "the answer is no JSON object".to_owned(),
        ));
    };
    if is_failure(&answer) {
        return Err(InstanceFailure::Failed {
            words: error_words(bytes),
        });
    }
    answer
        .remove("result")
        .ok_or_else(|| InstanceFailure::Body("the answer has no `result`".to_owned()))
}

/// True for an answer that says of itself that it is an error.
pub(super) fn is_failure(answer: &serde_json::Map<String, Value>) -> bool {
    answer.get("status").and_then(Value::as_str) == Some("failure")
        || answer.get("error").is_some_and(|error| !error.is_null())
}
