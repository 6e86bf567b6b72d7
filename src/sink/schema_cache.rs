//! What the consumer thread knows of schemas: those that the registry has given, those that it does not
//! have or that are of no use, and requests that failed (pure).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record::SchemaLookup;
use super::refusal::Refusal;
use crate::backoff::Backoff;
use crate::registry::RegisteredSchema;

/// How long the answer counts that a schema is missing or of no use: it may be registered meanwhile.
/// Longer where answers take long, as one record may need two schemas.
const REJECTION_TTL: Duration = Duration::from_secs(5);
/// How long a registry must answer that it lacks a schema until it is believed. Its nodes replicate
/// schemas with a delay, so that a record may arrive before its schema does.
const REGISTRY_LAG_GRACE: Duration = Duration::from_secs(15);
/// When this many schemas stayed absent for [`REGISTRY_LAG_GRACE`] within [`ABSENCE_MEMORY`], the registry
/// is believed at once: the records are no Avro records, and each would hold up its partition for that
/// long.
const ABSENCES_TO_BELIEVE_AT_ONCE: usize = 4;
const ABSENCE_MEMORY: Duration = Duration::from_secs(600);
/// First and longest pause after a failed request. The registry's client lets one request at a time
/// through while it is away.
const FETCH_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// How long a failed request is remembered when no record waits for its schema any more.
const FAILED_FETCH_MEMORY: Duration = Duration::from_secs(60);
/// Bytes of schemas after which all are forgotten, and the number of entries; a sink needs a few.
const MAX_CACHED_SCHEMA_BYTES: usize = 16 << 20;
const MAX_CACHED_SCHEMAS: usize = 10_000;

/// What the consumer thread knows of schemas.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    known: HashMap<u32, Arc<RegisteredSchema>>,
    /// Bytes of their texts.
    bytes: usize,
    rejected: HashMap<u32, RejectedSchema>,
    /// When absences were confirmed that had not been believed at first, the oldest first.
    confirmed_absences: VecDeque<Instant>,
    /// Requested and not answered, and since when.
    requested: BTreeMap<u32, Instant>,
    /// How long the last answer took.
    last_answer_time: Duration,
    failed: BTreeMap<u32, FailedFetch>,
}

/// A schema that is of no use, or that the registry does not have.
#[derive(Debug)]
struct RejectedSchema {
    schema: SchemaLookup,
    /// When the registry said so first and last.
    first: Instant,
    last: Instant,
}

/// Requests for one schema that failed.
#[derive(Debug)]
struct FailedFetch {
    why: String,
    last: Instant,
    /// When to request it again.
    retry_at: Instant,
    backoff: Backoff,
}

/// The result of one request.
#[derive(Debug)]
pub(super) enum FetchResult {
    /// The registry's answer, which may be that it has no such schema.
    Schema(SchemaLookup),
    /// The registry gave no answer, for the reason in words. The request is to be made again.
    Failed(String),
}

impl SchemaCache {
    /// What is known of a schema; `None`: nothing, and no request for it failed.
    pub(super) fn look_up(&self, id: u32, now: Instant) -> Option<SchemaLookup> {
        if let Some(schema) = self.known.get(&id) {
            return Some(SchemaLookup::Known(Arc::clone(schema)));
        }
        if let Some(rejected) = self.rejected.get(&id) {
            return Some(if self.still_counts(rejected, now) {
                rejected.schema.clone()
            } else {
                SchemaLookup::RegistryUnavailable
            });
        }
        self.failed
            .contains_key(&id)
            .then_some(SchemaLookup::RegistryUnavailable)
    }

    fn still_counts(&self, rejected: &RejectedSchema, now: Instant) -> bool {
        now.saturating_duration_since(rejected.last) < REJECTION_TTL + 4 * self.last_answer_time
    }

    /// Why the last request for a schema failed.
    pub(super) fn failure(&self, id: u32) -> Option<&str> {
        self.failed.get(&id).map(|failed| failed.why.as_str())
    }

    /// What the registry said when it did not have a schema.
    pub(super) fn absence(&self, id: u32) -> Option<&Refusal> {
        match &self.rejected.get(&id)?.schema {
            SchemaLookup::Absent { why, .. } => Some(why),
            SchemaLookup::Known(_)
            | SchemaLookup::Unusable(_)
            | SchemaLookup::RegistryUnavailable => None,
        }
    }

    /// Takes in the result of a request.
    pub(super) fn answered(&mut self, id: u32, result: FetchResult, now: Instant) {
        let since = self.requested.remove(&id);
        match result {
            FetchResult::Schema(schema) => {
                self.last_answer_time = since.map_or(self.last_answer_time, |since| {
                    now.saturating_duration_since(since)
                });
                self.failed.remove(&id);
                match schema {
                    SchemaLookup::Known(schema) => self.keep(id, schema),
                    rejected => self.reject(id, rejected, now),
                }
            }
            FetchResult::Failed(why) => {
                let failed = self.failed.entry(id).or_insert_with(|| FailedFetch {
                    why: String::new(),
                    last: now,
                    retry_at: now,
                    backoff: Backoff::new(FETCH_BACKOFF.0, FETCH_BACKOFF.1),
                });
                (failed.why, failed.last) = (why, now);
                failed.retry_at = now + failed.backoff.next_ceiling();
            }
        }
    }

    fn keep(&mut self, id: u32, schema: Arc<RegisteredSchema>) {
        self.rejected.remove(&id);
        let references = schema.references.iter();
        let bytes = schema.schema.len() + references.map(|it| it.schema.len()).sum::<usize>();
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_CACHED_SCHEMA_BYTES || self.known.len() >= MAX_CACHED_SCHEMAS {
            self.known.clear();
            self.bytes = bytes;
        }
        self.known.insert(id, schema);
    }

    fn reject(&mut self, id: u32, mut schema: SchemaLookup, now: Instant) {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < ABSENCE_MEMORY;
        let before = self.rejected.remove(&id).filter(|it| is_recent(it.last));
        let first = before.as_ref().map_or(now, |it| it.first);
        if let SchemaLookup::Absent { sure, .. } = &mut schema {
            self.confirmed_absences.retain(|at| is_recent(*at));
            let has_lasted = now.saturating_duration_since(first) >= REGISTRY_LAG_GRACE;
            *sure = has_lasted || self.confirmed_absences.len() >= ABSENCES_TO_BELIEVE_AT_ONCE;
            if has_lasted && before.is_some_and(|it| !it.is_sure()) {
                self.confirmed_absences.push_back(now);
                self.confirmed_absences
                    .truncate(ABSENCES_TO_BELIEVE_AT_ONCE);
            }
        }
        if self.rejected.len() >= MAX_CACHED_SCHEMAS {
            self.rejected.clear();
        }
        let last = now;
        self.rejected.insert(
            id,
            RejectedSchema {
                schema,
                first,
                last,
            },
        );
    }

    /// Which of the wanted schemas are to be requested now, with `max_open` open requests at most. Those
    /// whose request failed before are requested last and one at a time, so that the others need not
    /// wait for them.
    pub(super) fn due_requests(
        &mut self,
        wanted: impl Iterator<Item = u32>,
        max_open: usize,
        now: Instant,
    ) -> Vec<u32> {
        let is_recent =
            |it: &FailedFetch| now.saturating_duration_since(it.last) < FAILED_FETCH_MEMORY;
        let wanted: BTreeSet<u32> = wanted.collect();
        self.failed
            .retain(|id, failed| wanted.contains(id) || is_recent(failed));
        let answered = |id: &u32| {
            let rejected = self.rejected.get(id);
            rejected.is_some_and(|it| self.still_counts(it, now)) || self.known.contains_key(id)
        };
        let open = wanted
            .into_iter()
            .filter(|id| !self.requested.contains_key(id) && !answered(id));
        let (failed, new): (Vec<u32>, Vec<u32>) = open.partition(|id| self.failed.contains_key(id));
        let is_due = |id: &&u32| self.failed.get(id).is_some_and(|it| now >= it.retry_at);
        let one_is_requested = self.requested.keys().any(|id| self.failed.contains_key(id));
        let again = failed
            .iter()
            .filter(is_due)
            .take(usize::from(!one_is_requested));
        let room = max_open.saturating_sub(self.requested.len());
        let due: Vec<u32> = new.iter().chain(again).copied().take(room).collect();
        self.requested.extend(due.iter().map(|id| (*id, now)));
        due
    }
}

impl RejectedSchema {
    fn is_sure(&self) -> bool {
        !matches!(self.schema, SchemaLookup::Absent { sure: false, .. })
    }
}

#[cfg(test)]
mod tests;
