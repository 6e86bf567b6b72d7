//! HTTP/1.1 on plain sockets: request heads and bodies in, chunked answers out.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod server;
pub(crate) mod url;

use std::io::{self, Read};
use std::net::TcpStream;

/// Heads beyond this are refused with 400 "Request header is too large" (section 2.6).
const MAX_HEAD: usize = 65_536;
/// Bodies beyond this end the connection; the platform's own cap is 10 MB (section 2.6).
const MAX_BODY: usize = 32 << 20;

/// One request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) connection: u64,
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    /// Decoded path.
    pub(crate) path: String,
    /// Query as sent.
    pub(crate) raw_query: String,
    /// Decoded query parameters.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A query parameter's first value. Names are case-sensitive (section 2.2).
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean parameter: `true`, anything else is false (section 2.2).
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.param(name) == Some("true")
    }

    fn wants_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// What came from the socket.
enum Incoming {
    Request(Box<Request>),
    /// The client is gone or was silent for too long.
    Closed,
    /// Not HTTP, or too large.
    Bad,
}

/// Reads requests from one connection.
struct Reader<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    fn next(&mut self, connection: u64) -> io::Result<Incoming> {
        loop {
            if let Some((mut request, length)) = match self.head(connection) {
                Ok(found) => found,
                Err(_) => return Ok(Incoming::Bad),
            } {
                self.buffer.drain(..length);
                return Ok(match self.body(&request)? {
                    Some(body) => {
                        request.body = body;
                        Incoming::Request(Box::new(request))
                    }
                    None => Incoming::Bad,
                });
            }
            if self.buffer.len() > MAX_HEAD {
                return Ok(Incoming::Bad);
            }
            if !self.fill()? {
                return Ok(Incoming::Closed);
            }
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16_384];
        let count = match self.stream.read(&mut chunk) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => return Ok(true),
            other => other?,
        };
        self.buffer
            .extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    fn head(&self, connection: u64) -> Result<Option<(Request, usize)>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = parsed.parse(&self.buffer)? else {
            return Ok(None);
        };
        let target = parsed.path.unwrap_or("/").to_owned();
        let (path, raw_query) = target.split_once('?').unwrap_or((&target, ""));
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let request = Request {
            connection,
            method: parsed.method.unwrap_or_default().to_owned(),
            path: url::decode(path, false),
            raw_query: raw_query.to_owned(),
            params: url::pairs(raw_query),
            headers: parsed
                .headers
                .iter()
                .map(|h| (h.name.to_owned(), text(h.value)))
                .collect(),
            body: Vec::new(),
            target,
        };
        Ok(Some((request, length)))
    }

    fn body(&mut self, request: &Request) -> io::Result<Option<Vec<u8>>> {
        let waits = request
            .header("expect")
            .is_some_and(|it| it.starts_with("100"));
        if waits {
            io::Write::write_all(&mut &*self.stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request
            .header("transfer-encoding")
            .is_some_and(|it| it.contains("chunked"))
        {
            return self.chunks();
        }
        let Some(length) = request.header("content-length") else {
            return Ok(Some(Vec::new()));
        };
        match length.trim().parse::<usize>() {
            Ok(length) if length <= MAX_BODY => self.take(length),
            _ => Ok(None),
        }
    }

    /// Takes exactly `length` bytes; `None` when the client ends early.
    fn take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.buffer.len() < length {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.drain(..length).collect()))
    }

    fn chunks(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        loop {
            let (start, size) = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete((start, size))) => break (start, size),
                    Ok(httparse::Status::Partial) if self.fill()? => {}
                    Ok(httparse::Status::Partial) | Err(_) => return Ok(None),
                }
            };
            self.buffer.drain(..start);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > MAX_BODY.saturating_sub(body.len()) {
                return Ok(None);
            }
            let Some(data) = self.take(size)? else {
                return Ok(None);
            };
            body.extend(data);
            if self.take(2)?.is_none() {
                return Ok(None);
            }
            if size == 0 {
                return Ok(Some(body));
            }
        }
    }
}
