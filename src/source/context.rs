//! What the pipelines of all tables share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance::SourceInstance;
use crate::checkpoint::CheckpointStore;
use crate::config::KafkaConfig;
use crate::health::Health;
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::own_writes::OwnWriteLog;
use crate::registry::Registry;

/// What a table's pipeline needs from outside.
#[derive(Clone)]
pub struct SourceContext {
    /// The instance, its clock and how it reads times in queries.
    pub instance: Arc<SourceInstance>,
    /// Sends the rows.
    pub producer: Arc<Producer>,
    /// Reads the topics of tables whose deletes are looked for.
    pub kafka: Arc<KafkaConfig>,
    /// Knows the schemas of Avro tables; `None` where no registry is configured.
    pub registry: Option<Arc<Registry>>,
    /// Keeps the positions.
    pub checkpoints: Arc<CheckpointStore>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Heartbeats of threads, conditions of readiness.
    pub health: Arc<Health>,
    /// The versions of rows that the sink wrote, by table. Only tables whose own writes are left out are
    /// in it.
    pub own_writes: BTreeMap<String, Arc<OwnWriteLog>>,
}
