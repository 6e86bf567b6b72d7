//! The thread of the group: polls, hands out, settles, commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assignment::{Assignment, SchemaWait};
use super::record::{self, IdentityScope, RecordContent, SchemaRequest};
use super::schema_resolver::SchemaResolver;
use super::task::{RecordHandle, SinkTask};
use super::topic_context::{RefusalPolicy, TopicContext};
use crate::backoff::Backoff;
use crate::config::KafkaConfig;
use crate::health::{Condition, Heartbeat};
use crate::kafka::{Consumer, ConsumerRecord, PollResult, RebalanceListener, TopicPartition};
use crate::metrics::Metrics;
use crate::stop::Stop;

/// One wait for a record while others are out, and while there is nothing to do.
const BUSY_POLL_TIMEOUT: Duration = Duration::from_millis(50);
const IDLE_POLL_TIMEOUT: Duration = Duration::from_millis(500);
/// Between looks whether trouble is over.
const RECOVERY_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Between looks whether positions are still where they were.
const LOST_POSITION_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How long the thread may be silent: a revocation waits for writes that run.
const CONSUMER_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(180);
/// First and longest pause before a new consumer is made.
const CONSUMER_RESTART_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60));

/// The consumer thread.
pub(super) struct SinkConsumer {
    pub(super) kafka: KafkaConfig,
    pub(super) group_id: String,
    pub(super) instance: String,
    pub(super) topics: Vec<Arc<TopicContext>>,
    pub(super) assignment: Arc<Assignment>,
    /// Where schemas come from; `None`: there is no registry, or nobody needs it.
    pub(super) schemas: Option<SchemaResolver>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) condition: Condition,
    pub(super) heartbeat: Heartbeat,
    /// No more records are handed out.
    pub(super) stop: Stop,
    /// What is out is no longer waited for.
    pub(super) abandon: Stop,
}

/// Why a consumer is given up.
enum ConsumerEnd {
    Stopped,
    /// A new one may do better.
    Renew(String),
}

impl SinkConsumer {
    /// Runs until stopped. Gives the number of writes whose outcome is not known.
    pub(super) fn run(self) -> u64 {
        let mut backoff = Backoff::new(CONSUMER_RESTART_BACKOFF.0, CONSUMER_RESTART_BACKOFF.1);
        loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            let why = match self.consume(&mut backoff) {
                Ok(left) => return left,
                Err(why) => why,
            };
            let pause = backoff.ceiling();
            backoff.next(1.0);
            log::error!(error = why, retry_in:? = pause; "the sink's consumer is made anew");
            self.condition.fail(why);
            if self.stop.wait(pause) {
                return 0;
            }
        }
    }

    /// The life of one consumer.
    fn consume(&self, backoff: &mut Backoff) -> Result<u64, String> {
        self.assignment.renewed();
        self.ask_for_schemas();
        let names: Vec<Arc<str>> = self.topics.iter().map(|it| Arc::clone(&it.name)).collect();
        let group: Arc<dyn RebalanceListener> = Arc::clone(&self.assignment) as _;
        let consumer = Consumer::start(&self.kafka, &self.group_id, &names, group, &self.metrics)
            .map_err(|error| error.to_string())?;
        let Some(place) = self.place(&consumer) else {
            return Ok(0);
        };
        let end = self.serve(&consumer, &place, backoff);
        self.assignment.end_leases();
        let patience = match &end {
            ConsumerEnd::Stopped => None,
            ConsumerEnd::Renew(why) => {
                self.condition.fail(why.clone());
                Some(self.assignment.patience())
            }
        };
        let left = self.finish(&consumer, patience);
        self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
        drop(consumer);
        match end {
            ConsumerEnd::Stopped => Ok(left),
            ConsumerEnd::Renew(why) => Err(why),
        }
    }

    /// What makes the identities of this instance and cluster; `None` when stopped before Kafka
    /// answered.
    fn place(&self, consumer: &Consumer) -> Option<IdentityScope> {
        loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            if consumer.is_broker_reachable() {
                let cluster = consumer.cluster_id().unwrap_or_default();
                let instance = self.instance.clone();
                return Some(IdentityScope { instance, cluster });
            }
            self.condition.fail("no broker answers the sink's consumer");
            if self.stop.wait(Duration::from_secs(1)) {
                return None;
            }
        }
    }

    fn serve(
        &self,
        consumer: &Consumer,
        place: &IdentityScope,
        backoff: &mut Backoff,
    ) -> ConsumerEnd {
        let mut check_at = None;
        let mut look_at = Instant::now() + LOST_POSITION_CHECK_INTERVAL;
        self.condition.ok();
        while !self.stop.is_stopped() {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            self.assignment.settle();
            if let Err(why) = self.hand_out_parked(place) {
                return ConsumerEnd::Renew(why);
            }
            self.ask_for_schemas();
            if self.assignment.wait_for_room(&self.stop) {
                consumer.store(&self.assignment.take_positions());
                continue;
            }
            let flow = self.assignment.flow();
            pause(consumer, &flow.pause);
            resume(consumer, &flow.resume);
            consumer.store(&self.assignment.take_positions());
            if check_at.is_some_and(|at| at <= Instant::now()) {
                check_at = self.check(consumer);
            }
            if look_at <= Instant::now() {
                let free = |partition: &TopicPartition| !self.assignment.is_held(partition);
                if let Some(partition) = consumer.position_beyond_end(free) {
                    return ConsumerEnd::Renew(format!(
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
            match consumer.poll(turn) {
                PollResult::Record(record) => {
                    backoff.reset();
                    if let Err(why) = self.hand_out(record, None, place) {
                        return ConsumerEnd::Renew(why);
                    }
                }
                PollResult::Nothing => {}
                PollResult::Trouble(why) => {
                    log::warn!(error = why; "the sink's consumer is in trouble; trying again");
                    self.condition.fail(why);
                    check_at = Some(Instant::now() + RECOVERY_CHECK_INTERVAL);
                }
                PollResult::OutOfRange => match consumer.restart_lost_positions() {
                    // It has stopped fetching. Which one it was is known only while it is outside.
                    Ok(starts) if starts.is_empty() => {
                        let why = "a position was outside of its partition for a moment";
                        return ConsumerEnd::Renew(why.to_owned());
                    }
                    Ok(starts) => self.assignment.restarted(&starts),
                    Err(why) => return ConsumerEnd::Renew(why),
                },
                PollResult::Fatal(why) => return ConsumerEnd::Renew(why),
            }
        }
        ConsumerEnd::Stopped
    }

    /// librdkafka tells of trouble but not of its end. Gives the time of the next look, unless all is
    /// well.
    fn check(&self, consumer: &Consumer) -> Option<Instant> {
        match consumer.check() {
            Ok(()) => {
                self.condition.ok();
                log::info!("the sink's consumer is out of trouble");
                None
            }
            Err(why) => {
                self.condition.fail(why);
                Some(Instant::now() + RECOVERY_CHECK_INTERVAL)
            }
        }
    }

    /// Hands out the records whose schemas are known by now. They come before all others of their
    /// partitions, as these are still paused.
    fn hand_out_parked(&self, place: &IdentityScope) -> Result<(), String> {
        let Some(schemas) = self.busy_schemas() else {
            return Ok(());
        };
        schemas.settle();
        let settled = |waiting: &SchemaWait| {
            let topic = self.topics.get(waiting.topic);
            topic.is_some_and(|topic| schemas.settled(waiting, holds(topic)))
        };
        while let Some((record, since)) = self.assignment.unpark(settled) {
            self.hand_out(record, Some(since), place)?;
        }
        Ok(())
    }

    fn ask_for_schemas(&self) {
        if let Some(schemas) = self.busy_schemas() {
            schemas.ask(&self.assignment.waiting(), &self.topics);
        }
    }

    /// The schemas, while records wait for them.
    fn busy_schemas(&self) -> Option<&SchemaResolver> {
        self.schemas.as_ref().filter(|schemas| schemas.is_busy())
    }

    /// `since` when the record was parked, if it was.
    fn hand_out(
        &self,
        record: ConsumerRecord,
        since: Option<Instant>,
        place: &IdentityScope,
    ) -> Result<(), String> {
        let mut topics = self.topics.iter().enumerate();
        let Some((at, topic)) = topics.find(|(_, topic)| topic.name == record.topic) else {
            return Ok(());
        };
        let partition = TopicPartition {
            topic: Arc::clone(&topic.name),
            number: record.partition,
        };
        if self.busy_schemas().is_some() && self.assignment.is_parked(&partition) {
            // Handing it out, or dropping it, would pass over the one that waits.
            return Err(format!(
                "{partition}: a record came although the partition is paused; this is a bug"
            ));
        }
        let content = match self.content(&record, topic) {
            Ok(content) => content,
            Err(needs) => {
                let since = since.unwrap_or_else(Instant::now);
                self.park(&partition, record, needs, since);
                return Ok(());
            }
        };
        let decision = record::parse_action(&record, &content, &topic.config, place);
        let lane = record::ordering_key(content.key.as_deref(), &decision);
        let ticket = RecordHandle {
            partition,
            offset: record.offset,
            epoch: 0,
            topic: at,
            bytes: record.size() + content.made(),
        };
        // A record of a partition that has just gone is somebody else's.
        let Some((ticket, lease, suspect)) = self.assignment.begin(ticket) else {
            return Ok(());
        };
        let job = SinkTask {
            record,
            decision,
            ordering_key: lane,
            possibly_written_before: suspect,
            lease,
            handle: ticket,
        };
        // More than the limit cannot be out, as the topic is paused before.
        topic.queue.put(lane, job).map_err(|job| {
            let partition = job.handle.partition.clone();
            // Nobody else will: its partition would be waited for without end.
            self.assignment.take_back(job.handle);
            format!("{partition}: the workers take no more records; this is a bug")
        })
    }

    fn park(
        &self,
        partition: &TopicPartition,
        record: ConsumerRecord,
        needs: SchemaRequest,
        since: Instant,
    ) {
        self.assignment.park(partition, record, needs, since);
        if let Some(schemas) = &self.schemas {
            schemas.parked();
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
                record::decode_content(record, config, Some(&|id| schemas.look(id)), held)
            }
            None => record::decode_content(record, config, None, held),
        }
    }

    /// Waits for what has begun, for `patience` at most.
    fn finish(&self, consumer: &Consumer, patience: Option<Duration>) -> u64 {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let left = loop {
            self.heartbeat.beat(CONSUMER_HEARTBEAT_DEADLINE);
            let left = self.assignment.wait_all(Instant::now() + BUSY_POLL_TIMEOUT);
            let over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if left == 0 || over || self.abandon.is_stopped() {
                break left;
            }
        };
        // They are committed when the consumer leaves the group.
        consumer.store(&self.assignment.take_positions());
        (left + self.assignment.given_up()) as u64
    }
}

/// Whether a record of this topic that cannot be written is waited with.
fn holds(topic: &TopicContext) -> bool {
    matches!(topic.policy, RefusalPolicy::Hold)
}

fn pause(consumer: &Consumer, partitions: &[TopicPartition]) {
    if !partitions.is_empty() {
        consumer.pause(partitions.iter());
    }
}

fn resume(consumer: &Consumer, partitions: &[TopicPartition]) {
    if !partitions.is_empty() {
        consumer.resume(partitions.iter());
    }
}
