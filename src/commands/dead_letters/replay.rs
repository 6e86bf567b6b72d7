//! `dead-letters replay`: the records go where they were, and are marked as done when that is
//! acknowledged.

mod record;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use self::record::{Records, Unfit};
use super::interrupt::Interrupt;
use super::send::{Outcome, Way};
use super::table::Lines;
use super::{Counts, Desk, Failure, Found, Marked, Screen, plural};
use crate::cli::{Place, Which};
use crate::config::Config;
use crate::kafka::{BrowseError, Marks, Received};
use crate::stop;

/// One lot is sent, acknowledged and marked before the next: so many letters, bytes, or as many as
/// come in this time.
const LETTERS: usize = 100;
const BYTES: usize = 4 << 20;
const TIME: Duration = Duration::from_secs(1);
/// Between words about the progress when they go to a log.
const NEWS: Duration = Duration::from_secs(10);

/// Replays letters, or says which it would.
pub(super) fn replay(
    config: &Config,
    desk: &mut Desk,
    which: &Which,
    ((dry_run, direct), json): ((bool, bool), bool),
    screen: &mut Screen<'_>,
) -> Result<u8, Failure> {
    let way = Way::open(config, direct)?;
    let records = Records::new(config, desk, way.needs_place());
    if dry_run {
        return preview(desk, which, records, json, screen);
    }
    let interrupt = Interrupt::listen().map_err(|error| Failure::new(75, error.to_string()))?;
    let mut run = Run {
        records,
        way,
        interrupt: &interrupt,
        screen,
        lot: Vec::new(),
        bytes: 0,
        began: Instant::now(),
        told: Instant::now(),
        sent: 0,
        failed: 0,
        failure: None,
    };
    let scanned = desk.scan(which, Marked::No, &interrupt.soon, |marks, found| {
        run.take(marks, &found)
    });
    if scanned.is_ok() && run.failure.is_none() {
        run.send(&mut desk.marks);
    }
    if scanned.is_ok() && run.failure.is_none() {
        run.failure = desk.marks.renew().err().map(Failure::from);
    }
    run.end(scanned)
}

/// Says which letters would be sent, and which not.
fn preview(
    desk: &mut Desk,
    which: &Which,
    mut records: Records,
    json: bool,
    screen: &mut Screen<'_>,
) -> Result<u8, Failure> {
    let (_trigger, stop) = stop::pair();
    let mut lines = Lines::new(json);
    let mut unfit = Vec::new();
    let mut result: Result<(), Failure> = Ok(());
    let counts = desk.scan(which, Marked::No, &stop, |_, found| {
        result = match records.of(&found, &stop) {
            Ok(_) => lines.add(&found, screen).map_err(Failure::from),
            Err(Unfit::Letter(why)) => {
                unfit.push((found.place, why));
                Ok(())
            }
            Err(Unfit::All(error)) => Err(error.into()),
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    result?;
    lines.end(screen)?;
    let failed = u64::try_from(unfit.len()).unwrap_or(u64::MAX);
    for (place, why) in unfit {
        screen.note(&format!("{place}: would not be sent: {why}"));
    }
    let sent = counts.found.saturating_sub(failed);
    let sent = plural(sent, "letter");
    screen.note(&format!(
        "{sent} would be sent, {failed} not, {} done before",
        counts.done
    ));
    Ok(u8::from(0 < failed))
}

/// A replay under way.
struct Run<'r, 's> {
    records: Records,
    way: Way,
    interrupt: &'r Interrupt,
    screen: &'r mut Screen<'s>,
    /// What is to be sent next, and its bytes.
    lot: Vec<(Place, Received)>,
    bytes: usize,
    /// When the first of it was read.
    began: Instant,
    /// When something was last said about the progress.
    told: Instant,
    sent: u64,
    failed: u64,
    failure: Option<Failure>,
}

impl Run<'_, '_> {
    fn take(&mut self, marks: &mut Marks, found: &Found) -> ControlFlow<()> {
        match self.records.of(found, &self.interrupt.soon) {
            Ok(record) => {
                if self.lot.is_empty() {
                    (self.bytes, self.began) = (0, Instant::now());
                }
                self.bytes += record.size();
                self.lot.push((found.place, record));
            }
            Err(Unfit::Letter(why)) => self.not_sent(found.place, &why),
            Err(Unfit::All(error)) => self.failure = Some(error.into()),
        }
        let due = LETTERS <= self.lot.len() || BYTES <= self.bytes || TIME <= self.began.elapsed();
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
    fn send(&mut self, marks: &mut Marks) {
        let (mut places, records): (Vec<Place>, Vec<Received>) = self.lot.drain(..).unzip();
        let wanted: Vec<(i32, i64)> = places.iter().map(|p| (p.partition, p.offset)).collect();
        if let Err(error) = marks.check_room(&wanted) {
            self.failure = Some(error.into());
            return;
        }
        let outcomes = self.way.send(&records, &self.interrupt.now);
        let mut open: Vec<(Place, String)> = Vec::new();
        for (place, outcome) in places.drain(..).zip(outcomes) {
            match outcome {
                Outcome::Done => {
                    self.sent += 1;
                    marks.done(
                        place.partition,
                        place.offset..place.offset.saturating_add(1),
                    );
                }
                Outcome::Failed(why) => self.not_sent(place, &why),
                Outcome::Open(why) => open.push((place, why)),
            }
        }
        if let Err(error) = marks.commit() {
            let failure = Failure::from(error);
            let text = format!("{}; the last letters may be sent again", failure.text);
            self.failure = Some(Failure::new(failure.code, text));
        } else if let Some((place, why)) = open.first() {
            let others = open.len() - 1;
            let others = if others == 0 {
                String::new()
            } else {
                format!(" (and {others} more)")
            };
            let text = format!("{place}: not acknowledged: {why}{others}");
            self.failure = Some(Failure::new(75, text));
        }
        self.tell();
    }

    fn not_sent(&mut self, place: Place, why: &str) {
        self.failed += 1;
        self.screen.note(&format!("{place}: not replayed: {why}"));
    }

    fn tell(&mut self) {
        if self.screen.is_live() || NEWS <= self.told.elapsed() {
            self.told = Instant::now();
            let words = plural(self.sent, "letter");
            self.screen.progress(&format!("{words} replayed so far"));
        }
    }

    /// Says how far it went.
    fn end(self, scanned: Result<Counts, Failure>) -> Result<u8, Failure> {
        let (done, failure) = match scanned {
            Ok(counts) => (format!(", {} done before", counts.done), self.failure),
            Err(failure) => (String::new(), Some(failure)),
        };
        let stopped = self.interrupt.soon.is_stopped();
        let start = if stopped { "interrupted: " } else { "" };
        let (sent, failed) = (plural(self.sent, "letter"), self.failed);
        self.screen
            .note(&format!("{start}{sent} replayed, {failed} not{done}"));
        match failure {
            Some(failure) => Err(failure),
            None if stopped => Ok(75),
            None => Ok(u8::from(0 < failed)),
        }
    }
}

impl From<BrowseError> for Unfit {
    fn from(error: BrowseError) -> Unfit {
        Unfit::All(error)
    }
}
