//! The thread `sink`, which is the member of the consumer group: it polls records, hands them out to the
//! workers, takes back what is finished, and commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::assignment::{Assignment, SchemaWait, names};
use super::commit_pace::CommitPace;
use super::group_check::GroupCheck;
use super::record::{self, IdentityScope, RecordContent, SchemaRequest};
use super::schema_resolver::SchemaResolver;
use super::task::SinkTask;
use super::topic_context::{RefusalPolicy, TopicContext};
use crate::backoff::Backoff;
use crate::config::KafkaConfig;
use crate::health::{Condition, Heartbeat};
use crate::kafka::{
    Consumer, ConsumerRecord, GroupMembership, PollResult, RebalanceListener, TopicPartition,
};
use crate::metrics::Metrics;
use crate::stop::StopSignals;

/// One wait for a record while others are in flight, whose completions are taken in between.
const BUSY_POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// One wait for a record while none is in flight.
const IDLE_POLL_TIMEOUT: Duration = Duration::from_millis(500);
/// After an error of the consumer: time between two checks whether it is over.
const RECOVERY_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Time between two checks whether each position still lies inside of its partition.
const LOST_POSITION_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How long the end of the consumer waits for the last commit of positions.
const LAST_COMMIT_WAIT: Duration = Duration::from_secs(2);
/// How long a registry may take for a schema before the partition is paused that needs it.
const SCHEMA_WAIT_BEFORE_PAUSE: Duration = Duration::from_millis(200);
/// Time between two attempts to commit what must be committed before a partition begins.
const OPENING_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Pause while no broker answers at the start.
const BROKER_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the thread may give no heartbeat: a revocation waits for writes in flight.
const CONSUMER_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(180);
/// First and longest pause before a consumer that failed is replaced.
const CONSUMER_RESTART_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60));

/// What the thread needs.
pub(super) struct SinkConsumer {
    pub(super) kafka: KafkaConfig,
    pub(super) membership: GroupMembership,
    /// Is set when a younger process has taken this bridge's name in the group.
    pub(super) fenced: Arc<AtomicBool>,
    /// Base URL of the instance; part of the identity of new rows.
    pub(super) instance: String,
    pub(super) topics: Vec<Arc<TopicContext>>,
    pub(super) assignment: Arc<Assignment>,
    /// `None`: no schema registry is configured, or no topic needs one.
    pub(super) schemas: Option<SchemaResolver>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) condition: Condition,
    pub(super) heartbeat: Heartbeat,
    /// `stop` ends the handing out of records, `abandon` the wait for those in flight.
    pub(super) signals: StopSignals,
}

/// Why the loop of a consumer ended.
enum ConsumerEnd {
    Stopped,
    /// A younger process has taken this bridge's name in the group: it must not go on.
    Fenced,
    /// It failed, with the reason; a new one may work.
    Failed(String),
}

impl SinkConsumer {
    /// Runs until stopped. Gives the number of records whose writes were begun and not finished.
    pub(super) fn run(self) -> u64 {
        let mut backoff = Backoff::new(CONSUMER_RESTART_BACKOFF.0, CONSUMER_RESTART_BACKOFF.1);
        loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            let why = match self.consume(&mut backoff) {
                Ok(left) => return left,
                Err(why) => why,
            };
            let pause = backoff.next_ceiling();
            log::error!(error = why, retry_in:? = pause; "the sink's consumer is made anew");
            self.condition.fail(why);
            if self.signals.stop.wait(pause) {
                return 0;
            }
        }
    }

    /// Makes a consumer and works with it until it is stopped or fails, which is the error. Gives the
    /// number of records whose writes were begun and not finished.
    fn consume(&self, backoff: &mut Backoff) -> Result<u64, String> {
        self.assignment.clear();
        self.request_schemas();
        let names: Vec<Arc<str>> = self.topics.iter().map(|it| Arc::clone(&it.name)).collect();
        let listener: Arc<dyn RebalanceListener> = Arc::clone(&self.assignment) as _;
        let consumer = Consumer::start(
            &self.kafka,
            &self.membership,
            &names,
            listener,
            &self.metrics,
        )
        .map_err(|error| error.to_string())?;
        log::info!(group = self.membership.group_id, instance_id = self.membership.instance_id;
            "the sink joins its group");
        let Some(scope) = self.identity_scope(&consumer) else {
            return Ok(0);
        };
        let end = self.serve(&consumer, &scope, backoff);
        self.assignment.end_leases();
        let max_wait = match &end {
            ConsumerEnd::Stopped | ConsumerEnd::Fenced => None,
            ConsumerEnd::Failed(why) => {
                self.condition.fail(why.clone());
                Some(self.assignment.revoke_wait())
            }
        };
        let left = self.finish(max_wait);
        self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
        self.confirm_positions(&consumer);
        // Gives the partitions back, which commits their positions.
        drop(consumer);
        let left = left + self.assignment.unconfirmed();
        match end {
            ConsumerEnd::Stopped => Ok(left),
            ConsumerEnd::Fenced => {
                self.await_stop();
                Ok(left)
            }
            ConsumerEnd::Failed(why) => Err(why),
        }
    }

    /// The supervisor is to end the process: two processes that take each other's partitions would do so
    /// for ever.
    fn fence(&self) {
        let id = &self.membership.instance_id;
        let why = format!(
            "another process has joined the group {} as {id}, and has the partitions now",
            self.membership.group_id
        );
        log::error!(error = why; "the sink is fenced");
        self.condition.fail(why);
        self.fenced.store(true, Relaxed);
    }

    /// Does nothing until it is stopped.
    fn await_stop(&self) {
        while !self.signals.stop.wait(BROKER_RETRY_PAUSE) {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
        }
    }

    /// What makes the identities of rows specific to this instance and Kafka cluster; `None` when
    /// stopped before a broker has answered.
    fn identity_scope(&self, consumer: &Consumer) -> Option<IdentityScope> {
        loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            if consumer.is_broker_reachable() {
                let cluster = consumer.cluster_id().unwrap_or_default();
                let instance = self.instance.clone();
                return Some(IdentityScope { instance, cluster });
            }
            self.condition.fail("no broker answers the sink's consumer");
            if self.signals.stop.wait(BROKER_RETRY_PAUSE) {
                return None;
            }
        }
    }

    fn serve(
        &self,
        consumer: &Consumer,
        scope: &IdentityScope,
        backoff: &mut Backoff,
    ) -> ConsumerEnd {
        let mut check_at = None;
        let mut is_idle = false;
        let mut commits = CommitPace::new(Instant::now());
        let mut open_at = Instant::now() + OPENING_RETRY_INTERVAL;
        let mut group_check = GroupCheck::new(Instant::now());
        let mut look_at = Instant::now() + LOST_POSITION_CHECK_INTERVAL;
        self.condition.ok();
        while !self.signals.stop.is_stopped() {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            self.assignment.take_completions();
            let handed_out = self.hand_out_due();
            if let Err(why) = handed_out.and_then(|()| self.hand_out_deferred(scope)) {
                return ConsumerEnd::Failed(why);
            }
            let waits = self.request_schemas();
            if self.await_schema(&waits) {
                continue;
            }
            if let Err(why) = commits.step(consumer, &self.assignment, Instant::now()) {
                return ConsumerEnd::Failed(why);
            }
            if self.assignment.wait_for_room(&self.signals.stop) {
                continue;
            }
            let flow = self.assignment.flow_control();
            pause(consumer, &flow.pause);
            resume(consumer, &flow.resume);
            if check_at.is_some_and(|at| Instant::now() >= at) {
                check_at = self.check(consumer);
            }
            if Instant::now() >= open_at {
                let opened = consumer.open(&self.assignment.opening_commits());
                self.assignment.opened(&opened);
                open_at = Instant::now() + OPENING_RETRY_INTERVAL;
            }
            if let Err(why) = group_check.step(consumer, is_idle, Instant::now()) {
                return ConsumerEnd::Failed(why);
            }
            if Instant::now() >= look_at {
                let not_held = |partition: &TopicPartition| !self.assignment.is_held(partition);
                if let Some(partition) = consumer.position_beyond_end(not_held) {
                    return ConsumerEnd::Failed(format!(
                        "{partition} ends before the position in it"
                    ));
                }
                look_at = Instant::now() + LOST_POSITION_CHECK_INTERVAL;
            }
            let turn = if self.assignment.is_busy() {
                BUSY_POLL_TIMEOUT
            } else {
                IDLE_POLL_TIMEOUT
            };
            let polled = consumer.poll(turn);
            is_idle = matches!(polled, PollResult::Nothing);
            match polled {
                PollResult::Record(record) => {
                    backoff.reset();
                    if let Err(why) = self.hand_out(record, None, scope) {
                        return ConsumerEnd::Failed(why);
                    }
                }
                PollResult::Nothing => {}
                PollResult::Trouble(why) => {
                    log::warn!(error = why; "the sink's consumer is in trouble; trying again");
                    self.condition.fail(why);
                    check_at = Some(Instant::now() + RECOVERY_CHECK_INTERVAL);
                }
                PollResult::OutOfRange => match consumer.restart_lost_positions() {
                    // The position is inside again, but librdkafka has stopped fetching that partition
                    // and does not say which one it is.
                    Ok(starts) if starts.is_empty() => {
                        let why = "a position was outside of its partition for a moment";
                        return ConsumerEnd::Failed(why.to_owned());
                    }
                    Ok(starts) => self.assignment.restarted(&starts),
                    Err(why) => return ConsumerEnd::Failed(why),
                },
                PollResult::Fatal(why) => return ConsumerEnd::Failed(why),
                PollResult::Fenced => {
                    self.fence();
                    return ConsumerEnd::Fenced;
                }
            }
        }
        ConsumerEnd::Stopped
    }

    /// Checks whether an error is over, as librdkafka reports errors but not their ends. Gives the time
    /// of the next check if it is not.
    fn check(&self, consumer: &Consumer) -> Option<Instant> {
        match consumer.check() {
            Ok(()) => {
                self.condition.ok();
                log::info!("the sink's consumer is out of trouble");
                None
            }
            Err(why) => {
                if let Some(why) = why {
                    self.condition.fail(why);
                }
                Some(Instant::now() + RECOVERY_CHECK_INTERVAL)
            }
        }
    }

    /// Hands out the records that have waited long enough for writes of the last owner of their partition.
    fn hand_out_due(&self) -> Result<(), String> {
        while let Some(task) = self.assignment.take_due(Instant::now()) {
            let topic = self.topics.get(task.handle.topic);
            let topic = topic.ok_or("a record is of no topic; this is a bug")?;
            self.push(topic, task)?;
        }
        Ok(())
    }

    /// Hands out the deferred records whose schemas are known by now. They come before all other records
    /// of their partitions, as these are still paused.
    fn hand_out_deferred(&self, scope: &IdentityScope) -> Result<(), String> {
        let Some(schemas) = self.active_schemas() else {
            return Ok(());
        };
        schemas.take_fetched();
        let is_ready = |wait: &SchemaWait| {
            let topic = self.topics.get(wait.topic);
            topic.is_some_and(|topic| schemas.is_ready(wait, holds(topic)))
        };
        while let Some((record, since)) = self.assignment.take_deferred(is_ready) {
            self.hand_out(record, Some(since), scope)?;
        }
        Ok(())
    }

    /// Waits for the schema of a record that was deferred just now, before its partition is paused. True: an
    /// answer came.
    ///
    /// To pause throws away what librdkafka has fetched ahead, and the fetch after that waits for the end of the
    /// last one, which takes half a second while no records come. A registry answers sooner.
    fn await_schema(&self, waits: &[SchemaWait]) -> bool {
        let Some(schemas) = self.active_schemas() else {
            return false;
        };
        let left = waits
            .iter()
            .filter_map(|wait| SCHEMA_WAIT_BEFORE_PAUSE.checked_sub(wait.since.elapsed()));
        left.max().is_some_and(|left| schemas.await_fetched(left))
    }

    /// Requests the schemas that records wait for, and gives those waits.
    fn request_schemas(&self) -> Vec<SchemaWait> {
        let Some(schemas) = self.active_schemas() else {
            return Vec::new();
        };
        let waits = self.assignment.schema_waits();
        schemas.request(&waits, &self.topics);
        waits
    }

    /// The resolver, while records may wait for schemas.
    fn active_schemas(&self) -> Option<&SchemaResolver> {
        self.schemas.as_ref().filter(|schemas| schemas.is_active())
    }

    /// Hands a record to the workers of its topic, or defers it if its schema is not known. `since`: when
    /// it was deferred, if it was.
    fn hand_out(
        &self,
        record: ConsumerRecord,
        since: Option<Instant>,
        scope: &IdentityScope,
    ) -> Result<(), String> {
        let mut topics = self.topics.iter();
        let Some(topic) = topics.find(|topic| topic.name == record.topic) else {
            return Ok(());
        };
        let partition = TopicPartition {
            topic: Arc::clone(&topic.name),
            number: record.partition,
        };
        if self.active_schemas().is_some() && self.assignment.has_deferred(&partition) {
            // To hand this one out, or to drop it, would pass over the deferred one.
            return Err(format!(
                "{partition}: a record came although the partition is paused; this is a bug"
            ));
        }
        let content = match self.content(&record, topic) {
            Ok(content) => content,
            Err(request) => {
                let since = since.unwrap_or_else(Instant::now);
                self.defer(&partition, record, request, since);
                return Ok(());
            }
        };
        let decision = record::parse_action(&record, &content, &topic.config, scope);
        let ordering_key = record::ordering_key(content.key.as_deref(), &decision);
        let bytes = record.size() + content.made();
        let offset = record.offset;
        let effect = record::row_effect(&decision);
        let started = self
            .assignment
            .begin(partition, offset, bytes, ordering_key, effect);
        let Some(started) = started else {
            // Its partition has just gone away: the next owner gets the record.
            return Ok(());
        };
        let task = SinkTask {
            record,
            decision,
            ordering_key,
            possibly_written_before: started.possibly_written_before,
            lease: started.lease,
            front: started.front,
            handle: started.handle,
        };
        match started.not_before {
            Some(until) => {
                self.assignment.set_aside(task, until);
                Ok(())
            }
            None => self.push(topic, task),
        }
    }

    /// Gives a record to the workers of its topic.
    fn push(&self, topic: &TopicContext, task: SinkTask) -> Result<(), String> {
        // The topic is paused before the queue, which holds all records in flight, can be full.
        topic.queue.push(task.ordering_key, task).map_err(|task| {
            let partition = task.handle.partition.clone();
            // No worker gives it back, and a revocation would wait for it.
            self.assignment.withdraw(task.handle);
            format!("{partition}: the workers take no more records; this is a bug")
        })
    }

    fn defer(
        &self,
        partition: &TopicPartition,
        record: ConsumerRecord,
        request: SchemaRequest,
        since: Instant,
    ) {
        self.assignment.defer(partition, record, request, since);
        if let Some(schemas) = &self.schemas {
            schemas.set_active();
        }
    }

    fn content<'r>(
        &self,
        record: &'r ConsumerRecord,
        topic: &TopicContext,
    ) -> Result<RecordContent<'r>, SchemaRequest> {
        let (config, held) = (&topic.config, holds(topic));
        match &self.schemas {
            Some(schemas) => {
                record::decode_content(record, config, Some(&|id| schemas.look_up(id)), held)
            }
            None => record::decode_content(record, config, None, held),
        }
    }

    /// Waits for the records in flight, for `max_wait` at most. Gives the number of records whose writes
    /// were begun and not finished.
    fn finish(&self, max_wait: Option<Duration>) -> u64 {
        let deadline = max_wait.map(|wait| Instant::now() + wait);
        let left = loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            let left = self
                .assignment
                .wait_until_idle(Instant::now() + BUSY_POLL_TIMEOUT);
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if left == 0 || over || self.signals.abandon.is_stopped() {
                break left;
            }
        };
        (left + self.assignment.abandoned()) as u64
    }

    /// Has the last positions committed while Kafka's answer can still be received. What is committed while the
    /// consumer is dropped has no outcome that is always told.
    fn confirm_positions(&self, consumer: &Consumer) {
        let deadline = Instant::now() + LAST_COMMIT_WAIT;
        if consumer.vanished_commits().is_ok_and(|it| it.is_empty()) {
            consumer.store(&self.assignment.take_positions());
        }
        while self.assignment.has_moved() && Instant::now() < deadline {
            // Records that come are dropped: they are not handed out, so that they come again.
            consumer.poll(BUSY_POLL_TIMEOUT);
        }
    }
}

/// Whether a record of this topic that cannot be written is held, and its partition with it.
fn holds(topic: &TopicContext) -> bool {
    matches!(topic.policy, RefusalPolicy::Hold)
}

fn pause(consumer: &Consumer, partitions: &[TopicPartition]) {
    if !partitions.is_empty() {
        log::debug!(partitions = names(partitions.iter());
            "no more records are fetched until there is room, or a schema is known");
        consumer.pause(partitions.iter());
    }
}

fn resume(consumer: &Consumer, partitions: &[TopicPartition]) {
    if !partitions.is_empty() {
        consumer.resume(partitions.iter());
    }
}
