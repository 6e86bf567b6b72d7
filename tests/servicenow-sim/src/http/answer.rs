//! What is to be sent: status, headers, body, and how the body breaks.

use std::sync::Arc;
use std::time::Duration;

use crate::render::Shape;
use crate::row::Stored;

/// An answer before it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// Rows in the body, for the request log.
    pub(crate) rows: usize,
    /// Close the connection afterwards.
    pub(crate) close: bool,
    pub(crate) breakage: Breakage,
}

/// The body.
#[derive(Debug)]
pub(crate) enum Body {
    /// Bytes that are there already.
    Bytes(Vec<u8>),
    /// `{"result":[...]}` streamed from stored rows.
    Rows(Vec<Arc<Stored>>, Shape),
}

impl Body {
    /// The body as bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Body::Bytes(bytes) => bytes,
            Body::Rows(rows, shape) => {
                let mut bytes = Vec::new();
                shape
                    .write_page(&rows, |part| {
                        bytes.extend_from_slice(part);
                        Ok(())
                    })
                    .unwrap_or_default();
                bytes
            }
        }
    }
}

/// How sending goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breakage {
    /// It does not.
    None,
    /// Nothing is sent, the connection is reset.
    ResetFirst,
    /// Half of the body (or this many bytes), then a reset.
    ResetMidBody(Option<usize>),
    /// Half of the body (or this many bytes), then the end of the stream without the last chunk.
    CutChunks(Option<usize>),
    /// Half of the gzip stream in complete chunks.
    CutGzip,
    /// Half of the JSON text in complete chunks.
    CutJson,
    /// Half of the body, then silence for this long, then the end of the stream.
    Stall(Duration),
}

impl Answer {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer::with_type(status, "application/json;charset=UTF-8", body)
    }

    /// An HTML answer, as load balancers and servlet containers send.
    pub(crate) fn html(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer::with_type(status, "text/html;charset=UTF-8", body)
    }

    /// An answer of any type.
    pub(crate) fn with_type(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body: Body::Bytes(body.into()),
            rows: 0,
            close: false,
            breakage: Breakage::None,
        }
    }

    /// `{"error":{"message":...,"detail":...},"status":"failure"}` (section 2.6).
    pub(crate) fn error(status: u16, message: &str, detail: Option<&str>) -> Answer {
        let body = serde_json::json!({
            "error": { "message": message, "detail": detail },
            "status": "failure",
        });
        Answer::json(status, body.to_string())
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Closes the connection afterwards.
    #[must_use]
    pub(crate) fn closing(mut self) -> Answer {
        self.close = true;
        self
    }
}

/// Reason phrase of a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
