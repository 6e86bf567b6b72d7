//! One connection to the admin port, without ever waiting for it.
//!
//! Each phase has a deadline: a client that stops in the middle is dropped.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::http::{self, AdminMethod, AdminReply, AdminResponse, MAX_REQUEST_BYTES, ParsedRequest};
use super::pages::AdminPages;
use crate::control::PendingCommand;

/// From the connection, or the first byte of a further request, to its end.
const REQUEST_RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two requests.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// For the client to take an answer.
const RESPONSE_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// For the supervisor to answer a command; a reload may have to log in anew.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// How often we look for its answer.
pub(super) const COMMAND_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// From our end of the connection to the client's.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Reads, answers and writes in one turn, so that one busy client does not hold up the others.
const MAX_STEPS_PER_TURN: usize = 16;

/// A connection and what is left to do on it.
#[derive(Debug)]
pub(super) struct AdminConnection {
    stream: TcpStream,
    phase: ConnectionPhase,
    /// When the phase began.
    since: Instant,
    wants: PollInterest,
    received: Vec<u8>,
}

/// The phase of a connection, in the order in which connections are closed for new ones.
#[derive(Debug)]
enum ConnectionPhase {
    /// The last answer is sent and our end closed; what the client still sends is thrown away. Closing with
    /// unread bytes would reset the connection and could take the answer with it.
    Drain,
    /// Between two requests.
    Idle,
    /// A request is awaited.
    Head,
    /// The supervisor's answer is awaited.
    Command {
        pending: PendingCommand,
        keep_alive: bool,
    },
    /// An answer is being sent.
    Answer {
        bytes: Vec<u8>,
        sent: usize,
        keep_alive: bool,
    },
}

/// The event that a connection waits for after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollInterest {
    /// Bytes from the client.
    Read,
    /// Room for bytes to the client.
    Write,
    /// Another turn: there is more to do already.
    Turn,
    /// Another turn in a while.
    Later,
}

impl AdminConnection {
    pub(super) fn new(stream: TcpStream, now: Instant) -> io::Result<AdminConnection> {
        stream.set_nonblocking(true)?;
        // Answers are written whole; there is nothing to collect.
        stream.set_nodelay(true)?;
        Ok(AdminConnection {
            stream,
            phase: ConnectionPhase::Head,
            since: now,
            wants: PollInterest::Read,
            received: Vec::new(),
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// When the connection is dropped unless its phase ends before.
    pub(super) fn deadline(&self) -> Instant {
        self.since
            + match self.phase {
                ConnectionPhase::Drain => DRAIN_TIMEOUT,
                ConnectionPhase::Idle => KEEP_ALIVE_TIMEOUT,
                ConnectionPhase::Head => REQUEST_RECEIVE_TIMEOUT,
                ConnectionPhase::Command { .. } => COMMAND_TIMEOUT + RESPONSE_SEND_TIMEOUT,
                ConnectionPhase::Answer { .. } => RESPONSE_SEND_TIMEOUT,
            }
    }

    /// When there are too many connections, the one with the smallest priority is closed first: by
    /// phase, then by age.
    pub(super) fn priority(&self) -> (u8, Instant) {
        let phase = match self.phase {
            ConnectionPhase::Drain => 0,
            ConnectionPhase::Idle => 1,
            ConnectionPhase::Head => 2,
            ConnectionPhase::Answer { .. } => 3,
            ConnectionPhase::Command { .. } => 4,
        };
        (phase, self.since)
    }

    /// From when on the connection may be closed for a new one. A request or an answer gets `grace` to
    /// move first; a connection that is idle gets none.
    pub(super) fn evictable_from(&self, grace: Duration) -> Instant {
        match self.phase {
            ConnectionPhase::Drain | ConnectionPhase::Idle => self.since,
            ConnectionPhase::Head
            | ConnectionPhase::Answer { .. }
            | ConnectionPhase::Command { .. } => self.since + grace,
        }
    }

    /// The event that the connection waits for since its last turn.
    pub(super) fn wants(&self) -> PollInterest {
        self.wants
    }

    /// Does what can be done now; false when the connection is over.
    pub(super) fn turn(&mut self, pages: &AdminPages, now: Instant) -> bool {
        for _ in 0..MAX_STEPS_PER_TURN {
            let step = match self.phase {
                ConnectionPhase::Drain => self.drain(),
                ConnectionPhase::Idle | ConnectionPhase::Head => self.request(pages, now),
                ConnectionPhase::Command { .. } => self.command(now),
                ConnectionPhase::Answer { .. } => self.send(now),
            };
            // An error of a socket means that the client is gone; that is no fault of the bridge.
            let Ok(Some(wants)) = step else { return false };
            self.wants = wants;
            if wants != PollInterest::Turn {
                break;
            }
        }
        true
    }

    /// Reads until there is a whole request and prepares its answer; `None` at the end.
    fn request(&mut self, pages: &AdminPages, now: Instant) -> io::Result<Option<PollInterest>> {
        let (reply, method, keep_alive) = match http::parse(&self.received) {
            ParsedRequest::Incomplete => match self.fill() {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    if matches!(self.phase, ConnectionPhase::Idle) {
                        self.enter(ConnectionPhase::Head, now);
                    }
                    return Ok(Some(PollInterest::Turn));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => {
                    return Ok(Some(PollInterest::Read));
                }
                Err(err) => return Err(err),
            },
            ParsedRequest::Request(request) => {
                self.received.drain(..request.length);
                (pages.answer(&request), request.method, request.keep_alive)
            }
            ParsedRequest::Refused(status) => (
                AdminReply::Now(AdminResponse::plain(status)),
                AdminMethod::Get,
                false,
            ),
        };
        match reply {
            AdminReply::Now(answer) => self.answer(&answer, method, keep_alive, now),
            AdminReply::Later(pending) => self.enter(
                ConnectionPhase::Command {
                    pending,
                    keep_alive,
                },
                now,
            ),
        }
        Ok(Some(PollInterest::Turn))
    }

    fn answer(
        &mut self,
        answer: &AdminResponse,
        method: AdminMethod,
        keep_alive: bool,
        now: Instant,
    ) {
        let phase = ConnectionPhase::Answer {
            bytes: answer.bytes(method, keep_alive, Timestamp::now()),
            sent: 0,
            keep_alive,
        };
        self.enter(phase, now);
    }

    /// Looks whether the supervisor has answered.
    fn command(&mut self, now: Instant) -> io::Result<Option<PollInterest>> {
        let ConnectionPhase::Command {
            pending,
            keep_alive,
        } = &self.phase
        else {
            return Ok(Some(PollInterest::Turn));
        };
        let answer = match pending.answer() {
            Some(Ok(words)) => AdminResponse::json(200, &serde_json::json!({ "done": words })),
            Some(Err(words)) => AdminResponse::error(409, &words),
            None if now < self.since + COMMAND_TIMEOUT => return Ok(Some(PollInterest::Later)),
            None => {
                AdminResponse::error(504, "the supervisor has not answered yet; look at the log")
            }
        };
        let keep_alive = *keep_alive;
        self.answer(&answer, AdminMethod::Post, keep_alive, now);
        Ok(Some(PollInterest::Turn))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 2048];
        // Never more than a request: what follows it stays in the socket.
        let room = MAX_REQUEST_BYTES
            .saturating_sub(self.received.len())
            .min(chunk.len());
        let chunk = chunk.get_mut(..room).unwrap_or_default();
        let count = retried(|| self.stream.read(chunk))?;
        self.received
            .extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn send(&mut self, now: Instant) -> io::Result<Option<PollInterest>> {
        let ConnectionPhase::Answer {
            bytes,
            sent,
            keep_alive,
        } = &mut self.phase
        else {
            return Ok(Some(PollInterest::Turn));
        };
        let rest = bytes.get(*sent..).unwrap_or_default();
        match retried(|| self.stream.write(rest)) {
            Ok(count) => *sent += count,
            Err(err) if err.kind() == ErrorKind::WouldBlock => {
                return Ok(Some(PollInterest::Write));
            }
            Err(err) => return Err(err),
        }
        if *sent < bytes.len() {
            return Ok(Some(PollInterest::Write));
        }
        if !*keep_alive {
            self.stream.shutdown(Shutdown::Write)?;
            self.enter(ConnectionPhase::Drain, now);
        } else if self.received.is_empty() {
            self.enter(ConnectionPhase::Idle, now);
        } else {
            self.enter(ConnectionPhase::Head, now);
        }
        Ok(Some(PollInterest::Turn))
    }

    fn drain(&mut self) -> io::Result<Option<PollInterest>> {
        let mut chunk = [0; 4096];
        match retried(|| self.stream.read(&mut chunk)) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(PollInterest::Turn)),
            Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(Some(PollInterest::Read)),
            Err(err) => Err(err),
        }
    }

    fn enter(&mut self, phase: ConnectionPhase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }
}

/// Does it again when a signal came in between.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
