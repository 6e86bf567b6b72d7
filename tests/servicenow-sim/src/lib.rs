//! A simulated ServiceNow instance for tests, demos and benchmarks.
//!
//! [`Sim::start`] listens on a loopback port and answers as an instance does: authentication, the
//! Table API with encoded queries, counts and links, the Aggregate API, and on demand everything
//! that goes wrong between an instance and its clients. Behavior follows the notes in
//! `servicenow_api.md`; comments cite its sections and lines.
//!
//! ```
//! use servicenow_sim::{Options, Sim};
//!
//! let sim = Sim::start(Options::default()).unwrap();
//! sim.insert("incident", [("short_description", "printer on fire")]).unwrap();
//! assert_eq!(sim.count("incident").unwrap(), 1);
//! println!("{}/api/now/table/incident", sim.url());
//! ```

mod api;
mod auth;
mod churn;
mod clock;
mod control;
mod error;
mod faults;
mod generator;
mod http;
mod index;
mod limits;
mod options;
mod query;
mod render;
mod requests;
mod row;
mod schema;
mod sim;
mod standard;
mod stop;
mod store;
mod truth;
mod writes;

pub use churn::Churn;
pub use clock::{format_stamp, parse_stamp};
pub use error::Error;
pub use faults::{Fault, Faults, Rule, RuleId, Target};
pub use generator::{Generator, random_sys_id};
pub use http::body::gzipped;
pub use options::{
    AggregateAccess, BatchLimits, LiteralTz, NoCount, NodeOrder, OAuthClient, Options, UnknownTerm,
    User,
};
pub use requests::LoggedRequest;
pub use row::{Row, RowView};
pub use schema::{Column, Kind, Table};
pub use sim::Sim;
pub use store::{CascadeTrace, End, Refusal, Removal};
pub use truth::{Lifetime, Truth, Version};
pub use writes::{Operation, Write};
