//! The schema registry: Confluent's REST API, and Apicurio's of the same shape.
//!
//! One [`Registry`] is shared by all threads. A schema is asked for by its id once, as that stays true
//! for as long as there are records with it. Every wait is bounded and ends with the caller's `Stop`.
//! Addresses stand in for each other whatever one of them refuses, but for its verdict on a schema;
//! that there is nothing, all of them must say. Redirects are not followed, so that the credentials
//! stay with the addresses that are configured.
//!
//! Source: Confluent Schema Registry API reference. Apicurio 3 serves it at `/apis/ccompat/v7`.

mod answer;
mod cache;
mod error;
mod requests;
mod compatibility;
mod references;
mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

pub use self::answer::{Compatibility, Kind, Reference, Registered, Writer};
pub use self::error::{Asked, Cause, Error};
pub use self::subject::{Part, subject};

use self::answer::{Checked, Id, Level, Mode, Stored};
use self::cache::Cache;
use self::requests::{Ask, Http};
use crate::config::{SchemaRegistry, SubjectStrategy};
use crate::metrics::Metrics;
use crate::servicenow::encoding;
use crate::stop::Stop;

/// The client of one registry.
#[derive(Debug)]
pub struct Registry {
    http: Http,
    auto_register: bool,
    normalize: bool,
    strategy: SubjectStrategy,
    writers: Cache<u32, Arc<Writer>>,
}

impl Registry {
    /// As [`Registry::new`], if there is an address; without one there is no Avro.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn configured(
        config: &SchemaRegistry,
        metrics: &Metrics,
    ) -> Result<Option<Registry>, Error> {
        let wanted = !config.urls.is_empty();
        wanted.then(|| Registry::new(config, metrics)).transpose()
    }

    /// Reads certificates; no network yet.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn new(config: &SchemaRegistry, metrics: &Metrics) -> Result<Registry, Error> {
        Ok(Registry {
            http: Http::new(config, metrics)?,
            auto_register: config.auto_register,
            normalize: config.normalize,
            strategy: config.subject_strategy,
            writers: Cache::new(),
        })
    }

    /// The subject of a schema, as `schema_registry.subject_strategy` says; see [`subject()`].
    pub fn subject(&self, topic: &str, part: Part, record: Option<&str>) -> String {
        subject(self.strategy, topic, part, record)
    }

    /// Whether schemas are registered where they are missing (`schema_registry.auto_register`).
    pub fn registers(&self) -> bool {
        self.auto_register
    }

    /// How long one request may take at most, with its repetitions, all addresses together.
    pub fn patience(&self) -> Duration {
        self.http.patience()
    }

    /// The latest schema of a subject, which must have one.
    ///
    /// # Errors
    /// [`Cause::NoSubject`] when there is none.
    pub fn registered(&self, subject: &str, stop: &Stop) -> Result<Registered, Error> {
        self.http.ask(&latest(subject), stop)
    }

    /// As [`Registry::registered`], asked once, for those who can do without an answer.
    ///
    /// # Errors
    /// As there.
    pub fn glance(&self, subject: &str, stop: &Stop) -> Result<Registered, Error> {
        self.http.ask_once(&latest(subject), stop)
    }

    /// What records are to be written with: `schema`, registered where it is not yet; with
    /// `auto_register: false` the latest schema of the subject instead. That one is asked for again
    /// with each call.
    ///
    /// # Errors
    /// As [`Registry::register`]; without `auto_register`, [`Cause::NoSubject`] when there is none.
    pub fn publish(&self, subject: &str, schema: &str, stop: &Stop) -> Result<Registered, Error> {
        if !self.auto_register {
            return self.registered(subject, stop);
        }
        Ok(Registered {
            subject: subject.to_owned(),
            id: self.register(subject, schema, stop)?,
            version: None,
            schema: schema.to_owned(),
            kind: Kind::Avro,
        })
    }

    /// Registers a schema and gives its id; the same id for the same schema, which is why it may be
    /// repeated. `POST /subjects/{subject}/versions`. Not remembered: a subject may be deleted, and a
    /// registry lose its store and give the id to another schema.
    ///
    /// # Errors
    /// Of [`Cause::Incompatible`] the reasons were looked up.
    pub fn register(&self, subject: &str, schema: &str, stop: &Stop) -> Result<u32, Error> {
        let ask = self.with_schema(&format!("{}/versions", path(subject)), subject, schema);
        match self.http.ask(&ask, stop) {
            Ok(Id { id }) => Ok(id),
            Err(Error::Request {
                asked,
                cause: Cause::Incompatible { reasons, .. },
            }) => {
                let cause = self.explain(subject, schema, &reasons, stop);
                Err(Error::Request { asked, cause })
            }
            Err(error) => Err(error),
        }
    }

    /// The id and version of a schema that is registered under a subject; `None` if it is not.
    /// `POST /subjects/{subject}`. Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn lookup(
        &self,
        subject: &str,
        schema: &str,
        stop: &Stop,
    ) -> Result<Option<Registered>, Error> {
        let ask = self.with_schema(&path(subject), subject, schema);
        or_none(self.http.ask(&ask, stop))
    }

    /// The latest schema of a subject; `None` if there is no such subject, as every address says.
    /// One that is silent is waited for even so: who takes a subject for new begins its types anew.
    /// `GET /subjects/{subject}/versions/latest`. Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn latest(&self, subject: &str, stop: &Stop) -> Result<Option<Registered>, Error> {
        or_none(self.http.ask(&latest(subject), stop))
    }

    /// The numbers of a subject's versions. `GET /subjects/{subject}/versions`. Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn versions(&self, subject: &str, stop: &Stop) -> Result<Vec<u32>, Error> {
        let ask = Ask::get(format!("{}/versions", path(subject)), name(subject));
        Ok(or_none(self.http.ask(&ask, stop))?.unwrap_or_default())
    }

    /// A version of a subject; `None` if there is none. `GET /subjects/{subject}/versions/{version}`.
    /// Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn version(
        &self,
        subject: &str,
        version: u32,
        stop: &Stop,
    ) -> Result<Option<Registered>, Error> {
        let what = format!("version {version} of {}", name(subject));
        let ask = Ask::get(format!("{}/versions/{version}", path(subject)), what);
        or_none(self.http.ask(&ask, stop))
    }

    /// The schema of an id, with the schemas it refers to. `GET /schemas/ids/{id}`.
    ///
    /// # Errors
    /// [`Cause::NoSchema`] for an id that no address knows. While one is silent it is that one's
    /// error: an id that stands in a record was given out once, and a node may be behind.
    pub fn by_id(&self, id: u32, stop: &Stop) -> Result<Arc<Writer>, Error> {
        self.writers.get(&id, stop, || {
            let ask = Ask::get(format!("/schemas/ids/{id}"), format!("schema {id}"));
            let stored: Stored = self.http.ask(&ask, stop)?;
            let (references, weight) = match stored.kind {
                Kind::Avro => references::resolve(&self.http, &ask, &stored.references, stop)?,
                _ => (Vec::new(), 0),
            };
            let weight = stored.schema.len() + weight;
            let writer = Writer::new(id, stored.kind, stored.schema, references);
            Ok((Arc::new(writer), weight))
        })
    }

    /// Whether a schema fits to what is registered under a subject, at the subject's level. What
    /// nothing is registered for fits. `POST /compatibility/subjects/{subject}/versions`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn check(&self, subject: &str, schema: &str, stop: &Stop) -> Result<Compatibility, Error> {
        let checked = self.compatibility(subject, schema, stop)?;
        let mut reasons = Vec::new();
        if !checked.is_compatible {
            let latest = self.latest(subject, stop)?;
            let known = latest.as_ref().map(|latest| latest.schema.as_str());
            reasons = compatibility::reasons(&checked.messages, &[], schema, known);
        }
        Ok(Compatibility {
            compatible: checked.is_compatible,
            reasons,
        })
    }

    /// The compatibility level of a subject, its own or the registry's, as `BACKWARD`.
    /// `GET /config/{subject}?defaultToGlobal=true`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn level(&self, subject: &str, stop: &Stop) -> Result<String, Error> {
        let path = format!("/config/{}?defaultToGlobal=true", encoded(subject));
        let level: Level = self.http.ask(&Ask::get(path, name(subject)), stop)?;
        Ok(level.level)
    }

    /// Whether the registry takes schemas: `READWRITE`, `READONLY`, `IMPORT` and their kin. The
    /// smallest question that needs address and credentials to be right. `GET /mode`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn mode(&self, stop: &Stop) -> Result<String, Error> {
        let ask = Ask::get("/mode".to_owned(), "its mode".to_owned());
        let mode: Mode = self.http.ask(&ask, stop)?;
        Ok(mode.mode)
    }

    /// Whether the registry answers, for those who look before they rely on it: its mode, or `None`
    /// where this user may not see that. Who may use subjects need not be allowed to.
    ///
    /// # Errors
    /// As [`Registry::mode`].
    pub fn reach(&self, stop: &Stop) -> Result<Option<String>, Error> {
        let forbidden = |cause: &Cause| matches!(cause, Cause::Forbidden { .. });
        match self.mode(stop) {
            Err(error) if error.causes().any(forbidden) => Ok(None),
            mode => mode.map(Some),
        }
    }

    fn with_schema(&self, path: &str, subject: &str, schema: &str) -> Ask {
        let normalize = if self.normalize {
            "?normalize=true"
        } else {
            ""
        };
        Ask::post(format!("{path}{normalize}"), body(schema), name(subject))
    }

    fn compatibility(&self, subject: &str, schema: &str, stop: &Stop) -> Result<Checked, Error> {
        let path = format!("/compatibility{}/versions?verbose=true", path(subject));
        let checked = or_none(
            self.http
                .ask(&Ask::post(path, body(schema), name(subject)), stop),
        );
        Ok(checked?.unwrap_or(Checked {
            is_compatible: true,
            messages: Vec::new(),
        }))
    }

    /// Why the registry said 409. What cannot be found out is left out: the 409 is the error.
    fn explain(&self, subject: &str, schema: &str, message: &[String], stop: &Stop) -> Cause {
        let checked = self.compatibility(subject, schema, stop).ok();
        let latest = self.latest(subject, stop).ok().flatten();
        let known = latest.as_ref().map(|latest| latest.schema.as_str());
        let messages = checked.map(|checked| checked.messages).unwrap_or_default();
        Cause::Incompatible {
            reasons: compatibility::reasons(&messages, message, schema, known),
            level: self.level(subject, stop).ok(),
        }
    }
}

fn latest(subject: &str) -> Ask {
    Ask::get(format!("{}/versions/latest", path(subject)), name(subject))
}

/// `/subjects/{subject}`.
fn path(subject: &str) -> String {
    format!("/subjects/{}", encoded(subject))
}

/// A subject as one step of a path.
fn encoded(subject: &str) -> String {
    let mut out = String::new();
    encoding::value(&mut out, subject);
    out
}

fn name(subject: &str) -> String {
    format!("subject `{subject}`")
}

/// Without `schemaType` it is Avro, also for registries that know nothing else.
fn body(schema: &str) -> String {
    json!({ "schema": schema }).to_string()
}

fn or_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.cause().is_some_and(Cause::is_absence) => Ok(None),
        result => result.map(Some),
    }
}
