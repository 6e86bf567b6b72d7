//! Checks of single values that a kind cannot know, and checks across keys, one module for each
//! section. They note what is wrong or odd in the section and leave a stand-in, as no configuration
//! with a problem leaves `config`.

use std::time::Duration;

use super::Config;
use super::reader::Section;

pub(super) mod kafka;
pub(super) mod properties;
pub(super) mod schema;
pub(super) mod servicenow;
pub(super) mod sink;
pub(super) mod source;
pub(super) mod state;

/// A shorter `shutdown_timeout` is warned of.
const MIN_SENSIBLE_SHUTDOWN: Duration = Duration::from_secs(2);

/// Checks across sections.
pub(super) fn whole(root: &Section<'_>, mut config: Config, (): &()) -> Config {
    // The two keys mean the same, and each is shown with what is in effect.
    config.kafka.schema_registry_url = config.schema_registry.urls.clone();
    if !config.source.enabled && !config.sink.enabled {
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
