//! The thread `schemas`: waits for the answers of the schema registry, so that the consumer thread need
//! not.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::record::schema_lookup_of;
use super::schema_cache::FetchResult;
use crate::health::Heartbeat;
use crate::registry::{Error, Registry};
use crate::stop::Stop;

/// Time between two heartbeats while nothing is requested.
const FETCHER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Requests to the registry that one schema may need: it may refer to others.
const MAX_REQUESTS_PER_FETCH: u32 = 8;

/// Asks the registry for one schema after the other.
pub(super) struct SchemaFetcher {
    pub(super) registry: Arc<Registry>,
    pub(super) channel: FetchChannel,
    pub(super) heartbeat: Heartbeat,
    pub(super) stop: Stop,
}

/// The fetcher's ends of the channels to the consumer thread.
pub(super) struct FetchChannel {
    /// The ids of schemas to ask for.
    pub(super) requests: Receiver<u32>,
    /// One answer for each request. Has room for all of them.
    pub(super) answers: Sender<FetchedSchema>,
}

/// The answer to the request for a schema.
#[derive(Debug)]
pub(super) struct FetchedSchema {
    pub(super) id: u32,
    pub(super) result: FetchResult,
}

impl SchemaFetcher {
    /// Runs until stopped. A request that failed is answered as failed and not tried again here: the
    /// consumer thread knows whether a record still waits for the schema.
    pub(super) fn run(self) {
        loop {
            self.heartbeat.beat(FETCHER_HEARTBEAT_INTERVAL * 6);
            let id = select! {
                recv(self.channel.requests) -> id => match id {
                    Ok(id) => id,
                    Err(_) => return,
                },
                recv(self.stop.receiver()) -> _ => return,
                default(FETCHER_HEARTBEAT_INTERVAL) => continue,
            };
            self.heartbeat
                .beat(self.registry.max_request_time() * MAX_REQUESTS_PER_FETCH);
            let result = match schema_lookup_of(id, self.registry.schema_by_id(id, &self.stop)) {
                Ok(schema) => FetchResult::Schema(schema),
                Err(Error::Stopped) => return,
                Err(error) => FetchResult::Failed(error.to_string()),
            };
            self.channel
                .answers
                .try_send(FetchedSchema { id, result })
                .ok();
        }
    }
}
