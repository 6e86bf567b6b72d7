//! The thread of the admin port: one loop around poll(2) that serves all connections.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{self as socket, AddressFamily, SocketFlags, SocketType};

use super::connection::{AdminConnection, COMMAND_POLL_INTERVAL, PollInterest};
use super::pages::AdminPages;
use super::services::AdminServices;

/// Connections at one time.
const MAX_ADMIN_CONNECTIONS: usize = 64;
/// How long a new connection is safe from being closed for a newer one.
const NEW_CONNECTION_GRACE: Duration = Duration::from_millis(50);
/// How long no connection is accepted after the kernel refused one, say for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two warnings that a connection could not be accepted.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// Connections the kernel keeps until we accept them.
const LISTEN_BACKLOG: i32 = 1024;

/// The running server. Dropping it stops it.
#[derive(Debug)]
pub struct AdminServer {
    addrs: Vec<SocketAddr>,
    /// Closing this end wakes the thread, which then ends.
    wake: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl AdminServer {
    /// Listens on `addr`, `host:port` or `:port` for all addresses, and serves on a thread of its
    /// own. Port 0 takes a free one; see [`AdminServer::local_addrs`].
    pub fn start(addr: &str, services: AdminServices) -> Result<AdminServer, Error> {
        let listeners = listen(addr).map_err(|source| Error::Listen(addr.to_owned(), source))?;
        let addrs = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let (wake, woken) = UnixStream::pair().map_err(Error::Start)?;
        let pages = AdminPages::new(services);
        let poller = ServerLoop {
            listeners,
            woken,
            pages,
            connections: Vec::new(),
            paused: None,
            warned: None,
        };
        let thread = thread::Builder::new().name("admin".to_owned());
        let thread = thread.spawn(move || poller.run()).map_err(Error::Start)?;
        Ok(AdminServer {
            addrs,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// The addresses listened on.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addrs.clone()
    }

    /// Closes all connections and the port, which can be bound again at once.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the admin thread ended by a panic");
        }
    }
}

/// The reason why the server does not start.
#[derive(Debug)]
pub enum Error {
    /// The address cannot be listened on.
    Listen(String, io::Error),
    /// No thread or no socket to wake it with.
    Start(io::Error),
}

impl Error {
    /// Another process listens on the address. It may be a predecessor that is about to end.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Error::Listen(_, source) if source.kind() == ErrorKind::AddrInUse)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(addr, source) => {
                write!(f, "cannot listen on observability.addr `{addr}`: {source}")?;
                match source.kind() {
                    ErrorKind::AddrInUse => f.write_str("; stop what uses it or set another port"),
                    ErrorKind::PermissionDenied => f.write_str("; set a port above 1023"),
                    ErrorKind::AddrNotAvailable => f.write_str(
                        "; write an address of this machine, or `:port` for all of them",
                    ),
                    _ => f.write_str("; write `host:port`, or `:port` for all addresses"),
                }
            }
            Error::Start(source) => write!(f, "cannot start the admin thread: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Listen(_, source) | Error::Start(source) => Some(source),
        }
    }
}

/// A listener for each address that `addr` means.
fn listen(addr: &str) -> io::Result<Vec<TcpListener>> {
    let all = addr
        .strip_prefix(':')
        .or_else(|| addr.strip_prefix("[::]:"));
    if let Some(port) = all {
        let port = port
            .parse()
            .map_err(|_| io::Error::other("the port is no number"))?;
        let v6 = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        // A kernel without IPv6 still has all addresses of IPv4.
        return Ok(vec![match v6 {
            Err(err) if err.kind() != ErrorKind::AddrInUse => {
                bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?
            }
            v6 => v6?,
        }]);
    }
    // A name such as `localhost` may mean an address that this machine does not have.
    let mut listeners = Vec::new();
    let mut failed = io::Error::other("the name has no address");
    for addr in addr.to_socket_addrs()? {
        match bind(addr) {
            Ok(listener) => listeners.push(listener),
            Err(err) if err.kind() == ErrorKind::AddrInUse => return Err(err),
            Err(err) => failed = err,
        }
    }
    if listeners.is_empty() {
        Err(failed)
    } else {
        Ok(listeners)
    }
}

/// Whether an address of `observability.addr` is one of this machine, if it is written in numbers: finding
/// out what a name means may take the network. The port is left alone.
///
/// # Errors
/// As [`AdminServer::start`].
pub fn check_address(addr: &str) -> Result<(), Error> {
    let Ok(mut address) = addr.parse::<SocketAddr>() else {
        return Ok(());
    };
    address.set_port(0);
    match bind(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Listen(addr.to_owned(), source)),
    }
}

/// As `TcpListener::bind`, but a v6 socket also takes v4, whatever `bindv6only` says.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let (family, all) = match addr {
        SocketAddr::V4(_) => (AddressFamily::INET, false),
        SocketAddr::V6(addr) => (AddressFamily::INET6, addr.ip().is_unspecified()),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = socket::socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of a predecessor may linger in TIME_WAIT.
    socket::sockopt::set_socket_reuseaddr(&listener, true)?;
    if all {
        socket::sockopt::set_ipv6_v6only(&listener, false)?;
    }
    socket::bind(&listener, &addr)?;
    socket::listen(&listener, LISTEN_BACKLOG)?;
    Ok(listener.into())
}

/// The state of the server's thread.
struct ServerLoop {
    listeners: Vec<TcpListener>,
    woken: UnixStream,
    pages: AdminPages,
    connections: Vec<AdminConnection>,
    /// Until when no connection is accepted, after one could not be.
    paused: Option<Instant>,
    /// When that was last logged.
    warned: Option<Instant>,
}

/// The outcome of one wait in poll(2).
enum PollOutcome {
    /// The server was dropped.
    Stop,
    /// For each connection, whether there is something to do.
    Ready(Vec<bool>),
}

impl ServerLoop {
    fn run(mut self) {
        loop {
            let before = Instant::now();
            let accepting = self.accepting(before);
            let PollOutcome::Ready(ready) = self.poll(accepting, before) else {
                return;
            };
            let now = Instant::now();
            self.pages.sample_if_due(now);
            let mut ready = ready.into_iter();
            self.connections.retain_mut(|connection| {
                let open = ready.next() != Some(true) || connection.turn(&self.pages, now);
                open && now < connection.deadline()
            });
            if accepting {
                self.accept();
            }
        }
    }

    /// One more connection can be taken: there is room, or one may be closed for it.
    fn accepting(&self, now: Instant) -> bool {
        let paused = self.paused.is_some_and(|until| now < until);
        !paused
            && (self.connections.len() < MAX_ADMIN_CONNECTIONS
                || self.next_evictable() <= Some(now))
    }

    /// When the first connection may be closed for a new one.
    fn next_evictable(&self) -> Option<Instant> {
        self.connections
            .iter()
            .map(|connection| connection.evictable_from(NEW_CONNECTION_GRACE))
            .min()
    }

    /// Waits until a socket is ready or something falls due.
    fn poll(&self, accepting: bool, now: Instant) -> PollOutcome {
        let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
        for connection in &self.connections {
            let flags = match connection.wants() {
                PollInterest::Read => PollFlags::IN,
                PollInterest::Write => PollFlags::OUT,
                PollInterest::Turn | PollInterest::Later => PollFlags::empty(),
            };
            fds.push(PollFd::new(connection.stream(), flags));
        }
        if accepting {
            fds.extend(
                self.listeners
                    .iter()
                    .map(|it| PollFd::new(it, PollFlags::IN)),
            );
        }
        let timeout = self.due(accepting, now).saturating_duration_since(now);
        let timeout = Timespec::try_from(timeout).ok();
        if let Err(err) = poll(&mut fds, timeout.as_ref())
            && err != rustix::io::Errno::INTR
        {
            // The kernel is out of memory; not to turn in circles is all that can be done.
            thread::park_timeout(ACCEPT_PAUSE);
        }
        let mut found = fds.iter().map(|fd| !fd.revents().is_empty());
        if found.next() == Some(true) {
            return PollOutcome::Stop;
        }
        let turn = |(connection, found): (&AdminConnection, bool)| {
            found || matches!(connection.wants(), PollInterest::Turn | PollInterest::Later)
        };
        PollOutcome::Ready(self.connections.iter().zip(found).map(turn).collect())
    }

    /// Until when poll(2) may wait.
    fn due(&self, accepting: bool, now: Instant) -> Instant {
        let wanted = |what: PollInterest| self.connections.iter().any(|it| it.wants() == what);
        if wanted(PollInterest::Turn) {
            return now;
        }
        let look = wanted(PollInterest::Later).then(|| now + COMMAND_POLL_INTERVAL);
        let sample = self.pages.sample_due(now);
        let deadline = self.connections.iter().map(AdminConnection::deadline).min();
        let place = if accepting {
            None
        } else {
            self.paused
                .filter(|until| now < *until)
                .or_else(|| self.next_evictable())
        };
        let others = deadline.into_iter().chain(place).chain(look);
        others.fold(sample, Instant::min)
    }

    /// Takes what waits on the listeners, as long as there are places.
    fn accept(&mut self) {
        for at in 0..self.listeners.len() {
            // Bounded, so that a flood does not keep those who are already in from being served.
            for _ in 0..MAX_ADMIN_CONNECTIONS {
                let now = Instant::now();
                if !self.accepting(now) {
                    return;
                }
                let Some(listener) = self.listeners.get(at) else {
                    return;
                };
                match listener.accept() {
                    Ok((stream, _)) => self.admit(stream, now),
                    Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                    // The client went away while it waited.
                    Err(err) if err.kind() == ErrorKind::ConnectionAborted => {}
                    Err(err) if err.kind() == ErrorKind::Interrupted => {}
                    Err(err) => self.make_room(&err, now),
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, now: Instant) {
        if self.connections.len() >= MAX_ADMIN_CONNECTIONS {
            self.evict_one(now);
        }
        let Ok(mut connection) = AdminConnection::new(stream, now) else {
            return;
        };
        // The request is often there already.
        if connection.turn(&self.pages, now) {
            self.connections.push(connection);
        }
    }

    /// Closes the connection with the lowest [priority](AdminConnection::priority); false if none may be
    /// closed yet.
    fn evict_one(&mut self, now: Instant) -> bool {
        let connections = self.connections.iter().enumerate();
        let least = connections
            .filter(|(_, connection)| connection.evictable_from(NEW_CONNECTION_GRACE) <= now)
            .min_by_key(|(_, connection)| connection.priority());
        least
            .map(|(at, _)| at)
            .map(|at| self.connections.swap_remove(at))
            .is_some()
    }

    /// Out of descriptors or memory: gives up a connection of our own for the next one, else
    /// leaves the rest in the backlog for a while.
    fn make_room(&mut self, err: &io::Error, now: Instant) {
        if self
            .warned
            .is_none_or(|last| now.duration_since(last) >= ACCEPT_WARNING_INTERVAL)
        {
            self.warned = Some(now);
            log::warn!(error:% = err; "the admin port cannot accept all connections now");
        }
        if !self.evict_one(now) {
            // Only so long as each of ours has just come.
            let pause = now + ACCEPT_PAUSE;
            self.paused = Some(self.next_evictable().map_or(pause, |soon| soon.min(pause)));
        }
    }
}
