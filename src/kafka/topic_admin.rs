//! Looks topics up, and creates those that are missing where the configuration says so.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client_context::ClientCallbacks;
use super::client_settings::ClientSettings;
use super::error::Error;
use super::librdkafka_words::NO_BROKER_WORDS;
use super::producer::client::{ProducerClient, ProducerShared};
use crate::config::CreateTopics;

/// Bound on looking up and creating all topics.
const TOPIC_CHECK_DEADLINE: Duration = Duration::from_secs(30);
/// Bound on the answer for one topic.
const TOPIC_QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two questions for a topic that was just created.
const NEW_TOPIC_RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
}

/// What the cluster's metadata say of a topic.
enum TopicLookup {
    Topic(TopicInfo),
    Missing,
    Forbidden,
}

/// Checks that these topics exist and that the Kafka user may describe them; creates missing ones when
/// `kafka.create_topics` says so. The result is sorted by name.
pub(super) fn ensure_topics(
    shared: &ProducerShared,
    names: &[String],
) -> Result<Vec<TopicInfo>, Error> {
    let client = shared.client().ok_or(Error::Closed)?;
    let deadline = Instant::now() + TOPIC_CHECK_DEADLINE;
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if let Some(name) = names.first() {
        shared.know_topic(name);
    }
    let (mut topics, missing) = look_up_all(shared, &client, &names, deadline)?;
    match &shared.create_topics {
        _ if missing.is_empty() => {}
        None => return Err(Error::MissingTopics(owned(&missing))),
        Some(how) => {
            create(shared, how, &missing, deadline)?;
            topics.extend(await_created(shared, &client, missing, deadline)?);
            topics.sort_by(|one, two| one.name.cmp(&two.name));
        }
    }
    Ok(topics)
}

/// The topics that exist, and the names that do not.
fn look_up_all<'a>(
    shared: &ProducerShared,
    client: &ProducerClient,
    names: &BTreeSet<&'a str>,
    deadline: Instant,
) -> Result<(Vec<TopicInfo>, BTreeSet<&'a str>), Error> {
    let (mut topics, mut missing, mut forbidden) = (Vec::new(), BTreeSet::new(), Vec::new());
    for name in names {
        match look_up(shared, client, name, deadline)? {
            TopicLookup::Topic(topic) => topics.push(topic),
            TopicLookup::Missing => {
                missing.insert(*name);
            }
            TopicLookup::Forbidden => forbidden.push((*name).to_owned()),
        }
    }
    if forbidden.is_empty() {
        Ok((topics, missing))
    } else {
        Err(Error::ForbiddenTopics(forbidden))
    }
}

fn look_up(
    shared: &ProducerShared,
    client: &ProducerClient,
    name: &str,
    deadline: Instant,
) -> Result<TopicLookup, Error> {
    let unreachable = |code: Option<Code>| {
        let code = match code {
            None => "no answer".to_owned(),
            Some(Code::AllBrokersDown) => NO_BROKER_WORDS.to_owned(),
            Some(code) => format!("{code:?}"),
        };
        Error::Unreachable {
            brokers: shared.settings.brokers.clone(),
            reason: shared.signals.cause().unwrap_or(code),
        }
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let metadata = client
        .client()
        .fetch_metadata(Some(name), left.min(TOPIC_QUERY_TIMEOUT))
        .map_err(|error| unreachable(error.rdkafka_error_code()))?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(TopicLookup::Missing);
    };
    let partitions = topic.partitions().len();
    match topic.error().map(Code::from) {
        Some(Code::TopicAuthorizationFailed) => Ok(TopicLookup::Forbidden),
        // A topic that has no leader at this moment exists all the same.
        None | Some(Code::LeaderNotAvailable) if partitions > 0 => {
            Ok(TopicLookup::Topic(TopicInfo {
                name: name.to_owned(),
                partitions,
            }))
        }
        None | Some(_) => Ok(TopicLookup::Missing),
    }
}

fn create(
    shared: &ProducerShared,
    how: &CreateTopics,
    names: &BTreeSet<&str>,
    deadline: Instant,
) -> Result<(), Error> {
    let context = ClientCallbacks(Arc::clone(&shared.signals));
    let wanted: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| {
            NewTopic::new(name, i32::from(how.partitions), replication(Some(how)))
                .set("cleanup.policy", &how.cleanup_policy)
        })
        .collect();
    for topic in create_topics(&shared.settings, context, &wanted, deadline)? {
        log::info!(target: "kafka", topic = topic.as_str(), partitions = how.partitions,
            cleanup_policy = how.cleanup_policy.as_str(); "created a topic");
    }
    Ok(())
}

/// How many copies a topic is made with.
pub(super) fn replication(how: Option<&CreateTopics>) -> TopicReplication<'static> {
    let factor = how.and_then(|how| how.replication_factor);
    TopicReplication::Fixed(factor.map_or(-1, i32::from)) // -1: the broker's default
}

/// Creates topics, with an admin client that lives for this call only. Gives those that it has made; another
/// program may have been faster.
pub(super) fn create_topics<C: ClientContext>(
    settings: &ClientSettings,
    context: C,
    wanted: &[NewTopic<'_>],
    deadline: Instant,
) -> Result<Vec<String>, Error> {
    let admin: Result<AdminClient<C>, KafkaError> =
        AdminClient::from_config_and_context(&settings.client, context);
    let admin = admin.map_err(|error| settings.creation_error(error))?;
    let left = deadline.saturating_duration_since(Instant::now());
    let options = AdminOptions::new()
        .request_timeout(Some(left))
        .operation_timeout(Some(left / 2));
    let failed = |topic: &str, reason: String, retryable| Error::CreateTopic {
        topic: topic.to_owned(),
        reason: settings.scrub(&reason),
        retryable,
    };
    let all = || {
        let names: Vec<&str> = wanted.iter().map(|topic| topic.name).collect();
        names.join(", ")
    };
    let results = match block_on(admin.create_topics(wanted, &options), deadline) {
        None => return Err(failed(&all(), "no answer in time".to_owned(), true)),
        Some(Err(error)) => return Err(failed(&all(), error.to_string(), true)),
        Some(Ok(results)) => results,
    };
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(topic) => made.push(topic),
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(failed(&topic, refusal(code), retryable(code))),
        }
    }
    Ok(made)
}

/// Why a topic could not be created, with what to do.
fn refusal(code: Code) -> String {
    let advice = match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            "; grant the Kafka user Create"
        }
        Code::InvalidReplicationFactor => {
            "; there are fewer brokers than kafka.create_topics.replication_factor"
        }
        Code::InvalidPartitions => "; check kafka.create_topics.partitions",
        Code::InvalidConfig => "; check kafka.create_topics.cleanup_policy",
        _ => "",
    };
    format!("{code:?}{advice}")
}

/// Whether another attempt may succeed although nothing was changed.
fn retryable(code: Code) -> bool {
    matches!(
        code,
        Code::RequestTimedOut
            | Code::OperationTimedOut
            | Code::NotController
            | Code::BrokerNotAvailable
            | Code::BrokerTransportFailure
            | Code::ThrottlingQuotaExceeded
    )
}

/// Waits until the brokers know the topics that were just created.
fn await_created(
    shared: &ProducerShared,
    client: &ProducerClient,
    mut missing: BTreeSet<&str>,
    deadline: Instant,
) -> Result<Vec<TopicInfo>, Error> {
    let mut topics = Vec::new();
    loop {
        let (found, still_missing) = look_up_all(shared, client, &missing, deadline)?;
        topics.extend(found);
        if still_missing.is_empty() {
            return Ok(topics);
        }
        if Instant::now() >= deadline {
            return Err(Error::MissingTopics(owned(&still_missing)));
        }
        missing = still_missing;
        std::thread::park_timeout(NEW_TOPIC_RECHECK_INTERVAL);
    }
}

fn owned(names: &BTreeSet<&str>) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Waits on this thread for a future, until `deadline`. rdkafka's admin client answers with futures, and
/// one short wait at the start is no reason for an async runtime.
pub(super) fn block_on<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_waited_for_with_a_bound() {
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(block_on(std::future::ready(7), soon), Some(7));
        assert_eq!(block_on(std::future::pending::<()>(), soon), None);
    }
}
