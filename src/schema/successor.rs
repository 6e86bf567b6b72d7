//! What is written with next under a subject: the registered schema, grown to what a table needs.

use super::registry::{Error, Registered, Registry};
use super::{Change, NotOurs, Schema};
use crate::stop::Stop;

/// The schema that follows what is registered.
#[derive(Debug, Clone)]
pub struct Successor {
    /// What is to be written with.
    pub schema: Schema,
    /// What is registered under the subject last, if anything is.
    pub latest: Option<Registered>,
    /// Whether the latest serves as it is, so that there is nothing to register.
    pub is_registered: bool,
    /// The differences between what is registered and what is wanted.
    pub changes: Vec<Change>,
    /// Why the latest is none of ours. Then only the registry knows whether ours may follow it.
    pub foreign: Option<NotOurs>,
}

impl Successor {
    /// Asks for the latest schema of `subject` and lets it grow to `wanted`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn find(
        registry: &Registry,
        subject: &str,
        wanted: &Schema,
        stop: &Stop,
    ) -> Result<Successor, Error> {
        Ok(Successor::of(registry.latest(subject, stop)?, wanted))
    }

    /// The successor of `latest` with every column of `wanted`.
    pub fn of(latest: Option<Registered>, wanted: &Schema) -> Successor {
        let mut successor = Successor {
            schema: wanted.clone(),
            latest: None,
            is_registered: false,
            changes: Vec::new(),
            foreign: None,
        };
        match latest.as_ref().map(|latest| Schema::parse(&latest.schema)) {
            None => {}
            Some(Err(why)) => successor.foreign = Some(why),
            Some(Ok(known)) => {
                let evolution = known.evolve(wanted);
                successor.is_registered = evolution.schema.is_none();
                successor.changes = evolution.changes;
                successor.schema = evolution.schema.unwrap_or(known);
            }
        }
        successor.latest = latest;
        successor
    }

    /// The id to write with. Registers the schema where it is not yet.
    ///
    /// # Errors
    /// The registry did not answer, or refused; of an incompatible schema with the reasons.
    pub fn register(&self, registry: &Registry, subject: &str, stop: &Stop) -> Result<u32, Error> {
        match &self.latest {
            // Its text may differ from ours in form, and would be registered again.
            Some(latest) if self.is_registered => Ok(latest.id),
            _ => registry.register(subject, self.schema.json(), stop),
        }
    }
}
