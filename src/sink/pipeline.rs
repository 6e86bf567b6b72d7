//! Starts and ends the threads of the sink.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::assignment::Assignment;
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
use crate::kafka::Producer;
use crate::loop_guard::OwnWriteLog;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::InstanceClient;
use crate::stop::{self, Stop, StopTrigger};

/// Records of a topic that may be out at once: enough that every worker finds a row that is not
/// busy, and few enough to be repeated after a crash.
const IN_FLIGHT_PER_WORKER: usize = 16;
const MIN_IN_FLIGHT_LIMIT: usize = 64;
/// Beyond the time a request may take, what a revocation waits for writes that run.
const REVOKE_WRITE_GRACE: Duration = Duration::from_secs(2);
/// The most that a revocation waits: the group waits with us.
const MAX_REVOKE_WAIT: Duration = Duration::from_secs(60);

/// What the sink needs from outside.
#[derive(Clone)]
pub struct SinkServices {
    /// The instance.
    pub client: Arc<InstanceClient>,
    /// For dead letters.
    pub producer: Arc<Producer>,
    /// Where the schemas of records are; `None` without one.
    pub registry: Option<Arc<Registry>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Heartbeats and readiness.
    pub health: Arc<Health>,
}

/// The running sink.
pub struct SinkPipeline {
    consumer: JoinHandle<u64>,
    /// Ends the workers and the letters.
    end: Option<StopTrigger>,
    others: Vec<JoinHandle<()>>,
}

impl SinkPipeline {
    /// Starts all threads.
    ///
    /// `stop` ends the handing out; what has begun is finished and committed, until `abandon`.
    /// `guard` gives what keeps our writes to a table from coming back.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        context: &SinkServices,
        config: &Config,
        guard: &dyn Fn(&str) -> Option<Arc<OwnWriteLog>>,
        stop: &Stop,
        abandon: &Stop,
    ) -> io::Result<SinkPipeline> {
        let sink = &config.sink;
        let all: usize = sink.topics.iter().map(limit).sum();
        let (done_in, done) = bounded(all);
        let (refused_in, refused) = bounded(all);
        let (end, ending) = stop::pair();
        let successes = Arc::new(SuccessCounter::default());
        let mut topics = Vec::new();
        let mut others = Vec::new();
        for topic in &sink.topics {
            let (lanes, queue) = KeyedQueue::new(limit(topic).saturating_add(topic.concurrency));
            let writer = RecordWriter::new(
                Arc::clone(&context.client),
                &config.servicenow.table_api_path,
                topic,
                sink,
                Arc::clone(&successes),
            );
            let writer = writer.noting(guard(&topic.table));
            let policy = policy(config, &refused_in);
            let topic = Arc::new(new_topic(context, topic, lanes, writer, policy, &done_in));
            spawn_workers(context, &topic, &queue, (&ending, abandon), &mut others)?;
            topics.push(topic);
        }
        if let Some(letters) = sink.dead_letter_topic() {
            let letters = new_letters(context, letters, refused, &done_in, &ending);
            let spawned = thread::Builder::new()
                .name("dead-letters".to_owned())
                .spawn(move || letters.run())?;
            others.push(spawned);
        }
        let schemas = spawn_asker(context, config, &ending, &mut others)?;
        let limits: Vec<(Arc<str>, usize)> = topics
            .iter()
            .map(|topic| (Arc::clone(&topic.name), limit(&topic.config)))
            .collect();
        let patience = (config.servicenow.timeout + REVOKE_WRITE_GRACE).min(MAX_REVOKE_WAIT);
        let assignment =
            Assignment::new(&limits, done, patience, &context.health, &context.metrics);
        let consume = SinkConsumer {
            kafka: config.kafka.clone(),
            group_id: sink.group_id.clone(),
            instance: config.servicenow.base_url.clone(),
            topics,
            assignment: Arc::new(assignment),
            schemas,
            metrics: Arc::clone(&context.metrics),
            condition: context
                .health
                .condition(ConditionKey::Sink, "not consuming yet"),
            heartbeat: context.health.thread("sink"),
            stop: stop.clone(),
            abandon: abandon.clone(),
        };
        let consumer = thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || consume.run())?;
        Ok(SinkPipeline {
            consumer,
            end: Some(end),
            others,
        })
    }

    /// Whether the group is left: everything is written and committed that will be.
    pub fn is_finished(&self) -> bool {
        self.consumer.is_finished()
    }

    /// Lets the workers end once the group is left; whether all threads have ended.
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

    /// Whether a thread has ended although nothing asked for it.
    pub fn has_died(&self) -> bool {
        self.consumer.is_finished() || self.others.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the threads; the number of writes whose outcome is not known. To be called when
    /// [`SinkPipeline::is_finished`], or after the abandon and with all requests ended.
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

/// How many records of a topic may be out at once. Its lanes hold one more for each worker: a record
/// is given back a moment before its lane is free, and the next one may come in between.
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
    lanes: KeyedQueue<SinkTask>,
    writer: RecordWriter,
    policy: RefusalPolicy,
    done: &Sender<Completion>,
) -> TopicContext {
    let condition = context
        .health
        .condition(ConditionKey::SinkTopic(topic.topic.clone()), "");
    let held = context.metrics.sink_held.with(&[&topic.topic]);
    TopicContext {
        name: Arc::from(topic.topic.as_str()),
        config: topic.clone(),
        queue: lanes,
        writer,
        policy,
        completions: done.clone(),
        metrics: Arc::clone(&context.metrics),
        hold_reasons: HoldReasons::new(condition, held),
    }
}

fn spawn_workers(
    context: &SinkServices,
    topic: &Arc<TopicContext>,
    queue: &Receiver<SinkTask>,
    (stop, abandon): (&Stop, &Stop),
    handles: &mut Vec<JoinHandle<()>>,
) -> io::Result<()> {
    for number in 0..topic.config.concurrency {
        // The kernel shows 15 letters of a name.
        let name = format!("w{number}:{}", topic.config.table);
        let worker = SinkWorker {
            number,
            topic: Arc::clone(topic),
            queue: queue.clone(),
            stop: stop.clone(),
            abandon: abandon.clone(),
            heartbeat: context.health.thread(&name),
            failed: Cell::new(false),
        };
        let handle = thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())?;
        handles.push(handle);
    }
    Ok(())
}

/// Starts the thread that asks for schemas, if a topic may need one.
fn spawn_asker(
    context: &SinkServices,
    config: &Config,
    stop: &Stop,
    handles: &mut Vec<JoinHandle<()>>,
) -> io::Result<Option<SchemaResolver>> {
    let mut topics = config.sink.topics.iter();
    let needed = topics.any(|topic| topic.format != SinkFormat::Json);
    let Some(registry) = context.registry.as_ref().filter(|_| needed) else {
        return Ok(None);
    };
    let (schemas, channel) = schema_resolver::pair();
    let asker = SchemaFetcher {
        registry: Arc::clone(registry),
        channel,
        heartbeat: context.health.thread("schemas"),
        stop: stop.clone(),
    };
    let handle = thread::Builder::new()
        .name("schemas".to_owned())
        .spawn(move || asker.run())?;
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
