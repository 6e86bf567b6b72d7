//! What the poller alone would miss: rows that become visible behind it.
//!
//! A thread of its own reads beside the poller, at a lower pace, and hands over through the same gate and to the
//! same sender. Its work is cut into tasks, and these into steps of one request or few.

mod content;
mod deletes;
mod delivered_topic;
mod delivery;
mod gate;
mod key_walk;
mod query_state;
mod reread;
mod shared;
mod snapshot;
mod sweep;
mod task;
mod thread;
mod version;

pub(super) use self::gate::Turn;
pub(super) use self::shared::CaptureShared;
pub(super) use self::thread::{CaptureChannels, CaptureThread};
pub(super) use self::version::{id_number, row_version};
