//! Kafka: brokers, topics with their settings and rights, the group of the sink.

use std::io::{Read, Write};
use std::time::Duration;

use super::finding::{Finding, FindingArea, FindingLevel};
use super::judge;
use super::judge::kafka::TopicUse;
use super::judge::reach::JudgedWay;
use super::report::FindingReport;
use crate::config::Config;
use crate::http::reach::{ReachTarget, reach};
use crate::kafka::{
    ApiVersionRange, BrokerAddress, BrokerQuestions, CLIENT_ID, ClusterSurveyor, METADATA_API,
    METADATA_WITH_RIGHTS, TopicReadError, TopicRights, TopicSurvey,
};
use crate::stop::Stop;

/// Bound on each step of the way to a broker.
const BROKER_REACH_BOUND: Duration = Duration::from_secs(5);
/// Most brokers that are looked at one by one.
const MAX_LOOKED_AT_BROKERS: usize = 50;

/// Looks at Kafka as the sink's group, without joining it.
pub(super) fn examine(config: &Config, stop: &Stop, report: &mut FindingReport<'_, '_>) {
    let area = FindingArea::Kafka;
    let surveyor = match ClusterSurveyor::start(&config.kafka, &config.sink.group_id, stop) {
        Ok(surveyor) => surveyor,
        Err(error) => return report.add(area.error("client", &error)),
    };
    let names = topics(config);
    let brokers = match surveyor.brokers(names.first().map_or("", String::as_str)) {
        Ok(brokers) => brokers,
        Err(error) => return report.add(area.error("brokers", &error)),
    };
    let rights = look_at_brokers(config, &brokers, stop, report).unwrap_or_default();
    if rights.is_empty() {
        let seen = "not told: no broker answers this question, or only to a client certificate";
        report.add(area.ok("rights on topics", seen));
    }
    let topics = match surveyor.topics(&names) {
        Ok(topics) => topics,
        Err(error) => return report.add(area.error("topics", &error)),
    };
    let made = config
        .kafka
        .create_topics
        .as_ref()
        .map(|how| how.partitions);
    for (name, topic) in &topics {
        let used = TopicUse::of(config, name);
        report.extend(judge::kafka::topic(name, topic, used, made));
        if let Some((_, rights)) = rights.iter().find(|(known, _)| known == name) {
            report.add(judge::kafka::rights(name, used, *rights));
        }
    }
    if !config.active_topics().is_empty() {
        report.extend(look_at_sink(config, &surveyor, &topics));
    }
}

/// The topics of the configuration, with that of the positions.
fn topics(config: &Config) -> Vec<String> {
    let mut topics = config.topics();
    topics.extend(judge::kafka::positions_topic(config).map(str::to_owned));
    topics
}

/// Goes to each broker by the address that the cluster gives to its clients: that of `kafka.brokers` may
/// be another one. Gives what this user may do with the topics, if a broker told.
fn look_at_brokers(
    config: &Config,
    brokers: &[BrokerAddress],
    stop: &Stop,
    report: &mut FindingReport<'_, '_>,
) -> Option<Vec<(String, TopicRights)>> {
    let tls = config.kafka.tls.as_ref();
    let mut rights = None;
    for broker in brokers.iter().take(MAX_LOOKED_AT_BROKERS) {
        if stop.is_stopped() {
            break;
        }
        let host = &broker.host;
        let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
        let host = if is_bare_ipv6 {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let target = ReachTarget {
            host: &host,
            port: broker.port,
            tls: tls.map(|files| ("kafka.tls", files)),
            proxy: None,
        };
        let (seen, stream) = reach(&target, BROKER_REACH_BOUND);
        let place = format!("broker {} ({host}:{})", broker.id, broker.port);
        let way = JudgedWay {
            area: FindingArea::Kafka,
            place: &place,
            address_key: "advertised.listeners of the broker",
            tls_section: "kafka.tls",
            through_proxy: false,
        };
        let now = jiff::Timestamp::now().as_second();
        report.extend(judge::reach::judge(&way, &seen, now));
        if let Some(mut stream) = stream {
            stream.bound(BROKER_REACH_BOUND);
            let mut questions = BrokerQuestions::new(stream);
            let versions = questions.api_versions();
            let versions = versions.map_err(|error| error.to_string());
            report.add(judge::kafka::api_versions(&place, &versions));
            if rights.is_none() && versions.is_ok_and(|it| tells_rights(&it)) {
                rights = ask_rights(config, &mut questions);
            }
        }
    }
    rights
}

/// The broker takes the version of Metadata that has rights.
fn tells_rights(versions: &[ApiVersionRange]) -> bool {
    let metadata = versions.iter().find(|it| it.api == METADATA_API);
    metadata.is_some_and(|it| (it.min..=it.max).contains(&METADATA_WITH_RIGHTS))
}

/// `None`: they cannot be asked, as with a certificate of the client, which only librdkafka shows.
fn ask_rights<S: Read + Write>(
    config: &Config,
    questions: &mut BrokerQuestions<S>,
) -> Option<Vec<(String, TopicRights)>> {
    if let Some(sasl) = &config.kafka.sasl
        && !questions.log_in(sasl).ok()?
    {
        return None;
    }
    let names = topics(config);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    questions.topic_rights(&names).ok()
}

/// What the sink needs: to read its topics, and to commit in its group.
fn look_at_sink(
    config: &Config,
    surveyor: &ClusterSurveyor<'_>,
    topics: &[(String, TopicSurvey)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut read = Vec::new();
    for (name, topic) in topics {
        let TopicSurvey::Found(found) = topic else {
            continue;
        };
        let used = TopicUse::of(config, name);
        if !used.is_of_sink {
            continue;
        }
        read.push((name.clone(), found.partitions));
        findings.push(match surveyor.prove_read(name) {
            Ok(proven) => judge::kafka::read_right(name, proven),
            Err(error) => refused(format!("topic {name}"), &error),
        });
    }
    let group = &config.sink.group_id;
    findings.push(match surveyor.group(group, &read) {
        Ok(seen) => judge::kafka::group(group, &seen, own_name(config)),
        Err(error) => refused(format!("group {group}"), &error),
    });
    findings
}

/// The name under which the bridge's clients show themselves.
fn own_name(config: &Config) -> &str {
    let mut properties = config.kafka.properties.iter();
    let given = properties.find(|(name, _)| name == "client.id");
    given.map_or(CLIENT_ID, |(_, name)| name.expose())
}

/// A right that is missing is a failure; what was not answered may be answered later.
fn refused(subject: String, error: &TopicReadError) -> Finding {
    let level = match error {
        TopicReadError::Forbidden { .. } => FindingLevel::Failure,
        TopicReadError::Kafka(_)
        | TopicReadError::Refused(_)
        | TopicReadError::Scattered { .. } => FindingLevel::Warning,
    };
    FindingArea::Kafka.worded(level, subject, &error.to_string())
}
