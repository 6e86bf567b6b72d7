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
/// The topic of the letters cannot be read.
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
    Ok(rows)
}
