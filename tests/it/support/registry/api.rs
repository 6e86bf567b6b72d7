//! What is registered, and the answers about it.
//!
//! Source: Confluent Schema Registry API reference.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kind;
use super::http::Request;

/// Status and body.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Schemas and subjects.
#[derive(Default)]
pub(super) struct Store {
    /// The id of each is its place, from 1.
    schemas: Vec<Stored>,
    /// The ids of each subject's versions.
    subjects: BTreeMap<String, Vec<u32>>,
    levels: BTreeMap<String, String>,
    /// Of every attempt to register.
    pub(super) refusal: Option<Answer>,
}

#[derive(PartialEq)]
struct Stored {
    text: String,
    kind: Kind,
}

/// The body of requests about a schema.
#[derive(Deserialize)]
struct Proposal {
    schema: String,
    #[serde(rename = "schemaType")]
    kind: Option<String>,
}

/// An error as the registry writes it.
pub(super) fn error(status: u16, code: u32, message: &str) -> Answer {
    Answer {
        status,
        body: json!({"error_code": code, "message": message}).to_string(),
    }
}

fn ok(body: &Value) -> Answer {
    Answer {
        status: 200,
        body: body.to_string(),
    }
}

impl Store {
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let steps = request.steps();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let result = match (request.method.as_str(), steps.as_slice()) {
            ("GET", ["mode"]) => Ok(json!({"mode": "READWRITE"})),
            ("GET", ["schemas", "ids", id]) => self.by_id(id),
            ("GET", ["config", subject]) => self.level(subject, &request.query),
            ("GET", ["subjects", subject, "versions"]) => self.numbers(subject),
            ("GET", ["subjects", subject, "versions", version]) => self.version(subject, version),
            ("POST", ["subjects", subject, "versions"]) => self.register(subject, request),
            ("POST", ["subjects", subject]) => self.lookup(subject, request),
            ("POST", ["compatibility", "subjects", _, "versions"]) => self.check(request),
            _ => Err(error(404, 404, "HTTP 404 Not Found")),
        };
        result.map_or_else(|error| error, |body| ok(&body))
    }

    /// The same text has the same id under every subject, and one version in each.
    pub(super) fn add(&mut self, subject: &str, text: &str, kind: Kind) -> u32 {
        let new = Stored {
            text: text.to_owned(),
            kind,
        };
        let place = self.schemas.iter().position(|known| *known == new);
        let place = place.unwrap_or_else(|| {
            self.schemas.push(new);
            self.schemas.len() - 1
        });
        let id = u32::try_from(place + 1).unwrap();
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
        id
    }

    pub(super) fn set_level(&mut self, subject: &str, level: &str) {
        self.levels.insert(subject.to_owned(), level.to_owned());
    }

    pub(super) fn registered(&self, subject: &str) -> Vec<(u32, String)> {
        let ids = self.subjects.get(subject).into_iter().flatten();
        ids.map(|id| (*id, self.stored(*id).unwrap().text.clone()))
            .collect()
    }

    fn stored(&self, id: u32) -> Option<&Stored> {
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        self.schemas.get(place)
    }

    fn versions(&self, subject: &str) -> Result<&[u32], Answer> {
        let message = format!("Subject '{subject}' not found.");
        let ids = self.subjects.get(subject).map(Vec::as_slice);
        ids.ok_or_else(|| error(404, 40_401, &message))
    }

    fn numbers(&self, subject: &str) -> Result<Value, Answer> {
        let last = self.versions(subject)?.len();
        Ok((1..=last).collect::<Vec<_>>().into())
    }

    fn register(&mut self, subject: &str, request: &Request) -> Result<Value, Answer> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let (text, kind) = proposal(request)?;
        Ok(json!({"id": self.add(subject, &text, kind)}))
    }

    fn lookup(&self, subject: &str, request: &Request) -> Result<Value, Answer> {
        let (text, kind) = proposal(request)?;
        let wanted = Stored { text, kind };
        let ids = self.versions(subject)?;
        let found = ids.iter().position(|id| self.stored(*id) == Some(&wanted));
        let found = found.ok_or_else(|| error(404, 40_403, "Schema not found"))?;
        Ok(self.described(subject, ids, found))
    }

    fn version(&self, subject: &str, version: &str) -> Result<Value, Answer> {
        let ids = self.versions(subject)?;
        let number = match version {
            "latest" | "-1" => ids.len(),
            number => number.parse().unwrap_or(0),
        };
        let message = format!("Version {version} not found.");
        let place = number.checked_sub(1).filter(|place| *place < ids.len());
        let place = place.ok_or_else(|| error(404, 40_402, &message))?;
        Ok(self.described(subject, ids, place))
    }

    /// Of Avro an answer does not say what it is.
    fn described(&self, subject: &str, ids: &[u32], place: usize) -> Value {
        let mut value = self.text_and_kind(ids[place]).unwrap();
        value["subject"] = subject.into();
        value["version"] = (place + 1).into();
        value["id"] = ids[place].into();
        value
    }

    fn by_id(&self, id: &str) -> Result<Value, Answer> {
        let message = format!("Schema {id} not found");
        let found = id.parse().ok().and_then(|id| self.text_and_kind(id));
        found.ok_or_else(|| error(404, 40_403, &message))
    }

    fn text_and_kind(&self, id: u32) -> Option<Value> {
        let stored = self.stored(id)?;
        let mut value = json!({"schema": stored.text});
        match stored.kind {
            Kind::Avro => {}
            Kind::Json => value["schemaType"] = "JSON".into(),
            Kind::Protobuf => value["schemaType"] = "PROTOBUF".into(),
        }
        Some(value)
    }

    fn level(&self, subject: &str, query: &str) -> Result<Value, Answer> {
        let message =
            format!("Subject '{subject}' does not have subject-level compatibility configured");
        let level = self.levels.get(subject).map(String::as_str);
        let level = level.or_else(|| query.contains("defaultToGlobal=true").then_some("BACKWARD"));
        let level = level.ok_or_else(|| error(404, 40_408, &message))?;
        Ok(json!({"compatibilityLevel": level}))
    }

    fn check(&self, request: &Request) -> Result<Value, Answer> {
        proposal(request)?;
        let Some(refusal) = self.refusal.as_ref().filter(|it| it.status == 409) else {
            return Ok(json!({"is_compatible": true, "messages": []}));
        };
        let body: Value = serde_json::from_str(&refusal.body).unwrap_or_default();
        Ok(json!({"is_compatible": false, "messages": [body["message"]]}))
    }
}

/// Text and kind of the schema in a body.
fn proposal(request: &Request) -> Result<(String, Kind), Answer> {
    let Ok(proposal) = serde_json::from_str::<Proposal>(&request.body) else {
        return Err(error(400, 400, "Unable to process JSON"));
    };
    let kind = match proposal.kind.as_deref() {
        None | Some("AVRO") => Kind::Avro,
        Some("JSON") => Kind::Json,
        Some("PROTOBUF") => Kind::Protobuf,
        Some(other) => return Err(error(422, 42_201, &format!("Invalid schema type {other}"))),
    };
    if kind == Kind::Avro
        && let Err(why) = apache_avro::Schema::parse_str(&proposal.schema)
    {
        return Err(error(422, 42_201, &format!("Invalid schema: {why}")));
    }
    Ok((proposal.schema, kind))
}
