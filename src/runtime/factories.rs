//! How each pipeline and helper is made out of the configuration and the links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::Parts;
use super::helper_threads;
use super::helper_threads::Helper;
use super::connections::Links;
use super::pipeline_slot::Refusal;
use crate::config::{Config, Table};
use crate::kafka::Producer;
use crate::loop_guard::OwnWrites;
use crate::stop::Stop;
use crate::{sink, source};

/// A memory of the sink's writes for each table that leaves them out; those that are known go on.
pub(super) fn own_writes(
    config: &Config,
    known: &BTreeMap<String, Arc<OwnWrites>>,
) -> BTreeMap<String, Arc<OwnWrites>> {
    let both = config.sink.enabled && config.source.enabled;
    let tables = config.source.tables.iter();
    let skipping = tables.filter(|table| both && table.skip_own_writes);
    let memory = |name: &String| known.get(name).cloned().unwrap_or_default();
    skipping
        .map(|table| (table.name.clone(), memory(&table.name)))
        .collect()
}

/// Writes checkpoints while the pipelines run.
pub(super) fn flusher(parts: &Parts, config: &Config, stop: &Stop) -> Result<Helper, Refusal> {
    let store = Arc::clone(&parts.store);
    let condition = parts.health.condition("checkpoint", "");
    condition.ok();
    let (interval, stop) = (config.offset.flush_interval, stop.clone());
    Helper::start("checkpoint", move || {
        helper_threads::flush(&store, interval, &condition, &stop);
    })
}

/// Looks for the topics, and makes missing ones where that is wanted.
pub(super) fn topics(
    parts: &Parts,
    producer: &Arc<Producer>,
    wanted: BTreeSet<String>,
    found: &Sender<BTreeSet<String>>,
    stop: &Stop,
) -> Result<Helper, Refusal> {
    let (producer, found) = (Arc::clone(producer), found.clone());
    let (health, stop) = (Arc::clone(&parts.health), stop.clone());
    Helper::start("topics", move || {
        helper_threads::find_topics(&producer, wanted, &found, &health, &stop);
    })
}

/// Asks the instance for the sink's tables, so that a bridge that only writes knows whether it could
/// before the first record comes.
pub(super) fn probe(
    parts: &Parts,
    links: &Links,
    config: &Config,
    stop: &Stop,
) -> Result<Helper, Refusal> {
    let probe = sink::Probe::new(&links.client, config, &parts.health);
    let stop = stop.clone();
    Helper::start("sink-probe", move || probe.run(&stop))
}

/// A table. One that cannot start says what to do, and stops no other.
pub(super) fn table(
    parts: &Parts,
    links: &Links,
    config: &Config,
    table: &Table,
    own_writes: &BTreeMap<String, Arc<OwnWrites>>,
    (read, deliver): (&Stop, &Stop),
) -> Result<source::Pipeline, Refusal> {
    let context = source::Context {
        instance: Arc::clone(&links.instance),
        producer: Arc::clone(&links.producer),
        registry: links.registry.clone(),
        checkpoints: Arc::clone(&parts.store),
        metrics: Arc::clone(&parts.metrics),
        health: Arc::clone(&parts.health),
        own_writes: own_writes.clone(),
    };
    source::Pipeline::start(&context, &config.source, table, read, deliver).map_err(|error| {
        match error {
            source::Error::Thread { .. } => Refusal::Later(error.to_string()),
            source::Error::OtherQuery { .. }
            | source::Error::NoTime { .. }
            | source::Error::NoRegistry { .. } => Refusal::Never(error.to_string()),
        }
    })
}

/// The sink with all its topics.
pub(super) fn sink(
    parts: &Parts,
    links: &Links,
    config: &Config,
    own_writes: &BTreeMap<String, Arc<OwnWrites>>,
    (read, deliver): (&Stop, &Stop),
) -> Result<sink::Pipeline, Refusal> {
    let context = sink::Context {
        client: Arc::clone(&links.client),
        producer: Arc::clone(&links.producer),
        registry: links.registry.clone(),
        metrics: Arc::clone(&parts.metrics),
        health: Arc::clone(&parts.health),
    };
    let guard = |table: &str| own_writes.get(table).cloned();
    sink::Pipeline::start(&context, config, &guard, read, deliver)
        .map_err(|error| Refusal::Later(format!("sink: cannot start a thread: {error}")))
}
