//! Writes one record until the instance has it or refuses it for good, even if answers are lost.
//!
//! `machine` decides what comes next, `requests` carries it out and `record_writer` runs the two;
//! `messages` is their language. Failures that may pass by themselves are waited out with exponential back-off, for as
//! long as `retry_budget` allows. `servicenow.max_retries` is for reads and plays no part here, as a
//! record cannot be left out.

mod classify;
mod client_ids;
mod column_check;
mod indeterminate;
mod journal;
mod machine;
mod messages;
mod outcome;
mod record_writer;
mod requests;
mod retry_budget;
mod row_versions;

pub use self::messages::PriorAttempt;
pub use self::outcome::{WriteKind, WriteOutcome};
pub use self::record_writer::{RecordWriter, RetryObserver};
pub use self::retry_budget::SuccessCounter;
