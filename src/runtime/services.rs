//! What lives as long as the process.

use std::sync::Arc;

use crate::checkpoint::CheckpointStore;
use crate::config::CurrentConfig;
use crate::control::Control;
use crate::health::Health;
use crate::metrics::Metrics;

/// Shared by all pipelines and helper threads, from the start of the process to its end.
pub(super) struct Services {
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    pub(super) store: Arc<CheckpointStore>,
    pub(super) control: Control,
    /// The configuration in effect, which the admin port shows.
    pub(super) current: Arc<CurrentConfig>,
}
