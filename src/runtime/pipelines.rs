//! The slots of all pipelines and helper threads: which are to run, and the steps to that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::connections::Connections;
use super::factories;
use super::helper_threads::HelperThread;
use super::pause_display::{self, PausedLag};
use super::pipeline_slot::{Managed, PipelineSlot, StartRefusal, StepInputs, pause_note};
use super::services::Services;
use crate::config::{Config, ConfigDiff, TableChange, TableConfig};
use crate::control::{PipelineKind, PipelinePhase, SupervisedPipeline};
use crate::health::{Condition, ConditionKey, Health};
use crate::own_writes::OwnWriteLog;
use crate::verify::VerifySchedule;
use crate::{sink, source};

/// When pipelines move to a new client one after the other: how long one may hold up the next.
const MAX_WAIT_PER_MOVE: Duration = Duration::from_secs(2);
/// Messages about topics that wait for the supervisor.
const MAX_QUEUED_TOPIC_REPORTS: usize = 4;

/// The slots of the tables, of the sink and of the helper threads.
pub(super) struct Pipelines {
    pub(super) tables: BTreeMap<String, PipelineSlot<source::TablePipeline>>,
    pub(super) sink: PipelineSlot<sink::SinkPipeline>,
    pub(super) flusher: PipelineSlot<HelperThread>,
    pub(super) topics: PipelineSlot<HelperThread>,
    pub(super) probe: PipelineSlot<HelperThread>,
    pub(super) verifier: PipelineSlot<HelperThread>,
    /// Topics that are there.
    found: BTreeSet<String>,
    /// The topics that the thread `topics` was started for: what it says is about them.
    looked_for: BTreeSet<String>,
    /// Topics that may have left the configuration, whose figures go once no pipeline uses them.
    left_topics: BTreeSet<String>,
    found_in: Sender<BTreeSet<String>>,
    /// The log of the sink's writes for each table that leaves them out.
    own_writes: BTreeMap<String, Arc<OwnWriteLog>>,
    /// Tables that are still to move to a new client or producer, and the one that is moving.
    moving: VecDeque<String>,
    mover: Option<(String, Instant)>,
    sink_moves: bool,
    /// Sink topics that are paused, each with its note.
    paused: BTreeMap<String, Condition>,
    /// The lag of each table that is paused, which goes on growing.
    paused_lags: BTreeMap<String, PausedLag>,
    /// The tables and topics that metrics have series of: the topic of each table, the table of each
    /// topic.
    shown_tables: BTreeMap<String, String>,
    shown_topics: BTreeMap<String, String>,
}

impl Pipelines {
    /// Nothing runs yet. The receiver gets the topics that were found.
    pub(super) fn new(
        services: &Services,
        config: &Config,
    ) -> (Pipelines, Receiver<BTreeSet<String>>) {
        let (found_in, found) = bounded(MAX_QUEUED_TOPIC_REPORTS);
        let slot = |key| PipelineSlot::new(key, &services.health, &services.metrics);
        let mut pipelines = Pipelines {
            tables: BTreeMap::new(),
            sink: PipelineSlot::new(ConditionKey::Sink, &services.health, &services.metrics),
            flusher: slot(ConditionKey::CheckpointWriter),
            topics: slot(ConditionKey::TopicLookup),
            probe: slot(ConditionKey::SinkProbe),
            verifier: slot(ConditionKey::Verification),
            found: BTreeSet::new(),
            looked_for: config.topics().into_iter().collect(),
            left_topics: BTreeSet::new(),
            found_in,
            own_writes: BTreeMap::new(),
            moving: VecDeque::new(),
            mover: None,
            sink_moves: false,
            paused: BTreeMap::new(),
            paused_lags: BTreeMap::new(),
            shown_tables: BTreeMap::new(),
            shown_topics: BTreeMap::new(),
        };
        for table in config.active_tables() {
            pipelines.add_table(&table.name, services);
        }
        pipelines.configure(config);
        (pipelines, found)
    }

    fn add_table(&mut self, name: &str, services: &Services) {
        let slot = self.tables.entry(name.to_owned()).or_insert_with(|| {
            PipelineSlot::new(
                ConditionKey::Table(name.to_owned()),
                &services.health,
                &services.metrics,
            )
        });
        slot.want(true);
        slot.renew();
    }

    /// Sets what follows from the configuration as a whole, not from one table.
    fn configure(&mut self, config: &Config) {
        let topics: BTreeSet<&String> = config.sink.topics.iter().map(|it| &it.topic).collect();
        self.paused.retain(|topic, _| topics.contains(topic));
        let consuming = topics.iter().any(|topic| !self.paused.contains_key(*topic));
        self.sink.want(config.sink.enabled && consuming);
        self.probe.want(config.sink.enabled);
        self.verifier.want(VerifySchedule::is_wanted(config));
        self.own_writes = factories::own_writes(config, &self.own_writes);
    }

    /// Marks the slots as a plan says; the connections are the new ones already.
    pub(super) fn apply(
        &mut self,
        plan: &ConfigDiff,
        topics: BTreeSet<String>,
        services: &Services,
    ) {
        for (name, change) in &plan.tables {
            match change {
                TableChange::Added | TableChange::Edited => self.add_table(name, services),
                TableChange::Removed => {
                    if let Some(slot) = self.tables.get_mut(name) {
                        slot.pause(false);
                        slot.want(false);
                    }
                }
            }
        }
        self.configure(&plan.config);
        if plan.kafka {
            self.found = topics;
        }
        let wanted: BTreeSet<String> = plan.config.topics().into_iter().collect();
        if plan.kafka || wanted != self.looked_for {
            let before = std::mem::replace(&mut self.looked_for, wanted);
            self.left_topics.extend(before);
            self.topics.renew();
        }
        if plan.flush_interval {
            self.flusher.renew();
        }
        if plan.sink || plan.servicenow {
            self.probe.renew();
        }
        if plan.sink {
            self.sink.renew();
        }
        if plan.servicenow || plan.kafka || !plan.tables.is_empty() {
            self.verifier.renew();
        }
        if plan.servicenow || plan.kafka {
            let tables = plan
                .config
                .active_tables()
                .iter()
                .map(|table| table.name.clone());
            self.moving = tables.filter(|it| !plan.tables.contains_key(it)).collect();
            self.sink_moves = !plan.sink;
        }
    }

    /// The sink starts again without its paused topics.
    pub(super) fn pause_topic(
        &mut self,
        topic: &str,
        paused: bool,
        config: &Config,
        health: &Arc<Health>,
    ) {
        if paused {
            let note = || pause_note(health, ConditionKey::SinkTopic(topic.to_owned()));
            self.paused.entry(topic.to_owned()).or_insert_with(note);
        } else {
            self.paused.remove(topic);
        }
        self.configure(config);
        self.sink.renew();
    }

    /// Topics were found.
    pub(super) fn found(&mut self, topics: BTreeSet<String>) {
        self.found.extend(topics);
    }

    /// Lets each slot take a step.
    pub(super) fn step(
        &mut self,
        now: Instant,
        config: &Config,
        connections: &Connections,
        services: &Services,
    ) {
        let overdue = services.health.overdue_threads(now);
        let inputs = StepInputs {
            now,
            end_timeout: config.shutdown_timeout,
            may_start: true,
            overdue_threads: &overdue,
        };
        self.flusher.step(inputs, |signals| {
            factories::flusher(services, config, &signals.stop)
        });
        let (producer, found) = (&connections.producer, &self.found_in);
        let missing = &self.looked_for - &self.found;
        self.topics.step(inputs, |signals| {
            factories::topics(services, producer, missing, found, &signals.stop)
        });
        self.probe.step(inputs, |signals| {
            factories::probe(services, connections, config, &signals.stop)
        });
        self.verifier.step(inputs, |signals| {
            factories::verifier(services, connections, config, &signals.stop)
        });
        self.move_on(now);
        self.step_tables(inputs, config, connections, services);
        self.step_sink(inputs, config, connections, services);
        if !self.is_busy() {
            let left = std::mem::take(&mut self.left_topics);
            for topic in left.difference(&self.looked_for) {
                services.metrics.forget_produced_topic(topic);
            }
        }
    }

    fn step_tables(
        &mut self,
        inputs: StepInputs<'_>,
        config: &Config,
        connections: &Connections,
        services: &Services,
    ) {
        for (name, slot) in &mut self.tables {
            let table = config
                .active_tables()
                .iter()
                .find(|table| table.name == *name);
            let may_start = services.store.is_read()
                && table.is_some_and(|table| self.found.contains(&table.topic));
            let inputs = StepInputs {
                may_start,
                ..inputs
            };
            let (own, shown) = (&self.own_writes, &mut self.shown_tables);
            slot.step(inputs, |signals| {
                let table =
                    table.ok_or_else(|| StartRefusal::Later("it is not known".to_owned()))?;
                show_table(shown, table, services);
                factories::table(services, connections, config, table, own, signals)
            });
            let paused = slot.is_paused().then_some(slot.is_empty());
            pause_display::show_table(&mut self.paused_lags, name, paused, inputs.now, services);
            // While Kafka is away nothing begins, and the checkpoint alone tells the lag.
            if !self.shown_tables.contains_key(name)
                && let Some(entry) = services.store.get(name)
            {
                let lag = services.metrics.offset_lag.with(&[name]);
                lag.set(source::age(entry.position.timestamp));
            }
        }
        let gone = |slot: &PipelineSlot<source::TablePipeline>| slot.is_gone();
        let names: Vec<String> = self
            .tables
            .iter()
            .filter(|(_, slot)| gone(slot))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.tables.remove(&name);
            self.shown_tables.remove(&name);
            self.paused_lags.remove(&name);
            services.metrics.forget_table(&name);
            services.store.hide_position(&name);
        }
    }

    fn step_sink(
        &mut self,
        inputs: StepInputs<'_>,
        config: &Config,
        connections: &Connections,
        services: &Services,
    ) {
        let topics = config.sink.topics.iter().map(|it| &it.topic);
        let topics = topics.filter(|topic| !self.paused.contains_key(*topic));
        let mut needed = topics.chain(&config.sink.dlq_topic);
        let may_start = needed.all(|topic| self.found.contains(topic));
        let (own, paused) = (&self.own_writes, &self.paused);
        let inputs = StepInputs {
            may_start,
            ..inputs
        };
        self.sink.step(inputs, |signals| {
            let mut config = config.clone();
            let topics = &mut config.sink.topics;
            topics.retain(|it| !paused.contains_key(&it.topic));
            factories::sink(services, connections, &config, own, signals)
        });
        if self.sink.is_empty() || self.sink.work().is_some() {
            let topics = config.active_topics().iter();
            let now = topics
                .map(|it| (it.topic.clone(), it.table.clone()))
                .collect();
            show_topics(&mut self.shown_topics, now, services);
            for topic in self.shown_topics.keys() {
                pause_display::show_topic(topic, self.paused.contains_key(topic), services);
            }
        }
    }

    /// Lets the next table move when the one before has.
    fn move_on(&mut self, now: Instant) {
        if let Some((name, since)) = &self.mover
            && now.saturating_duration_since(*since) < MAX_WAIT_PER_MOVE
            && self.tables.get(name).is_some_and(PipelineSlot::is_changing)
        {
            return;
        }
        self.mover = self.moving.pop_front().map(|name| (name, now));
        match &self.mover {
            Some((name, _)) => {
                if let Some(slot) = self.tables.get_mut(name) {
                    slot.renew();
                }
            }
            None if std::mem::take(&mut self.sink_moves) => self.sink.renew(),
            None => {}
        }
    }

    /// A slot is on its way to another state, so the next step should follow soon.
    pub(super) fn is_busy(&self) -> bool {
        !self.moving.is_empty()
            || self.tables.values().any(PipelineSlot::is_changing)
            || self.sink.is_changing()
            || self.topics.is_changing()
            || self.probe.is_changing()
            || self.verifier.is_changing()
            || self.flusher.is_changing()
    }

    /// At least one pipeline runs.
    pub(super) fn some_run(&self) -> bool {
        self.sink.work().is_some() || self.tables.values().any(|slot| slot.work().is_some())
    }

    /// The reason of each table, if all of them refuse to start and there is no sink: then the process can
    /// end.
    pub(super) fn refusals(&self, config: &Config) -> Option<Vec<String>> {
        if config.sink.enabled || self.tables.is_empty() {
            return None;
        }
        let why = self
            .tables
            .values()
            .map(|slot| slot.refusal().map(str::to_owned));
        why.collect()
    }

    /// The state of each pipeline: tables, then topics, in the order of the configuration.
    pub(super) fn states(&self, config: &Config) -> Vec<SupervisedPipeline> {
        let tables = config.active_tables().iter().filter_map(|table| {
            let slot = self.tables.get(&table.name)?;
            Some(SupervisedPipeline {
                kind: PipelineKind::Table,
                name: table.name.clone(),
                phase: slot.phase(),
                snapshot: slot.work().and_then(source::TablePipeline::snapshot),
            })
        });
        let topics = config
            .active_topics()
            .iter()
            .map(|topic| SupervisedPipeline {
                kind: PipelineKind::Topic,
                name: topic.topic.clone(),
                phase: if self.paused.contains_key(&topic.topic) {
                    PipelinePhase::Paused
                } else {
                    self.sink.phase()
                },
                snapshot: None,
            });
        tables.chain(topics).collect()
    }
}

/// A table that goes to another topic has no figures of the old one.
fn show_table(shown: &mut BTreeMap<String, String>, table: &TableConfig, services: &Services) {
    let old = shown.insert(table.name.clone(), table.topic.clone());
    if let Some(old) = old.filter(|old| *old != table.topic) {
        let labels = [("table", table.name.as_str()), ("topic", old.as_str())];
        services.metrics.source_produced.remove_all(&labels);
    }
}

/// Topics that are gone have no figures, nor tables that no topic is written to.
fn show_topics(
    shown: &mut BTreeMap<String, String>,
    now: BTreeMap<String, String>,
    services: &Services,
) {
    let old = std::mem::replace(shown, now);
    for (topic, table) in &old {
        if !shown.contains_key(topic) {
            services.metrics.forget_sink_topic(topic);
        }
        if !shown.values().any(|it| it == table) {
            services.metrics.forget_sink_table(table);
        }
    }
}

impl Managed for source::TablePipeline {
    fn is_over(&mut self) -> bool {
        self.is_finished()
    }

    fn has_died(&mut self) -> bool {
        source::TablePipeline::has_died(self)
    }

    fn threads(&self) -> Vec<String> {
        source::TablePipeline::threads(self)
    }

    fn join(self) -> u64 {
        source::TablePipeline::join(self)
    }
}

impl Managed for sink::SinkPipeline {
    fn is_over(&mut self) -> bool {
        self.settle()
    }

    fn has_died(&mut self) -> bool {
        sink::SinkPipeline::has_died(self)
    }

    fn threads(&self) -> Vec<String> {
        sink::SinkPipeline::threads(self)
    }

    fn join(self) -> u64 {
        sink::SinkPipeline::join(self)
    }
}
