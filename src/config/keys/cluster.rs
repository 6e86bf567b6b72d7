//! Keys of `cluster`: which of several bridges this one is.

use crate::config::declare::config_keys;
use crate::config::kinds::text;
use crate::config::names;

config_keys! {
    /// `cluster`: this bridge among those that share the work.
    #[derive(Eq)]
    pub struct ClusterConfig default(()) {
        /// The name of this bridge in the sink's consumer group (Kafka's group.instance.id), by which
        /// its next start gets its partitions back at once. No two running bridges may have the
        /// same one: of two, the older ends with exit code 79. Without a value a name is made once and
        /// kept beside the checkpoint file.
        instance_id: Option<String> = None, text(names::check_instance_id).optional(),
            values: "letters, digits, ., _ and -";
    }
}
