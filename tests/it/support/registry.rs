//! A schema registry in this process, for what a real one does not do on request: to be down, to
//! refuse, to want credentials, to hold schemas of other kinds. Where a test needs none of that,
//! `real_registry` is the better witness.
//!
//! It speaks the part of Confluent's API that the bridge uses, below [`FakeRegistry::url`]. It never
//! judges compatibility by itself: see [`FakeRegistry::refuse_registering_with`].

mod api;
mod http;

use std::sync::{Arc, Mutex, MutexGuard};

use self::api::{Answer, Store, error};
use self::http::{Request, Server, Service};

/// What a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Avro,
    Json,
    Protobuf,
}

/// One request, as it came, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Decoded, without its query.
    pub(crate) path: String,
    /// As sent.
    pub(crate) query: String,
    pub(crate) body: String,
    /// `None`: the connection ended instead.
    pub(crate) status: Option<u16>,
}

/// A running registry, empty at first; its threads end with it. Every switch works at once, also for
/// connections that are open.
pub(crate) struct FakeRegistry {
    shared: Arc<Shared>,
    server: Server,
}

/// What the connections share with the test.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    down: bool,
    refusal: Option<Answer>,
    authorization: Option<String>,
    store: Store,
    asked: Vec<Asked>,
    /// Connections that came, also those that were ended at once.
    connections: usize,
}

impl FakeRegistry {
    /// Starts on a free port.
    pub(crate) fn start() -> FakeRegistry {
        let shared = Arc::new(Shared::default());
        let server = Server::start(Arc::clone(&shared));
        FakeRegistry { shared, server }
    }

    /// Its address, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// Ends every connection as soon as it comes, and those that are open at their next request.
    /// What is registered stays.
    pub(crate) fn down(&self, down: bool) {
        self.state().down = down;
    }

    /// Answers every request with this status and body; `None` ends that.
    pub(crate) fn refuse_with(&self, refusal: Option<(u16, &str)>) {
        self.state().refusal = refusal.map(owned);
    }

    /// Answers every attempt to register with this status and body; `None` ends that. With 409 the
    /// compatibility check says no as well, and gives the body's message as its reason.
    pub(crate) fn refuse_registering_with(&self, refusal: Option<(u16, &str)>) {
        self.state().store.refusal = refusal.map(owned);
    }

    /// Answers 401 to what does not carry this `Authorization`.
    pub(crate) fn require_authorization(&self, value: Option<&str>) {
        self.state().authorization = value.map(str::to_owned);
    }

    /// Registers a schema of any kind, whatever is switched on; gives its id.
    pub(crate) fn add(&self, subject: &str, schema: &str, kind: Kind) -> u32 {
        self.state().store.add(subject, schema, kind)
    }

    /// Forgets everything that is registered; ids begin anew.
    pub(crate) fn wipe(&self) {
        self.state().store = Store::default();
    }

    /// Gives a subject a compatibility level of its own; without one it is `BACKWARD`.
    pub(crate) fn set_level(&self, subject: &str, level: &str) {
        self.state().store.set_level(subject, level);
    }

    /// Ids and texts of a subject's versions, the oldest first.
    pub(crate) fn registered(&self, subject: &str) -> Vec<(u32, String)> {
        self.state().store.registered(subject)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// How many requests of this method had a path that begins so, decoded.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        let state = self.state();
        let all = state.asked.iter();
        all.filter(|asked| asked.method == method && asked.path.starts_with(path))
            .count()
    }

    /// Connections that came so far, also those that were ended at once.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }
}

impl Service for Shared {
    fn connected(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.connections += 1;
        !state.down
    }

    fn answer(&self, request: &Request) -> Option<Answer> {
        let mut state = self.0.lock().unwrap();
        let answer = state.answer(request);
        state.asked.push(Asked {
            method: request.method.clone(),
            path: request.path(),
            query: request.query.clone(),
            body: request.body.clone(),
            status: answer.as_ref().map(|answer| answer.status),
        });
        answer
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        if self.down {
            return None;
        }
        if let Some(refusal) = &self.refusal {
            return Some(refusal.clone());
        }
        let wanted = self.authorization.as_ref();
        if wanted.is_some_and(|wanted| request.authorization.as_ref() != Some(wanted)) {
            return Some(error(401, 401, "Unauthorized"));
        }
        Some(self.store.answer(request))
    }
}

fn owned((status, body): (u16, &str)) -> Answer {
    Answer {
        status,
        body: body.to_owned(),
    }
}
