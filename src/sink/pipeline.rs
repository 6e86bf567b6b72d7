//! Starts and ends the threads of the sink.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::assignment::{Assignment, AssignmentTimes, LateUntil};
use super::consumer::SinkConsumer;
use super::dead_letter::DeadLetterProducer;
use super::keyed_queue::KeyedQueue;
use super::schema_fetcher::SchemaFetcher;
use super::schema_resolver::{self, SchemaResolver};
use super::task::{Completion, SinkTask};
use super::topic_context::{HoldReasons, RefusalPolicy, RefusedRecord, TopicContext};
use super::worker::SinkWorker;
use super::write::{RecordWriter, SuccessCounter};
use crate::config::{Config, OnError, SinkFormat, SinkTopicConfig};
use crate::health::{ConditionKey, Health};
use crate::kafka::{GroupMembership, Producer};
use crate::metrics::Metrics;
use crate::own_writes::OwnWriteLog;
use crate::registry::Registry;
use crate::servicenow::InstanceClient;
use crate::stop::{self, Stop, StopSignals, StopTrigger};

/// Limit of a topic's records in flight for each of its workers, and its lower bound: enough that every worker
/// finds a row on which no other one works, and few enough to be repeated after a crash.
const IN_FLIGHT_PER_WORKER: usize = 16;
const MIN_IN_FLIGHT_LIMIT: usize = 64;
/// How long a revocation waits for writes in flight, beyond the time that a request may take.
const REVOKE_WRITE_GRACE: Duration = Duration::from_secs(2);
/// The longest wait of a revocation, during which the whole group waits.
const MAX_REVOKE_WAIT: Duration = Duration::from_secs(60);

/// What the sink needs from outside.
#[derive(Clone)]
pub struct SinkServices {
    /// The instance.
    pub client: Arc<InstanceClient>,
    /// Produces the dead letters.
    pub producer: Arc<Producer>,
    /// The schema registry; `None`: none is configured.
    pub registry: Option<Arc<Registry>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Heartbeats and readiness.
    pub health: Arc<Health>,
    /// The name of this bridge in the sink's group.
    pub instance_id: String,
}

/// The running sink.
pub struct SinkPipeline {
    consumer: JoinHandle<u64>,
    membership: GroupMembership,
    fenced: Arc<AtomicBool>,
    /// Ends the threads in `others`.
    end: Option<StopTrigger>,
    others: Vec<JoinHandle<()>>,
}

impl SinkPipeline {
    /// Starts all threads.
    ///
    /// `signals.stop` ends the handing out of records; those in flight are finished and committed, until
    /// `signals.abandon`. `guard` gives the log of a table's own writes, by which the source recognises
    /// them, if there is one.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        context: &SinkServices,
        config: &Config,
        guard: &dyn Fn(&str) -> Option<Arc<OwnWriteLog>>,
        signals: &StopSignals,
    ) -> io::Result<SinkPipeline> {
        let sink = &config.sink;
        let all: usize = sink.topics.iter().map(limit).sum();
        let (completed, completions) = bounded(all);
        let (refused_in, refused) = bounded(all);
        let (end, ending) = stop::pair();
        // The workers go on after the stop until the consumer has left the group.
        let worker_signals = StopSignals {
            stop: ending.clone(),
            abandon: signals.abandon.clone(),
        };
        let successes = Arc::new(SuccessCounter::default());
        let mut topics = Vec::new();
        let mut others = Vec::new();
        for topic in &sink.topics {
            let (queue, ready) = KeyedQueue::new(limit(topic).saturating_add(topic.concurrency));
            let writer = RecordWriter::new(
                Arc::clone(&context.client),
                &config.servicenow.table_api_path,
                topic,
                sink,
                Arc::clone(&successes),
            );
            let writer = writer.noting(guard(&topic.table));
            let policy = policy(config, &refused_in);
            let topic = Arc::new(new_topic(context, topic, queue, writer, policy, &completed));
            spawn_workers(context, &topic, &ready, &worker_signals, &mut others)?;
            topics.push(topic);
        }
        if let Some(letters) = sink.dead_letter_topic() {
            let letters = new_letters(context, letters, refused, &completed, &ending);
            let spawned = thread::Builder::new()
                .name("dead-letters".to_owned())
                .spawn(move || letters.run())?;
            others.push(spawned);
        }
        let schemas = spawn_schema_fetcher(context, config, &ending, &mut others)?;
        let limits: Vec<(Arc<str>, usize)> = topics
            .iter()
            .map(|topic| (Arc::clone(&topic.name), limit(&topic.config)))
            .collect();
        let times = AssignmentTimes {
            revoke_wait: (config.servicenow.timeout + REVOKE_WRITE_GRACE).min(MAX_REVOKE_WAIT),
            transaction_time: sink.transaction_time,
        };
        let assignment = Assignment::new(
            &limits,
            completions,
            times,
            late_until(&topics),
            &context.health,
            &context.metrics,
        );
        let fenced = Arc::new(AtomicBool::new(false));
        let membership = GroupMembership {
            group_id: sink.group_id.clone(),
            instance_id: context.instance_id.clone(),
        };
        let consume = SinkConsumer {
            kafka: config.kafka.clone(),
            membership: membership.clone(),
            fenced: Arc::clone(&fenced),
            instance: config.servicenow.base_url.clone(),
            topics,
            assignment: Arc::new(assignment),
            schemas,
            metrics: Arc::clone(&context.metrics),
            condition: context
                .health
                .condition(ConditionKey::Sink, "not consuming yet"),
            heartbeat: context.health.thread("sink"),
            signals: signals.clone(),
        };
        let consumer = thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || consume.run())?;
        Ok(SinkPipeline {
            consumer,
            membership,
            fenced,
            end: Some(end),
            others,
        })
    }

    /// Who its consumer is in the group.
    pub fn membership(&self) -> &GroupMembership {
        &self.membership
    }

    /// Whether a younger process has taken this bridge's name in the group. The consumer then does nothing
    /// until it is stopped.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Relaxed)
    }

    /// Whether the consumer has left the group: all is written and committed that will be.
    pub fn is_finished(&self) -> bool {
        self.consumer.is_finished()
    }

    /// Lets the workers end once the consumer has left the group. True when all threads have ended.
    pub fn settle(&mut self) -> bool {
        if self.consumer.is_finished() {
            self.end = None;
        }
        self.consumer.is_finished() && self.others.iter().all(JoinHandle::is_finished)
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let name = |thread: &thread::Thread| thread.name().unwrap_or_default().to_owned();
        let others = self.others.iter().map(|other| name(other.thread()));
        std::iter::once(name(self.consumer.thread()))
            .chain(others)
            .collect()
    }

    /// Whether a thread has ended although it was not stopped.
    pub fn has_died(&self) -> bool {
        self.consumer.is_finished() || self.others.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the threads, and gives the number of records whose writes were begun and not finished. Is
    /// called when [`SinkPipeline::is_finished`], or after `signals.abandon` with all requests ended.
    pub fn join(self) -> u64 {
        let left = self.consumer.join().unwrap_or(1);
        drop(self.end);
        let panicked = self
            .others
            .into_iter()
            .filter_map(|other| other.join().err());
        left.max(panicked.count() as u64)
    }
}

/// Until when writes of a topic may run whose answers were lost, as its writer knows.
fn late_until(topics: &[Arc<TopicContext>]) -> LateUntil {
    let topics = topics.to_vec();
    Box::new(move |topic| topics.get(topic)?.writer.late_until())
}

/// How many records of a topic may be in flight at once. Its queue holds one more for each worker: a
/// refused record may come back with its dead letter a moment before its worker frees its place.
fn limit(topic: &SinkTopicConfig) -> usize {
    topic
        .concurrency
        .saturating_mul(IN_FLIGHT_PER_WORKER)
        .max(MIN_IN_FLIGHT_LIMIT)
}

fn policy(config: &Config, letters: &Sender<RefusedRecord>) -> RefusalPolicy {
    match (
        config.sink.dead_letter_topic(),
        config.sink.effective_on_error(),
    ) {
        (Some(_), _) => RefusalPolicy::DeadLetter(letters.clone()),
        (None, OnError::Hold) => RefusalPolicy::Hold,
        (None, OnError::Skip) => RefusalPolicy::Skip,
    }
}

fn new_topic(
    context: &SinkServices,
    topic: &SinkTopicConfig,
    queue: KeyedQueue<SinkTask>,
    writer: RecordWriter,
    policy: RefusalPolicy,
    completions: &Sender<Completion>,
) -> TopicContext {
    let condition = context
        .health
        .condition(ConditionKey::SinkTopic(topic.topic.clone()), "");
    let held = context.metrics.sink_held.with(&[&topic.topic]);
    TopicContext {
        name: Arc::from(topic.topic.as_str()),
        config: topic.clone(),
        queue,
        writer,
        policy,
        completions: completions.clone(),
        metrics: Arc::clone(&context.metrics),
        hold_reasons: HoldReasons::new(condition, held),
    }
}

fn spawn_workers(
    context: &SinkServices,
    topic: &Arc<TopicContext>,
    queue: &Receiver<SinkTask>,
    signals: &StopSignals,
    handles: &mut Vec<JoinHandle<()>>,
) -> io::Result<()> {
    for number in 0..topic.config.concurrency {
        // The kernel shows 15 letters of a name.
        let name = format!("w{number}:{}", topic.config.table);
        let worker = SinkWorker {
            number,
            topic: Arc::clone(topic),
            queue: queue.clone(),
            signals: signals.clone(),
            heartbeat: context.health.thread(&name),
            last_failure: Cell::default(),
        };
        let handle = thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())?;
        handles.push(handle);
    }
    Ok(())
}

/// Starts the thread that fetches schemas, if a registry is configured and a topic may need one.
fn spawn_schema_fetcher(
    context: &SinkServices,
    config: &Config,
    stop: &Stop,
    handles: &mut Vec<JoinHandle<()>>,
) -> io::Result<Option<SchemaResolver>> {
    let mut topics = config.sink.topics.iter();
    let is_needed = topics.any(|topic| topic.format != SinkFormat::Json);
    let (Some(registry), true) = (&context.registry, is_needed) else {
        return Ok(None);
    };
    let (schemas, channel) = schema_resolver::pair();
    let fetcher = SchemaFetcher {
        registry: Arc::clone(registry),
        channel,
        heartbeat: context.health.thread("schemas"),
        stop: stop.clone(),
    };
    let handle = thread::Builder::new()
        .name("schemas".to_owned())
        .spawn(move || fetcher.run())?;
    handles.push(handle);
    Ok(Some(schemas))
}

fn new_letters(
    context: &SinkServices,
    topic: &str,
    refused: Receiver<RefusedRecord>,
    done: &Sender<Completion>,
    stop: &Stop,
) -> DeadLetterProducer {
    let condition = context.health.condition(ConditionKey::DeadLetters, "");
    condition.ok();
    DeadLetterProducer {
        topic: topic.to_owned(),
        producer: Arc::clone(&context.producer),
        refused,
        done: done.clone(),
        metrics: Arc::clone(&context.metrics),
        condition,
        heartbeat: context.health.thread("dead-letters"),
        stop: stop.clone(),
    }
}
