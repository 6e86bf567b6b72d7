//! Counts the acknowledgements of a batch of records, and says why a record was given up.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rdkafka::types::RDKafkaErrorCode as Code;

/// Counts the acknowledgements of a batch of records: those of a page, for instance.
///
/// An `Arc<Batch>` goes through librdkafka with each record, so that no record needs memory of its own
/// for it.
#[derive(Debug)]
pub struct Batch {
    /// Records without a delivery report, plus one until [`Batch::close`].
    open: AtomicU64,
    failure: OnceLock<DeliveryError>,
    /// When the first record was enqueued.
    first: OnceLock<Instant>,
    /// [`Batch::acknowledge`] has given the latency.
    sampled: AtomicBool,
    wake: Sender<()>,
}

impl Batch {
    /// An open batch without records. `wake` gets a message when the batch is done or has failed. A
    /// channel of capacity 1 is enough, and all batches of a table may share it.
    pub fn new(wake: Sender<()>) -> std::sync::Arc<Batch> {
        std::sync::Arc::new(Batch {
            open: AtomicU64::new(1),
            failure: OnceLock::new(),
            first: OnceLock::new(),
            sampled: AtomicBool::new(false),
            wake,
        })
    }

    /// Ends the adding of records. Is called exactly once: before that the batch is not done, however
    /// many records are acknowledged.
    pub fn close(&self) {
        self.finish_one();
    }

    /// Whether the batch is closed and each record was either acknowledged or given up.
    pub fn is_done(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// `Ok` when all records are acknowledged; the first error as soon as a record was given up, even if
    /// others are still in flight; `None` before that.
    pub fn outcome(&self) -> Option<Result<(), DeliveryError>> {
        match self.failure.get() {
            Some(failure) => Some(Err(failure.clone())),
            None => self.is_done().then_some(Ok(())),
        }
    }

    /// Counts a record that is about to be enqueued.
    pub(super) fn add(&self) {
        if self.open.fetch_add(1, Ordering::Relaxed) == 1 {
            self.first.get_or_init(Instant::now);
        }
    }

    /// Takes back [`Batch::add`]: the record was not enqueued.
    pub(super) fn withdraw(&self) {
        self.finish_one();
    }

    /// One record was acknowledged. The first call gives the time since the first record was enqueued.
    pub(super) fn acknowledge(&self) -> Option<Duration> {
        let latency = if self.sampled.load(Ordering::Relaxed) {
            None
        } else {
            self.sampled.store(true, Ordering::Relaxed);
            self.first.get().map(Instant::elapsed)
        };
        self.finish_one();
        latency
    }

    /// One record was given up.
    pub(super) fn fail(&self, failure: DeliveryError) {
        if self.failure.set(failure).is_ok() {
            self.wake();
        }
        self.finish_one();
    }

    fn finish_one(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake();
        }
    }

    fn wake(&self) {
        // Full: a wake-up is waiting already. Disconnected: the receiver does not need it any more.
        self.wake.try_send(()).ok();
    }
}

/// Why librdkafka gave up a record, or did not take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// Topic of the record.
    pub topic: String,
    /// Kafka's name of the error.
    pub code: String,
    /// Sending the record again fails as well until the cause is removed.
    pub permanent: bool,
    /// The cause and its remedy, without the name of the topic.
    advice: &'static str,
}

impl DeliveryError {
    /// Whether the record is larger than the broker or the topic allows.
    pub fn is_too_large(&self) -> bool {
        self.code == format!("{:?}", Code::MessageSizeTooLarge)
    }

    /// Whether the broker may refuse the time of the record.
    pub fn may_be_its_time(&self) -> bool {
        [Code::InvalidTimestamp, Code::InvalidRecord]
            .map(|code| format!("{code:?}"))
            .contains(&self.code)
    }

    /// The same of a record of this topic.
    pub fn is_too_large_for(&self, topic: &str) -> bool {
        self.topic == topic && self.is_too_large()
    }

    /// An error of this code.
    pub fn new(topic: &str, code: Code) -> DeliveryError {
        let (permanent, advice) = judge(code);
        DeliveryError {
            topic: topic.to_owned(),
            code: format!("{code:?}"),
            permanent,
            advice,
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeliveryError { topic, code, .. } = self;
        write!(
            f,
            "produce to topic {topic}: {code}: {advice}",
            advice = self.advice
        )
    }
}

impl std::error::Error for DeliveryError {}

/// Whether an error of this code is permanent, and the cause and its remedy in words.
fn judge(code: Code) -> (bool, &'static str) {
    match code {
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => (
            true,
            "the topic does not exist; create it or set kafka.create_topics.enabled: true",
        ),
        Code::TopicAuthorizationFailed => (
            true,
            "the Kafka user may not write to it; grant Write on the topic",
        ),
        Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed => (
            true,
            "the Kafka user may not produce idempotently; grant IdempotentWrite on the cluster",
        ),
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => (
            true,
            "the broker does not take batches of this size; raise the topic's max.message.bytes or \
             lower kafka.max_message_bytes below it",
        ),
        Code::InvalidTopic => (
            true,
            "the topic's name is not valid or the topic is internal",
        ),
        Code::InvalidTimestamp => (
            true,
            "the broker refuses the time of the record; check this host's clock and the broker's, and \
             the topic's message.timestamp.after.max.ms",
        ),
        Code::PolicyViolation | Code::InvalidRecord => (
            true,
            "the broker refuses the record; check this host's clock (a record may not be an hour ahead \
             of the broker) and the topic's policies (a compacted topic takes no record without a key)",
        ),
        Code::UnsupportedCompressionType => (
            true,
            "the broker does not know this compression; change kafka.compression",
        ),
        Code::SaslAuthenticationFailed | Code::Authentication => {
            (true, "the log-in failed; check kafka.sasl")
        }
        Code::PurgeQueue | Code::PurgeInflight => {
            (false, "the producer was closed before it was acknowledged")
        }
        Code::Fatal | Code::Fenced => (
            false,
            "the producer cannot go on without risking order; a new one is made",
        ),
        _ => (false, "it was not acknowledged and will be read again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_only_after_the_close_and_the_last_report() {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let batch = Batch::new(wake);
        batch.add();
        assert!(batch.acknowledge().is_some(), "the first record is sampled");
        batch.add();
        assert!(batch.acknowledge().is_none());
        assert!(!batch.is_done());
        assert!(woken.try_recv().is_err());
        batch.close();
        assert!(batch.is_done());
        assert_eq!(batch.outcome(), Some(Ok(())));
        assert!(woken.try_recv().is_ok());
    }

    #[test]
    fn an_empty_batch_is_done_when_closed() {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let batch = Batch::new(wake);
        batch.close();
        assert_eq!(batch.outcome(), Some(Ok(())));
        assert!(woken.try_recv().is_ok());
    }

    #[test]
    fn the_first_failure_is_told_at_once() {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let batch = Batch::new(wake);
        batch.add();
        batch.add();
        batch.fail(DeliveryError::new("t", Code::MessageSizeTooLarge));
        assert!(woken.try_recv().is_ok());
        assert!(!batch.is_done());
        batch.fail(DeliveryError::new("t", Code::PurgeQueue));
        batch.close();
        let failure = batch.outcome().unwrap().unwrap_err();
        assert!(failure.permanent && batch.is_done());
        let text = failure.to_string();
        assert!(
            text.starts_with("produce to topic t: MessageSizeTooLarge: the broker does not"),
            "{text}"
        );
    }
}
