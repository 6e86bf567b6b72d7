//! A server that answers from a script, byte for byte, and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::stop::{self, Stop, StopTrigger};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequest {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
    /// Number of its connection, from 1.
    pub(crate) connection: usize,
}

impl SeenRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What the server does for one request, in order; then it takes the next one.
#[derive(Debug, Clone)]
pub(crate) enum ServerAction {
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

/// Numbers the request, from 0, and says what to do.
type ServerScript = Arc<dyn Fn(usize, &SeenRequest) -> Vec<ServerAction> + Send + Sync>;

pub(crate) struct ScriptedServer {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<SeenRequest>>>,
    stopping: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
    /// Dropped to end waits.
    trigger: Option<StopTrigger>,
}

impl ScriptedServer {
    pub(crate) fn start(
        script: impl Fn(usize, &SeenRequest) -> Vec<ServerAction> + Send + Sync + 'static,
    ) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (trigger, stop) = stop::pair();
        let script: ServerScript = Arc::new(script);
        let accept = spawn({
            let (seen, stopping) = (Arc::clone(&seen), Arc::clone(&stopping));
            let connections = AtomicUsize::new(0);
            move || {
                for stream in listener.incoming() {
                    if stopping.load(SeqCst) {
                        break;
                    }
                    let connection = connections.fetch_add(1, SeqCst) + 1;
                    let (seen, script, stop) =
                        (Arc::clone(&seen), Arc::clone(&script), stop.clone());
                    // Ends when the client closes its end, or with the stop.
                    drop(spawn(move || {
                        serve(stream.unwrap(), connection, &seen, &script, &stop);
                    }));
                }
            }
        });
        ScriptedServer {
            addr,
            seen,
            stopping,
            accept: Some(accept),
            trigger: Some(trigger),
        }
    }

    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests whose line contains `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.line.contains(part))
            .count()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.stopping.store(true, SeqCst);
        drop(self.trigger.take());
        drop(TcpStream::connect(self.addr));
        self.accept.take().unwrap().join().unwrap();
    }
}

pub(crate) fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new()
        .name("test".into())
        .spawn(run)
        .unwrap()
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<SeenRequest>>,
    script: &ServerScript,
    stop: &Stop,
) {
    while let Some(request) = read(&mut stream, connection) {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        for act in script(number, &request) {
            match act {
                ServerAction::Send(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                ServerAction::Wait(time) => {
                    if stop.wait(time) {
                        return;
                    }
                }
                ServerAction::Close => return,
            }
        }
    }
}

fn read(stream: &mut TcpStream, connection: usize) -> Option<SeenRequest> {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let mut seen = SeenRequest {
        line: head.lines().next()?.to_owned(),
        head,
        body: String::new(),
        at: Instant::now(),
        connection,
    };
    let length: usize = seen
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}

/// A whole answer with a length.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> Vec<ServerAction> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    vec![ServerAction::Send(text.into_bytes())]
}

pub(crate) const JSON_HEADER: &str = "Content-Type: application/json;charset=UTF-8";
