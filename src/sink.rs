//! Sink: writes the records of Kafka topics to ServiceNow tables.
//!
//! One thread is the member of the consumer group: it polls records, hands them out, takes them back when
//! they are finished, and commits. Each topic has a fixed pool of workers. A record stays with its worker
//! until the instance has accepted it or refused it for good; a refused record goes to the thread that
//! writes dead letters. A record whose schema is not known yet waits, and its partition with it, while a
//! thread asks the schema registry. An offset is committed when all records before it are written, passed
//! over, or have their dead letter.

mod assignment;
mod commit_pace;
mod consumer;
pub mod dead_letter;
mod direct;
mod group_check;
mod keyed_queue;
mod offset_tracker;
mod pipeline;
pub mod record;
mod refusal;
mod schema_cache;
mod schema_fetcher;
mod schema_resolver;
mod table_probe;
mod task;
mod topic_context;
mod worker;
pub mod write;

pub use self::dead_letter::DeadLetter;
pub use self::direct::DirectWriter;
pub use self::pipeline::{SinkPipeline, SinkServices};
pub use self::record::RecordContent;
pub use self::refusal::{Refusal, RefusalKind};
pub use self::table_probe::TableProbe;
