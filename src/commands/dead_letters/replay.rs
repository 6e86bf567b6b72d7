//! `dead-letters replay`: the records go where they were, and are marked as done when that is
//! acknowledged.

mod record;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use self::record::{ReplayRecordBuilder, Unreplayable};
use super::found::FoundLetter;
use super::lines::LetterLines;
use super::scan::{DeadLetterTopic, DoneLetters, ScanCounts};
use super::send::{ReplayOutcome, ReplayTarget};
use super::text::plural;
use crate::cli::{DeadLetterFilter, DeadLetterPlace, ReplayOptions};
use crate::commands::failure::{CommandFailure, ExitResult, exit_code};
use crate::commands::interrupt::InterruptListener;
use crate::commands::terminal::Terminal;
use crate::config::Config;
use crate::kafka::{ConsumerRecord, ReplayProgress, TopicReadError};
use crate::stop;

/// One lot is sent, acknowledged and marked before the next: so many letters, bytes, or as many as
/// come in this time.
const REPLAY_LOT_LETTERS: usize = 100;
const REPLAY_LOT_BYTES: usize = 4 << 20;
const REPLAY_LOT_MAX_AGE: Duration = Duration::from_secs(1);
/// Between words about the progress when they go to a log.
const PROGRESS_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Replays letters, or says which ones it would.
pub(super) fn replay(
    config: &Config,
    letters: &mut DeadLetterTopic,
    filter: &DeadLetterFilter,
    options: &ReplayOptions,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let way = ReplayTarget::open(config, options.direct)?;
    let records = ReplayRecordBuilder::new(config, letters, way.needs_place());
    if options.dry_run {
        return preview(letters, filter, records, options.json, terminal);
    }
    if *filter == DeadLetterFilter::default() {
        terminal.note("no filter is given: every letter that is not done is sent again");
    }
    if !options.direct {
        terminal.note("a record that is refused again comes back as a new letter");
    }
    let interrupt = InterruptListener::listen()
        .map_err(|error| CommandFailure::new(exit_code::TRY_AGAIN, error))?;
    let mut run = ReplayRun {
        records,
        way,
        interrupt: &interrupt,
        terminal,
        lot: Vec::new(),
        bytes: 0,
        began: Instant::now(),
        told: Instant::now(),
        sent: 0,
        failed: 0,
        failure: None,
    };
    let scanned = letters.scan(
        filter,
        DoneLetters::Skip,
        &interrupt.soon,
        |marks, found| run.take(marks, &found),
    );
    if scanned.is_ok() && run.failure.is_none() {
        run.send(&mut letters.marks);
    }
    if scanned.is_ok() && run.failure.is_none() {
        run.failure = letters.marks.renew().err().map(CommandFailure::from);
    }
    run.end(scanned)
}

/// Says which letters would be sent, and which not.
fn preview(
    letters: &mut DeadLetterTopic,
    filter: &DeadLetterFilter,
    mut records: ReplayRecordBuilder,
    json: bool,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let (_trigger, stop) = stop::pair();
    let mut lines = LetterLines::new(json);
    let mut unfit = Vec::new();
    let mut result: Result<(), CommandFailure> = Ok(());
    let counts = letters.scan(filter, DoneLetters::Skip, &stop, |_, found| {
        result = match records.of(&found, &stop) {
            Ok(_) => lines.add(&found, terminal).map_err(CommandFailure::from),
            Err(Unreplayable::Letter(why)) => {
                unfit.push((found.place, why));
                Ok(())
            }
            Err(Unreplayable::All(error)) => Err(error.into()),
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    result?;
    lines.end(terminal)?;
    let failed = u64::try_from(unfit.len()).unwrap_or(u64::MAX);
    for (place, why) in unfit {
        terminal.note(&format!("{place}: would not be sent: {why}"));
    }
    let sent = counts.found.saturating_sub(failed);
    let sent = plural(sent, "letter");
    terminal.note(&format!(
        "{sent} would be sent, {failed} not, {} done before",
        counts.done
    ));
    Ok(u8::from(0 < failed))
}

/// A replay under way.
struct ReplayRun<'r, 's> {
    records: ReplayRecordBuilder,
    way: ReplayTarget,
    interrupt: &'r InterruptListener,
    terminal: &'r mut Terminal<'s>,
    /// What is to be sent next, and its bytes.
    lot: Vec<(DeadLetterPlace, ConsumerRecord)>,
    bytes: usize,
    /// When the first of it was read.
    began: Instant,
    /// When something was last said about the progress.
    told: Instant,
    sent: u64,
    failed: u64,
    failure: Option<CommandFailure>,
}

impl ReplayRun<'_, '_> {
    fn take(&mut self, marks: &mut ReplayProgress, found: &FoundLetter) -> ControlFlow<()> {
        match self.records.of(found, &self.interrupt.soon) {
            Ok(record) => {
                if self.lot.is_empty() {
                    (self.bytes, self.began) = (0, Instant::now());
                }
                self.bytes += record.size();
                self.lot.push((found.place, record));
            }
            Err(Unreplayable::Letter(why)) => self.not_sent(found.place, &why),
            Err(Unreplayable::All(error)) => self.failure = Some(error.into()),
        }
        let due = self.lot.len() >= REPLAY_LOT_LETTERS
            || self.bytes >= REPLAY_LOT_BYTES
            || self.began.elapsed() >= REPLAY_LOT_MAX_AGE;
        if due && self.failure.is_none() {
            self.send(marks);
        }
        match self.failure {
            None if !self.interrupt.soon.is_stopped() => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    /// Sends the lot and marks what was acknowledged. Whether there is room for the marks is asked
    /// before: what was sent must be marked.
    fn send(&mut self, marks: &mut ReplayProgress) {
        let (mut places, records): (Vec<DeadLetterPlace>, Vec<ConsumerRecord>) =
            self.lot.drain(..).unzip();
        let wanted: Vec<(i32, i64)> = places.iter().map(|p| (p.partition, p.offset)).collect();
        if let Err(error) = marks.check_room(&wanted) {
            self.failure = Some(error.into());
            return;
        }
        let outcomes = self.way.send(&records, &self.interrupt.now);
        let mut open: Vec<(DeadLetterPlace, String)> = Vec::new();
        for (place, outcome) in places.drain(..).zip(outcomes) {
            match outcome {
                ReplayOutcome::Done => {
                    self.sent += 1;
                    marks.mark_done(
                        place.partition,
                        place.offset..place.offset.saturating_add(1),
                    );
                }
                ReplayOutcome::Failed(why) => self.not_sent(place, &why),
                ReplayOutcome::Open(why) => open.push((place, why)),
            }
        }
        if let Err(error) = marks.commit() {
            let failure = CommandFailure::from(error);
            let text = format!("{}; the last letters may be sent again", failure.text);
            self.failure = Some(CommandFailure::new(failure.code, text));
        } else if let Some((place, why)) = open.first() {
            let others = open.len() - 1;
            let others = if others == 0 {
                String::new()
            } else {
                format!(" (and {others} more)")
            };
            let text = format!("{place}: not acknowledged: {why}{others}");
            self.failure = Some(CommandFailure::new(exit_code::TRY_AGAIN, text));
        }
        self.tell();
    }

    fn not_sent(&mut self, place: DeadLetterPlace, why: &str) {
        self.failed += 1;
        self.terminal.note(&format!("{place}: not replayed: {why}"));
    }

    fn tell(&mut self) {
        if self.terminal.is_live() || self.told.elapsed() >= PROGRESS_LOG_INTERVAL {
            self.told = Instant::now();
            let words = plural(self.sent, "letter");
            self.terminal.progress(&format!("{words} replayed so far"));
        }
    }

    /// Says how far it went.
    fn end(self, scanned: Result<ScanCounts, CommandFailure>) -> ExitResult {
        let (done, failure) = match scanned {
            Ok(counts) => (format!(", {} done before", counts.done), self.failure),
            Err(failure) => (String::new(), Some(failure)),
        };
        let stopped = self.interrupt.soon.is_stopped();
        let start = if stopped { "interrupted: " } else { "" };
        let (sent, failed) = (plural(self.sent, "letter"), self.failed);
        self.terminal
            .note(&format!("{start}{sent} replayed, {failed} not{done}"));
        match failure {
            Some(failure) => Err(failure),
            None if stopped => Ok(exit_code::TRY_AGAIN),
            None => Ok(u8::from(0 < failed)),
        }
    }
}

impl From<TopicReadError> for Unreplayable {
    fn from(error: TopicReadError) -> Unreplayable {
        Unreplayable::All(error)
    }
}
