//! What the demo prints: one line per row at a rate that can be read, and the figures.

use std::collections::{HashSet, VecDeque};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Places;
use crate::inbox::{INBOX, TABLE};
use crate::topics::{self, Letter, Row};

/// Rows shown per second; the others are only counted.
const SHOWN_PER_SECOND: usize = 8;
/// How often the figures are printed.
const STATUS: Duration = Duration::from_secs(5);
/// The rate is that of so many last seconds.
const WINDOW: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

/// The printer, and what it has counted.
pub(crate) struct Show {
    begun: Instant,
    /// Names of the columns are repeated on a terminal only, where they scroll away.
    repeat: bool,
    closed: bool,
    seen: HashSet<(String, String)>,
    records: u64,
    /// Arrivals of the last seconds: when, how many.
    recent: VecDeque<(Instant, u64)>,
    second: Instant,
    shown: usize,
    unshown: u64,
    status_at: Instant,
    statuses: u64,
    letters: u64,
    letter_at: Option<Instant>,
}

/// How the other direction stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inward {
    /// Writes that the instance carried out.
    pub(crate) written: u64,
    /// Records that wait for an end of trouble; `None`: not known.
    pub(crate) held: Option<u64>,
}

impl Show {
    pub(crate) fn new(terminal: bool) -> Show {
        let now = Instant::now();
        Show {
            begun: now,
            repeat: terminal,
            closed: false,
            seen: HashSet::new(),
            records: 0,
            recent: VecDeque::new(),
            second: now,
            shown: 0,
            unshown: 0,
            status_at: now,
            statuses: 0,
            letters: 0,
            letter_at: None,
        }
    }

    /// Where to look.
    pub(crate) fn places(&mut self, places: &Places) {
        let Places {
            instance,
            kafka,
            admin,
            config,
            log,
            program,
            port,
        } = places;
        let (program, at) = (program.display(), config.display());
        if let Some(port) = port
            && !admin.ends_with(&format!(":{port}"))
        {
            self.line(&format!(
                "Port {port} is taken by another program, so it is another one here."
            ));
        }
        self.line(&format!(
            "instance   {instance}  (simulated; user bridge, password secret)\n\
             kafka      {kafka}  (embedded)\n\
             bridge     {admin}/  (the status page; also /healthz, /readyz, /metrics)\n\
             config     {at}\n\
             log        {}\n\n\
             Try in another terminal:\n\
             \x20   {program} status -c {at}\n\
             \x20   {program} pause incident -c {at}      # and: resume incident\n\
             \x20   {program} dead-letters list -c {at}\n",
            log.display()
        ));
    }

    /// What is going to happen.
    pub(crate) fn plan(&mut self, rows: usize, quiet: bool) {
        let then = if quiet {
            "then it ends"
        } else {
            "then those that change. Ctrl-C ends it"
        };
        self.line(&format!(
            "First the {} rows that exist, {then}.\n\
             Lag is the age of the row's stamp, which is a whole second: up to a second more than it took.\n\
             Meanwhile records of {INBOX} are written to {TABLE}; now and then one is no JSON.\n",
            grouped(rows as u64)
        ));
    }

    fn columns(&mut self) {
        self.line(&columns("time (UTC)", "table", "key", "partition", "lag"));
    }

    /// Counts a record, and shows it while there is room.
    pub(crate) fn arrived(&mut self, row: &Row) {
        let Row {
            table,
            key,
            partition,
            stamp,
            headers,
            value,
        } = row;
        if self.records == 0 {
            self.record(row, headers, value);
        }
        self.records += 1;
        self.seen.insert((table.clone(), key.clone()));
        let now = Instant::now();
        match self.recent.back_mut() {
            Some((at, count)) if now.duration_since(*at) < SECOND / 10 => *count += 1,
            Some(_) | None => self.recent.push_back((now, 1)),
        }
        if now.duration_since(self.second) >= SECOND {
            (self.second, self.shown) = (now, 0);
        }
        if self.shown == SHOWN_PER_SECOND {
            self.unshown += 1;
            return;
        }
        self.shown += 1;
        self.skipped();
        let clock = jiff::Timestamp::now();
        let lag = stamp.map_or("?".to_owned(), |stamp| {
            let lag = clock
                .as_millisecond()
                .saturating_sub(stamp.saturating_mul(1000));
            format!("{}.{} s", lag / 1000, lag % 1000 / 100)
        });
        let time = clock.strftime("%H:%M:%S%.3f").to_string();
        self.line(&columns(&time, table, key, &partition.to_string(), &lag));
    }

    /// Shows one record in full, then the columns of the others.
    fn record(&mut self, row: &Row, headers: &[(String, String)], value: &str) {
        let headers: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        self.line(&format!(
            "The first record in full, from topic {}, partition {}:\n\
             key        {}\n\
             headers    {}\n\
             value      {}\n",
            topics::name(&row.table),
            row.partition,
            row.key,
            headers.join("\n           "),
            value.replace('\n', "\n           ")
        ));
        self.columns();
    }

    /// Says how many rows were not shown.
    fn skipped(&mut self) {
        if self.unshown > 0 {
            let count = grouped(std::mem::take(&mut self.unshown));
            self.line(&columns("...", &format!("and {count} more"), "", "", ""));
        }
    }

    /// Counts a dead letter, and shows it if none was shown lately.
    pub(crate) fn refused(&mut self, letter: &Letter) {
        self.letters += 1;
        if self.letter_at.is_some_and(|at| at.elapsed() < STATUS) {
            return;
        }
        self.letter_at = Some(Instant::now());
        let Letter { place, error } = letter;
        self.note(&format!("dead letter: {place}: {error}"));
    }

    /// Whether it is time for the figures.
    pub(crate) fn is_due(&self) -> bool {
        self.status_at.elapsed() >= STATUS
    }

    /// Prints the figures.
    pub(crate) fn status(&mut self, inward: Inward) {
        self.status_at = Instant::now();
        self.skipped();
        let rate = self.rate();
        self.line(&format!(
            "-- {} records of {} rows so far, {rate:.1} a second",
            grouped(self.records),
            grouped(self.seen.len() as u64)
        ));
        self.inward(inward);
        self.statuses += 1;
        if self.repeat && self.statuses.is_multiple_of(4) {
            self.columns();
        }
    }

    fn rate(&mut self) -> f64 {
        while let Some((at, _)) = self.recent.front()
            && at.elapsed() > WINDOW
        {
            self.recent.pop_front();
        }
        let count: u64 = self.recent.iter().map(|(_, count)| count).sum();
        let seconds = self.begun.elapsed().min(WINDOW).as_secs_f64().max(0.1);
        u32::try_from(count).map_or(f64::INFINITY, f64::from) / seconds
    }

    /// A line about the demo itself.
    pub(crate) fn note(&mut self, text: &str) {
        self.skipped();
        self.line(&format!("-- {text}"));
    }

    fn inward(&mut self, inward: Inward) {
        let (written, letters) = (grouped(inward.written), grouped(self.letters));
        let held = inward
            .held
            .map_or(String::new(), |held| format!(", {} held", grouped(held)));
        self.line(&format!(
            "-- {INBOX}: {written} written, {letters} refused (dead letters){held}"
        ));
    }

    /// How much has arrived, and was written.
    pub(crate) fn total(&mut self, inward: Inward) {
        let (records, rows) = (grouped(self.records), grouped(self.seen.len() as u64));
        self.note(&format!("{records} records of {rows} rows arrived"));
        self.inward(inward);
    }

    /// What to do after the demo; `folder` has what is left of it.
    pub(crate) fn next(&mut self, folder: Option<&Path>) {
        let left = folder.map_or(String::new(), |folder| {
            format!(
                "Configuration, log and checkpoint are left in {}.\n",
                folder.display()
            )
        });
        self.line(&format!(
            "\n{left}Next, your own instance and Kafka: docs/tutorial.md; docs/install.md installs it."
        ));
    }

    /// Different rows that arrived.
    pub(crate) fn rows(&self) -> usize {
        self.seen.len()
    }

    /// Dead letters that arrived.
    pub(crate) fn letters(&self) -> u64 {
        self.letters
    }

    /// Whether the reader of the output has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    fn line(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.trim_end_matches(' ')).and_then(|()| out.flush());
        self.closed |= written.is_err();
    }
}

fn columns(time: &str, table: &str, key: &str, partition: &str, lag: &str) -> String {
    format!("{time:<13} {table:<14} {key:<32} {partition:>9} {lag:>9}")
}

/// `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(super::grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
