//! Sink: records of Kafka topics to ServiceNow tables.

mod create_id;
pub mod letter;
pub mod operation;
mod refusal;
pub mod writer;

pub use refusal::Refusal;
