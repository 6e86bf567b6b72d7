//! Where a command writes that has much to say, or says it while it works.

use std::io::{self, Write};

/// The terminal, or what stands for it. `main` makes it.
pub struct Terminal<'a> {
    output: &'a mut dyn Write,
    errors: &'a mut dyn Write,
    /// Columns of the terminal; `None`: the output is none.
    width: Option<usize>,
    /// Whether a line on `errors` may be written over.
    live: bool,
    /// A line that may be written over stands there.
    dirty: bool,
}

impl<'a> Terminal<'a> {
    /// A terminal of standard output and standard error. `width`: columns if the output is a
    /// terminal; `live`: the errors go to a terminal.
    pub fn new(
        output: &'a mut dyn Write,
        errors: &'a mut dyn Write,
        width: Option<usize>,
        live: bool,
    ) -> Terminal<'a> {
        Terminal {
            output,
            errors,
            width,
            live,
            dirty: false,
        }
    }

    /// Columns of the terminal, if the output is one.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether progress may be shown more often than a log would bear.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Writes a line of the output.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.wipe();
        self.output.write_all(text.as_bytes())?;
        self.output.write_all(b"\n")
    }

    /// Hands on what was written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Writes a line beside the output. That nobody can read it is no reason to stop.
    pub(super) fn note(&mut self, text: &str) {
        self.output.flush().ok();
        self.wipe();
        writeln!(self.errors, "{text}").ok();
    }

    /// Says how far the command is; on a terminal in place of what it said before.
    pub(super) fn progress(&mut self, text: &str) {
        if !self.live {
            return self.note(text);
        }
        write!(self.errors, "\r\x1b[K{text}").ok();
        self.errors.flush().ok();
        self.dirty = true;
    }

    fn wipe(&mut self) {
        if self.dirty {
            write!(self.errors, "\r\x1b[K").ok();
            self.errors.flush().ok();
            self.dirty = false;
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.output.flush().ok();
        self.wipe();
    }
}
