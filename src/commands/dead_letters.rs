//! `dead-letters`: look at what could not be written, send it again, or give it up.

mod filter;
mod interrupt;
mod list;
mod replay;
mod send;
mod table;
pub(super) mod text;

use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range};

use jiff::Timestamp;

use super::{Done, Screen};
use crate::cli::{LetterAction, Place, Which};
use crate::config::Config;
use crate::kafka::{BrowseError, Browser, Marks, Received};
use crate::sink::Letter;
use crate::sink::dead_letter::Unreadable;
use crate::stop::Stop;

/// Why a command ends early.
struct Failure {
    code: u8,
    /// Empty: the reader has closed the output, which is no failure.
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl Into<String>) -> Failure {
        let text = text.into();
        Failure { code, text }
    }
}

impl From<BrowseError> for Failure {
    fn from(error: BrowseError) -> Failure {
        let code = match error {
            BrowseError::Scattered { .. } => 1,
            _ if error.is_configuration() => 78,
            _ => 75,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(0, ""),
            _ => Failure::new(75, format!("cannot write the output: {error}")),
        }
    }
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: &LetterAction,
    which: &Which,
    json: bool,
    screen: &mut Screen<'_>,
) -> Done {
    let result = Desk::open(config).and_then(|mut desk| match action {
        LetterAction::List { all } => list::list(&mut desk, which, (*all, json), screen),
        LetterAction::Show { place } => list::show(&mut desk, *place, json, screen),
        LetterAction::Drop { dry_run } => list::drop(&mut desk, which, (*dry_run, json), screen),
        LetterAction::Replay { dry_run, direct } => {
            let way = (*dry_run, *direct);
            replay::replay(config, &mut desk, which, (way, json), screen)
        }
    });
    match result {
        Ok(code) => Done {
            code,
            ..Done::default()
        },
        Err(failure) => Done {
            errors: Some(failure.text)
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
            code: failure.code,
            ..Done::default()
        },
    }
}

/// A record of the dead letter topic.
struct Found {
    place: Place,
    record: Received,
    letter: Result<Letter, Unreadable>,
    /// It was replayed or dropped before.
    done: bool,
}

impl Found {
    /// When the letter was written.
    fn time(&self) -> Option<Timestamp> {
        match &self.letter {
            Ok(letter) => Some(letter.time),
            Err(_) => Timestamp::from_millisecond(self.record.timestamp?).ok(),
        }
    }

    /// The key of the record it is about. The letter's record has it as well, and that of the Go
    /// program only that.
    fn key(&self) -> Option<&[u8]> {
        let inside = self
            .letter
            .as_ref()
            .ok()
            .and_then(|letter| letter.key.as_deref());
        inside.or(self.record.key.as_deref())
    }
}

/// Whether letters are wanted that are done.
#[derive(Clone, Copy, PartialEq)]
enum Marked {
    No,
    Too,
}

/// What a scan came across.
#[derive(Default)]
struct Counts {
    /// Letters that were meant.
    found: u64,
    /// Letters at the places in question that are done, and not wanted for that.
    done: i64,
}

/// The dead letter topic as it was when the command began.
struct Desk {
    browser: Browser,
    topic: String,
    group: String,
    partitions: BTreeMap<i32, Range<i64>>,
    marks: Marks,
}

impl Desk {
    fn open(config: &Config) -> Result<Desk, Failure> {
        let Some(topic) = config.sink.dlq_topic.clone() else {
            let text = "sink.dlq_topic is not set: there are no dead letters";
            return Err(Failure::new(78, text));
        };
        let group = format!("{}-dead-letters", config.sink.group_id);
        let browser = Browser::new(&config.kafka, &group)?;
        let partitions = browser.partitions(&topic)?;
        let marks = Marks::load(&config.kafka, &group, &topic, &partitions)?;
        Ok(Desk {
            browser,
            topic,
            group,
            partitions,
            marks,
        })
    }

    /// Gives each letter that is meant to `visit`, in the order of places.
    fn scan(
        &mut self,
        which: &Which,
        marked: Marked,
        stop: &Stop,
        mut visit: impl FnMut(&mut Marks, Found) -> ControlFlow<()>,
    ) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut ranges = filter::ranges(which, &self.partitions);
        if marked == Marked::No {
            for (partition, range) in &mut ranges {
                let base = self
                    .marks
                    .base(*partition)
                    .clamp(range.start, range.end.max(range.start));
                counts.done += base - range.start;
                range.start = base;
            }
        }
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let limit = which.limit.unwrap_or(u64::MAX);
        let marks = &mut self.marks;
        self.browser.each(&self.topic, &ranges, stop, |record| {
            let (partition, offset) = (record.partition, record.offset);
            let start = ranges.get(&partition).map_or(offset, |range| range.start);
            // No letter will ever be where compaction or a transaction left a gap.
            marks.done(
                partition,
                next.get(&partition).copied().unwrap_or(start)..offset,
            );
            next.insert(partition, offset.saturating_add(1));
            let done = marks.is_done(partition, offset);
            if done && marked == Marked::No {
                counts.done += 1;
                return ControlFlow::Continue(());
            }
            let found = Found {
                place: Place { partition, offset },
                letter: Letter::decode(record.value.as_deref().unwrap_or_default()),
                record,
                done,
            };
            if !filter::matches(which, &found) {
                return ControlFlow::Continue(());
            }
            counts.found += 1;
            visit(marks, found)?;
            match counts.found < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        Ok(counts)
    }
}

fn plural(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}
