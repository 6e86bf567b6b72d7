//! Rows to which something lost may still be done.
//!
//! An update or a delete whose answer was lost is sent again and succeeds, while the first one still
//! runs on the instance. Were the next record of that row written at once, the first one could come
//! after it and undo it. So that record waits until the first one is over; other rows do not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Rows that are remembered; the soonest are forgotten first.
const MOST: usize = 10_000;

/// Until when a lost request for a row may be executed.
#[derive(Debug, Default)]
pub(super) struct Late(Mutex<HashMap<String, Instant>>);

impl Late {
    /// A lost request for this row may be executed until then.
    pub(super) fn note(&self, row: &str, until: Instant, now: Instant) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.retain(|_, until| now < *until);
        if MOST <= rows.len() {
            let soonest = rows.iter().min_by_key(|(_, until)| **until);
            if let Some(row) = soonest.map(|(row, _)| row.clone()) {
                rows.remove(&row);
            }
        }
        rows.insert(row.to_owned(), until);
    }

    /// Until when the next write of this row must wait.
    pub(super) fn until(&self, row: &str) -> Option<Instant> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(row).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_row_is_late_until_its_time() {
        let (late, now) = (Late::default(), Instant::now());
        let soon = now + Duration::from_secs(60);
        late.note("a", soon, now);
        assert_eq!(late.until("a"), Some(soon));
        assert_eq!(late.until("b"), None);
        late.note("b", soon + Duration::from_secs(1), soon);
        assert_eq!(late.until("a"), None, "forgotten when it is over");
    }
}
