//! What a service of the system needs: its log, its signals, and messages to systemd.
//!
//! The log goes to stderr, as text or JSON lines; stdout is for data. It never holds the program
//! up, and a line that repeats is written once in ten seconds. See `docs/decisions/0002`.

mod log_line;
mod log_output;
mod panics;
mod repeat_limit;
mod signals;
mod systemd_notifier;

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use jiff::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

use self::log_line::{LineStyle, is_ours};
use self::log_output::LogOutput;
use self::repeat_limit::RepeatLimiter;
use crate::config::{LogFormat, SystemdEnvironment};
use crate::metrics::{Counter, Metrics};
use crate::sync::Mutex;

pub use self::systemd_notifier::SystemdNotifier;
pub use signals::{Signal, Signals, signals};

/// Makes `log`'s macros write to stderr, and panics too. Once per process.
pub fn init_logging(
    level: LevelFilter,
    format: LogFormat,
    metrics: &Metrics,
    environment: &SystemdEnvironment,
) -> Result<LogControl, SetLoggerError> {
    let text = if is_journal(io::stderr(), environment) {
        LineStyle::Journal
    } else {
        LineStyle::Text
    };
    let control = LogControl {
        json: Arc::default(),
    };
    log::set_boxed_logger(Box::new(Logger::new(
        io::stderr(),
        text,
        control.clone(),
        metrics,
    )))?;
    control.set_level(level);
    control.set_format(format);
    panics::log_panics();
    Ok(control)
}

/// Changes the log while the program runs.
#[derive(Debug, Clone)]
pub struct LogControl {
    json: Arc<AtomicBool>,
}

impl LogControl {
    /// The least severe level that is logged from now on.
    pub fn set_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }

    /// The form of the lines from now on.
    pub fn set_format(&self, format: LogFormat) {
        self.json.store(format == LogFormat::Json, Relaxed);
    }
}

/// `stream` is the journal's: systemd gives its device and inode in `JOURNAL_STREAM`.
fn is_journal(stream: impl AsFd, environment: &SystemdEnvironment) -> bool {
    let Some(told) = &environment.journal_stream else {
        return false;
    };
    let metadata = stream
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| File::from(fd).metadata());
    let is = metadata.map(|metadata| format!("{}:{}", metadata.dev(), metadata.ino()));
    is.is_ok_and(|is| *told == *is)
}

struct Logger<W> {
    /// Of lines that are not JSON.
    text: LineStyle,
    control: LogControl,
    counters: [Counter; 5],
    shared: Mutex<LoggerShared<W>>,
}

struct LoggerShared<W> {
    limiter: RepeatLimiter,
    output: LogOutput<W>,
}

impl<W: Write + AsFd> Logger<W> {
    fn new(to: W, text: LineStyle, control: LogControl, metrics: &Metrics) -> Logger<W> {
        let counter = |level| metrics.log_messages.with(&[level]);
        Logger {
            text,
            control,
            counters: ["error", "warn", "info", "debug", "trace"].map(counter),
            shared: Mutex::new(LoggerShared {
                limiter: RepeatLimiter::default(),
                output: LogOutput::new(to),
            }),
        }
    }

    fn log_at(&self, record: &Record<'_>, now: Instant, time: Timestamp) {
        let level = record.level();
        if let Some(counter) = self.counters.get(level as usize - 1) {
            counter.inc();
        }
        let style = if self.control.json.load(Relaxed) {
            LineStyle::Json
        } else {
            self.text
        };
        // Made before the lock: a value that logs while it is shown must not wait for itself.
        let body = style.body(record);
        let mut shared = self.shared.lock();
        // An operator who sets the level to debug wants every line.
        let suppressed = if level >= Level::Debug {
            Some(0)
        } else {
            shared.limiter.admit(hash(record, &body), now)
        };
        let Some(suppressed) = suppressed else { return };
        let lost = shared.output.lost();
        let line = style.line(level, time, suppressed, &body);
        if shared.output.write(&line) && lost > 0 {
            let body = style.body(
                &Record::builder()
                    .level(Level::Warn)
                    .target(module_path!())
                    .args(format_args!("log lines were lost, as nobody read them"))
                    .key_values(&("lost", lost))
                    .build(),
            );
            shared
                .output
                .write(&style.line(Level::Warn, time, 0, &body));
        }
    }
}

/// The modules whose warnings any client of the port can cause, as often and in as many words as it
/// likes.
const ASKED_BY_ANYBODY: &str = "servicenow_kafka_bridge::admin";

/// The same call site and the same words; where any client can cause the line, the same call site.
fn hash(record: &Record<'_>, body: &str) -> u64 {
    let by_anybody = record.level() <= Level::Warn && record.target().starts_with(ASKED_BY_ANYBODY);
    let words = if by_anybody { "" } else { body };
    let mut hasher = DefaultHasher::new();
    (record.file(), record.line(), words).hash(&mut hasher);
    hasher.finish()
}

impl<W: Write + AsFd + Send> Log for Logger<W> {
    /// Libraries speak from `info` on only: their debug lines may hold headers and bodies.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
            && (metadata.level() <= Level::Info || is_ours(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.log_at(record, Instant::now(), Timestamp::now());
        }
    }

    /// Every line is written when it is logged.
    fn flush(&self) {}
}

#[cfg(test)]
mod tests;
