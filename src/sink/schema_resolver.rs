//! The schemas of records, as the consumer thread sees them.
//!
//! That thread must not wait for the schema registry: it polls, commits and answers the group for all
//! topics. It keeps the schemas that it knows, lets the thread `schemas` fetch the others, and meanwhile
//! defers records whose schema is not known.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::assignment::SchemaWait;
use super::record::SchemaLookup;
use super::schema_cache::SchemaCache;
use super::schema_fetcher::{FetchChannel, FetchedSchema};
use super::topic_context::{HOLD_REPORT_DELAY, HeldBy, TopicContext};
use crate::kafka::TopicPartition;

/// Requests to the fetcher that may be open; further schemas are requested when one is answered.
const MAX_OPEN_FETCHES: usize = 64;

/// The consumer thread's side.
pub(super) struct SchemaResolver {
    requests: Sender<u32>,
    answers: Receiver<FetchedSchema>,
    cache: RefCell<SchemaCache>,
    /// Schemas that records went without, as the registry was unavailable. They are requested all the
    /// same, for the records that follow.
    missed: RefCell<BTreeSet<u32>>,
    /// Whether there may be schemas to request. While there are none, each record costs less.
    active: Cell<bool>,
    /// The reasons that readiness shows: for a partition the index of its topic, and why it waits.
    reported: RefCell<BTreeMap<TopicPartition, (usize, String)>>,
}

/// A resolver, and the channels for its fetcher.
pub(super) fn pair() -> (SchemaResolver, FetchChannel) {
    let (requests, requested) = bounded(MAX_OPEN_FETCHES);
    // There are never more answers than open requests.
    let (answer, answers) = bounded(MAX_OPEN_FETCHES);
    let resolver = SchemaResolver {
        requests,
        answers,
        cache: RefCell::default(),
        missed: RefCell::default(),
        active: Cell::default(),
        reported: RefCell::default(),
    };
    let channel = FetchChannel {
        requests: requested,
        answers: answer,
    };
    (resolver, channel)
}

impl SchemaResolver {
    /// A record was deferred.
    pub(super) fn set_active(&self) {
        self.active.set(true);
    }

    /// Whether a record may wait for its schema or have gone without it, or readiness still reports one.
    pub(super) fn is_active(&self) -> bool {
        self.active.get()
    }

    /// What is known of a schema; `None`: it must be requested first.
    pub(super) fn look_up(&self, id: u32) -> Option<SchemaLookup> {
        let found = self.cache.borrow().look_up(id, Instant::now());
        if let Some(SchemaLookup::RegistryUnavailable) = found {
            self.missed.borrow_mut().insert(id);
            self.active.set(true);
        }
        found
    }

    /// Whether enough is known of a schema for the record that waits for it. `held`: the topic holds
    /// records that cannot be written.
    pub(super) fn is_ready(&self, wait: &SchemaWait, held: bool) -> bool {
        let found = self.look_up(wait.request.schema);
        found.is_some_and(|found| wait.request.are_met_by(&found, held))
    }

    /// Takes in the fetcher's answers.
    pub(super) fn take_fetched(&self) {
        for FetchedSchema { id, result } in self.answers.try_iter() {
            self.cache.borrow_mut().answered(id, result, Instant::now());
        }
    }

    /// Waits for the next answer of the fetcher, for `max_wait` at most. False: none came.
    pub(super) fn await_fetched(&self, max_wait: Duration) -> bool {
        let fetched = self.answers.recv_timeout(max_wait);
        if let Ok(FetchedSchema { id, result }) = fetched {
            self.cache.borrow_mut().answered(id, result, Instant::now());
            true
        } else {
            false
        }
    }

    /// Requests the schemas for which records wait, and has readiness report waits that take long.
    pub(super) fn request(&self, waits: &[SchemaWait], topics: &[Arc<TopicContext>]) {
        self.active.set(!waits.is_empty());
        let now = Instant::now();
        let mut cache = self.cache.borrow_mut();
        let missed = self.missed.take().into_iter();
        let wanted = waits.iter().map(|it| it.request.schema).chain(missed);
        for id in cache.due_requests(wanted, MAX_OPEN_FETCHES, now) {
            // The channel has room for all open requests. Without the fetcher the sink is about to stop.
            self.requests.try_send(id).ok();
        }
        let reasons = waits.iter().filter_map(|wait| {
            let reason = reason(wait, &cache, now)?;
            Some((wait.partition.clone(), (wait.topic, reason)))
        });
        report(&mut self.reported.borrow_mut(), reasons.collect(), topics);
    }
}

/// Why a record waits for its schema; `None` while that need not be reported.
fn reason(wait: &SchemaWait, cache: &SchemaCache, now: Instant) -> Option<String> {
    let schema = wait.request.schema;
    let is_long = now.saturating_duration_since(wait.since) >= HOLD_REPORT_DELAY;
    let found = cache.look_up(schema, now);
    if matches!(
        found,
        Some(SchemaLookup::Known(_) | SchemaLookup::Unusable(_))
    ) {
        // It waits for room in its topic, as other records do.
        return None;
    }
    let why = match (cache.failure(schema), cache.absence(schema)) {
        (Some(why), _) => why.to_owned(),
        (None, _) if !is_long => return None,
        (None, Some(why)) => format!("{why}; it is asked again"),
        (None, None) => "the registry has not answered yet".to_owned(),
    };
    let SchemaWait {
        partition, offset, ..
    } = wait;
    Some(format!(
        "{partition} offset {offset} waits for schema {schema}: {why}"
    ))
}

/// Reports to the topics the reasons that are new or changed, and those that are over.
fn report(
    reported: &mut BTreeMap<TopicPartition, (usize, String)>,
    reasons: BTreeMap<TopicPartition, (usize, String)>,
    topics: &[Arc<TopicContext>],
) {
    for (partition, (topic, reason)) in &reasons {
        let before = reported.get(partition).map(|(_, reason)| reason);
        if before == Some(reason) {
            continue;
        }
        if before.is_none() {
            log::warn!(partition:% = partition, reason = reason;
                "a partition waits for the schema registry");
        }
        if let Some(topic) = topics.get(*topic) {
            let holder = HeldBy::Partition(partition.number);
            topic.hold_reasons.set(holder, reason.clone());
        }
    }
    for (partition, (topic, _)) in &*reported {
        if !reasons.contains_key(partition) {
            log::info!(partition:% = partition;
                "a partition does not wait for the schema registry any more");
            if let Some(topic) = topics.get(*topic) {
                topic
                    .hold_reasons
                    .clear(HeldBy::Partition(partition.number));
            }
        }
    }
    *reported = reasons;
}
