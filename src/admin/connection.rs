//! One connection to the admin port, without ever waiting for it.
//!
//! Each phase has a deadline: a client that stops in the middle is dropped.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::http::{self, Answer, MAX_REQUEST, Method, Received};
use super::pages::{Pages, Reply};
use crate::control::Pending;

/// From the connection, or the first byte of a further request, to its end.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Between two requests.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// For the client to take an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// For the supervisor to answer a command; a reload may have to log in anew.
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// How often we look for its answer.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// From our end of the connection to the client's.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Reads, answers and writes in one turn, so that one busy client does not hold up the others.
const STEPS_PER_TURN: usize = 16;

/// A connection and what is left to do on it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    phase: Phase,
    /// When the phase began.
    since: Instant,
    wants: Wants,
    received: Vec<u8>,
}

/// In the order in which connections are given up for new ones.
#[derive(Debug)]
enum Phase {
    /// We are done and sent our end; what the client still sends is thrown away. Closing with
    /// unread bytes would reset the connection and could take the answer with it.
    Drain,
    /// Between two requests.
    Idle,
    /// A request is awaited.
    Head,
    /// The supervisor's answer is awaited.
    Command { pending: Pending, keep_alive: bool },
    /// An answer is being sent.
    Answer {
        bytes: Vec<u8>,
        sent: usize,
        keep_alive: bool,
    },
}

/// What a connection waits for after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// Bytes from the client.
    Read,
    /// Room for bytes to the client.
    Write,
    /// Another turn: there is more to do already.
    Turn,
    /// Another turn in a while.
    Later,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, now: Instant) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        // Answers are written whole; there is nothing to collect.
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            phase: Phase::Head,
            since: now,
            wants: Wants::Read,
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
                Phase::Drain => DRAIN_TIME,
                Phase::Idle => IDLE_TIME,
                Phase::Head => HEAD_TIME,
                Phase::Command { .. } => COMMAND_TIME + ANSWER_TIME,
                Phase::Answer { .. } => ANSWER_TIME,
            }
    }

    /// Which connection is given up first when there are too many: the smallest.
    pub(super) fn worth(&self) -> (u8, Instant) {
        let phase = match self.phase {
            Phase::Drain => 0,
            Phase::Idle => 1,
            Phase::Head => 2,
            Phase::Answer { .. } => 3,
            Phase::Command { .. } => 4,
        };
        (phase, self.since)
    }

    /// From when on the connection may be given up. One that just came has its request still
    /// under way.
    pub(super) fn expendable(&self, grace: Duration) -> Instant {
        match self.phase {
            Phase::Drain | Phase::Idle => self.since,
            Phase::Head | Phase::Answer { .. } | Phase::Command { .. } => self.since + grace,
        }
    }

    /// What the last turn ended with.
    pub(super) fn wants(&self) -> Wants {
        self.wants
    }

    /// Does what can be done now; false when the connection is over.
    pub(super) fn turn(&mut self, pages: &Pages, now: Instant) -> bool {
        for _ in 0..STEPS_PER_TURN {
            let step = match self.phase {
                Phase::Drain => self.drain(),
                Phase::Idle | Phase::Head => self.request(pages, now),
                Phase::Command { .. } => self.command(now),
                Phase::Answer { .. } => self.send(now),
            };
            // An error of a socket means that the client is gone, which is nobody's concern.
            let Ok(Some(wants)) = step else { return false };
            self.wants = wants;
            if wants != Wants::Turn {
                break;
            }
        }
        true
    }

    /// Reads until there is a whole request and prepares its answer; `None` at the end.
    fn request(&mut self, pages: &Pages, now: Instant) -> io::Result<Option<Wants>> {
        let (reply, method, keep_alive) = match http::parse(&self.received) {
            Received::Incomplete => match self.fill() {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    if matches!(self.phase, Phase::Idle) {
                        self.enter(Phase::Head, now);
                    }
                    return Ok(Some(Wants::Turn));
                }
                Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(Some(Wants::Read)),
                Err(err) => return Err(err),
            },
            Received::Request(request) => {
                self.received.drain(..request.length);
                (pages.answer(&request), request.method, request.keep_alive)
            }
            Received::Refused(status) => (Reply::Now(Answer::plain(status)), Method::Get, false),
        };
        match reply {
            Reply::Now(answer) => self.answer(&answer, method, keep_alive, now),
            Reply::Later(pending) => self.enter(
                Phase::Command {
                    pending,
                    keep_alive,
                },
                now,
            ),
        }
        Ok(Some(Wants::Turn))
    }

    fn answer(&mut self, answer: &Answer, method: Method, keep_alive: bool, now: Instant) {
        let phase = Phase::Answer {
            bytes: answer.bytes(method, keep_alive, Timestamp::now()),
            sent: 0,
            keep_alive,
        };
        self.enter(phase, now);
    }

    /// Looks whether the supervisor has answered.
    fn command(&mut self, now: Instant) -> io::Result<Option<Wants>> {
        let Phase::Command {
            pending,
            keep_alive,
        } = &self.phase
        else {
            return Ok(Some(Wants::Turn));
        };
        let answer = match pending.answer() {
            Some(Ok(words)) => Answer::json(200, &serde_json::json!({ "done": words })),
            Some(Err(words)) => Answer::error(409, &words),
            None if now < self.since + COMMAND_TIME => return Ok(Some(Wants::Later)),
            None => Answer::error(504, "the supervisor has not answered yet; look at the log"),
        };
        let keep_alive = *keep_alive;
        self.answer(&answer, Method::Post, keep_alive, now);
        Ok(Some(Wants::Turn))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 2048];
        // Never more than a request: what follows it stays in the socket.
        let room = MAX_REQUEST
            .saturating_sub(self.received.len())
            .min(chunk.len());
        let chunk = chunk.get_mut(..room).unwrap_or_default();
        let count = retried(|| self.stream.read(chunk))?;
        self.received
            .extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn send(&mut self, now: Instant) -> io::Result<Option<Wants>> {
        let Phase::Answer {
            bytes,
            sent,
            keep_alive,
        } = &mut self.phase
        else {
            return Ok(Some(Wants::Turn));
        };
        let rest = bytes.get(*sent..).unwrap_or_default();
        match retried(|| self.stream.write(rest)) {
            Ok(count) => *sent += count,
            Err(err) if err.kind() == ErrorKind::WouldBlock => return Ok(Some(Wants::Write)),
            Err(err) => return Err(err),
        }
        if *sent < bytes.len() {
            return Ok(Some(Wants::Write));
        }
        if !*keep_alive {
            self.stream.shutdown(Shutdown::Write)?;
            self.enter(Phase::Drain, now);
        } else if self.received.is_empty() {
            self.enter(Phase::Idle, now);
        } else {
            self.enter(Phase::Head, now);
        }
        Ok(Some(Wants::Turn))
    }

    fn drain(&mut self) -> io::Result<Option<Wants>> {
        let mut chunk = [0; 4096];
        match retried(|| self.stream.read(&mut chunk)) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(Wants::Turn)),
            Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(Some(Wants::Read)),
            Err(err) => Err(err),
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
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
