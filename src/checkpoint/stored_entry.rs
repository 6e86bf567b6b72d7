//! A position as it is stored, in the file and in Kafka (pure).
//!
//! The file is the one of the Go bridge, `{"incident": {"timestamp": 1706140800, "last_identifier": "..."}}`,
//! with a fingerprint beside the position. Fields that this version does not know are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{CheckpointEntry, CheckpointPosition};

/// What is stored of one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default)]
    last_identifier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// Fields of a later version.
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

/// What is stored of each table.
pub type StoredTables = BTreeMap<String, StoredEntry>;

impl StoredEntry {
    /// Where to go on; `None` for a table that was never read, which the Go bridge may also have written
    /// as a position of zeros.
    pub fn entry(&self) -> Option<CheckpointEntry> {
        let position = CheckpointPosition {
            timestamp: self.timestamp?,
            last_identifier: self.last_identifier.clone(),
        };
        if position.timestamp == 0 && position.last_identifier.is_empty() {
            return None;
        }
        Some(CheckpointEntry {
            position,
            fingerprint: self.fingerprint.clone(),
        })
    }

    /// Takes another position; fields of a later version stay.
    pub(super) fn set(&mut self, entry: CheckpointEntry) {
        self.timestamp = Some(entry.position.timestamp);
        self.last_identifier = entry.position.last_identifier;
        self.fingerprint = entry.fingerprint;
    }

    /// Whether a field was lost without which the table would start again from 1970.
    pub fn lacks_timestamp(&self) -> bool {
        self.timestamp.is_none() && !self.last_identifier.is_empty()
    }
}

/// Reads the text of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<StoredTables, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let tables: StoredTables = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match tables.iter().find(|(_, stored)| stored.lacks_timestamp()) {
        Some((table, _)) => Err(format!("`{table}` has no timestamp")),
        None => Ok(tables),
    }
}

/// As the Go bridge writes it: sorted, indented by two blanks.
pub fn render(tables: &StoredTables) -> String {
    // Strings, numbers and maps with text keys always have a JSON form.
    serde_json::to_string_pretty(tables).unwrap_or_default()
}

/// The positions among stored entries.
pub fn entries(tables: StoredTables) -> BTreeMap<String, CheckpointEntry> {
    let known = |(table, stored): (String, StoredEntry)| Some((table, stored.entry()?));
    tables.into_iter().filter_map(known).collect()
}
