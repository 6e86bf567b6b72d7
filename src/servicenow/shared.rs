//! The parts of a client that its token thread uses as well.

use std::sync::Arc;
use std::time::Duration;

use super::exchange::InstanceTransport;
use super::rate_limit::RequestLimiter;
use super::reachability::Reachability;
use crate::metrics::Metrics;

/// Everything but the credentials.
#[derive(Debug)]
pub(super) struct ClientShared {
    pub(super) transport: InstanceTransport,
    pub(super) limiter: RequestLimiter,
    pub(super) reachability: Reachability,
    pub(super) metrics: Arc<Metrics>,
    /// Bound on one request.
    pub(super) timeout: Duration,
}
