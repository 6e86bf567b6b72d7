//! The thread that waits for the registry, so that the consumer thread need not.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::select;

use super::schema_cache::FetchResult;
use super::schema_resolver::FetchChannel;
use crate::health::Heartbeat;
use crate::registry::{Error, Registry};
use crate::sink::record;
use crate::stop::Stop;

/// Between two signs of life while there is nothing to do.
const FETCHER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Requests that one question may take: a schema may refer to others.
const MAX_REQUESTS_PER_FETCH: u32 = 8;

/// Asks the registry for one schema after the other.
pub(in crate::sink) struct SchemaFetcher {
    pub(in crate::sink) registry: Arc<Registry>,
    pub(in crate::sink) desk: FetchChannel,
    pub(in crate::sink) heartbeat: Heartbeat,
    pub(in crate::sink) stop: Stop,
}

/// What became of the question for a schema.
#[derive(Debug)]
pub(in crate::sink) struct FetchedSchema {
    pub(in crate::sink) id: u32,
    pub(in crate::sink) found: FetchResult,
}

impl SchemaFetcher {
    /// Runs until stopped. A question in vain is answered as such and forgotten: whether anybody
    /// still waits for it, the other side knows.
    pub(in crate::sink) fn run(self) {
        loop {
            self.heartbeat.beat(FETCHER_HEARTBEAT_INTERVAL * 6);
            let id = select! {
                recv(self.desk.questions) -> id => match id {
                    Ok(id) => id,
                    Err(_) => return,
                },
                recv(self.stop.receiver()) -> _ => return,
                default(FETCHER_HEARTBEAT_INTERVAL) => continue,
            };
            self.heartbeat
                .beat(self.registry.max_request_time() * MAX_REQUESTS_PER_FETCH);
            let found =
                match record::schema_lookup_of(id, self.registry.schema_by_id(id, &self.stop)) {
                    Ok(schema) => FetchResult::Schema(schema),
                    Err(Error::Stopped) => return,
                    Err(error) => FetchResult::Failed(error.to_string()),
                };
            // There is room for the answers of all questions.
            self.desk.answers.try_send(FetchedSchema { id, found }).ok();
        }
    }
}
