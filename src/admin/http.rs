//! As much of HTTP/1.1 as the admin port speaks: request heads, short bodies, whole answers.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Serialize;

use crate::config::Secret;
use crate::control::PendingCommand;

/// Bytes of a request head.
const MAX_REQUEST_HEAD_BYTES: usize = 8 * 1024;
/// Bytes of a request body: a name or a level.
const MAX_REQUEST_BODY_BYTES: usize = 4 * 1024;
/// Bytes of a request.
pub(super) const MAX_REQUEST_BYTES: usize = MAX_REQUEST_HEAD_BYTES + MAX_REQUEST_BODY_BYTES;
/// Header lines of a request.
const MAX_REQUEST_HEADERS: usize = 64;

/// The bytes received so far, as a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParsedRequest {
    /// The request goes on.
    Incomplete,
    /// A whole request.
    Request(AdminRequest),
    /// No valid request: the answer is this status, and the connection ends.
    Refused(u16),
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AdminRequest {
    /// Bytes of the head and the body.
    pub(super) length: usize,
    pub(super) method: AdminMethod,
    /// Path without the query.
    pub(super) path: String,
    /// The name, with its port, by which the client asks.
    pub(super) host: Option<String>,
    /// The client may send another request on this connection.
    pub(super) keep_alive: bool,
    /// The token behind `Authorization: Bearer`.
    pub(super) bearer: Option<Secret>,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdminMethod {
    Get,
    Head,
    Post,
    Other,
}

/// Looks for a request at the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> ParsedRequest {
    let mut headers = [httparse::EMPTY_HEADER; MAX_REQUEST_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let most = bytes.get(..MAX_REQUEST_HEAD_BYTES).unwrap_or(bytes);
    let head_length = match head.parse(most) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST_HEAD_BYTES => {
            return ParsedRequest::Incomplete;
        }
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return ParsedRequest::Refused(431);
        }
        Err(_) => return ParsedRequest::Refused(400),
    };
    let method = match head.method {
        Some("GET") => AdminMethod::Get,
        Some("HEAD") => AdminMethod::Head,
        Some("POST") => AdminMethod::Post,
        _ => AdminMethod::Other,
    };
    let mut keep_alive = head.version == Some(1);
    let mut bearer = None;
    let mut host = None;
    let mut body_length = None;
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("transfer-encoding") {
            return ParsedRequest::Refused(413);
        }
        if is("content-length") {
            match length_of(header.value) {
                // Two that differ are how requests are smuggled past a proxy.
                Some(length) if body_length.is_none_or(|it| it == length) => {
                    body_length = Some(length);
                }
                _ => return ParsedRequest::Refused(400),
            }
        }
        if is("host") {
            let name = String::from_utf8_lossy(header.value).into_owned();
            // RFC 9112 section 3.2.
            if host.replace(name).is_some() {
                return ParsedRequest::Refused(400);
            }
        }
        if is("authorization") {
            bearer = token(header.value);
        }
        if is("connection") && has_close(header.value) {
            keep_alive = false;
        }
    }
    let body_length = body_length.unwrap_or(0);
    let may_have_one = matches!(method, AdminMethod::Post | AdminMethod::Other);
    if body_length
        > if may_have_one {
            MAX_REQUEST_BODY_BYTES
        } else {
            0
        }
    {
        return ParsedRequest::Refused(413);
    }
    let length = head_length + body_length;
    let Some(body) = bytes.get(head_length..length) else {
        return ParsedRequest::Incomplete;
    };
    let path = head.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    ParsedRequest::Request(AdminRequest {
        length,
        method,
        path: path.to_owned(),
        host,
        keep_alive,
        bearer,
        body: body.to_vec(),
    })
}

/// The length of the whole request that `bytes` begin with. For the fuzz target `http_head`.
pub fn request_length(bytes: &[u8]) -> Option<usize> {
    match parse(bytes) {
        ParsedRequest::Request(request) => Some(request.length),
        ParsedRequest::Incomplete | ParsedRequest::Refused(_) => None,
    }
}

/// The length of a body; a number that is too large for a machine word is still too large.
fn length_of(value: &[u8]) -> Option<usize> {
    let value = std::str::from_utf8(value).ok()?;
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(usize::MAX))
}

fn token(value: &[u8]) -> Option<Secret> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Secret::new(token.trim()))
}

fn has_close(value: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// An answer.
#[derive(Debug)]
pub(super) struct AdminResponse {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// Further header lines, each with its end.
    pub(super) headers: String,
}

const CONTENT_TYPE_JSON: &str = "application/json";

impl AdminResponse {
    /// The status in words, for people.
    pub(super) fn plain(status: u16) -> AdminResponse {
        let body = format!("{status} {}\n", reason(status));
        AdminResponse {
            status,
            content_type: "text/plain; charset=utf-8",
            body,
            headers: String::new(),
        }
    }

    /// The method is not for this page.
    pub(super) fn only(methods: &str) -> AdminResponse {
        AdminResponse {
            headers: format!("Allow: {methods}\r\n"),
            ..AdminResponse::plain(405)
        }
    }

    /// A value as JSON.
    pub(super) fn json(status: u16, value: &impl Serialize) -> AdminResponse {
        AdminResponse {
            status,
            content_type: CONTENT_TYPE_JSON,
            // Our values are texts and numbers, which always have a JSON form.
            body: serde_json::to_string(value).unwrap_or_default(),
            headers: String::new(),
        }
    }

    /// An error message as JSON.
    pub(super) fn error(status: u16, words: &str) -> AdminResponse {
        AdminResponse::json(status, &serde_json::json!({ "error": words }))
    }

    /// The bytes to send; to a `HEAD` without the body, but with its length.
    pub(super) fn bytes(&self, method: AdminMethod, keep_alive: bool, now: Timestamp) -> Vec<u8> {
        let AdminResponse {
            status,
            content_type,
            body,
            headers,
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
        text.push_str(headers);
        text.push_str("\r\n");
        if method != AdminMethod::Head {
            text.push_str(body);
        }
        text.into_bytes()
    }
}

/// The reply to a request: there now, or when the supervisor has answered.
pub(super) enum AdminReply {
    Now(AdminResponse),
    Later(PendingCommand),
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], status: u16) {
        assert_eq!(parse(bytes), ParsedRequest::Refused(status));
    }

    #[test]
    fn heads_are_understood() {
        let ParsedRequest::Request(request) =
            parse(b"GET /metrics?x=1 HTTP/1.1\r\nA: b\r\n\r\nGET")
        else {
            panic!("a whole head")
        };
        assert_eq!((request.length, request.keep_alive), (35, true));
        assert_eq!(
            (request.method, request.path.as_str()),
            (AdminMethod::Get, "/metrics")
        );
        for (head, keep_alive) in [
            ("HEAD / HTTP/1.0\r\n\r\n", false),
            ("HEAD / HTTP/1.1\r\nconnection: x, Close\r\n\r\n", false),
            ("HEAD / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true),
        ] {
            let ParsedRequest::Request(request) = parse(head.as_bytes()) else {
                panic!("{head}")
            };
            assert_eq!(
                (request.method, request.keep_alive),
                (AdminMethod::Head, keep_alive)
            );
        }
    }

    #[test]
    fn bodies_are_short_and_whole() {
        let head =
            "POST /api/pause HTTP/1.1\r\nAuthorization: bearer  abc\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(parse(head.as_bytes()), ParsedRequest::Incomplete);
        let ParsedRequest::Request(request) = parse(format!("{head}abcGET").as_bytes()) else {
            panic!("a whole request")
        };
        assert_eq!(request.length, head.len() + 3);
        assert_eq!(
            (request.method, &*request.body),
            (AdminMethod::Post, &b"abc"[..])
        );
        assert_eq!(request.bearer.unwrap().expose(), "abc");
        for (length, status) in [
            ("4097", 413),
            ("99999999999999999999", 413),
            ("-1", 400),
            ("", 400),
        ] {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            refused(head.as_bytes(), status);
        }
        refused(
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        );
        let basic = b"GET / HTTP/1.1\r\nAuthorization: Basic abc\r\n\r\n";
        let ParsedRequest::Request(request) = parse(basic) else {
            panic!("a whole request")
        };
        assert_eq!(request.bearer, None);
    }

    #[test]
    fn what_is_not_answered() {
        assert_eq!(parse(b""), ParsedRequest::Incomplete);
        assert_eq!(
            parse(b"GET /metrics HTTP/1.1\r\nHost: a\r\n"),
            ParsedRequest::Incomplete
        );
        refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
        refused(b"GET / HTTP/2.0\r\n\r\n", 400);
        refused(b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 413);
        refused(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413);
        let long = format!("GET /{} HTTP/1.1", "a".repeat(MAX_REQUEST_HEAD_BYTES));
        refused(long.as_bytes(), 431);
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_REQUEST_HEADERS + 1)
        );
        refused(many.as_bytes(), 431);
    }
}
