//! Dead letters: records that could not be written, kept in a topic of their own.
//!
//! `record` says what a letter holds, `encode` and `decode` are its JSON, and `producer` is the
//! thread that writes letters and lets a refused record count as done once Kafka has its letter.

mod decode;
mod encode;
mod producer;
mod record;

pub use self::decode::InvalidDeadLetter;
pub(super) use self::producer::DeadLetterProducer;
pub use self::record::{DeadLetter, ERROR_KIND_HEADER};

#[cfg(test)]
mod tests;
