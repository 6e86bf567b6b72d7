//! Sink: records of Kafka topics to ServiceNow tables.

pub mod letter;
mod operation;
mod refusal;
mod writer;

pub use letter::Letter;
pub use refusal::Refusal;
