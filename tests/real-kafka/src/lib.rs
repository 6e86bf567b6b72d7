//! Kafka for tests.
//!
//! [`Broker`] is a real Kafka 4.1: its jars come from Maven Central once, then it starts on free
//! ports in a few seconds, can be killed and restarted, and is gone with its value. [`Embedded`] is
//! librdkafka's mock cluster in this process: starts at once, but has no log-in and no admin
//! requests, and keeps everything in memory. Both are read with [`Reader`] and filled with [`Writer`].

mod access;
mod broker;
mod embedded;
mod error;
mod group;
mod jars;
pub mod java;
mod properties;
mod read;
mod write;

pub use access::with_access_rules;
pub use broker::{Broker, Options, shared};
pub use embedded::{Cluster, Embedded};
pub use error::{Context, Error};
pub use jars::{available, require_or_skip};
pub use properties::{PASSWORD, USER};
pub use read::{Reader, Record};
pub use write::{Draft, Writer};
