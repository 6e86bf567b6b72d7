//! Avro: tables as records with schemas, what others read of them, and registries that fail.

mod check;
mod content;
mod deletes;
mod evolution;
mod fake;
mod faults;
mod foreign;
mod held;
mod hidden;
mod moved;
mod reader;
mod source;
mod wiped;

use crate::support::config::Config;
use crate::support::rig;

/// The configuration with a registry, typed columns and a setting of `source.schema`.
pub(crate) fn with_registry(mut config: Config, url: &str, schema: &str) -> Config {
    config.top.push_str(&format!(
        "\nschema_registry: {{url: '{url}', timeout: 5s}}\n"
    ));
    config.source(&format!("schema: {{{schema}}}"))
}

/// The count of acknowledged records of a table in its default topic.
fn produced(table: &str) -> String {
    rig::produced(table, &rig::topic_of(table))
}
