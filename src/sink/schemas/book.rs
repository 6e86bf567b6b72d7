//! What is known, what was asked, and what goes wrong (pure).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::schema::registry::Writer;
use crate::sink::format::Schema;

/// How long a refusal counts, as in the registry's own cache: somebody may register what was missing.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Bytes of schemas after which all are forgotten, and the number of entries; a sink needs a few.
const MAX_WEIGHT: usize = 16 << 20;
const MAX_COUNT: usize = 10_000;

/// What the consumer thread knows of schemas.
#[derive(Debug, Default)]
pub(super) struct Book {
    known: HashMap<u32, Arc<Writer>>,
    /// Bytes of their texts.
    weight: usize,
    /// What is of no use, or not there.
    refused: HashMap<u32, (Schema, Instant)>,
    /// Asked for and not answered.
    asked: BTreeSet<u32>,
    /// Why there was no answer the last time.
    trouble: BTreeMap<u32, String>,
}

/// What became of a question.
#[derive(Debug)]
pub(in crate::sink) enum Found {
    /// An answer, whatever it is.
    Schema(Schema),
    /// None, in words; to be asked again.
    Trouble(String),
}

impl Book {
    /// What is known of a schema.
    pub(super) fn look(&self, id: u32, now: Instant) -> Option<Schema> {
        if let Some(writer) = self.known.get(&id) {
            return Some(Schema::Known(Arc::clone(writer)));
        }
        let (refused, at) = self.refused.get(&id)?;
        let counts = now.saturating_duration_since(*at) < REFUSED_FOR;
        counts.then(|| refused.clone())
    }

    /// Why the last question for a schema did not give it.
    pub(super) fn trouble(&self, id: u32) -> Option<&str> {
        self.trouble.get(&id).map(String::as_str)
    }

    /// A question was answered, or in vain.
    pub(super) fn answered(&mut self, id: u32, found: Found, now: Instant) {
        self.asked.remove(&id);
        self.trouble.remove(&id);
        match found {
            Found::Schema(Schema::Known(writer)) => self.keep(id, writer),
            Found::Schema(refused) => {
                if let Schema::Absent(why) = &refused {
                    self.trouble.insert(id, format!("{why}; it is asked again"));
                }
                if MAX_COUNT <= self.refused.len() {
                    self.refused.clear();
                }
                self.refused.insert(id, (refused, now));
            }
            Found::Trouble(why) => drop(self.trouble.insert(id, why)),
        }
    }

    fn keep(&mut self, id: u32, writer: Arc<Writer>) {
        let references = writer.references.iter();
        let weight = writer.schema.len() + references.map(|it| it.schema.len()).sum::<usize>();
        self.weight = self.weight.saturating_add(weight);
        if MAX_WEIGHT < self.weight || MAX_COUNT <= self.known.len() {
            self.known.clear();
            self.weight = weight;
        }
        self.known.insert(id, writer);
    }

    /// Which of the schemas that records wait for are to be asked for now, with at most `most` open
    /// questions. What nobody waits for any more is no trouble.
    pub(super) fn questions(
        &mut self,
        wanted: impl Iterator<Item = u32>,
        most: usize,
        now: Instant,
    ) -> Vec<u32> {
        let wanted: BTreeSet<u32> = wanted.collect();
        self.trouble.retain(|id, _| wanted.contains(id));
        let room = most.saturating_sub(self.asked.len());
        let unknown = |id: &u32| self.look(*id, now).is_none();
        let open = wanted.difference(&self.asked).copied().filter(unknown);
        let questions: Vec<u32> = open.take(room).collect();
        self.asked.extend(&questions);
        questions
    }
}

#[cfg(test)]
mod tests;
