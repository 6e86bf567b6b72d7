//! Brokers, topics and the sink's group.

use crate::commands::doctor::finding::{Finding, FindingArea};
use crate::config::{CheckpointStorage, Config, Partitioner};
use crate::kafka::{ApiVersionRange, FoundTopic, GroupSurvey, TopicRights, TopicSurvey};

/// Requests, by number and name, with the version that the bridge needs: records with headers, a producer
/// that repeats nothing, members that keep their partitions over a restart (Kafka 2.3).
const NEEDED_VERSIONS: [(i16, &str, i16); 4] = [
    (0, "Produce", 3),
    (1, "Fetch", 4),
    (11, "JoinGroup", 5),
    (22, "InitProducerId", 0),
];

/// What a broker says of the versions that it speaks, or why it says nothing.
pub(in crate::commands::doctor) fn api_versions(
    broker: &str,
    seen: &Result<Vec<ApiVersionRange>, String>,
) -> Finding {
    let area = FindingArea::Kafka;
    let subject = format!("protocol of {broker}");
    let versions = match seen {
        Ok(versions) => versions,
        // librdkafka, which may hold a certificate, has had an answer from the cluster.
        Err(why) => return area.ok(subject, format!("not told to this connection ({why})")),
    };
    let newest = |api: i16| versions.iter().find(|it| it.api == api).map(|it| it.max);
    let missing = NEEDED_VERSIONS
        .iter()
        .find(|(api, _, needed)| newest(*api).is_none_or(|newest| newest < *needed));
    if let Some((_, name, needed)) = missing {
        let seen = format!("it does not take version {needed} of {name}");
        let cure = "use Kafka 2.3 or later, or a service that speaks its protocol in full";
        return area.failure(subject, seen, cure);
    }
    let newest = newest(0).unwrap_or_default();
    area.ok(subject, format!("what is needed (Produce up to {newest})"))
}

/// What this user may do with a topic.
pub(in crate::commands::doctor) fn rights(
    name: &str,
    used: TopicUse,
    rights: TopicRights,
) -> Finding {
    let subject = format!("topic {name}");
    let words = |may: bool, yes: &str| format!("{}{yes}", if may { "may " } else { "may not " });
    let mut needed = Vec::new();
    if used.writes {
        needed.push((rights.may_write(), "be written to", "Write"));
    }
    if used.reads {
        needed.push((rights.may_read(), "be read", "Read"));
    }
    let seen: Vec<String> = needed
        .iter()
        .map(|(may, what, _)| words(*may, what))
        .collect();
    let seen = format!("{} by this Kafka user", seen.join(", "));
    match needed.iter().find(|(may, _, _)| !may) {
        Some((_, _, right)) => {
            let cure = format!("grant the Kafka user {right} on it (kafka-acls.sh --add)");
            FindingArea::Kafka.failure(subject, seen, cure)
        }
        None => FindingArea::Kafka.ok(subject, seen),
    }
}

/// What the bridge does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::doctor) struct TopicUse {
    pub(in crate::commands::doctor) writes: bool,
    /// By the sink, or to compare it with its table.
    pub(in crate::commands::doctor) reads: bool,
    /// The sink reads it.
    pub(in crate::commands::doctor) is_of_sink: bool,
    /// Records without keys are written.
    pub(in crate::commands::doctor) without_keys: bool,
    /// Largest record that is written, in bytes.
    pub(in crate::commands::doctor) max_record_bytes: u64,
    /// It keeps positions.
    pub(in crate::commands::doctor) keeps_positions: bool,
}

impl TopicUse {
    pub(in crate::commands::doctor) fn of(config: &Config, topic: &str) -> TopicUse {
        if positions_topic(config) == Some(topic) {
            return TopicUse {
                reads: true,
                is_of_sink: false,
                writes: true,
                without_keys: false,
                max_record_bytes: 0,
                keeps_positions: true,
            };
        }
        let mut sink = config.active_topics().iter();
        let is_of_sink = sink.any(|it| it.topic == topic);
        let tables = config.active_tables().iter();
        let tables: Vec<_> = tables.filter(|table| table.topic == topic).collect();
        TopicUse {
            reads: is_of_sink || tables.iter().any(|table| table.reads_topic_back()),
            is_of_sink,
            writes: !is_of_sink || !tables.is_empty(),
            without_keys: tables
                .iter()
                .any(|table| matches!(table.partitioner, Partitioner::RoundRobin)),
            max_record_bytes: u64::from(config.kafka.max_message_bytes),
            keeps_positions: false,
        }
    }
}

/// The topic that keeps the positions, if one does.
pub(in crate::commands::doctor) fn positions_topic(config: &Config) -> Option<&str> {
    let offset = &config.offset;
    (offset.storage == CheckpointStorage::Kafka).then_some(offset.kafka_topic.as_str())
}

/// `made`: how many partitions a missing topic will get, where the bridge makes it.
pub(in crate::commands::doctor) fn topic(
    name: &str,
    seen: &TopicSurvey,
    used: TopicUse,
    made: Option<u16>,
) -> Vec<Finding> {
    let subject = format!("topic {name}");
    let rights = match (used.writes, used.reads) {
        (true, true) => "Describe, Write and Read",
        (true, false) => "Describe and Write",
        (false, _) => "Describe and Read",
    };
    let area = FindingArea::Kafka;
    let made = if used.keeps_positions { Some(1) } else { made };
    match (seen, made) {
        (TopicSurvey::Found(found), _) => judge_found(&subject, found, used),
        (TopicSurvey::Forbidden, _) => {
            let cure = format!("grant the Kafka user {rights} on it");
            vec![area.failure(subject, "may not be described by this Kafka user", cure)]
        }
        (TopicSurvey::Missing, Some(partitions)) => {
            let seen = format!(
                "does not exist yet; `run` makes it with {partitions} {}",
                if used.keeps_positions {
                    "partition (offset.storage)"
                } else {
                    "partitions (kafka.create_topics)"
                }
            );
            vec![area.ok(subject, seen)]
        }
        (TopicSurvey::Missing, None) => {
            let cure = format!(
                "create it (kafka-topics.sh --create --topic {name}), or set \
                 kafka.create_topics.enabled: true"
            );
            vec![area.failure(subject, "does not exist", cure)]
        }
    }
}

fn judge_found(subject: &str, found: &FoundTopic, used: TopicUse) -> Vec<Finding> {
    let area = FindingArea::Kafka;
    let settings = found.settings.clone().unwrap_or_default();
    let mut words = format!("{} partitions", found.partitions);
    match settings.max_message_bytes {
        Some(bytes) => words.push_str(&format!(", max.message.bytes {bytes}")),
        None => words.push_str(", settings not told"),
    }
    let mut findings = Vec::new();
    if found.leaderless > 0 {
        let seen = format!("{words}, of which {} have no leader", found.leaderless);
        let cure = "see which brokers are down: nothing gets into these partitions or out of them";
        findings.push(area.failure(subject, seen, cure));
    }
    let needed = settings.min_in_sync.unwrap_or(1);
    if used.writes && found.leaderless == 0 && found.fewest_in_sync < needed {
        let seen = format!(
            "{words}; a partition has {} replicas in sync, and min.insync.replicas is {needed}",
            found.fewest_in_sync
        );
        let cure = "see which brokers are down, or lower min.insync.replicas of the topic: Kafka \
                    refuses every record until then";
        findings.push(area.failure(subject, seen, cure));
    }
    let is_compacted = settings
        .cleanup_policy
        .as_ref()
        .is_some_and(|policy| policy.contains("compact"));
    if used.keeps_positions
        && let Some(policy) = settings
            .cleanup_policy
            .as_ref()
            .filter(|it| *it != "compact")
    {
        let seen = format!("{words}; its cleanup.policy is {policy}");
        let cure = "set cleanup.policy=compact, or another offset.kafka_topic: no table begins while Kafka \
                    deletes positions";
        findings.push(area.failure(subject, seen, cure));
    }
    if is_compacted && used.without_keys {
        let seen = format!("{words}; is compacted, and `partitioner: round_robin` sends no keys");
        let cure = "set another partitioner, or cleanup.policy=delete: Kafka refuses every record \
                    without a key";
        findings.push(area.failure(subject, seen, cure));
    }
    if let Some(bytes) = settings.max_message_bytes
        && used.writes
        && bytes < used.max_record_bytes
    {
        let seen = format!(
            "{words}, less than kafka.max_message_bytes ({})",
            used.max_record_bytes
        );
        let cure = "raise max.message.bytes of the topic, or lower kafka.max_message_bytes: a record \
                    between the two holds its table";
        findings.push(area.warning(subject, seen, cure));
    }
    if findings.is_empty() {
        findings.push(area.ok(subject, words));
    }
    findings
}

/// `proven`: whether reading was tried with success in time.
pub(in crate::commands::doctor) fn read_right(topic: &str, proven: bool) -> Finding {
    let subject = format!("topic {topic}");
    if proven {
        return FindingArea::Kafka.ok(subject, "may be read");
    }
    let cure = "see whether the leader of its partition 0 answers";
    FindingArea::Kafka.warning(subject, "a fetch brought no answer in time", cure)
}

/// The group of the sink. `own`: the client name under which the bridge joins it.
pub(in crate::commands::doctor) fn group(name: &str, seen: &GroupSurvey, own: &str) -> Finding {
    let subject = format!("group {name}");
    let mut words = format!(
        "{}, {} members, committed partitions: {}",
        seen.state,
        seen.members.len(),
        seen.committed
    );
    let is_foreign = |member: &&String| !member.starts_with(&format!("{own} at "));
    if let Some(member) = seen.members.iter().find(is_foreign) {
        words.push_str(&format!("; {member} is one of them"));
        let cure = "give the bridge a group of its own (sink.group_id): records that another program \
                    takes never reach the instance";
        return FindingArea::Kafka.warning(subject, words, cure);
    }
    FindingArea::Kafka.ok(subject, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::FindingLevel::{self, Failure, Ok as Well, Warning};
    use crate::kafka::TopicSettings;

    const WRITES: TopicUse = TopicUse {
        writes: true,
        reads: false,
        is_of_sink: false,
        without_keys: true,
        max_record_bytes: 1_000_000,
        keeps_positions: false,
    };

    fn found(change: fn(&mut FoundTopic)) -> FindingLevel {
        let mut topic = FoundTopic {
            partitions: 3,
            leaderless: 0,
            fewest_in_sync: 2,
            settings: Some(TopicSettings {
                max_message_bytes: Some(1_048_588),
                min_in_sync: Some(2),
                cleanup_policy: Some("delete".to_owned()),
            }),
        };
        change(&mut topic);
        let seen = TopicSurvey::Found(topic);
        let findings = super::topic("t", &seen, WRITES, None);
        findings.iter().map(|finding| finding.level).max().unwrap()
    }

    fn set(topic: &mut FoundTopic) -> &mut TopicSettings {
        topic.settings.as_mut().unwrap()
    }

    #[test]
    fn a_topic_takes_what_is_written() {
        assert_eq!(found(|_| {}), Well);
        assert_eq!(found(|it| it.settings = None), Well);
        assert_eq!(found(|it| it.leaderless = 1), Failure);
        assert_eq!(found(|it| it.fewest_in_sync = 1), Failure);
        assert_eq!(
            found(|it| set(it).max_message_bytes = Some(999_999)),
            Warning
        );
        assert_eq!(
            found(|it| set(it).cleanup_policy = Some("compact".to_owned())),
            Failure
        );
        let level = |seen: &TopicSurvey, made| topic("t", seen, WRITES, made)[0].level;
        assert_eq!(level(&TopicSurvey::Missing, None), Failure);
        assert_eq!(level(&TopicSurvey::Missing, Some(3)), Well);
        assert_eq!(level(&TopicSurvey::Forbidden, Some(3)), Failure);
    }

    #[test]
    fn the_topic_of_the_positions_is_compacted_and_nothing_else() {
        let used = TopicUse {
            reads: true,
            without_keys: false,
            max_record_bytes: 0,
            keeps_positions: true,
            ..WRITES
        };
        for (policy, expected) in [
            (Some("compact"), Well),
            (None, Well),
            (Some("delete"), Failure),
            (Some("compact,delete"), Failure),
        ] {
            let seen = TopicSurvey::Found(FoundTopic {
                partitions: 1,
                leaderless: 0,
                fewest_in_sync: 1,
                settings: Some(TopicSettings {
                    cleanup_policy: policy.map(str::to_owned),
                    ..TopicSettings::default()
                }),
            });
            assert_eq!(
                topic("t", &seen, used, None)[0].level,
                expected,
                "{policy:?}"
            );
        }
        let missing = topic("t", &TopicSurvey::Missing, used, None);
        assert_eq!(missing[0].level, Well);
    }

    #[test]
    fn a_topic_is_read_where_it_is_compared_with_its_table() {
        for (line, reads) in [
            ("batch_size: 100", false),
            ("deletes: audit", false),
            ("deletes: compare", true),
            ("content_cycle: 7d", true),
            ("verify_interval: 24h", true),
        ] {
            let text = format!(
                "servicenow:\n  base_url: https://a.service-now.com\n  auth:\n    type: basic\n    \
                 basic: {{username: a, password: b}}\nkafka:\n  brokers: [localhost:9]\nsource:\n  \
                 enabled: true\n  tables:\n    - name: incident\n      topic: t\n      {line}\n"
            );
            let (config, _) =
                crate::config::parse(&text, &|_| None).unwrap_or_else(|p| panic!("{p}"));
            let used = TopicUse::of(&config, "t");
            assert_eq!(
                (used.reads, used.is_of_sink, used.writes),
                (reads, false, true),
                "{line}"
            );
        }
    }

    #[test]
    fn a_broker_speaks_what_is_needed() {
        let all = NEEDED_VERSIONS.map(|(api, _, max)| ApiVersionRange { api, min: 0, max });
        let level = |versions: &[ApiVersionRange]| api_versions("b", &Ok(versions.to_vec())).level;
        assert_eq!(level(&all), Well);
        let mut old = all;
        old[2].max = 4;
        assert_eq!(level(&old), Failure);
        assert_eq!(level(&all[..3]), Failure);
        assert_eq!(api_versions("b", &Err("cut".to_owned())).level, Well);
    }

    #[test]
    fn a_group_belongs_to_the_bridge() {
        let seen = |members: &[&str]| GroupSurvey {
            state: "Stable".to_owned(),
            members: members.iter().map(|it| (*it).to_owned()).collect(),
            committed: 3,
        };
        let level = |members: &[&str]| group("g", &seen(members), "bridge").level;
        assert_eq!(level(&[]), Well);
        assert_eq!(level(&["bridge at /10.0.0.1", "bridge at /10.0.0.2"]), Well);
        assert_eq!(
            level(&["bridge at /10.0.0.1", "other at /10.0.0.3"]),
            Warning
        );
    }
}
