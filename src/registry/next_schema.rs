//! What is written with next under a subject: the registered schema, grown to what a table needs.

use crate::avro::{ColumnChange, ForeignSchema, RecordSchema};
use crate::registry::{Error, Registry, SubjectSchema};
use crate::stop::Stop;

/// Versions below the latest that are looked at for one of ours.
const MAX_VERSIONS_BACK: usize = 20;

/// Our own newest schema under a subject.
#[derive(Debug, Clone, Default)]
pub struct LatestOwnVersion {
    /// The version, and what it says; `None` where none of the newest is one of ours.
    pub ours: Option<(SubjectSchema, RecordSchema)>,
    /// Why the latest is none of ours.
    pub foreign: Option<ForeignSchema>,
}

impl LatestOwnVersion {
    /// The version `latest` of `subject`, or behind a schema of somebody else's the newest one of ours.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn find(
        registry: &Registry,
        subject: &str,
        latest: &SubjectSchema,
        stop: &Stop,
    ) -> Result<LatestOwnVersion, Error> {
        let mut newest = LatestOwnVersion::of(latest);
        if newest.foreign.is_some() {
            newest.ours = below(registry, subject, latest, stop)?;
        }
        Ok(newest)
    }

    /// Our own, or in words why there is none and what to do.
    ///
    /// # Errors
    /// There is none.
    pub fn or_advice(
        &self,
        subject: &str,
        table: &str,
    ) -> Result<&(SubjectSchema, RecordSchema), String> {
        let foreign = self.foreign.as_ref();
        let advice = || foreign.map(|why| why.advice(subject, table));
        self.ours
            .as_ref()
            .ok_or_else(|| advice().unwrap_or_default())
    }

    /// Looks no further than the latest.
    fn of(latest: &SubjectSchema) -> LatestOwnVersion {
        match RecordSchema::parse(&latest.schema) {
            Ok(schema) => LatestOwnVersion {
                ours: Some((latest.clone(), schema)),
                foreign: None,
            },
            Err(why) => LatestOwnVersion {
                ours: None,
                foreign: Some(why),
            },
        }
    }
}

impl ForeignSchema {
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
pub struct NextSchema {
    /// What is to be written with.
    pub schema: RecordSchema,
    /// What is registered under the subject last, if anything is.
    pub latest: Option<SubjectSchema>,
    /// The registered version that serves as it is, so that there is nothing to register.
    pub serves: Option<SubjectSchema>,
    /// The differences between our own schema so far and what is wanted.
    pub changes: Vec<ColumnChange>,
    /// Why the latest is none of ours. Then only the registry knows whether ours may follow it.
    pub foreign: Option<ForeignSchema>,
    /// Whether it grows from a schema of ours, and not from nothing.
    pub grows: bool,
}

impl NextSchema {
    /// Lets our own schema of `subject` grow to `wanted`. It is the latest one, or `running`, which
    /// records are written with at the moment, where the latest has not all of that. Behind a
    /// schema of somebody else's that is none of ours it is the newest version that is.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn find(
        registry: &Registry,
        subject: &str,
        wanted: &RecordSchema,
        running: Option<&RecordSchema>,
        stop: &Stop,
    ) -> Result<NextSchema, Error> {
        let latest = registry.latest(subject, stop)?;
        let LatestOwnVersion { ours, foreign } = match (&latest, running) {
            (None, _) => LatestOwnVersion::default(),
            (Some(latest), None) => LatestOwnVersion::find(registry, subject, latest, stop)?,
            // What runs is newer than what lies below.
            (Some(latest), Some(_)) => LatestOwnVersion::of(latest),
        };
        Ok(NextSchema {
            latest,
            foreign,
            ..NextSchema::of(ours, running, wanted)
        })
    }

    /// What follows our own version `ours` and the schema `running`.
    fn of(
        ours: Option<(SubjectSchema, RecordSchema)>,
        running: Option<&RecordSchema>,
        wanted: &RecordSchema,
    ) -> NextSchema {
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
        NextSchema {
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
    ours: Option<(SubjectSchema, RecordSchema)>,
    running: Option<&RecordSchema>,
) -> Option<(Option<SubjectSchema>, RecordSchema)> {
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
    latest: &SubjectSchema,
    stop: &Stop,
) -> Result<Option<(SubjectSchema, RecordSchema)>, Error> {
    let mut versions = registry.versions(subject, stop)?;
    versions.retain(|version| Some(*version) < latest.version);
    versions.sort_unstable();
    for version in versions.into_iter().rev().take(MAX_VERSIONS_BACK) {
        // It may have been deleted since.
        if let Some(version) = registry.version(subject, version, stop)?
            && let Ok(schema) = RecordSchema::parse(&version.schema)
        {
            return Ok(Some((version, schema)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avro::typed_schema as typed;

    fn version(schema: &RecordSchema) -> (SubjectSchema, RecordSchema) {
        let registered = SubjectSchema {
            subject: "s".to_owned(),
            id: 7,
            version: Some(1),
            schema: schema.json().to_owned(),
            format: crate::registry::SchemaFormat::Avro,
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
        let next = NextSchema::of(Some(version(&large)), Some(&small), &large);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = NextSchema::of(Some(version(&large)), None, &small);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = NextSchema::of(Some(version(&small)), None, &large);
        assert!(next.serves.is_none() && next.schema == large);
        let next = NextSchema::of(None, None, &large);
        assert!(next.serves.is_none() && next.schema == large);
    }

    /// Also where the registry has lost everything, or has another form of ours with other types.
    #[test]
    fn what_is_written_with_is_followed() {
        let running = typed(&[("a", "integer"), ("gone", "string")]);
        let wanted = typed(&[("a", "string"), ("new", "date")]);
        let expected = typed(&[("a", "integer"), ("gone", "string"), ("new", "date")]);
        let next = NextSchema::of(None, Some(&running), &wanted);
        assert!(next.serves.is_none() && next.schema == expected);

        let other = typed(&[("a", "string"), ("more", "string")]);
        let next = NextSchema::of(Some(version(&other)), Some(&running), &wanted);
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
