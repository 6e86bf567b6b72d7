//! The client against scripted servers.

mod answers;
mod bodies;
mod login;
pub(super) mod server;
mod token;
