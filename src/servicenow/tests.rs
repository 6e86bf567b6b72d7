//! The client against scripted servers.

mod answers;
mod bodies;
mod login;
pub(crate) mod server;
mod tls;
mod token;
mod write;
