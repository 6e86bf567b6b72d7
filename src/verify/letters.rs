//! Rows for which letters stand in place of their records (`on_oversize: dead_letter`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde::Deserialize;

use super::error::Error;
use super::row_identifier::RowIdentifier;
use crate::config::{KafkaConfig, TableConfig};
use crate::kafka::TopicReader;
use crate::stop::Stop;

/// What is read of a letter.
#[derive(Deserialize)]
struct Letter {
    table: String,
    sys_id: String,
}

/// The rows of `table` that letters name.
///
/// # Errors
/// The topic of the letters cannot be read to its end.
pub(super) fn oversized_rows(
    config: &KafkaConfig,
    table: &TableConfig,
    stop: &Stop,
) -> Result<BTreeSet<RowIdentifier>, Error> {
    let mut rows = BTreeSet::new();
    let Some(topic) = table.letter_topic() else {
        return Ok(rows);
    };
    let reader = TopicReader::new(config, super::topic_side::READER_GROUP)?;
    let partitions = reader.partitions(topic)?;
    reader.read_ranges(topic, &partitions, stop, |record| {
        let value = record.value.as_deref().unwrap_or_default();
        if let Ok(letter) = serde_json::from_slice::<Letter>(value)
            && letter.table == table.name
        {
            rows.insert(RowIdentifier::new(&letter.sys_id));
        }
        ControlFlow::Continue(())
    })?;
    // What was not read excuses nothing, and would be told as lost.
    if stop.is_stopped() {
        return Err(Error::Stopped);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use real_kafka::{Draft, Embedded, Writer};

    use super::*;
    use crate::config;
    use crate::stop;

    #[test]
    fn a_stop_is_not_the_end_of_the_letters() {
        let kafka = Embedded::start(1).unwrap();
        kafka.create_topic("letters").unwrap();
        let letter = Draft::new(r#"{"table":"incident","sys_id":"0a"}"#);
        let other = Draft::new(r#"{"table":"problem","sys_id":"0b"}"#);
        let writer = Writer::new(kafka.bootstrap()).unwrap();
        writer.write("letters", [letter, other]).unwrap();
        let text = format!(
            "servicenow:\n  base_url: https://h\n  auth: {{type: basic, basic: {{username: u, password: p}}}}\n\
             kafka: {{brokers: ['{}']}}\nsource:\n  enabled: true\n  topic_prefix: sn\n  \
             on_oversize: dead_letter\n  dlq_topic: letters\n  tables: [{{name: incident}}]\n",
            kafka.bootstrap()
        );
        let (config, _) = config::parse(&text, &|_| None).unwrap_or_else(|p| panic!("{p}"));
        let (trigger, stop) = stop::pair();
        let rows = || oversized_rows(&config.kafka, &config.source.tables[0], &stop);
        assert_eq!(rows().unwrap(), [RowIdentifier::new("0a")].into());
        drop(trigger);
        assert!(matches!(rows(), Err(Error::Stopped)));
    }
}
