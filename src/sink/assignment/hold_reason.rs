//! Why a partition is held whose committed record Kafka does not have any more (pure).

use crate::kafka::StartPosition;

/// Whether Kafka has deleted records that the group has not finished.
pub(super) fn is_cut_off(start: &StartPosition) -> bool {
    matches!(start, StartPosition::Gone { committed, low, .. } if committed < low)
}

/// Why a partition cannot begin, and what to do; `None` if it can.
pub(super) fn hold_reason(start: &StartPosition) -> Option<String> {
    let StartPosition::Gone {
        committed,
        low,
        high,
    } = start
    else {
        return None;
    };
    let why = if is_cut_off(start) {
        "records that were not written yet were deleted by Kafka"
    } else {
        "the partition ends before it: was the topic made anew, or data lost?"
    };
    Some(format!(
        "the group has committed offset {committed}, the partition holds {low} to {high}: \
         {why}; to go on, stop the bridge, wait for the end of its session (10 s) and set a position \
         with kafka-consumer-groups.sh --reset-offsets"
    ))
}
