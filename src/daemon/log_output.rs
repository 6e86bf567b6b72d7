//! Writes lines to a descriptor without ever being held up by the process that reads it.
//!
//! A container's or terminal's reader that stands still must not stop the bridge: when there is no
//! room for a second, lines are thrown away until there is room again, and their number is told.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that poll(2) reports as writable has room for at least this much (`PIPE_BUF` on Linux,
/// pipe(7)).
const PIPE_CHUNK_BYTES: usize = 4096;
/// How long a line waits for room. After one was thrown away the next ones do not wait.
const LOG_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The end of a line's way.
#[derive(Debug)]
pub(super) struct LogOutput<W> {
    to: W,
    /// Lines thrown away since the last one that was written.
    lost: u64,
    /// The last line was written in part.
    torn: bool,
}

impl<W: Write + AsFd> LogOutput<W> {
    pub(super) fn new(to: W) -> LogOutput<W> {
        LogOutput {
            to,
            lost: 0,
            torn: false,
        }
    }

    /// Lines thrown away since the last one that was written.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes a line; false if it was thrown away.
    pub(super) fn write(&mut self, line: &str) -> bool {
        let patience = if self.lost == 0 {
            LOG_WRITE_TIMEOUT
        } else {
            Duration::ZERO
        };
        let deadline = Instant::now() + patience;
        let written = (!self.torn || self.write_by(b"\n", deadline)) && {
            self.torn = false;
            self.write_by(line.as_bytes(), deadline)
        };
        self.lost = if written { 0 } else { self.lost + 1 };
        written
    }

    fn write_by(&mut self, mut bytes: &[u8], deadline: Instant) -> bool {
        while !bytes.is_empty() {
            if !self.has_room(deadline) {
                return false;
            }
            let chunk = bytes.get(..PIPE_CHUNK_BYTES).unwrap_or(bytes);
            match self.to.write(chunk) {
                Ok(0) => return false,
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    self.torn = !bytes.is_empty();
                }
                // Another program may have made the descriptor we share non-blocking.
                Err(err) if err.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {}
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                // The reader is gone, and stderr is the only place to report that to.
                Err(_) => return false,
            }
        }
        true
    }

    fn has_room(&self, deadline: Instant) -> bool {
        loop {
            let mut fds = [PollFd::new(&self.to, PollFlags::OUT)];
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(timeout) = Timespec::try_from(left) else {
                return false;
            };
            match poll(&mut fds, Some(&timeout)) {
                Ok(ready) => return 0 < ready,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, pipe};

    use super::*;

    #[test]
    fn a_reader_that_stands_still_does_not_hold_the_writer_up() {
        let (mut reader, writer) = pipe().unwrap();
        let mut output = LogOutput::new(writer);
        let line = format!("{}\n", "x".repeat(10_000));
        let begin = Instant::now();
        let mut written = 0;
        while output.write(&line) {
            written += 1;
        }
        assert!(0 < written);
        for _ in 0..1000 {
            assert!(!output.write("lost\n"));
        }
        assert_eq!(output.lost(), 1001);
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{:?}",
            begin.elapsed()
        );

        let mut buffer = vec![0; 1 << 20];
        let count = reader.read(&mut buffer).unwrap();
        let before = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(output.write("again\n"));
        assert_eq!(output.lost(), 0);
        drop(output);
        let mut after = String::new();
        reader.read_to_string(&mut after).unwrap();
        let whole = before + &after;
        assert!(whole.ends_with("\nagain\n"), "a torn line is ended first");
        assert!(whole.lines().filter(|line| line.len() == 10_000).count() >= written);
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut output = LogOutput::new(writer);
        assert!(!output.write("unread\n"));
        assert!(!output.write("unread\n"));
        assert_eq!(output.lost(), 2);
    }
}
