//! servicenow-kafka-bridge: moves records between ServiceNow tables and Kafka topics.
//!
//! `main.rs` only turns arguments into an exit code; everything else is here. `ARCHITECTURE.md`
//! has the map. Modules depend downwards only, and a test holds that.

pub mod admin;
pub mod avro;
pub mod backoff;
mod change_signal;
pub mod checkpoint;
pub mod checkpoint_topic;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod control;
pub mod daemon;
pub mod delivered;
mod expected_panic;
pub mod health;
mod http;
mod json_text;
pub mod kafka;
pub mod metrics;
mod name_lookup;
pub mod own_writes;
pub mod registry;
mod regular_file;
pub mod runtime;
pub mod servicenow;
pub mod sink;
pub mod source;
pub mod stop;
pub mod sync;
mod terminal_text;
pub mod verify;
