//! What the topic of a table holds of each row, in an index beside the checkpoint.
//!
//! The index is what the topic says and nothing else: it is made by reading the topic, goes on where it
//! read last, and is made anew when it is lost. So it can claim nothing that Kafka has not acknowledged,
//! needs no part of the way of a row, and knows records of other programs as well.

mod candidate;
mod content_hash;
mod error;
mod index;
mod index_copy;
mod record;
mod row;
mod row_version;
mod topic_follower;

pub use candidate::DeleteCandidate;
pub use content_hash::{CONTENT_HEADER, content_hash, content_header};
pub use error::IndexError;
pub use index::{DeliveredIndex, IndexOrigin, IndexSlice, index_identity, path_beside};
pub use index_copy::{IndexedId, read_index};
pub use record::{DeliveredContent, content_of, id_of_key};
pub use row::DeliveredRow;
pub use row_version::{MOD_COUNT_HEADER, RowVersion, UPDATED_HEADER};
pub use topic_follower::{FollowError, FollowProgress, TopicFollower};
