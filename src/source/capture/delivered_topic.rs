//! What the topic of a table holds, as the tasks of its capture thread share it: one index, and the reader that
//! brings it up to date.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{KafkaConfig, TableConfig};
use crate::delivered::{
    DeliveredIndex, FollowError, FollowProgress, IndexOrigin, TopicFollower, index_identity,
    path_beside,
};
use crate::kafka::TopicReader;
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// Name under which the topic is read; Kafka's access rules may ask for it.
const INDEX_READER_GROUP: &str = "servicenow-kafka-bridge-index";
/// How long one step reads the topic.
const FOLLOW_STEP: Duration = Duration::from_secs(2);

/// The index of one table, which is opened when it is needed.
pub(super) struct DeliveredTopic {
    table: String,
    topic: String,
    kafka: Arc<KafkaConfig>,
    path: PathBuf,
    /// What the index is of.
    identity: String,
    follower: TopicFollower,
    open: Option<OpenIndex>,
    stop: Stop,
}

/// The index and the reader that fills it.
struct OpenIndex {
    index: DeliveredIndex,
    reader: TopicReader,
    /// It is being built from nothing.
    is_new: bool,
}

impl DeliveredTopic {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        fingerprint: &str,
        stop: &Stop,
    ) -> DeliveredTopic {
        DeliveredTopic {
            table: table.name.clone(),
            topic: table.topic.clone(),
            kafka: Arc::clone(&context.kafka),
            path: path_beside(&context.checkpoints.path(), &table.name),
            identity: index_identity(fingerprint, &table.topic),
            follower: TopicFollower::new(table),
            open: None,
            stop: stop.clone(),
        }
    }

    /// The index, as far as the topic was read.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn index(&mut self) -> Result<&DeliveredIndex, FollowError> {
        Ok(&self.open()?.index)
    }

    fn open(&mut self) -> Result<&mut OpenIndex, FollowError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let (index, origin) = DeliveredIndex::open(&self.path, &self.identity)?;
                if let IndexOrigin::Replaced(why) = &origin {
                    log::warn!(table = self.table, index:% = self.path.display(), why;
                        "the index of delivered rows is made anew from the topic");
                }
                OpenIndex {
                    index,
                    reader: TopicReader::new(&self.kafka, INDEX_READER_GROUP)?,
                    is_new: origin != IndexOrigin::Found,
                }
            }
        };
        Ok(self.open.insert(open))
    }

    /// Takes in some of the topic; true when the index holds all that the topic had when this was called.
    ///
    /// # Errors
    /// The topic cannot be read, or the index not be used.
    pub(super) fn follow(&mut self) -> Result<bool, PollError> {
        let stop = self.stop.clone();
        self.open()?;
        let (follower, Some(open)) = (&self.follower, &mut self.open) else {
            return Ok(false);
        };
        match follower.read_on(&open.reader, &open.index, FOLLOW_STEP, &stop)? {
            FollowProgress::Behind(_) => return Ok(false),
            FollowProgress::BeginsAnew => {
                log::warn!(table = self.table, topic = self.topic;
                    "the topic was made anew; so is the index of delivered rows");
                open.is_new = true;
                return Ok(false);
            }
            FollowProgress::AtEnd if stop.is_stopped() => return Err(PollError::Stopped),
            FollowProgress::AtEnd => {}
        }
        if open.is_new {
            open.index.compact()?;
            open.is_new = false;
        }
        Ok(true)
    }

    /// Gives back the memory of an index that is not needed for a while.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// After an error: removes an index that is damaged, so that the next use makes it anew from the topic. True
    /// where that is so.
    pub(super) fn discard_damaged(&mut self, error: &PollError) -> bool {
        let PollError::Delivered(FollowError::Index(fault)) = error else {
            return false;
        };
        if !fault.is_damaged() {
            return false;
        }
        self.open = None;
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::error!(table = self.table, index:% = self.path.display(), error:% = error;
                "the damaged index of delivered rows cannot be removed");
        }
        true
    }
}
