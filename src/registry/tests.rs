//! The client against scripted registries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::config::SchemaRegistryConfig;
use crate::config::{RegistryAuth, Secret, TlsFiles};
use crate::http::test_server::{ScriptedServer, SeenRequest, ServerAction, answer, spawn};
use crate::metrics::Metrics;
use crate::stop::Stop;
use crate::stop::{self, StopTrigger};

mod addresses;
mod asking;
mod faults;
mod references;
mod secure;

const REGISTRY_JSON_HEADER: &str = "Content-Type: application/vnd.schemaregistry.v1+json";
/// An address at which nothing ever listens.
const UNREACHABLE_ADDRESS: &str = "http://127.0.0.1:1";

fn json(status: &str, body: &str) -> Vec<ServerAction> {
    answer(status, &[REGISTRY_JSON_HEADER], body)
}

fn ok(body: &str) -> Vec<ServerAction> {
    json("200 OK", body)
}

/// Path and query of a request.
fn path(seen: &SeenRequest) -> &str {
    seen.line.split(' ').nth(1).unwrap()
}

fn config(url: impl Into<String>) -> SchemaRegistryConfig {
    SchemaRegistryConfig {
        urls: vec![url.into()],
        timeout: Duration::from_secs(5),
        ..SchemaRegistryConfig::default()
    }
}

struct RegistryBench {
    registry: Registry,
    stop: Stop,
    _trigger: StopTrigger,
}

fn bench(config: &SchemaRegistryConfig) -> RegistryBench {
    let (trigger, stop) = stop::pair();
    RegistryBench {
        registry: Registry::new(config, &Metrics::new()).unwrap(),
        stop,
        _trigger: trigger,
    }
}

fn of(server: &ScriptedServer) -> RegistryBench {
    bench(&config(format!("http://{}", server.addr)))
}

impl RegistryBench {
    fn by_id(&self, id: u32) -> Result<Arc<RegisteredSchema>, Error> {
        self.registry.schema_by_id(id, &self.stop)
    }

    fn register(&self) -> Result<u32, Error> {
        self.registry.register("t-value", r#""string""#, &self.stop)
    }
}
