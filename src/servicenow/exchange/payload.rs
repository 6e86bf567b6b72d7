//! The body of a request, and whether it was handed over.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::Instant;

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(in crate::servicenow) enum RequestPayload<'a> {
    /// None.
    None,
    /// A form, for tokens.
    Form(&'a str),
    /// JSON, for writes.
    Json(&'a [u8]),
}

/// Reads a body and notes when it was first asked for.
///
/// ureq asks for it when a connection stands and the head has been sent. Before that the instance
/// cannot have executed the request; afterwards it may have, whatever error follows. ureq repeats
/// nothing by itself (3.5, `run.rs`: its loop follows redirects, which are off here, and every error
/// leaves it): a kept connection that turns out to be closed in the moment it is used is an error
/// like any other, and comes here as one.
pub(super) struct TrackedBody<'a> {
    bytes: &'a [u8],
    sent: &'a Cell<Option<Instant>>,
}

impl<'a> TrackedBody<'a> {
    pub(super) fn new(bytes: &'a [u8], sent: &'a Cell<Option<Instant>>) -> TrackedBody<'a> {
        TrackedBody { bytes, sent }
    }
}

impl Read for TrackedBody<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.sent.get().is_none() {
            self.sent.set(Some(Instant::now()));
        }
        self.bytes.read(buf)
    }
}
