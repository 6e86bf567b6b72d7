//! Checkpoints: up to which row each table was read and acknowledged by Kafka.
//!
//! [`CheckpointStore::advance`] moves a position in memory, [`CheckpointStore::flush`] makes it durable: in
//! a file, or where a [`RemotePositions`] keeps it.
//! Beside the positions stands, in a file of its own, which rows of the newest seconds were delivered.
//! A lock file beside the checkpoint keeps a second process from using it.

mod entry;
mod error;
mod file;
mod flush_pacing;
mod import;
mod lock;
mod remote;
mod store;
mod stored_entry;
mod unsettled;
mod unsettled_file;
mod unsettled_tables;

pub use entry::{CheckpointEntry, CheckpointPosition};
pub use error::Error;
pub use lock::lock_holder;
pub use remote::{RemotePositions, RemoteTables};
pub use store::{CheckpointStore, check, read_only, read_stored};
pub use stored_entry::{StoredEntry, StoredTables, entries, render};
pub use unsettled::{UnsettledSpan, UnsettledVersion, VersionMark};
pub use unsettled_tables::{SharedSpan, StartingSpan};
