//! Whether a topic holds what its table holds.
//!
//! The topic is read to its present end, the table is listed in slices of identifiers, and the versions of
//! each row are compared. Rows that differ are put aside and looked at again when the stream had time to
//! deliver them: only what stays different is a difference. A comparison writes nothing, and it can be stopped
//! and go on later.

mod certificate;
mod certify;
mod compare;
mod conclusion;
mod error;
mod excuses;
mod judge;
mod letters;
mod pace;
mod partition;
mod proof_topic;
mod report;
mod row_identifier;
mod schedule;
mod sieve;
mod slices;
mod state_file;
mod table_side;
mod topic_index;
mod topic_record;
mod topic_side;

pub use self::certificate::{Certificate, CertificateCounts, CertificateSlice, SliceCheck};
pub use self::certify::check_topic;
pub use self::compare::{Surroundings, Wish, compare};
pub use self::error::Error;
pub use self::judge::{DeliveredTo, Difference, ProvenDifference};
pub use self::proof_topic::{PROOF_ACK_TIMEOUT, publish};
pub use self::report::{Excuse, KnownFrom, Report, Thoroughness};
pub use self::row_identifier::RowIdentifier;
pub use self::schedule::{DEFAULT_WAIT, VerifySchedule};
pub use self::slices::IdSlice;
