//! What is known, what was asked, and what goes wrong (pure).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::registry::RegisteredSchema;
use crate::sink::Refusal;
use crate::sink::record::SchemaLookup;

/// How long an answer counts that is no schema, as in the registry's own cache: somebody may register
/// what was missing. Longer where answers take long, as a record may need two of them.
const REJECTION_TTL: Duration = Duration::from_secs(5);
/// How long a registry must have lacked a schema before it is believed: its nodes take over schemas
/// from one another with some delay, and so a record may be here before its schema is.
const REGISTRY_LAG_GRACE: Duration = Duration::from_secs(15);
/// So many schemas that were doubted in vain within [`ABSENCE_MEMORY`] make it believed at once: these
/// are no Avro records, and each would hold up its partition.
const ABSENCES_TO_BELIEVE_AT_ONCE: usize = 4;
const ABSENCE_MEMORY: Duration = Duration::from_secs(600);
/// First and longest pause after a question in vain.
const FETCH_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long a question in vain is kept in mind when nobody wants it answered any more.
const FAILED_FETCH_MEMORY: Duration = Duration::from_secs(60);
/// Bytes of schemas after which all are forgotten, and the number of entries; a sink needs a few.
const MAX_CACHED_SCHEMA_BYTES: usize = 16 << 20;
const MAX_CACHED_SCHEMAS: usize = 10_000;

/// What the consumer thread knows of schemas.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    known: HashMap<u32, Arc<RegisteredSchema>>,
    /// Bytes of their texts.
    weight: usize,
    refused: HashMap<u32, RejectedSchema>,
    /// When doubts were found to be in vain, the oldest first.
    proofs: VecDeque<Instant>,
    /// Asked for and not answered, and since when.
    asked: BTreeMap<u32, Instant>,
    /// How long the last answer took.
    pace: Duration,
    trouble: BTreeMap<u32, FailedFetch>,
}

/// A schema that is of no use, or not there.
#[derive(Debug)]
struct RejectedSchema {
    schema: SchemaLookup,
    /// The first and the last time that it was said.
    first: Instant,
    at: Instant,
}

/// Questions in vain.
#[derive(Debug)]
struct FailedFetch {
    why: String,
    at: Instant,
    /// When to ask again.
    again: Instant,
    backoff: Backoff,
}

/// What became of a question.
#[derive(Debug)]
pub(in crate::sink) enum FetchResult {
    /// An answer, whatever it is.
    Schema(SchemaLookup),
    /// None, in words; to be asked again.
    Failed(String),
}

impl SchemaCache {
    /// What is known of a schema.
    pub(super) fn look(&self, id: u32, now: Instant) -> Option<SchemaLookup> {
        if let Some(writer) = self.known.get(&id) {
            return Some(SchemaLookup::Known(Arc::clone(writer)));
        }
        if let Some(refused) = self.refused.get(&id) {
            return Some(match self.counts(refused, now) {
                true => refused.schema.clone(),
                false => SchemaLookup::RegistryUnavailable,
            });
        }
        self.trouble
            .contains_key(&id)
            .then_some(SchemaLookup::RegistryUnavailable)
    }

    fn counts(&self, refused: &RejectedSchema, now: Instant) -> bool {
        now.saturating_duration_since(refused.at) < REJECTION_TTL + 4 * self.pace
    }

    /// Why the last question for a schema was in vain.
    pub(super) fn trouble(&self, id: u32) -> Option<&str> {
        self.trouble.get(&id).map(|trouble| trouble.why.as_str())
    }

    /// What the registry said when it did not have a schema.
    pub(super) fn absence(&self, id: u32) -> Option<&Refusal> {
        match &self.refused.get(&id)?.schema {
            SchemaLookup::Absent { why, .. } => Some(why),
            SchemaLookup::Known(_)
            | SchemaLookup::Unusable(_)
            | SchemaLookup::RegistryUnavailable => None,
        }
    }

    /// A question was answered, or in vain.
    pub(super) fn answered(&mut self, id: u32, found: FetchResult, now: Instant) {
        let since = self.asked.remove(&id);
        match found {
            FetchResult::Schema(schema) => {
                self.pace = since.map_or(self.pace, |since| now.saturating_duration_since(since));
                self.trouble.remove(&id);
                match schema {
                    SchemaLookup::Known(writer) => self.keep(id, writer),
                    refused => self.refuse(id, refused, now),
                }
            }
            FetchResult::Failed(why) => {
                let trouble = self.trouble.entry(id).or_insert_with(|| FailedFetch {
                    why: String::new(),
                    at: now,
                    again: now,
                    backoff: Backoff::new(FETCH_BACKOFF.0, FETCH_BACKOFF.1),
                });
                (trouble.why, trouble.at) = (why, now);
                trouble.again = now + trouble.backoff.next(1.0);
            }
        }
    }

    fn keep(&mut self, id: u32, writer: Arc<RegisteredSchema>) {
        self.refused.remove(&id);
        let references = writer.references.iter();
        let weight = writer.schema.len() + references.map(|it| it.schema.len()).sum::<usize>();
        self.weight = self.weight.saturating_add(weight);
        if MAX_CACHED_SCHEMA_BYTES < self.weight || MAX_CACHED_SCHEMAS <= self.known.len() {
            self.known.clear();
            self.weight = weight;
        }
        self.known.insert(id, writer);
    }

    fn refuse(&mut self, id: u32, mut schema: SchemaLookup, now: Instant) {
        let before = self.refused.remove(&id);
        let before = before.filter(|it| now.saturating_duration_since(it.at) < ABSENCE_MEMORY);
        let first = before.as_ref().map_or(now, |it| it.first);
        if let SchemaLookup::Absent { sure, .. } = &mut schema {
            let long = |since: &Instant| now.saturating_duration_since(*since) < ABSENCE_MEMORY;
            self.proofs.retain(long);
            let doubted = REGISTRY_LAG_GRACE <= now.saturating_duration_since(first);
            *sure = doubted || ABSENCES_TO_BELIEVE_AT_ONCE <= self.proofs.len();
            if doubted && before.is_some_and(|it| !it.is_sure()) {
                self.proofs.push_back(now);
                self.proofs.truncate(ABSENCES_TO_BELIEVE_AT_ONCE);
            }
        }
        if MAX_CACHED_SCHEMAS <= self.refused.len() {
            self.refused.clear();
        }
        let at = now;
        self.refused
            .insert(id, RejectedSchema { schema, first, at });
    }

    /// Which of the schemas that records wait for are to be asked for now, with at most `most` open
    /// questions. What was asked in vain before comes one at a time and last, so that it does not
    /// keep others waiting.
    pub(super) fn questions(
        &mut self,
        wanted: impl Iterator<Item = u32>,
        most: usize,
        now: Instant,
    ) -> Vec<u32> {
        let recent = |it: &FailedFetch| now.saturating_duration_since(it.at) < FAILED_FETCH_MEMORY;
        let wanted: BTreeSet<u32> = wanted.collect();
        self.trouble
            .retain(|id, trouble| wanted.contains(id) || recent(trouble));
        let answered = |id: &u32| {
            let refused = self.refused.get(id);
            refused.is_some_and(|it| self.counts(it, now)) || self.known.contains_key(id)
        };
        let open = wanted.into_iter();
        let open = open.filter(|id| !self.asked.contains_key(id) && !answered(id));
        let (troubled, new): (Vec<u32>, Vec<u32>) =
            open.partition(|id| self.trouble.contains_key(id));
        let due = |id: &&u32| self.trouble.get(id).is_some_and(|it| it.again <= now);
        let one_is_out = self.asked.keys().any(|id| self.trouble.contains_key(id));
        let again = troubled.iter().filter(due).take(usize::from(!one_is_out));
        let room = most.saturating_sub(self.asked.len());
        let questions: Vec<u32> = new.iter().chain(again).copied().take(room).collect();
        self.asked.extend(questions.iter().map(|id| (*id, now)));
        questions
    }
}

impl RejectedSchema {
    fn is_sure(&self) -> bool {
        !matches!(self.schema, SchemaLookup::Absent { sure: false, .. })
    }
}

#[cfg(test)]
mod tests;
