//! The schema that a table's records are written with next: the bridge's own registered schema, grown
//! to the columns that the table has now (docs/decisions/0009).
//!
//! Other programs may register schemas under the same subject. A foreign schema, one of a form that
//! this bridge never writes, is left alone; the bridge goes on from its own newest version below it.

use super::answer::SubjectSchema;
use super::client::Registry;
use super::error::Error;
use crate::avro::{ColumnChange, ForeignSchema, RecordSchema};
use crate::stop::Stop;

/// How many versions below the latest are searched for one of the bridge's own.
const MAX_VERSIONS_BACK: usize = 20;

/// The bridge's own newest schema under a subject.
#[derive(Debug, Clone, Default)]
pub struct LatestOwnVersion {
    /// The version and its schema; `None`: none of the newest versions is the bridge's own.
    pub ours: Option<(SubjectSchema, RecordSchema)>,
    /// Why the latest version is not the bridge's own; `None`: it is.
    pub foreign: Option<ForeignSchema>,
}

impl LatestOwnVersion {
    /// The version `latest` of `subject`, or if it is foreign, the newest one below that is not.
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

    /// The version and its schema.
    ///
    /// # Errors
    /// There is none. The text says why, and what to do.
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

    /// Looks at the latest version only.
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
    /// What to do where none of the newest versions is the bridge's own.
    pub fn advice(&self, subject: &str, table: &str) -> String {
        format!(
            "what is registered as `{subject}` is {self}; use another topic, or register ours on top \
             with `servicenow-kafka-bridge schema register {table}`"
        )
    }
}

/// The next schema of a subject, and how it differs from the one before.
#[derive(Debug, Clone)]
pub struct NextSchema {
    /// The schema to write records with.
    pub schema: RecordSchema,
    /// The latest version under the subject; `None`: nothing is registered.
    pub latest: Option<SubjectSchema>,
    /// The registered version that is this schema already, so that there is nothing to register.
    pub serves: Option<SubjectSchema>,
    /// The differences between the bridge's own schema so far and the desired one.
    pub changes: Vec<ColumnChange>,
    /// Why the latest version is foreign. Then only the registry can tell whether the bridge's schema may
    /// follow it.
    pub foreign: Option<ForeignSchema>,
    /// Whether it grows from an earlier schema of the bridge; `false`: it is the first one.
    pub grows: bool,
}

impl NextSchema {
    /// Lets the bridge's own schema of `subject` grow to `wanted`.
    ///
    /// It grows from the latest version; from the newest own version below it, if the latest is foreign;
    /// or from `running`, the schema that records are written with at the moment, if the latest lacks
    /// something of that.
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
            // The running schema is newer than the versions below the latest.
            (Some(latest), Some(_)) => LatestOwnVersion::of(latest),
        };
        Ok(NextSchema {
            latest,
            foreign,
            ..NextSchema::of(ours, running, wanted)
        })
    }

    /// The schema that follows the bridge's own version `ours` and the schema `running`.
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

    /// The id to write records with. Registers the schema if it is not registered yet.
    ///
    /// # Errors
    /// The registry did not answer, or refused; of an incompatible schema with the reasons.
    pub fn register(&self, registry: &Registry, subject: &str, stop: &Stop) -> Result<u32, Error> {
        match &self.serves {
            // Its text may differ in form from the one made here, and would be registered again.
            Some(version) => Ok(version.id),
            None => registry.register(subject, self.schema.json(), stop),
        }
    }
}

/// The schema that the next one grows from, with its version if it is registered like that.
fn base(
    ours: Option<(SubjectSchema, RecordSchema)>,
    running: Option<&RecordSchema>,
) -> Option<(Option<SubjectSchema>, RecordSchema)> {
    match (ours, running) {
        (None, None) => None,
        (None, Some(running)) => Some((None, running.clone())),
        (Some((_, known)), Some(running)) if !known.has_all_of(running) => {
            // Another bridge has registered other columns or types. Consumers read records of the
            // running schema already, so its fields keep their types.
            let both = running.evolve(&known).schema;
            Some((None, both.unwrap_or_else(|| running.clone())))
        }
        (Some((version, known)), _) => Some((Some(version), known)),
    }
}

/// The newest version below `latest` that is the bridge's own.
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
        // A version may have been deleted since they were listed.
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
    fn the_latest_version_is_used_where_it_has_every_column() {
        let (small, large) = (
            typed(&[("a", "integer")]),
            typed(&[("a", "integer"), ("b", "string")]),
        );
        // Another program has registered the desired schema.
        let next = NextSchema::of(Some(version(&large)), Some(&small), &large);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = NextSchema::of(Some(version(&large)), None, &small);
        assert_eq!((next.serves.unwrap().id, &next.schema), (7, &large));
        let next = NextSchema::of(Some(version(&small)), None, &large);
        assert!(next.serves.is_none() && next.schema == large);
        let next = NextSchema::of(None, None, &large);
        assert!(next.serves.is_none() && next.schema == large);
    }

    /// Also where the registry has lost everything, or has other types under the subject.
    #[test]
    fn the_running_schema_is_what_the_next_one_grows_from() {
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
