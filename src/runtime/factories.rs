//! How each pipeline and helper thread is made from the configuration and the connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::connections::Connections;
use super::helper_threads;
use super::helper_threads::HelperThread;
use super::pipeline_slot::StartRefusal;
use super::services::Services;
use crate::checkpoint::CheckpointStore;
use crate::checkpoint_topic::TopicPositions;
use crate::config::{CheckpointStorage, Config, CurrentConfig, TableConfig};
use crate::health::ConditionKey;
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::own_writes::OwnWriteLog;
use crate::stop::{Stop, StopSignals};
use crate::verify::VerifySchedule;
use crate::{checkpoint, cluster, sink, source};

/// A log of the sink's writes for each table that leaves its own writes out. A log in `known` is kept, as
/// the sink may go on while the table starts anew.
pub(super) fn own_writes(
    config: &Config,
    known: &BTreeMap<String, Arc<OwnWriteLog>>,
) -> BTreeMap<String, Arc<OwnWriteLog>> {
    let both = config.sink.enabled && config.source.enabled;
    let tables = config.source.tables.iter();
    let skipping = tables.filter(|table| both && table.skip_own_writes);
    let memory = |name: &String| known.get(name).cloned().unwrap_or_default();
    skipping
        .map(|table| (table.name.clone(), memory(&table.name)))
        .collect()
}

/// The positions, where `offset.storage` says. Those in Kafka are read later.
///
/// # Errors
/// Another process has the lock, or the file or its folder cannot be used.
pub(super) fn checkpoints(
    current: &Arc<CurrentConfig>,
    metrics: &Arc<Metrics>,
) -> Result<Arc<CheckpointStore>, checkpoint::Error> {
    let offset = &current.get().offset;
    let store = match offset.storage {
        CheckpointStorage::File => CheckpointStore::open(&offset.file_path, metrics)?,
        CheckpointStorage::Kafka => {
            let positions = TopicPositions::new(current, metrics);
            CheckpointStore::open_remote(&offset.file_path, Box::new(positions), metrics)?
        }
    };
    Ok(Arc::new(store))
}

/// Reads the positions that are in Kafka, and writes checkpoints while the pipelines run.
pub(super) fn flusher(
    services: &Services,
    config: &Config,
    stop: &Stop,
) -> Result<HelperThread, StartRefusal> {
    let store = Arc::clone(&services.store);
    let unread = "the positions are not read from Kafka yet";
    let condition = services.health.condition(ConditionKey::Checkpoint, unread);
    if store.is_read() {
        condition.ok();
    }
    let (interval, stop) = (config.offset.flush_interval, stop.clone());
    HelperThread::service("checkpoint", move || {
        helper_threads::flush(&store, interval, &condition, &stop);
    })
}

/// Looks for the topics, and makes missing ones where that is wanted.
pub(super) fn topics(
    services: &Services,
    producer: &Arc<Producer>,
    wanted: BTreeSet<String>,
    found: &Sender<BTreeSet<String>>,
    stop: &Stop,
) -> Result<HelperThread, StartRefusal> {
    let (producer, found) = (Arc::clone(producer), found.clone());
    let (health, stop) = (Arc::clone(&services.health), stop.clone());
    HelperThread::one_shot("topics", move || {
        helper_threads::find_topics(&producer, wanted, &found, &health, &stop)
    })
}

/// Asks the instance for the sink's tables, so that a bridge that only writes knows whether it could
/// before the first record comes.
pub(super) fn probe(
    services: &Services,
    connections: &Connections,
    config: &Config,
    stop: &Stop,
) -> Result<HelperThread, StartRefusal> {
    let probe = sink::TableProbe::new(&connections.client, config, &services.health);
    let stop = stop.clone();
    HelperThread::one_shot("sink-probe", move || probe.run(&stop))
}

/// Compares tables with their topics when that is due.
pub(super) fn verifier(
    services: &Services,
    connections: &Connections,
    config: &Config,
    stop: &Stop,
) -> Result<HelperThread, StartRefusal> {
    let schedule = VerifySchedule {
        config: config.clone(),
        instance: Arc::clone(&connections.instance),
        producer: Arc::clone(&connections.producer),
        checkpoints: Arc::clone(&services.store),
        metrics: Arc::clone(&services.metrics),
    };
    let stop = stop.clone();
    HelperThread::service("verify", move || schedule.run(&stop))
}

/// A table. One that cannot start says what to do, and stops no other.
pub(super) fn table(
    services: &Services,
    connections: &Connections,
    config: &Config,
    table: &TableConfig,
    own_writes: &BTreeMap<String, Arc<OwnWriteLog>>,
    signals: &StopSignals,
) -> Result<source::TablePipeline, StartRefusal> {
    let context = source::SourceContext {
        instance: Arc::clone(&connections.instance),
        producer: Arc::clone(&connections.producer),
        kafka: Arc::new(config.kafka.clone()),
        registry: connections.registry.clone(),
        checkpoints: Arc::clone(&services.store),
        metrics: Arc::clone(&services.metrics),
        health: Arc::clone(&services.health),
        own_writes: own_writes.clone(),
    };
    source::TablePipeline::start(&context, &config.source, table, signals).map_err(|error| {
        match error {
            source::Error::Thread { .. } => StartRefusal::Later(error.to_string()),
            source::Error::OtherQuery { .. }
            | source::Error::NoTime { .. }
            | source::Error::UnusableIdentifier { .. }
            | source::Error::RefusedPosition { .. }
            | source::Error::NoRegistry { .. } => StartRefusal::Never(error.to_string()),
        }
    })
}

/// The sink with all its topics.
pub(super) fn sink(
    services: &Services,
    connections: &Connections,
    config: &Config,
    own_writes: &BTreeMap<String, Arc<OwnWriteLog>>,
    signals: &StopSignals,
) -> Result<sink::SinkPipeline, StartRefusal> {
    let instance_id = cluster::instance_id(config);
    let instance_id = instance_id.map_err(|error| StartRefusal::Later(error.to_string()))?;
    let context = sink::SinkServices {
        instance_id,
        client: Arc::clone(&connections.client),
        producer: Arc::clone(&connections.producer),
        registry: connections.registry.clone(),
        metrics: Arc::clone(&services.metrics),
        health: Arc::clone(&services.health),
    };
    let guard = |table: &str| own_writes.get(table).cloned();
    sink::SinkPipeline::start(&context, config, &guard, signals)
        .map_err(|error| StartRefusal::Later(format!("sink: cannot start a thread: {error}")))
}
