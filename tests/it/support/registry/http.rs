//! HTTP/1.1 with keep-alive on plain sockets, a thread for each connection.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::api::Answer;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    raw_path: String,
    pub(super) query: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

/// What is told about connections and requests.
pub(super) trait Service: Send + Sync + 'static {
    /// A connection came; false ends it.
    fn connected(&self) -> bool;
    /// `None` ends the connection.
    fn answer(&self, request: &Request) -> Option<Answer>;
}

/// A running listener.
pub(super) struct Server {
    addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl Request {
    /// The steps of its path, each decoded: a subject may have a slash in it.
    pub(super) fn steps(&self) -> Vec<String> {
        self.raw_path.split('/').skip(1).map(decoded).collect()
    }

    /// Its decoded path.
    pub(super) fn path(&self) -> String {
        decoded(&self.raw_path)
    }
}

impl Server {
    pub(super) fn start(service: Arc<impl Service>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let accept = Builder::new()
            .name("registry-accept".to_owned())
            .spawn(move || accept(&listener, &service, &stop))
            .unwrap();
        Server {
            addr,
            stopping,
            accept: Some(accept),
        }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, SeqCst);
        // Wakes the accept loop, which ends the connections and joins their threads.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.accept.take() {
            // A panic there was reported by its own thread.
            thread.join().ok();
        }
    }
}

/// Connections that are open, so that the end of the server can end them.
type Open = Arc<Mutex<HashMap<u64, TcpStream>>>;

fn accept(listener: &TcpListener, service: &Arc<impl Service>, stopping: &AtomicBool) {
    let open = Open::default();
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for (id, stream) in (0..).zip(listener.incoming()) {
        if stopping.load(SeqCst) {
            break;
        }
        let stream = stream.unwrap();
        if !service.connected() {
            continue;
        }
        open.lock().unwrap().insert(id, stream.try_clone().unwrap());
        let (service, open) = (Arc::clone(service), Arc::clone(&open));
        threads.retain(|thread| !thread.is_finished());
        let thread = Builder::new().name("registry-conn".to_owned());
        let thread = thread.spawn(move || {
            serve(&stream, service.as_ref());
            // The copy must go as well, or the client never sees the end.
            open.lock().unwrap().remove(&id);
        });
        threads.push(thread.unwrap());
    }
    for stream in open.lock().unwrap().values() {
        stream.shutdown(Shutdown::Both).ok();
    }
    for thread in threads {
        thread.join().ok();
    }
}

/// Answers requests until either side ends the connection.
fn serve(stream: &TcpStream, service: &impl Service) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    while let Some(request) = next(stream, &mut buffer) {
        let Some(answer) = service.answer(&request) else {
            return;
        };
        let text = format!(
            "HTTP/1.1 {} Fake\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n\
             Content-Length: {}\r\n\r\n{}",
            answer.status,
            answer.body.len(),
            answer.body
        );
        if { stream }.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request; `None` at the end of the connection.
fn next(stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let (mut request, head, body) = loop {
        match head(buffer) {
            Some(found) => break found,
            None => fill(stream, buffer)?,
        }
    };
    while buffer.len() < head + body {
        fill(stream, buffer)?;
    }
    request.body = String::from_utf8(buffer[head..head + body].to_vec()).unwrap();
    buffer.drain(..head + body);
    Some(request)
}

fn fill(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 << 10];
    let count = stream.read(&mut chunk).ok().filter(|count| 0 < *count)?;
    buffer.extend_from_slice(&chunk[..count]);
    Some(())
}

/// A request without its body, and the lengths of its head and of its body; `None` while the head is
/// not whole.
fn head(buffer: &[u8]) -> Option<(Request, usize, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(buffer).unwrap() else {
        return None;
    };
    let header = |name: &str| {
        let mut all = parsed.headers.iter();
        let found = all.find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(std::str::from_utf8(found.value).unwrap().to_owned())
    };
    let (path, query) = parsed.path?.split_once('?').unwrap_or((parsed.path?, ""));
    let request = Request {
        method: parsed.method?.to_owned(),
        raw_path: path.to_owned(),
        query: query.to_owned(),
        authorization: header("authorization"),
        body: String::new(),
    };
    let body = header("content-length").map_or(0, |length| length.parse().unwrap());
    Some((request, length, body))
}

/// Percent-decoded.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = std::str::from_utf8(tail.get(..2).unwrap_or_default()).unwrap_or_default();
        match u8::from_str_radix(code, 16) {
            Ok(byte) if *first == b'%' => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
