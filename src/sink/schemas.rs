//! The schemas of records, as the consumer thread knows them.
//!
//! That thread must not wait for a registry: it polls, commits and answers the group for all topics.
//! So it keeps what it knows, asks the thread `schemas` for the rest, and parks records meanwhile.

mod asker;
mod book;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

pub(super) use self::asker::Asker;

use self::asker::Answer;
use self::book::Book;
use super::assignment::Waiting;
use super::format::{Needs, Schema, Trust};
use super::topic::{PATIENCE, Topic, Who};
use crate::kafka::Partition;

/// Questions that may be open; others are asked when one is answered.
const QUESTIONS: usize = 64;

/// The consumer's side.
pub(super) struct Schemas {
    questions: Sender<u32>,
    answers: Receiver<Answer>,
    book: RefCell<Book>,
    /// Whether records are parked, as far as is known: while none is, each record costs less.
    busy: Cell<bool>,
    /// What readiness was told: the topic of a partition, and why it waits.
    told: RefCell<BTreeMap<Partition, (usize, String)>>,
}

/// The ends that the thread takes.
pub(super) struct Desk {
    pub(super) questions: Receiver<u32>,
    pub(super) answers: Sender<Answer>,
}

/// Both sides.
pub(super) fn pair() -> (Schemas, Desk) {
    let (questions, asked) = bounded(QUESTIONS);
    // Never more answers than open questions.
    let (answer, answers) = bounded(QUESTIONS);
    let schemas = Schemas {
        questions,
        answers,
        book: RefCell::default(),
        busy: Cell::default(),
        told: RefCell::default(),
    };
    let desk = Desk {
        questions: asked,
        answers: answer,
    };
    (schemas, desk)
}

impl Schemas {
    /// A record is parked.
    pub(super) fn parked(&self) {
        self.busy.set(true);
    }

    /// Whether a record may be parked, or readiness still says so.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// What is known of a schema.
    pub(super) fn look(&self, id: u32) -> Option<Schema> {
        self.book.borrow().look(id, Instant::now())
    }

    /// Whether a record need not wait any longer for the schema that it waits for.
    pub(super) fn settled(&self, waiting: &Waiting, trust: Trust) -> bool {
        let found = self.look(waiting.needs.schema);
        found.is_some_and(|found| waiting.needs.are_met_by(&found, trust))
    }

    /// Takes in what was answered.
    pub(super) fn settle(&self) {
        for Answer { id, found } in self.answers.try_iter() {
            self.book.borrow_mut().answered(id, found, Instant::now());
        }
    }

    /// Asks for what records wait for, and has readiness say so where that takes long.
    pub(super) fn ask(&self, waiting: &[Waiting], topics: &[Arc<Topic>]) {
        self.busy.set(!waiting.is_empty());
        let now = Instant::now();
        let mut book = self.book.borrow_mut();
        for id in book.questions(waiting.iter().map(|it| it.needs.schema), QUESTIONS, now) {
            // There is room. Without the thread the program is about to stop.
            self.questions.try_send(id).ok();
        }
        let reasons = waiting.iter().filter_map(|record| {
            let reason = reason(record, &book, now)?;
            Some((record.partition.clone(), (record.topic, reason)))
        });
        tell(&mut self.told.borrow_mut(), reasons.collect(), topics);
    }
}

/// Why a record still waits, once that is worth a word.
fn reason(record: &Waiting, book: &Book, now: Instant) -> Option<String> {
    let Waiting {
        partition,
        offset,
        needs: Needs { schema, .. },
        since,
        ..
    } = record;
    let long = PATIENCE <= now.saturating_duration_since(*since);
    let why = match (book.trouble(*schema), book.look(*schema, now)) {
        // The registry may only be behind, for a moment.
        (Some(why), Some(Schema::Absent(_))) if long => why,
        // It waits for its topic, as others do.
        (_, Some(_)) => return None,
        (Some(why), None) => why,
        (None, None) if long => "the registry has not answered yet",
        (None, None) => return None,
    };
    Some(format!(
        "{partition} offset {offset} waits for schema {schema}: {why}"
    ))
}

/// Tells the topics what is new: reasons that came or changed, and those that are gone.
fn tell(
    told: &mut BTreeMap<Partition, (usize, String)>,
    reasons: BTreeMap<Partition, (usize, String)>,
    topics: &[Arc<Topic>],
) {
    for (partition, (at, reason)) in &reasons {
        let before = told.get(partition).map(|(_, reason)| reason);
        if before == Some(reason) {
            continue;
        }
        if before.is_none() {
            log::warn!(partition:% = partition, reason = reason;
                "a partition waits for the schema registry");
        }
        if let Some(topic) = topics.get(*at) {
            let who = Who::Partition(partition.number);
            topic.troubles.tell(who, reason.clone());
        }
    }
    for (partition, (at, _)) in &*told {
        if !reasons.contains_key(partition) {
            log::info!(partition:% = partition;
                "a partition does not wait for the schema registry any more");
            if let Some(topic) = topics.get(*at) {
                topic.troubles.over(Who::Partition(partition.number));
            }
        }
    }
    *told = reasons;
}
