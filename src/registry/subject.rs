//! The names under which schemas are registered.
//!
//! Source: Confluent's page "Formats, serializers, and deserializers", section "Subject name
//! strategy".

use crate::config::SubjectStrategy;

/// Which part of a record a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// The subject of a schema. `record` is the full name of the Avro record, as
/// `com.servicenow.bridge.incident`. A key that is no record has no name: it takes the strategy
/// `topic` whatever is configured.
pub fn subject(
    strategy: SubjectStrategy,
    topic: &str,
    part: RecordPart,
    record: Option<&str>,
) -> String {
    match (strategy, record) {
        (SubjectStrategy::Record, Some(record)) => record.to_owned(),
        (SubjectStrategy::TopicRecord, Some(record)) => format!("{topic}-{record}"),
        (SubjectStrategy::Topic, _) | (_, None) => match part {
            RecordPart::Key => format!("{topic}-key"),
            RecordPart::Value => format!("{topic}-value"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies() {
        let name = |strategy, part| subject(strategy, "sn.incident", part, Some("ns.incident"));
        assert_eq!(
            name(SubjectStrategy::Topic, RecordPart::Value),
            "sn.incident-value"
        );
        assert_eq!(
            name(SubjectStrategy::Topic, RecordPart::Key),
            "sn.incident-key"
        );
        assert_eq!(
            name(SubjectStrategy::Record, RecordPart::Value),
            "ns.incident"
        );
        assert_eq!(
            name(SubjectStrategy::TopicRecord, RecordPart::Value),
            "sn.incident-ns.incident"
        );
        let key = subject(
            SubjectStrategy::Record,
            "sn.incident",
            RecordPart::Key,
            None,
        );
        assert_eq!(key, "sn.incident-key");
    }
}
