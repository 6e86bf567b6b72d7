//! Writes answers: chunked, with gzip when asked, in few system calls.

use std::fmt::Write as _;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::answer::{Answer, Body, Breakage, reason};
use crate::stop::Stop;

/// Chunks are written when they reach this size: large enough that system calls do not matter,
/// small enough to bound memory per connection.
const CHUNK: usize = 256 << 10;

/// What became of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Body bytes written, compressed ones if compressed.
    pub(crate) bytes: u64,
    /// Whether the connection may serve another request.
    pub(crate) keep: bool,
}

/// Writes one answer. `head_only` leaves the body out (HEAD, checklist 19).
pub(crate) fn send(
    stream: &TcpStream,
    answer: Answer,
    gzip: bool,
    head_only: bool,
    stop: &Stop,
) -> io::Result<Sent> {
    if answer.breakage == Breakage::ResetFirst {
        reset(stream);
        return Ok(Sent {
            bytes: 0,
            keep: false,
        });
    }
    let encoded = answer
        .headers
        .iter()
        .any(|(name, _)| *name == "Content-Encoding");
    let gzip = gzip && !encoded;
    let no_body = matches!(answer.status, 202 | 204);
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        if !(no_body && *name == "Content-Type") {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
    }
    if no_body {
        head.push_str(if answer.status == 202 {
            "Content-Length: 0\r\n"
        } else {
            ""
        });
    } else {
        head.push_str("Transfer-Encoding: chunked\r\n");
        if gzip {
            head.push_str("Content-Encoding: gzip\r\n");
        }
    }
    head.push_str(if answer.close {
        "Connection: close\r\n\r\n"
    } else {
        "\r\n"
    });
    let keep = !answer.close;
    let mut out = stream;
    if no_body || head_only {
        out.write_all(head.as_bytes())?;
        return Ok(Sent { bytes: 0, keep });
    }
    if answer.breakage != Breakage::None {
        return send_broken(stream, &head, answer, gzip, stop);
    }
    let mut writer = Writer::new(stream, head, gzip);
    match &answer.body {
        Body::Bytes(bytes) => writer.put(bytes)?,
        Body::Rows(rows, shape) => shape.write_page(rows, |part| writer.put(part))?,
    }
    Ok(Sent {
        bytes: writer.finish()?,
        keep,
    })
}

/// `unit` repeated `times` between `before` and `after`, as gzip.
///
/// # Errors
/// None that memory does not have.
pub fn gzipped(before: &str, unit: &str, times: usize, after: &str) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(before.as_bytes())?;
    let many = unit.repeat(1_000);
    for _ in 0..times / 1_000 {
        gzip.write_all(many.as_bytes())?;
    }
    gzip.write_all(after.as_bytes())?;
    gzip.finish()
}

/// Collects body bytes into chunks.
struct Writer<'a> {
    stream: &'a TcpStream,
    /// The head, until the first chunk takes it along.
    head: String,
    chunk: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    bytes: u64,
}

impl<'a> Writer<'a> {
    fn new(stream: &'a TcpStream, head: String, gzip: bool) -> Writer<'a> {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Writer {
            stream,
            head,
            chunk: Vec::new(),
            gzip,
            bytes: 0,
        }
    }

    fn put(&mut self, part: &[u8]) -> io::Result<()> {
        match &mut self.gzip {
            Some(gzip) => {
                gzip.write_all(part)?;
                self.chunk.append(gzip.get_mut());
            }
            None => {
                // Large parts are split, so that one row cannot make one huge chunk.
                if self.chunk.capacity() == 0 {
                    self.chunk
                        .reserve(if part.len() < 4096 { 4096 } else { CHUNK });
                }
                self.chunk.extend_from_slice(part);
            }
        }
        if self.chunk.len() >= CHUNK {
            self.flush(false)
        } else {
            Ok(())
        }
    }

    fn flush(&mut self, last: bool) -> io::Result<()> {
        let mut prefix = std::mem::take(&mut self.head);
        if !self.chunk.is_empty() {
            self.bytes += self.chunk.len() as u64;
            write!(prefix, "{:x}\r\n", self.chunk.len()).map_err(io::Error::other)?;
            self.chunk.extend_from_slice(b"\r\n");
        }
        if last {
            self.chunk.extend_from_slice(b"0\r\n\r\n");
        }
        write_both(self.stream, prefix.as_bytes(), &self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        if let Some(gzip) = self.gzip.take() {
            self.chunk.append(&mut gzip.finish()?);
        }
        self.flush(true)?;
        Ok(self.bytes)
    }
}

/// Writes two buffers in one system call where the kernel takes them.
fn write_both(mut stream: &TcpStream, first: &[u8], second: &[u8]) -> io::Result<()> {
    let sent = stream.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    if let Some(rest) = first.get(sent..) {
        stream.write_all(rest)?;
        return stream.write_all(second);
    }
    stream.write_all(
        second
            .get(sent.saturating_sub(first.len())..)
            .unwrap_or_default(),
    )
}

/// Sends a body that breaks (checklist 37). The connection never survives.
fn send_broken(
    mut stream: &TcpStream,
    head: &str,
    answer: Answer,
    gzip: bool,
    stop: &Stop,
) -> io::Result<Sent> {
    let mut bytes = answer.body.into_bytes();
    if answer.breakage == Breakage::CutJson {
        bytes.truncate(bytes.len() / 2);
    }
    if gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes)?;
        bytes = encoder.finish()?;
    }
    let at = match answer.breakage {
        Breakage::None | Breakage::ResetFirst | Breakage::CutJson => bytes.len(),
        Breakage::ResetMidBody(at) | Breakage::CutChunks(at) => {
            at.unwrap_or(bytes.len() / 2).min(bytes.len())
        }
        Breakage::CutGzip | Breakage::Stall(_) => bytes.len() / 2,
    };
    let sent = bytes.get(..at).unwrap_or_default();
    // The chunk promises all bytes where the break must be visible in the framing.
    let promised = match answer.breakage {
        Breakage::CutJson | Breakage::CutGzip => sent.len(),
        _ => bytes.len().max(1),
    };
    stream.write_all(format!("{head}{promised:x}\r\n").as_bytes())?;
    stream.write_all(sent)?;
    let count = sent.len() as u64;
    match answer.breakage {
        Breakage::CutJson | Breakage::CutGzip => {
            stream.write_all(b"\r\n0\r\n\r\n")?;
            return Ok(Sent {
                bytes: count,
                keep: !answer.close,
            });
        }
        Breakage::ResetMidBody(_) => {
            // A reset may overtake bytes that the client has not read yet; let it read them.
            stop.wait(std::time::Duration::from_millis(20));
            reset(stream);
        }
        Breakage::Stall(time) => {
            stop.wait(time);
        }
        Breakage::None | Breakage::ResetFirst | Breakage::CutChunks(_) => {}
    }
    Ok(Sent {
        bytes: count,
        keep: false,
    })
}

/// Makes the coming close a reset: no lingering, unsent bytes are dropped.
fn reset(stream: &TcpStream) {
    // A failure here leaves an ordinary close, which is an error for the client as well.
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).unwrap_or(());
}
