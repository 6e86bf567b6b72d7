//! TCP connections that notice a dead path.
//!
//! ureq's own connector leaves the socket as the system makes it: a path that drops packets without a
//! word is noticed only by a time-out of the bridge's own, after 25 s by default. Here the kernel asks
//! the other side after two seconds of silence and gives up after five without an acknowledgement. A
//! server that only takes its time is not cut off, as its kernel acknowledges.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
};
use ureq::{Error, Timeout};

/// Silence after which the kernel asks whether the other side is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(2);
/// Time between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// Questions without an answer after which the connection is dead.
const KEEPALIVE_COUNT: u32 = 3;
/// How long data and questions may stay without an acknowledgement (TCP_USER_TIMEOUT, RFC 5482).
const UNACKNOWLEDGED_LIMIT_MS: u32 = 5_000;
/// Shortest time for one of several addresses.
const MIN_TIME_PER_ADDRESS: Duration = Duration::from_millis(10);

/// Opens a connection, unless that of a proxy is there already.
#[derive(Debug, Default)]
pub(super) struct WatchedTcpConnector(());

impl<In: Transport> Connector<In> for WatchedTcpConnector {
    type Out = Either<In, WatchedTcp>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let socket = Arc::new(WatchedSocket(connect_to_any(details)?));
        let weak = Arc::downgrade(&socket);
        let handle: Weak<dyn ShutdownHandle> = weak;
        (details.register_shutdown)(handle)?;
        let config = details.config;
        Ok(Some(Either::B(WatchedTcp {
            socket,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            read_limit: None,
            write_limit: None,
        })))
    }
}

/// A connected socket, shared with the handle by which a stop shuts it down.
#[derive(Debug)]
struct WatchedSocket(TcpStream);

impl ShutdownHandle for WatchedSocket {
    fn shutdown(&self) {
        // An error means that it is closed already.
        self.0.shutdown(Shutdown::Both).ok();
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct WatchedTcp {
    socket: Arc<WatchedSocket>,
    buffers: LazyBuffers,
    /// The time-outs that the socket has now.
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
}

impl Transport for WatchedTcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let (limit, reason) = limit_of(timeout.for_write())?;
        let mut stream = &self.socket.0;
        if limit != self.write_limit {
            stream.set_write_timeout(limit)?;
            self.write_limit = limit;
        }
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        stream
            .write_all(output)
            .map_err(|error| timeout_or_io(error, reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (limit, reason) = limit_of(timeout.for_read())?;
        let mut stream = &self.socket.0;
        let began = Instant::now();
        let mut left = limit;
        loop {
            if left != self.read_limit {
                stream.set_read_timeout(left)?;
                self.read_limit = left;
            }
            match stream.read(self.buffers.input_append_buf()) {
                // A signal ends a read; what is left of the time is given to the next one.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
                    if left.is_some_and(|left| left.is_zero()) {
                        return Err(Error::Timeout(reason));
                    }
                }
                Err(error) => return Err(timeout_or_io(error, reason)),
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
            }
        }
    }

    /// Whether a kept connection can be used again: nothing has come in, not even its end.
    fn is_open(&mut self) -> bool {
        let mut stream = &self.socket.0;
        if stream.set_nonblocking(true).is_err() {
            return false;
        }
        let read = stream.read(&mut [0]);
        let is_silent = read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_silent && stream.set_nonblocking(false).is_ok()
    }
}

/// How long an operation may take, and which limit that is.
fn limit_of(timeout: NextTimeout) -> Result<(Option<Duration>, Timeout), Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok((timeout.not_zero().map(|limit| *limit), timeout.reason))
}

/// A time-out of the socket, as opposed to that of a connection which the kernel gave up.
fn timeout_or_io(error: io::Error, reason: Timeout) -> Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        Error::Timeout(reason)
    } else {
        Error::Io(error)
    }
}

/// The first address that takes a connection. The time is shared: each address gets half of what is
/// left, the last one all of it.
fn connect_to_any(details: &ConnectionDetails<'_>) -> Result<TcpStream, Error> {
    let began = Instant::now();
    let total = details.timeout.not_zero().map(|limit| *limit);
    let mut last = None;
    for (index, addr) in details.addrs.iter().enumerate() {
        let is_last = index + 1 == details.addrs.len();
        let left = total.map(|total| total.saturating_sub(began.elapsed()));
        let share = left.map(|left| if is_last { left } else { left / 2 });
        let connected = match share {
            Some(share) => TcpStream::connect_timeout(addr, share.max(MIN_TIME_PER_ADDRESS)),
            None => TcpStream::connect(addr),
        };
        match connected {
            Ok(stream) => {
                watch(&stream)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => {
            Error::Timeout(details.timeout.reason)
        }
        Some(error) => Error::Io(error),
        None => Error::HostNotFound,
    })
}

fn watch(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_COUNT)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_LIMIT_MS)?;
    Ok(())
}
