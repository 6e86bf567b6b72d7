//! The schemas of records, as the consumer thread knows them.
//!
//! That thread must not wait for a registry: it polls, commits and answers the group for all topics.
//! So it keeps what it knows, asks the thread `schemas` for the rest, and parks records meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

pub(super) use crate::sink::schema_fetcher::SchemaFetcher;

use super::assignment::SchemaWait;
use super::record::{SchemaLookup, SchemaRequest};
use super::topic_context::{HOLD_REPORT_DELAY, HeldBy, TopicContext};
use crate::kafka::TopicPartition;
use crate::sink::schema_cache::SchemaCache;
use crate::sink::schema_fetcher::FetchedSchema;

/// Questions that may be open; others are asked when one is answered.
const MAX_OPEN_FETCHES: usize = 64;

/// The consumer's side.
pub(super) struct SchemaResolver {
    questions: Sender<u32>,
    answers: Receiver<FetchedSchema>,
    book: RefCell<SchemaCache>,
    /// Schemas that records did without, as the registry says nothing: to be asked for all the same.
    missed: RefCell<BTreeSet<u32>>,
    /// Whether there may be something to ask: while there is not, each record costs less.
    busy: Cell<bool>,
    /// What readiness was told: the topic of a partition, and why it waits.
    told: RefCell<BTreeMap<TopicPartition, (usize, String)>>,
}

/// The ends that the thread takes.
pub(super) struct FetchChannel {
    pub(super) questions: Receiver<u32>,
    pub(super) answers: Sender<FetchedSchema>,
}

/// Both sides.
pub(super) fn pair() -> (SchemaResolver, FetchChannel) {
    let (questions, asked) = bounded(MAX_OPEN_FETCHES);
    // Never more answers than open questions.
    let (answer, answers) = bounded(MAX_OPEN_FETCHES);
    let schemas = SchemaResolver {
        questions,
        answers,
        book: RefCell::default(),
        missed: RefCell::default(),
        busy: Cell::default(),
        told: RefCell::default(),
    };
    let desk = FetchChannel {
        questions: asked,
        answers: answer,
    };
    (schemas, desk)
}

impl SchemaResolver {
    /// A record is parked.
    pub(super) fn parked(&self) {
        self.busy.set(true);
    }

    /// Whether a record may be parked, or miss its schema, or readiness still says so.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// What is known of a schema.
    pub(super) fn look(&self, id: u32) -> Option<SchemaLookup> {
        let found = self.book.borrow().look(id, Instant::now());
        if let Some(SchemaLookup::RegistryUnavailable) = found {
            self.missed.borrow_mut().insert(id);
            self.busy.set(true);
        }
        found
    }

    /// Whether a record need not wait any longer for the schema that it waits for.
    pub(super) fn settled(&self, waiting: &SchemaWait, held: bool) -> bool {
        let found = self.look(waiting.needs.schema);
        found.is_some_and(|found| waiting.needs.are_met_by(&found, held))
    }

    /// Takes in what was answered.
    pub(super) fn settle(&self) {
        for FetchedSchema { id, found } in self.answers.try_iter() {
            self.book.borrow_mut().answered(id, found, Instant::now());
        }
    }

    /// Asks for what records wait for, and has readiness say so where that takes long.
    pub(super) fn ask(&self, waiting: &[SchemaWait], topics: &[Arc<TopicContext>]) {
        self.busy.set(!waiting.is_empty());
        let now = Instant::now();
        let mut book = self.book.borrow_mut();
        let missed = self.missed.take().into_iter();
        let wanted = waiting.iter().map(|it| it.needs.schema).chain(missed);
        for id in book.questions(wanted, MAX_OPEN_FETCHES, now) {
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
fn reason(record: &SchemaWait, book: &SchemaCache, now: Instant) -> Option<String> {
    let SchemaWait {
        partition,
        offset,
        needs: SchemaRequest { schema, .. },
        since,
        ..
    } = record;
    let long = HOLD_REPORT_DELAY <= now.saturating_duration_since(*since);
    let found = book.look(*schema, now);
    if matches!(
        found,
        Some(SchemaLookup::Known(_) | SchemaLookup::Unusable(_))
    ) {
        // It waits for its topic, as others do.
        return None;
    }
    let why = match (book.trouble(*schema), book.absence(*schema)) {
        (Some(why), _) => why.to_owned(),
        // It may be a matter of a moment.
        (None, _) if !long => return None,
        (None, Some(why)) => format!("{why}; it is asked again"),
        (None, None) => "the registry has not answered yet".to_owned(),
    };
    Some(format!(
        "{partition} offset {offset} waits for schema {schema}: {why}"
    ))
}

/// Tells the topics what is new: reasons that came or changed, and those that are gone.
fn tell(
    told: &mut BTreeMap<TopicPartition, (usize, String)>,
    reasons: BTreeMap<TopicPartition, (usize, String)>,
    topics: &[Arc<TopicContext>],
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
            let who = HeldBy::Partition(partition.number);
            topic.hold_reasons.tell(who, reason.clone());
        }
    }
    for (partition, (at, _)) in &*told {
        if !reasons.contains_key(partition) {
            log::info!(partition:% = partition;
                "a partition does not wait for the schema registry any more");
            if let Some(topic) = topics.get(*at) {
                topic.hold_reasons.over(HeldBy::Partition(partition.number));
            }
        }
    }
    *told = reasons;
}
