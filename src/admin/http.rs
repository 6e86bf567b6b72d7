//! As much of HTTP/1.1 as the admin port speaks: request heads and whole answers.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// Bytes of a request head.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// Header lines of a request.
const MAX_HEADERS: usize = 64;

/// What the received bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The head goes on.
    Incomplete,
    /// A whole head.
    Request(Request),
    /// Nothing we would answer otherwise than with this status; the connection ends.
    Refused(u16),
}

/// A request. It never has a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Bytes of the head.
    pub(super) length: usize,
    pub(super) method: Method,
    /// Path without the query.
    pub(super) path: String,
    /// Whether the client may send another request.
    pub(super) keep_alive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// Looks for a request head at the start of `bytes`. `Host` is ignored: no page depends on it.
pub(super) fn parse(bytes: &[u8]) -> Received {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Received::Incomplete,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Received::Refused(431);
        }
        Err(_) => return Received::Refused(400),
    };
    let mut keep_alive = head.version == Some(1);
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // A body would have to be read before the next request could be found.
        if is("transfer-encoding") || is("content-length") && header.value != b"0" {
            return Received::Refused(413);
        }
        if is("connection") && has_close(header.value) {
            keep_alive = false;
        }
    }
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => Method::Other,
    };
    let path = head.path.unwrap_or_default();
    let path = path
        .split_once('?')
        .map_or(path, |(path, _)| path)
        .to_owned();
    Received::Request(Request {
        length,
        method,
        path,
        keep_alive,
    })
}

fn has_close(value: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Answer {
    /// The status in words, for people.
    pub(super) fn plain(status: u16) -> Answer {
        let body = format!("{status} {}\n", reason(status));
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            body,
        }
    }

    /// The bytes to send; to a `HEAD` without the body, but with its length.
    pub(super) fn bytes(&self, method: Method, keep_alive: bool, now: Timestamp) -> Vec<u8> {
        let Answer {
            status,
            content_type,
            body,
        } = self;
        let reason = reason(*status);
        let length = body.len();
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut text = format!(
            "HTTP/1.1 {status} {reason}\r\n\
             Content-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Connection: {connection}\r\n"
        );
        if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
            text.push_str("Date: ");
            text.push_str(&date);
            text.push_str("\r\n");
        }
        if *status == 405 {
            text.push_str("Allow: GET, HEAD\r\n");
        }
        text.push_str("\r\n");
        if method != Method::Head {
            text.push_str(body);
        }
        text.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], status: u16) {
        assert_eq!(parse(bytes), Received::Refused(status));
    }

    #[test]
    fn heads_are_understood() {
        let Received::Request(request) = parse(b"GET /metrics?x=1 HTTP/1.1\r\nA: b\r\n\r\nGET")
        else {
            panic!("a whole head")
        };
        assert_eq!((request.length, request.keep_alive), (35, true));
        assert_eq!(
            (request.method, request.path.as_str()),
            (Method::Get, "/metrics")
        );
        for (head, keep_alive) in [
            ("HEAD / HTTP/1.0\r\n\r\n", false),
            ("HEAD / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", false),
            ("HEAD / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true),
        ] {
            let Received::Request(request) = parse(head.as_bytes()) else {
                panic!("{head}")
            };
            assert_eq!(
                (request.method, request.keep_alive),
                (Method::Head, keep_alive)
            );
        }
    }

    #[test]
    fn what_is_not_answered() {
        assert_eq!(parse(b""), Received::Incomplete);
        assert_eq!(
            parse(b"GET /metrics HTTP/1.1\r\nHost: a\r\n"),
            Received::Incomplete
        );
        refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
        refused(b"GET / HTTP/2.0\r\n\r\n", 400);
        refused(b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413);
        refused(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413);
        let long = format!("GET /{} HTTP/1.1", "a".repeat(MAX_HEAD));
        refused(long.as_bytes(), 431);
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_HEADERS + 1)
        );
        refused(many.as_bytes(), 431);
    }
}
