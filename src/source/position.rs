//! Positions of a table: where reading starts, which query a stored position belongs to, and how
//! far it lies back.

use sha2::{Digest, Sha256};

use super::error::Error;
use crate::checkpoint::{CheckpointEntry, CheckpointPosition};
use crate::config::TableConfig;
use crate::servicenow::query::{Cursor, query_value_fault};

/// The row behind which reading starts: the one in the checkpoint, if the same query made it.
/// `None` starts with the oldest row.
///
/// # Errors
/// The checkpoint belongs to another query or instance, or its timestamp or identifier cannot be used.
pub(super) fn start_position(
    entry: Option<CheckpointEntry>,
    table: &TableConfig,
    fingerprint: &str,
) -> Result<Option<Cursor>, Error> {
    let Some(entry) = entry else {
        return Ok(None);
    };
    if entry
        .fingerprint
        .is_some_and(|stored| stored != fingerprint)
    {
        return Err(Error::OtherQuery {
            table: table.name.clone(),
        });
    }
    let CheckpointPosition {
        timestamp: seconds,
        last_identifier: id,
    } = entry.position;
    if jiff::Timestamp::from_second(seconds).is_err() {
        return Err(Error::NoTime {
            table: table.name.clone(),
            seconds,
        });
    }
    if let Some(fault) = query_value_fault(id.as_bytes()) {
        return Err(Error::UnusableIdentifier {
            table: table.name.clone(),
            fault,
        });
    }
    Ok(Some(Cursor {
        seconds,
        id: (!id.is_empty()).then_some(id),
    }))
}

/// Whether the table can start at its checkpoint, without starting it.
///
/// # Errors
/// As [`super::TablePipeline::start`], where the checkpoint is the reason.
pub fn check_position(
    base_url: &str,
    table: &TableConfig,
    entry: Option<CheckpointEntry>,
) -> Result<(), Error> {
    start_position(entry, table, &fingerprint(base_url, table)).map(drop)
}

/// What a position depends on, as 16 hex digits: instance, table, cursor columns and query.
///
/// The fetched columns are no part of it: which columns are asked for does not change which rows
/// are read.
pub fn fingerprint(base_url: &str, table: &TableConfig) -> String {
    let mut hash = Sha256::new();
    let query = table.query.as_deref().unwrap_or_default();
    let parts = [
        base_url,
        &table.name,
        &table.timestamp_field,
        &table.identifier_field,
        query,
    ];
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    base16ct::lower::encode_string(hash.finalize().get(..8).unwrap_or_default())
}

/// Seconds from a position, itself in seconds since 1970, until now: how far a table is behind.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit a double exactly"
)]
pub fn age(position: i64) -> f64 {
    let now = jiff::Timestamp::now().as_second();
    now.saturating_sub(position).max(0) as f64
}
