//! Checkpoints in a compacted topic of Kafka: `offset.storage: kafka`.
//!
//! One record a table, and one that names the process that writes them. Each flush of the store is a
//! transaction: all positions of it count, or none. The transactional id keeps a predecessor from writing
//! (`docs/decisions/0019`).

mod contents;
mod positions;
mod record;

pub use self::contents::TopicContents;
pub use self::positions::{TopicPositions, host_name, read_contents};
pub use self::record::{Owner, StateKey, decode_entry, decode_key, encode_entry, encode_key};
