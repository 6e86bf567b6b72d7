//! The client against scripted registries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{RegistryAuth, Secret, Tls};
use crate::servicenow::tests::server::{self, Act, Seen, Server, answer};
use crate::stop::{self, Trigger};

mod addresses;
mod asking;
mod faults;
mod references;
mod secure;

const KIND: &str = "Content-Type: application/vnd.schemaregistry.v1+json";
/// An address at which nobody listens, ever.
const NOBODY: &str = "http://127.0.0.1:1";

fn json(status: &str, body: &str) -> Vec<Act> {
    answer(status, &[KIND], body)
}

fn ok(body: &str) -> Vec<Act> {
    json("200 OK", body)
}

/// Path and query of a request.
fn path(seen: &Seen) -> &str {
    seen.line.split(' ').nth(1).unwrap()
}

fn config(url: impl Into<String>) -> SchemaRegistry {
    SchemaRegistry {
        urls: vec![url.into()],
        auth: RegistryAuth::None,
        tls: Tls::default(),
        auto_register: true,
        normalize: false,
        subject_strategy: SubjectStrategy::Topic,
        timeout: Duration::from_secs(5),
    }
}

struct Bench {
    registry: Registry,
    stop: Stop,
    _trigger: Trigger,
}

fn bench(config: &SchemaRegistry) -> Bench {
    let (trigger, stop) = stop::pair();
    Bench {
        registry: Registry::new(config, &Metrics::new()).unwrap(),
        stop,
        _trigger: trigger,
    }
}

fn of(server: &Server) -> Bench {
    bench(&config(format!("http://{}", server.addr)))
}

impl Bench {
    fn by_id(&self, id: u32) -> Result<Arc<Writer>, Error> {
        self.registry.by_id(id, &self.stop)
    }

    fn register(&self) -> Result<u32, Error> {
        self.registry.register("t-value", r#""string""#, &self.stop)
    }
}
