//! `dead-letters`: look at what could not be written, send it again, or give it up.

mod filter;
mod interrupt;
mod lines;
mod list;
mod replay;
mod send;
mod text;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::{ControlFlow, Range};

use jiff::Timestamp;

use super::{CommandFailure, CommandResult, Terminal, exit_code};
use crate::cli::{DeadLetterAction, DeadLetterFilter, DeadLetterPlace};
use crate::config::Config;
use crate::kafka::{ConsumerRecord, ReplayProgress, TopicReadError, TopicReader};
use crate::sink::DeadLetter;
use crate::sink::dead_letter::InvalidDeadLetter;
use crate::stop::Stop;

impl From<TopicReadError> for CommandFailure {
    fn from(error: TopicReadError) -> CommandFailure {
        let code = match error {
            TopicReadError::Scattered { .. } => exit_code::PARTLY_DONE,
            _ if error.is_configuration() => exit_code::CONFIGURATION,
            _ => exit_code::TRY_AGAIN,
        };
        CommandFailure::new(code, error)
    }
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: &DeadLetterAction,
    terminal: &mut Terminal<'_>,
) -> CommandResult {
    let mut letters = DeadLetterTopic::open(config)?;
    match action {
        DeadLetterAction::List(filter, options) => {
            list::list(&mut letters, filter, options, terminal)
        }
        DeadLetterAction::Show(options) => list::show(&mut letters, options, terminal),
        DeadLetterAction::Drop(filter, options) => {
            list::drop(&mut letters, filter, options, terminal)
        }
        DeadLetterAction::Replay(filter, options) => {
            replay::replay(config, &mut letters, filter, options, terminal)
        }
    }
}

/// A record of the dead letter topic.
struct FoundLetter {
    place: DeadLetterPlace,
    record: ConsumerRecord,
    letter: Result<DeadLetter, InvalidDeadLetter>,
    /// It was replayed or dropped before.
    done: bool,
}

impl FoundLetter {
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

/// What a scan does with letters that were replayed or dropped before.
#[derive(Clone, Copy, PartialEq)]
enum DoneLetters {
    Skip,
    Include,
}

/// What a scan came across.
#[derive(Default)]
struct ScanCounts {
    /// Letters that were meant.
    found: u64,
    /// Letters at the places in question that are done, and not wanted for that.
    done: i64,
}

/// The dead letter topic as it was when the command began.
struct DeadLetterTopic {
    browser: TopicReader,
    topic: String,
    group: String,
    partitions: BTreeMap<i32, Range<i64>>,
    marks: ReplayProgress,
}

impl DeadLetterTopic {
    fn open(config: &Config) -> Result<DeadLetterTopic, CommandFailure> {
        let Some(topic) = config.sink.dlq_topic.clone() else {
            let text = "sink.dlq_topic is not set: there are no dead letters";
            return Err(CommandFailure::new(exit_code::CONFIGURATION, text));
        };
        let group = format!("{}-dead-letters", config.sink.group_id);
        let browser = TopicReader::new(&config.kafka, &group)?;
        let partitions = browser.partitions(&topic)?;
        let marks = ReplayProgress::load(&config.kafka, &group, &topic, &partitions)?;
        Ok(DeadLetterTopic {
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
        which: &DeadLetterFilter,
        marked: DoneLetters,
        stop: &Stop,
        mut visit: impl FnMut(&mut ReplayProgress, FoundLetter) -> ControlFlow<()>,
    ) -> Result<ScanCounts, CommandFailure> {
        let mut counts = ScanCounts::default();
        let mut ranges = filter::ranges(which, &self.partitions);
        if marked == DoneLetters::Skip {
            for (partition, range) in &mut ranges {
                let base = self
                    .marks
                    .lowest_open(*partition)
                    .clamp(range.start, range.end.max(range.start));
                counts.done += base - range.start;
                range.start = base;
            }
        }
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let limit = which.limit.map_or(u64::MAX, NonZeroU64::get);
        let marks = &mut self.marks;
        self.browser
            .read_ranges(&self.topic, &ranges, stop, |record| {
                let (partition, offset) = (record.partition, record.offset);
                let start = ranges.get(&partition).map_or(offset, |range| range.start);
                // No letter will ever be where compaction or a transaction left a gap.
                marks.mark_done(
                    partition,
                    next.get(&partition).copied().unwrap_or(start)..offset,
                );
                next.insert(partition, offset.saturating_add(1));
                let done = marks.is_done(partition, offset);
                if done && marked == DoneLetters::Skip {
                    counts.done += 1;
                    return ControlFlow::Continue(());
                }
                let found = FoundLetter {
                    place: DeadLetterPlace { partition, offset },
                    letter: DeadLetter::decode(record.value.as_deref().unwrap_or_default()),
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
