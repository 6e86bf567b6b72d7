//! What is written with next under a subject: the registered schema, grown to what a table needs.

use crate::registry::{Error, Registered, Registry};
use super::{Change, NotOurs, Schema};
use crate::stop::Stop;

/// Versions below the latest that are looked at for one of ours.
const MAX_BACK: usize = 20;

/// Our own newest schema under a subject.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    /// The version, and what it says; `None` where none of the newest is one of ours.
    pub ours: Option<(Registered, Schema)>,
    /// Why the latest is none of ours.
    pub foreign: Option<NotOurs>,
}

impl Newest {
    /// The version `latest` of `subject`, or behind a schema of somebody else's the newest one of ours.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn find(
        registry: &Registry,
        subject: &str,
        latest: &Registered,
        stop: &Stop,
    ) -> Result<Newest, Error> {
        let mut newest = Newest::of(latest);
        if newest.foreign.is_some() {
            newest.ours = below(registry, subject, latest, stop)?;
        }
        Ok(newest)
    }

    /// Our own, or in words why there is none and what to do.
    ///
    /// # Errors
    /// There is none.
    pub fn or_advice(&self, subject: &str, table: &str) -> Result<&(Registered, Schema), String> {
        let foreign = self.foreign.as_ref();
        let advice = || foreign.map(|why| why.advice(subject, table));
        self.ours
            .as_ref()
            .ok_or_else(|| advice().unwrap_or_default())
    }

    /// Looks no further than the latest.
    fn of(latest: &Registered) -> Newest {
        match Schema::parse(&latest.schema) {
            Ok(schema) => Newest {
                ours: Some((latest.clone(), schema)),
                foreign: None,
            },
            Err(why) => Newest {
                ours: None,
                foreign: Some(why),
            },
        }
    }
}

impl NotOurs {
    /// What to do where there is none of ours.
    pub fn advice(&self, subject: &str, table: &str) -> String {
        format!(
            "what is registered as `{subject}` is {self}; use another topic, or register ours on top \
             with `servicenow-kafka-bridge schema register {table}`"
        )
    }
}

/// The schema that follows what is registered.
#[derive(Debug, Clone)]
pub struct Successor {
    /// What is to be written with.
    pub schema: Schema,
    /// What is registered under the subject last, if anything is.
    pub latest: Option<Registered>,
    /// The registered version that serves as it is, so that there is nothing to register.
    pub serves: Option<Registered>,
    /// The differences between our own schema so far and what is wanted.
    pub changes: Vec<Change>,
    /// Why the latest is none of ours. Then only the registry knows whether ours may follow it.
    pub foreign: Option<NotOurs>,
    /// Whether it grows from a schema of ours, and not from nothing.
    pub grows: bool,
}

impl Successor {
    /// Lets our own schema of `subject` grow to `wanted`. It is the latest one, or `running`, which
    /// records are written with at the moment, where the latest has not all of that. Behind a
    /// schema of somebody else's that is none of ours it is the newest version that is.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn find(
        registry: &Registry,
        subject: &str,
        wanted: &Schema,
        running: Option<&Schema>,
        stop: &Stop,
    ) -> Result<Successor, Error> {
        let latest = registry.latest(subject, stop)?;
        let Newest { ours, foreign } = match (&latest, running) {
            (None, _) => Newest::default(),
            (Some(latest), None) => Newest::find(registry, subject, latest, stop)?,
            // What runs is newer than what lies below.
            (Some(latest), Some(_)) => Newest::of(latest),
        };
        Ok(Successor {
            latest,
            foreign,
            ..Successor::of(ours, running, wanted)
        })
    }

    /// What follows our own version `ours` and the schema `running`.
    fn of(
        ours: Option<(Registered, Schema)>,
        running: Option<&Schema>,
        wanted: &Schema,
    ) -> Successor {
        let grows = ours.is_some() || running.is_some();
        let (serves, changes, schema) = match base(ours, running) {
            None => (None, Vec::new(), wanted.clone()),
            Some((version, base)) => {
                let evolution = base.evolve(wanted);
                match evolution.schema {
                    None => (version, evolution.changes, base),
                    Some(grown) => (None, evolution.changes, grown),
                }
            }
        };
        Successor {
            schema,
            latest: None,
            serves,
            changes,
            foreign: None,
            grows,
        }
    }

    /// The id to write with. Registers the schema where it is not yet.
    ///
    /// # Errors
    /// The registry did not answer, or refused; of an incompatible schema with the reasons.
    pub fn register(&self, registry: &Registry, subject: &str, stop: &Stop) -> Result<u32, Error> {
        match &self.serves {
            // Its text may differ from ours in form, and would be registered again.
            Some(version) => Ok(version.id),
            None => registry.register(subject, self.schema.json(), stop),
        }
    }
}

/// What the next schema grows from; with the version that it is, if it is registered like that.
fn base(
    ours: Option<(Registered, Schema)>,
    running: Option<&Schema>,
) -> Option<(Option<Registered>, Schema)> {
    match (ours, running) {
        (None, None) => None,
        (None, Some(running)) => Some((None, running.clone())),
        (Some((_, known)), Some(running)) if !known.has_all_of(running) => {
            // Somebody has registered another form of ours: readers of our records come first.
            let both = running.evolve(&known).schema;
            Some((None, both.unwrap_or_else(|| running.clone())))
        }
        (Some((version, known)), _) => Some((Some(version), known)),
    }
}

/// The newest version below `latest` that is one of ours.
fn below(
    registry: &Registry,
    subject: &str,
    latest: &Registered,
    stop: &Stop,
) -> Result<Option<(Registered, Schema)>, Error> {
    let mut versions = registry.versions(subject, stop)?;
    versions.retain(|version| Some(*version) < latest.version);
    versions.sort_unstable();
    for version in versions.into_iter().rev().take(MAX_BACK) {
        // It may have been deleted since.
        if let Some(version) = registry.version(subject, version, stop)?
            && let Ok(schema) = Schema::parse(&version.schema)
        {
            return Ok(Some((version, schema)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::evolve::tests::typed;
    use super::*;

    fn version(schema: &Schema) -> (Registered, Schema) {
        let registered = Registered {
            subject: "s".to_owned(),
            id: 7,
            version: Some(1),
            schema: schema.json().to_owned(),
            kind: crate::registry::Kind::Avro,
        };
        (registered, schema.clone())
    }

    #[test]
    fn the_latest_serves_where_it_has_everything() {
        let (small, large) = (
            typed(&[("a", "integer")]),
            typed(&[("a", "integer"), ("b", "string")]),
        );
        // Somebody else has registered what is wanted.
        let next = Successor::of(Some(version(&large)), Some(&small), &large);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = Successor::of(Some(version(&large)), None, &small);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = Successor::of(Some(version(&small)), None, &large);
        assert!(next.serves.is_none() && next.schema == large);
        let next = Successor::of(None, None, &large);
        assert!(next.serves.is_none() && next.schema == large);
    }

    /// Also where the registry has lost everything, or has another form of ours with other types.
    #[test]
    fn what_is_written_with_is_followed() {
        let running = typed(&[("a", "integer"), ("gone", "string")]);
        let wanted = typed(&[("a", "string"), ("new", "date")]);
        let expected = typed(&[("a", "integer"), ("gone", "string"), ("new", "date")]);
        let next = Successor::of(None, Some(&running), &wanted);
        assert!(next.serves.is_none() && next.schema == expected);

        let other = typed(&[("a", "string"), ("more", "string")]);
        let next = Successor::of(Some(version(&other)), Some(&running), &wanted);
        let expected = typed(&[
            ("a", "integer"),
            ("gone", "string"),
            ("more", "string"),
            ("new", "date"),
        ]);
        assert!(next.serves.is_none());
        assert_eq!(next.schema, expected);
    }
}
