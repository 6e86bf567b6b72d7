//! Tests of the real binary against the simulated instance and a Kafka broker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::let_underscore_must_use,
    reason = "a test fails by panicking, in its helpers as well"
)]

mod access;
mod admin;
mod auth;
mod avro;
mod both;
mod ca_stores;
mod checkpoint_topic;
mod commands;
mod containers;
mod copy;
mod corpus;
mod crash;
mod dead_letters;
mod faults;
mod hostile;
mod kafka;
mod lifecycle;
mod migrate;
mod monitoring;
mod observe;
mod operate;
mod outage;
mod page;
mod predecessor;
mod registry;
mod reload;
mod secure;
mod sink;
mod soak;
mod source;
mod support;
mod tidy;
mod verify;
