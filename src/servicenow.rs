//! The ServiceNow instance: a client that authenticates, keeps the limits the instance asks for, and
//! tells errors apart.
//!
//! One [`InstanceClient`] is shared by all threads that use an instance. [`InstanceClient::get`] is one
//! attempt, for callers that decide about retries themselves; [`InstanceClient::get_result`] retries and
//! reads the answer whole. A request goes through the login breaker and the token (`auth`), the rate
//! limit (`rate_limit`), and then over HTTP (`exchange`), which says what the answer means.
//!
//! No cookies are kept, as an instance runs the requests of one session one after the other.

mod answer;
mod auth;
mod client;
mod error;
mod exchange;
pub mod page;
pub mod query;
mod rate_limit;
mod reachability;
mod request;
mod response;
mod shared;
pub mod table_api;
pub mod table_write;
#[cfg(test)]
pub(crate) mod tests;

pub use self::answer::{AnswerRow, AnswerRows, WholeAnswer};
pub use self::client::InstanceClient;
pub use self::error::{AttemptedRequest, Error, InstanceFailure, OutageSign};
pub use self::request::ReadRequest;
pub use self::response::{InstanceResponse, LimitHeaders, ResponseBody, ResponseHead};
