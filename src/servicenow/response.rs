//! An answer of the instance: its head and its body.

use std::fmt;
use std::io::{self, Read};
use std::time::Instant;

use ureq::BodyReader;

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

    /// The body in whole, if it is no longer than `limit` bytes.
    pub(super) fn read_all(self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            let why = format!("it is longer than {limit} bytes, and so no answer to this question");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(bytes)
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
