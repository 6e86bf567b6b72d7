//! The client of one registry: what can be asked of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::answer::{
    CompatibilityAnswer, CompatibilityReport, LevelAnswer, ModeAnswer, RegisteredSchema,
    SchemaFormat, SchemaIdAnswer, StoredSchemaAnswer, SubjectSchema,
};
use super::error::{Error, RegistryFailure};
use super::requests::{RegistryRequest, RegistryTransport, path_step, subject_name, subject_path};
use super::subject::{RecordPart, subject};
use super::{compatibility, references};
use crate::avro::{RecordSchema, TableColumns};
use crate::config::{SchemaRegistryConfig, SubjectStrategy, TableConfig};
use crate::control::PlaceOutage;
use crate::http::error_body::shown;
use crate::metrics::Metrics;
use crate::stop::Stop;

/// The client of one registry.
#[derive(Debug)]
pub struct Registry {
    pub(super) transport: RegistryTransport,
    auto_register: bool,
    normalize: bool,
    strategy: SubjectStrategy,
}

impl Registry {
    /// As [`Registry::new`], if there is an address; without one there is no Avro.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn configured(
        config: &SchemaRegistryConfig,
        metrics: &Metrics,
    ) -> Result<Option<Registry>, Error> {
        let wanted = !config.urls.is_empty();
        wanted.then(|| Registry::new(config, metrics)).transpose()
    }

    /// Reads certificates; no network yet.
    ///
    /// # Errors
    /// [`Error::Setup`] with words on what to change.
    pub fn new(config: &SchemaRegistryConfig, metrics: &Metrics) -> Result<Registry, Error> {
        Ok(Registry {
            transport: RegistryTransport::new(config, metrics)?,
            auto_register: config.auto_register,
            normalize: config.normalize,
            strategy: config.subject_strategy,
        })
    }

    /// The subject of a schema, as `schema_registry.subject_strategy` says; see [`subject()`].
    pub fn subject(&self, topic: &str, part: RecordPart, record: Option<&str>) -> String {
        subject(self.strategy, topic, part, record)
    }

    /// The subject of the values of a table. The name of its schema comes from the table alone.
    pub fn table_subject(&self, table: &TableConfig) -> String {
        let name = RecordSchema::strings(&TableColumns::named(&table.name, [""; 0])).full_name();
        self.subject(&table.topic, RecordPart::Value, Some(&name))
    }

    /// Schemas are registered where they are missing (`schema_registry.auto_register`).
    pub fn auto_registers(&self) -> bool {
        self.auto_register
    }

    /// The outage of now, if no address answers.
    pub fn outage(&self) -> Option<PlaceOutage> {
        self.transport.outage()
    }

    /// How long one request may take at most, with its repetitions, all addresses together.
    pub fn max_request_time(&self) -> Duration {
        self.transport.max_request_time()
    }

    /// The latest schema of a subject, which must have one.
    ///
    /// # Errors
    /// [`RegistryFailure::NoSubject`] when there is none.
    pub fn require_latest(&self, subject: &str, stop: &Stop) -> Result<SubjectSchema, Error> {
        self.transport.ask(&latest(subject), stop)
    }

    /// As [`Registry::require_latest`], asked once, for callers that can do without an answer.
    ///
    /// # Errors
    /// As there.
    pub fn require_latest_once(&self, subject: &str, stop: &Stop) -> Result<SubjectSchema, Error> {
        self.transport.ask_once(&latest(subject), stop)
    }

    /// The schema to write records with: `schema`, registered where it is not yet; with
    /// `auto_register: false` the latest schema of the subject instead. That one is asked for again
    /// with each call.
    ///
    /// # Errors
    /// As [`Registry::register`]; without `auto_register`, [`RegistryFailure::NoSubject`] when there is none.
    pub fn register_or_latest(
        &self,
        subject: &str,
        schema: &str,
        stop: &Stop,
    ) -> Result<SubjectSchema, Error> {
        if !self.auto_register {
            return self.require_latest(subject, stop);
        }
        Ok(SubjectSchema {
            subject: subject.to_owned(),
            id: self.register(subject, schema, stop)?,
            version: None,
            schema: schema.to_owned(),
            format: SchemaFormat::Avro,
        })
    }

    /// Registers a schema and gives its id; the same id for the same schema, which is why it may be
    /// repeated. `POST /subjects/{subject}/versions`. Not remembered: a subject may be deleted, and a
    /// registry lose its store and give the id to another schema.
    ///
    /// # Errors
    /// Of [`RegistryFailure::Incompatible`] the reasons were looked up.
    pub fn register(&self, subject: &str, schema: &str, stop: &Stop) -> Result<u32, Error> {
        let ask = self.with_schema(
            &format!("{}/versions", subject_path(subject)),
            subject,
            schema,
        );
        match self.transport.ask(&ask, stop) {
            Ok(SchemaIdAnswer { id }) => Ok(id),
            Err(Error::Request {
                asked,
                cause: RegistryFailure::Incompatible { reasons, .. },
                outage,
            }) => {
                let cause = self.explain(subject, schema, &reasons, stop);
                Err(Error::Request {
                    asked,
                    cause,
                    outage,
                })
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
    ) -> Result<Option<SubjectSchema>, Error> {
        let ask = self.with_schema(&subject_path(subject), subject, schema);
        or_none(self.transport.ask(&ask, stop))
    }

    /// The latest schema of a subject; `None` if there is no such subject, as every address says.
    /// One that is silent is waited for even so: who takes a subject for new begins its types anew.
    /// `GET /subjects/{subject}/versions/latest`. Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn latest(&self, subject: &str, stop: &Stop) -> Result<Option<SubjectSchema>, Error> {
        or_none(self.transport.ask(&latest(subject), stop))
    }

    /// The numbers of a subject's versions. `GET /subjects/{subject}/versions`. Not remembered.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn versions(&self, subject: &str, stop: &Stop) -> Result<Vec<u32>, Error> {
        let ask = RegistryRequest::get(
            format!("{}/versions", subject_path(subject)),
            subject_name(subject),
        );
        Ok(or_none(self.transport.ask(&ask, stop))?.unwrap_or_default())
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
    ) -> Result<Option<SubjectSchema>, Error> {
        let what = format!("version {version} of {}", subject_name(subject));
        let ask = RegistryRequest::get(
            format!("{}/versions/{version}", subject_path(subject)),
            what,
        );
        or_none(self.transport.ask(&ask, stop))
    }

    /// The schema of an id, with the schemas it refers to. `GET /schemas/ids/{id}`.
    ///
    /// # Errors
    /// [`RegistryFailure::NoSchema`] for an id that no address knows. While one is silent it is that one's
    /// error: an id that stands in a record was given out once, and a node may be behind.
    pub fn schema_by_id(&self, id: u32, stop: &Stop) -> Result<Arc<RegisteredSchema>, Error> {
        let ask = RegistryRequest::get(format!("/schemas/ids/{id}"), format!("schema {id}"));
        let stored: StoredSchemaAnswer = self.transport.ask(&ask, stop)?;
        let references = match stored.kind {
            SchemaFormat::Avro => {
                references::resolve(&self.transport, &ask, &stored.references, stop)?
            }
            _ => Vec::new(),
        };
        let schema = RegisteredSchema::new(id, stored.kind, stored.schema, references);
        Ok(Arc::new(schema))
    }

    /// Tells whether a schema fits to those that are registered under a subject, at the subject's
    /// level. Where nothing is registered, every schema fits.
    /// `POST /compatibility/subjects/{subject}/versions`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn check(
        &self,
        subject: &str,
        schema: &str,
        stop: &Stop,
    ) -> Result<CompatibilityReport, Error> {
        let checked = self.compatibility(subject, schema, stop)?;
        let mut reasons = Vec::new();
        if !checked.is_compatible {
            let latest = self.latest(subject, stop)?;
            let known = latest.as_ref().map(|latest| latest.schema.as_str());
            reasons = compatibility::reasons(&checked.messages, &[], schema, known);
        }
        Ok(CompatibilityReport {
            compatible: checked.is_compatible,
            reasons,
        })
    }

    /// The compatibility level of a subject, its own or the registry's, as `BACKWARD`.
    /// `GET /config/{subject}?defaultToGlobal=true`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn compatibility_level(&self, subject: &str, stop: &Stop) -> Result<String, Error> {
        let path = format!("/config/{}?defaultToGlobal=true", path_step(subject));
        let level: LevelAnswer = self
            .transport
            .ask(&RegistryRequest::get(path, subject_name(subject)), stop)?;
        Ok(shown(&level.level))
    }

    /// The mode in which the registry takes schemas: `READWRITE`, `READONLY`, `IMPORT` and others. The
    /// smallest question that needs address and credentials to be right. `GET /mode`.
    ///
    /// # Errors
    /// The registry did not answer, or refused.
    pub fn mode(&self, stop: &Stop) -> Result<String, Error> {
        let ask = RegistryRequest::get("/mode".to_owned(), "its mode".to_owned());
        let mode: ModeAnswer = self.transport.ask(&ask, stop)?;
        Ok(shown(&mode.mode))
    }

    /// Tries the registry out before it is relied on: gives its mode, or `None` where this user may not
    /// see that. A user that may use subjects need not have the right to see the mode.
    ///
    /// # Errors
    /// As [`Registry::mode`].
    pub fn probe_mode(&self, stop: &Stop) -> Result<Option<String>, Error> {
        let forbidden =
            |cause: &RegistryFailure| matches!(cause, RegistryFailure::Forbidden { .. });
        match self.mode(stop) {
            Err(error) if error.causes().any(forbidden) => Ok(None),
            mode => mode.map(Some),
        }
    }

    fn with_schema(&self, path: &str, subject: &str, schema: &str) -> RegistryRequest {
        let normalize = if self.normalize {
            "?normalize=true"
        } else {
            ""
        };
        RegistryRequest::post(
            format!("{path}{normalize}"),
            body(schema),
            subject_name(subject),
        )
    }

    fn compatibility(
        &self,
        subject: &str,
        schema: &str,
        stop: &Stop,
    ) -> Result<CompatibilityAnswer, Error> {
        let path = format!(
            "/compatibility{}/versions?verbose=true",
            subject_path(subject)
        );
        let checked = or_none(self.transport.ask(
            &RegistryRequest::post(path, body(schema), subject_name(subject)),
            stop,
        ));
        Ok(checked?.unwrap_or(CompatibilityAnswer {
            is_compatible: true,
            messages: Vec::new(),
        }))
    }

    /// Why the registry said 409. What cannot be found out is left out: the 409 is the error.
    fn explain(
        &self,
        subject: &str,
        schema: &str,
        message: &[String],
        stop: &Stop,
    ) -> RegistryFailure {
        let checked = self.compatibility(subject, schema, stop).ok();
        let latest = self.latest(subject, stop).ok().flatten();
        let known = latest.as_ref().map(|latest| latest.schema.as_str());
        let messages = checked.map(|checked| checked.messages).unwrap_or_default();
        RegistryFailure::Incompatible {
            reasons: compatibility::reasons(&messages, message, schema, known),
            level: self.compatibility_level(subject, stop).ok(),
        }
    }
}

fn latest(subject: &str) -> RegistryRequest {
    RegistryRequest::get(
        format!("{}/versions/latest", subject_path(subject)),
        subject_name(subject),
    )
}

/// Without `schemaType` it is Avro, also for registries that know nothing else.
fn body(schema: &str) -> String {
    json!({ "schema": schema }).to_string()
}

fn or_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.cause().is_some_and(RegistryFailure::is_absence) => Ok(None),
        result => result.map(Some),
    }
}
