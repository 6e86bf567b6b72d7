//! Sink: records of Kafka topics to ServiceNow tables.

pub mod letter;
mod lanes;
mod operation;
mod refusal;
mod tracker;
mod writer;

pub use refusal::Refusal;
