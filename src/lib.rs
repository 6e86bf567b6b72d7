//! servicenow-kafka-bridge: moves records between ServiceNow tables and Kafka topics.
//!
//! `main.rs` only turns arguments into an exit code; everything else is here. `ARCHITECTURE.md`
//! has the map. Modules depend downwards only, and a test holds that.

pub mod registry;
pub mod admin;
pub mod runtime;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod daemon;
pub mod health;
pub mod kafka;
pub mod metrics;
pub mod loop_guard;
pub mod backoff;
pub mod avro;
pub mod servicenow;
pub mod sink;
pub mod source;
pub mod stop;
