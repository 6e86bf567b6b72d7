//! Accepts connections and serves each on a thread of its own.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::error::Error;
use crate::http::answer::Answer;
use crate::http::{Incoming, Reader, Request, body};
use crate::stop::{Stop, Trigger, pair};

/// Section 1.8: `Keep-Alive: timeout=70`; a little more, so that the client's end is the first.
const IDLE: Duration = Duration::from_secs(75);
/// A client that takes nothing for this long is given up.
const WRITE: Duration = Duration::from_secs(120);

/// Answers requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request and tells about it once the answer was sent.
    fn serve(&self, request: &Request, stop: &Stop) -> Reply;
    /// The answer was written, or could not be.
    fn sent(&self, ticket: u64, bytes: u64);
}

/// An answer, with what the writer needs to know.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) gzip: bool,
    /// Names the request in the log.
    pub(crate) ticket: u64,
}

/// A running listener.
#[derive(Debug)]
pub(crate) struct Server {
    addr: SocketAddr,
    // Dropped first: tells every thread to end.
    trigger: Option<Trigger>,
    accept: Option<JoinHandle<()>>,
    open: Arc<Mutex<HashMap<u64, TcpStream>>>,
}

impl Server {
    /// Listens and serves until stopped.
    pub(crate) fn start(
        addr: &str,
        max_connections: usize,
        service: Arc<dyn Service>,
    ) -> Result<Server, Error> {
        let io = |what| move |source| Error::Io { what, source };
        let listener = TcpListener::bind(addr).map_err(io("listen"))?;
        let addr = listener.local_addr().map_err(io("listen"))?;
        let (trigger, stop) = pair();
        let open = Arc::new(Mutex::new(HashMap::new()));
        let connections = Arc::clone(&open);
        let accept = Builder::new()
            .name("sim-accept".to_owned())
            .spawn(move || accept(&listener, max_connections, &service, &connections, &stop))
            .map_err(io("start a thread"))?;
        Ok(Server {
            addr,
            trigger: Some(trigger),
            accept: Some(accept),
            open,
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends all connections, as a restart of the node does (section 10).
    pub(crate) fn drop_connections(&self) {
        for stream in self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            // A socket that is closed already is what we want.
            stream.shutdown(Shutdown::Both).unwrap_or(());
        }
    }

    /// Connections that are open now.
    pub(crate) fn connections(&self) -> usize {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.trigger.take());
        // Wakes the accept loop, which then sees the stop; it ends all connections and joins.
        drop(TcpStream::connect_timeout(
            &self.addr,
            Duration::from_secs(1),
        ));
        if let Some(thread) = self.accept.take() {
            // A panic there was reported by its own thread.
            thread.join().unwrap_or(());
        }
    }
}

fn accept(
    listener: &TcpListener,
    max_connections: usize,
    service: &Arc<dyn Service>,
    open: &Arc<Mutex<HashMap<u64, TcpStream>>>,
    stop: &Stop,
) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    let mut next: u64 = 0;
    loop {
        let accepted = listener.accept();
        if stop.is_stopped() {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: wait for some to come back.
            stop.wait(Duration::from_millis(50));
            continue;
        };
        next += 1;
        let id = next;
        let Ok(copy) = stream.try_clone() else {
            continue;
        };
        if threads.len() >= max_connections {
            continue;
        }
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, copy);
        let (service, open, stop) = (Arc::clone(service), Arc::clone(open), stop.clone());
        let thread = Builder::new().name("sim-conn".to_owned()).spawn(move || {
            let copy = open.clone();
            connection(stream, id, service.as_ref(), &stop, &copy);
        });
        if let Ok(thread) = thread {
            threads.push(thread);
        }
    }
    for stream in open.lock().unwrap_or_else(PoisonError::into_inner).values() {
        stream.shutdown(Shutdown::Both).unwrap_or(());
    }
    for thread in threads {
        thread.join().unwrap_or(());
    }
}

/// Serves one connection until either side ends it.
fn connection(
    stream: TcpStream,
    id: u64,
    service: &dyn Service,
    stop: &Stop,
    open: &Mutex<HashMap<u64, TcpStream>>,
) {
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(IDLE)))
        .and_then(|()| stream.set_write_timeout(Some(WRITE)));
    let mut reader = Reader {
        stream: &stream,
        buffer: Vec::new(),
    };
    while ready.is_ok() && !stop.is_stopped() {
        let request = match reader.next(id) {
            Ok(Incoming::Request(request)) => request,
            Ok(Incoming::Bad) => {
                // Tomcat's answer to an oversized or broken head (section 2.6).
                let answer = Answer::html(400, "<html><body>Bad Request</body></html>").closing();
                drop(body::send(&stream, answer, false, false, stop));
                break;
            }
            Ok(Incoming::Closed) | Err(_) => break,
        };
        let reply = service.serve(&request, stop);
        let close = request.wants_close();
        let sent = body::send(
            &stream,
            reply.answer,
            reply.gzip,
            request.method == "HEAD",
            stop,
        );
        service.sent(reply.ticket, sent.as_ref().map_or(0, |sent| sent.bytes));
        if close || !sent.is_ok_and(|sent| sent.keep) {
            break;
        }
    }
    // Both handles must go, or the client would wait for an end that never comes.
    drop(
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id),
    );
    drop(stream);
}
