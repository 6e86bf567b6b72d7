//! A schema registry for tests.
//!
//! [`Server`] is a real Apicurio Registry 3.3.3, which speaks Confluent's API below
//! [`Server::url`]. Its 159 MB come from Maven Central once; then it starts on a free port in seven
//! seconds, keeps its data in memory, and is gone with its value. It needs Java 21.

mod archive;
mod server;

pub use archive::{available, require_or_skip};
pub use real_kafka::Error;
pub use server::{Server, shared};
