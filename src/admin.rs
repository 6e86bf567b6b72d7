//! The admin port: status page, health, readiness, metrics and the admin API over HTTP.
//!
//! One thread serves all connections with poll(2) and never waits for any of them. Their number is
//! bounded: when all are taken, a new connection replaces the one that is least likely to have a
//! request under way, so that neither half-open clients nor a flood keep a probe from its answer.

mod api;
mod connection;
mod history;
mod host;
mod http;
mod page;
mod pages;
mod server;
mod services;
pub mod status;
mod status_builder;
pub mod threads;

#[doc(hidden)]
pub use http::request_length;
pub use server::{AdminServer, Error, check_address};
pub use services::AdminServices;

#[cfg(test)]
mod tests;
