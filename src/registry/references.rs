//! The schemas that a registered schema refers to, put together as Confluent's clients do
//! (`AbstractSchemaProvider.resolveReferences`), so that records are read as they were written.

use std::collections::HashSet;

use super::answer::{ReferenceLink, ReferencedSchema, StoredSchemaAnswer};
use super::error::{Error, RegistryFailure};
use super::requests::{RegistryRequest, RegistryTransport, subject_name, subject_path};
use crate::stop::Stop;

/// Schemas that one schema may refer to, directly or not.
const MAX_REFERENCES: usize = 64;
/// MiB of the texts of all schemas that one schema refers to.
const MAX_REFERENCED_MIB: usize = 1;

/// The schemas that `links` of the schema of `ask` name, each behind those that it refers to itself.
pub(super) fn resolve(
    transport: &RegistryTransport,
    ask: &RegistryRequest,
    links: &[ReferenceLink],
    stop: &Stop,
) -> Result<Vec<ReferencedSchema>, Error> {
    let mut found = ReferenceResolver {
        transport,
        ask,
        stop,
        names: HashSet::new(),
        versions: HashSet::new(),
        list: Vec::new(),
        bytes: 0,
    };
    found.follow(links)?;
    Ok(found.list)
}

/// Follows references from schema to schema and collects their texts.
struct ReferenceResolver<'a> {
    transport: &'a RegistryTransport,
    ask: &'a RegistryRequest,
    stop: &'a Stop,
    /// Of several versions under one name only the first can stand in the schema. This also ends
    /// circles.
    names: HashSet<String>,
    /// A text that defines several names is taken once.
    versions: HashSet<(String, u32)>,
    list: Vec<ReferencedSchema>,
    bytes: usize,
}

impl ReferenceResolver<'_> {
    fn follow(&mut self, links: &[ReferenceLink]) -> Result<(), Error> {
        for link in links {
            let is_new = self.names.insert(link.name.clone())
                && self.versions.insert((link.subject.clone(), link.version));
            if !is_new {
                continue;
            }
            if self.names.len() > MAX_REFERENCES {
                return Err(self.too_many(&format!("{MAX_REFERENCES} schemas")));
            }
            let stored = self.fetch(link)?;
            self.bytes += stored.schema.len();
            if self.bytes > MAX_REFERENCED_MIB << 20 {
                return Err(self.too_many(&format!("{MAX_REFERENCED_MIB} MiB of schemas")));
            }
            self.follow(&stored.references)?;
            self.list.push(ReferencedSchema {
                name: link.name.clone(),
                schema: stored.schema,
            });
        }
        Ok(())
    }

    /// Also of a version that was deleted since: the registry has the schema that refers to it for
    /// as long as there may be records.
    fn fetch(&self, link: &ReferenceLink) -> Result<StoredSchemaAnswer, Error> {
        let subject = subject_path(&link.subject);
        let path = format!("{subject}/versions/{}?deleted=true", link.version);
        let what = format!(
            "version {} of {} for {}",
            link.version,
            subject_name(&link.subject),
            self.ask.what
        );
        self.transport
            .ask(&RegistryRequest::get(path, what), self.stop)
    }

    fn too_many(&self, what: &str) -> Error {
        let why = format!("it refers to more than {what}");
        self.transport
            .error(self.ask, RegistryFailure::References(why))
    }
}
