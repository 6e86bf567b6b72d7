//! The one way from a command to standard output and standard error.
//!
//! Whatever is written passes through here and is cleaned, as much of it comes from the instance, from
//! Kafka or from a file: see [`terminal_text`](crate::terminal_text).

use std::io::{self, Write};

use crate::terminal_text::{clean, clean_json};

/// Standard output and standard error of a command, or what stands for them in a test.
pub struct Terminal<'a> {
    output: &'a mut dyn Write,
    errors: &'a mut dyn Write,
    /// Columns of the terminal; `None`: the output is a pipe or a file.
    width: Option<usize>,
    /// The errors go to a terminal, where a line can be written over.
    is_live: bool,
    /// Such a line stands there.
    has_progress: bool,
}

impl<'a> Terminal<'a> {
    /// `width`: columns, if the output is a terminal; `is_live`: the errors go to one.
    pub fn new(
        output: &'a mut dyn Write,
        errors: &'a mut dyn Write,
        width: Option<usize>,
        is_live: bool,
    ) -> Terminal<'a> {
        Terminal {
            output,
            errors,
            width,
            is_live,
            has_progress: false,
        }
    }

    /// Columns of the terminal, if the output is one.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether progress replaces what was said before, so that it may be told often.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Writes a line of the output. Tabs, which separate its parts, stay.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let parts: Vec<_> = text.split('\t').map(clean).collect();
        self.write_line(&parts.join("\t"))
    }

    /// Writes text of several lines.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Writes JSON of one line or several.
    pub(super) fn json(&mut self, json: &str) -> io::Result<()> {
        json.lines()
            .try_for_each(|line| self.write_line(&clean_json(line)))
    }

    fn write_line(&mut self, text: &str) -> io::Result<()> {
        self.wipe_progress();
        self.output.write_all(text.as_bytes())?;
        self.output.write_all(b"\n")
    }

    /// Hands on what was written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Writes a line beside the output. That it cannot be written is no reason to stop.
    pub(super) fn note(&mut self, text: &str) {
        self.output.flush().ok();
        self.wipe_progress();
        for line in text.lines() {
            writeln!(self.errors, "{}", clean(line)).ok();
        }
    }

    /// Says what is wrong, under the name of the program.
    pub fn error(&mut self, text: &str) {
        self.note(&format!("servicenow-kafka-bridge: {text}"));
    }

    /// Says how far the command is; on a terminal in place of what it said before.
    pub(super) fn progress(&mut self, text: &str) {
        if !self.is_live {
            return self.note(text);
        }
        write!(self.errors, "\r\x1b[K{}", clean(text)).ok();
        self.errors.flush().ok();
        self.has_progress = true;
    }

    fn wipe_progress(&mut self) {
        if self.has_progress {
            write!(self.errors, "\r\x1b[K").ok();
            self.errors.flush().ok();
            self.has_progress = false;
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.output.flush().ok();
        self.wipe_progress();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::commands::failure::{ExitResult, conclude};

    /// What a command wrote, and its exit code.
    #[derive(Debug, PartialEq, Eq)]
    pub(in crate::commands) struct Written {
        pub(in crate::commands) output: String,
        pub(in crate::commands) errors: String,
        pub(in crate::commands) code: u8,
    }

    /// Lets a command write to a terminal of so many columns, or with `None` to a pipe.
    pub(in crate::commands) fn written(
        width: Option<usize>,
        command: impl FnOnce(&mut Terminal<'_>) -> ExitResult,
    ) -> Written {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let mut terminal = Terminal::new(&mut output, &mut errors, width, false);
        let result = command(&mut terminal);
        let code = conclude(result, &mut terminal);
        drop(terminal);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Written {
            output: text(output),
            errors: text(errors),
            code,
        }
    }

    #[test]
    fn everything_is_cleaned() {
        let all = written(None, |terminal| {
            terminal.line("a\tb\u{1b}c")?;
            terminal.text("d\ne\u{202e}f\n")?;
            terminal.json("{\"g\":\n\"\u{9b}\"}")?;
            terminal.note("h\ni\u{7}");
            terminal.error("j\u{1b}");
            Ok(0)
        });
        assert_eq!(
            all.output,
            "a\tb\u{fffd}c\nd\ne\u{fffd}f\n{\"g\":\n\"\\u009b\"}\n"
        );
        assert_eq!(
            all.errors,
            "h\ni\u{fffd}\nservicenow-kafka-bridge: j\u{fffd}\n"
        );
    }

    #[test]
    fn progress_is_written_over_on_a_terminal() {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let mut terminal = Terminal::new(&mut output, &mut errors, Some(80), true);
        terminal.progress("1");
        terminal.progress("2");
        terminal.note("done");
        drop(terminal);
        assert_eq!(errors, b"\r\x1b[K1\r\x1b[K2\r\x1b[Kdone\n");
    }
}
