//! The parts of the bridge that the admin port reads from and acts through.

use std::sync::Arc;

use crate::config::CurrentConfig;
use crate::control::Control;
use crate::health::Health;
use crate::metrics::Metrics;

/// The parts of the running bridge that the pages show and the admin API commands.
#[derive(Debug, Clone)]
pub struct AdminServices {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Health and readiness.
    pub health: Arc<Health>,
    /// The way to the supervisor.
    pub control: Control,
    /// The configuration in effect; its token opens the admin API.
    pub config: Arc<CurrentConfig>,
}
