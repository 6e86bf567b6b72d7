//! The dead letter topic, read from its beginning to where it ended when the command began.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::{ControlFlow, Range};

use super::filter;
use super::found::FoundLetter;
use crate::cli::{DeadLetterFilter, DeadLetterPlace, EpochSeconds};
use crate::commands::failure::{CommandFailure, exit_code};
use crate::config::Config;
use crate::kafka::{ReplayProgress, TopicReadError, TopicReader};
use crate::sink::DeadLetter;
use crate::stop::Stop;

impl From<TopicReadError> for CommandFailure {
    fn from(error: TopicReadError) -> CommandFailure {
        let code = match error {
            TopicReadError::Scattered { .. } => exit_code::NOT_AS_ASKED,
            _ if error.is_configuration() => exit_code::CONFIGURATION,
            _ => exit_code::TRY_AGAIN,
        };
        CommandFailure::new(code, error)
    }
}

/// What a scan does with letters that were replayed or dropped before.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum DoneLetters {
    Skip,
    Include,
}

/// What a scan came across.
#[derive(Default)]
pub(super) struct ScanCounts {
    /// Letters that were meant.
    pub(super) found: u64,
    /// Letters at the places in question that are done, and not wanted for that.
    pub(super) done: i64,
}

/// The dead letter topic as it was when the command began.
pub(super) struct DeadLetterTopic {
    pub(super) browser: TopicReader,
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) partitions: BTreeMap<i32, Range<i64>>,
    pub(super) marks: ReplayProgress,
    /// When the command began.
    began: EpochSeconds,
}

impl DeadLetterTopic {
    pub(super) fn open(config: &Config) -> Result<DeadLetterTopic, CommandFailure> {
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
            began: EpochSeconds(jiff::Timestamp::now().as_second()),
        })
    }

    /// Gives each letter that is meant to `visit`, in the order of places.
    pub(super) fn scan(
        &mut self,
        wanted: &DeadLetterFilter,
        marked: DoneLetters,
        stop: &Stop,
        mut visit: impl FnMut(&mut ReplayProgress, FoundLetter) -> ControlFlow<()>,
    ) -> Result<ScanCounts, CommandFailure> {
        let mut counts = ScanCounts::default();
        let mut ranges = filter::ranges(wanted, &self.partitions);
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
        let limit = wanted.limit.map_or(u64::MAX, NonZeroU64::get);
        let (marks, began) = (&mut self.marks, self.began);
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
                if !filter::matches(wanted, began, &found) {
                    return ControlFlow::Continue(());
                }
                counts.found += 1;
                visit(marks, found)?;
                if counts.found < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
        Ok(counts)
    }
}
