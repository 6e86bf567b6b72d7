//! Checks across keys, one module for each section. They note what is wrong or odd in the section and leave a stand-in, as no configuration
//! with a problem leaves `config`.

use std::time::Duration;

use super::key_table::CheckKeys;
use super::keys::Config;
use super::reader::Section;

mod content;
mod deletes;
mod kafka;
mod schema;
mod servicenow;
mod sink;
mod source;
mod state;

/// A shorter `shutdown_timeout` is warned of.
const MIN_SENSIBLE_SHUTDOWN: Duration = Duration::from_secs(2);

/// Checks across sections.
impl CheckKeys for Config {
    fn check(root: &Section<'_>, mut config: Config, (): &()) -> Config {
        // The two keys mean the same, and each is shown with what is in effect.
        config.kafka.schema_registry_url = config.schema_registry.urls.clone();
        // A flag that cannot be read is a problem of its own.
        let is_known = !["source.enabled", "sink.enabled"]
            .iter()
            .any(|key| root.has_problem(key));
        if is_known && !config.source.enabled && !config.sink.enabled {
            root.problem(
                "source.enabled",
                "nothing to do: set `source.enabled: true` or `sink.enabled: true`",
            );
        }
        sink::beside_source(root, &config);
        schema::shared_topics(root, &config);
        if config.shutdown_timeout < MIN_SENSIBLE_SHUTDOWN {
            let message = "is very short: a stop that ends before Kafka has acknowledged reads those \
                       rows again at the next start";
            root.warning("shutdown_timeout", message);
        }
        config
    }
}
