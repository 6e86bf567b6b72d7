//! The schema registry: Confluent's REST API, and Apicurio's of the same shape.
//!
//! One [`Registry`] is shared by all threads; it remembers nothing but which address answered last.
//! Every wait is bounded, and ends with the caller's `Stop`. Several addresses are one registry: what
//! one of them refuses is asked of the next, except for a verdict on a schema, which counts at once,
//! and for the answer that there is nothing, which counts only when each address gives it. Redirects
//! are not followed, so that the credentials stay with the addresses that are configured.
//!
//! Source: Confluent Schema Registry API reference. Apicurio 3 serves it at `/apis/ccompat/v7`.

mod answer;
mod client;
mod compatibility;
mod error;
mod next_schema;
mod references;
mod requests;
mod subject;
#[cfg(test)]
mod tests;

pub use self::answer::{
    CompatibilityReport, ReferencedSchema, RegisteredSchema, SchemaFormat, SubjectSchema,
};
pub use self::client::Registry;
pub use self::error::{AttemptedRegistryRequest, Error, RegistryFailure};
pub use self::next_schema::{LatestOwnVersion, NextSchema};
pub use self::subject::{RecordPart, subject};
