//! The thread that waits for the registry, so that the consumer thread need not.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::select;

use super::schema_resolver::Desk;
use super::schema_cache::Found;
use crate::health::Heartbeat;
use crate::registry::{Error, Registry};
use crate::sink::format;
use crate::stop::Stop;

/// Between two signs of life while there is nothing to do.
const BEAT: Duration = Duration::from_secs(5);
/// Requests that one question may take: a schema may refer to others.
const REQUESTS: u32 = 8;

/// Asks the registry for one schema after the other.
pub(in crate::sink) struct Asker {
    pub(in crate::sink) registry: Arc<Registry>,
    pub(in crate::sink) desk: Desk,
    pub(in crate::sink) heartbeat: Heartbeat,
    pub(in crate::sink) stop: Stop,
}

/// What became of the question for a schema.
#[derive(Debug)]
pub(in crate::sink) struct Answer {
    pub(in crate::sink) id: u32,
    pub(in crate::sink) found: Found,
}

impl Asker {
    /// Runs until stopped. A question in vain is answered as such and forgotten: whether anybody
    /// still waits for it, the other side knows.
    pub(in crate::sink) fn run(self) {
        loop {
            self.heartbeat.beat(BEAT * 6);
            let id = select! {
                recv(self.desk.questions) -> id => match id {
                    Ok(id) => id,
                    Err(_) => return,
                },
                recv(self.stop.receiver()) -> _ => return,
                default(BEAT) => continue,
            };
            self.heartbeat.beat(self.registry.patience() * REQUESTS);
            let found = match format::judge(id, self.registry.by_id(id, &self.stop)) {
                Ok(schema) => Found::Schema(schema),
                Err(Error::Stopped) => return,
                Err(error) => Found::Trouble(error.to_string()),
            };
            // There is room for the answers of all questions.
            self.desk.answers.try_send(Answer { id, found }).ok();
        }
    }
}
