//! An answer of the instance: its head and its body.

use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::{HeaderMap, HeaderValue};

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
    /// `Location` as it came, so not for messages.
    pub location: Option<String>,
    /// `X-Total-Count`: rows of the query, whatever the limit and the access rules.
    pub total_count: Option<u64>,
    /// What it says of the instance's limits.
    pub limits: LimitHeaders,
}

/// What an answer says of the instance's limits; read only where it is asked for, as every answer has it.
#[derive(Debug, Clone, Default)]
pub struct LimitHeaders {
    rate_limit: Option<HeaderValue>,
    server_timing: Option<HeaderValue>,
}

impl LimitHeaders {
    pub(super) fn of(headers: &HeaderMap) -> LimitHeaders {
        LimitHeaders {
            rate_limit: headers.get("x-ratelimit-limit").cloned(),
            server_timing: headers.get("server-timing").cloned(),
        }
    }

    /// `X-RateLimit-Limit`: requests per hour of the rule that the request fell under (ServiceNow
    /// documentation, "Inbound REST API rate limiting"). It does not say how many are left.
    pub fn requests_per_hour(&self) -> Option<u64> {
        self.rate_limit.as_ref()?.to_str().ok()?.trim().parse().ok()
    }

    /// `Server-Timing: sem_wait;dur=0, sesh_wait;dur=0`: how long the request waited for one of the
    /// node's semaphores, which all REST requests of the node share (KB0564204).
    pub fn semaphore_wait(&self) -> Option<Duration> {
        let entries = self.server_timing.as_ref()?.to_str().ok()?.split(',');
        let mut waits = entries.filter_map(|entry| {
            let (name, rest) = entry.trim().split_once(';')?;
            let milliseconds = rest.trim().strip_prefix("dur=")?;
            (name.trim() == "sem_wait").then_some(milliseconds)
        });
        let milliseconds: f64 = waits.next()?.trim().parse().ok()?;
        Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_where_they_are_told() {
        let limits = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = ureq::http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            LimitHeaders::of(&pairs.collect())
        };
        let none = limits(&[]);
        assert_eq!(
            (none.requests_per_hour(), none.semaphore_wait()),
            (None, None)
        );
        let both = limits(&[
            ("x-ratelimit-limit", "100"),
            ("server-timing", "sesh_wait;dur=3, sem_wait;dur=1250"),
        ]);
        assert_eq!(both.requests_per_hour(), Some(100));
        assert_eq!(both.semaphore_wait(), Some(Duration::from_millis(1250)));
        let odd = limits(&[
            ("x-ratelimit-limit", "many"),
            ("server-timing", "sem_wait;dur=-1"),
        ]);
        assert_eq!(
            (odd.requests_per_hour(), odd.semaphore_wait()),
            (None, None)
        );
    }
}
