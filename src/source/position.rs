//! Positions of a table: where reading starts, which query a stored position belongs to, and how
//! far it lies back.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::capture::CaptureShared;
use super::context::SourceContext;
use super::error::Error;
use crate::checkpoint::{CheckpointEntry, CheckpointPosition, StartingSpan};
use crate::config::{TableConfig, whole_seconds};
use crate::servicenow::query::{Cursor, query_value_fault};

/// Where and how a table starts.
pub(super) struct StartOfTable {
    /// The row behind which reading starts; `None` starts with the oldest row.
    pub(super) cursor: Option<Cursor>,
    /// What the position depends on (see [`fingerprint`]).
    pub(super) fingerprint: String,
    /// What its threads share.
    pub(super) capture: Arc<CaptureShared>,
}

impl StartOfTable {
    /// Of a table as its checkpoint has it.
    ///
    /// # Errors
    /// As [`start_position`].
    pub(super) fn of(context: &SourceContext, table: &TableConfig) -> Result<StartOfTable, Error> {
        let checkpoints = &context.checkpoints;
        if let Some(why) = checkpoints.refusal(&table.name) {
            let table = table.name.clone();
            return Err(Error::RefusedPosition { table, why });
        }
        let fingerprint = fingerprint(context.instance.base_url(), table);
        let mut cursor = start_position(checkpoints.get(&table.name), table, &fingerprint)?;
        let StartingSpan { span, is_known } = checkpoints.start_span(&table.name);
        if let Some(cursor) = &mut cursor
            && !is_known
            && !table.settle.is_zero()
        {
            cursor.seconds = cursor.seconds.saturating_sub(whole_seconds(table.settle));
            cursor.id = None;
            span.lock().settle(cursor.seconds.saturating_sub(1));
            log::warn!(table = table.name, from = cursor.to_string();
                "it is not known which rows of the newest seconds before the checkpoint were delivered; \
                 the last source.settle of them is read and sent once more");
        }
        Ok(StartOfTable {
            cursor,
            fingerprint,
            capture: Arc::new(CaptureShared::new(checkpoints, span, table.settle)),
        })
    }
}

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

/// A position that is further ahead of this host's clock was not made by reading: clocks differ by less.
const MAX_CLOCK_DIFFERENCE_SECONDS: i64 = 300;

/// Seconds from a position, itself in seconds since 1970, until now: how far a table is behind. NaN, not
/// known, for a position in the future, before which no row is read.
pub fn age(position: i64) -> f64 {
    age_at(position, jiff::Timestamp::now().as_second())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit a double exactly"
)]
fn age_at(position: i64, now: i64) -> f64 {
    if is_in_future(position, now) {
        f64::NAN
    } else {
        now.saturating_sub(position).max(0) as f64
    }
}

/// Whether a position lies further ahead than clocks differ.
pub(super) fn is_in_future(position: i64, now: i64) -> bool {
    position.saturating_sub(now) > MAX_CLOCK_DIFFERENCE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_position_in_the_future_is_not_known() {
        assert!((age_at(900, 1_000) - 100.0).abs() < f64::EPSILON);
        for position in [1_000, 1_001, 1_300] {
            assert!(age_at(position, 1_000).abs() < f64::EPSILON, "{position}");
        }
        for position in [1_301, 1_893_456_000, i64::MAX] {
            assert!(age_at(position, 1_000).is_nan(), "{position}");
        }
    }
}
