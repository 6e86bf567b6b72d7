//! What becomes of a row that was read: pure.

use crate::delivered::DeliveredRow;

/// What a row is, compared with what the topic holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowState {
    /// The topic holds it as it is.
    Equal,
    /// The topic holds the same version with other content: it was changed silently.
    Changed,
    /// The topic does not hold this version, which settled: it never came.
    Missed,
    /// The topic holds the same version and does not say what is in it.
    Unknown,
    /// The stream delivers it, or has just done so.
    Streamed,
    /// The topic is not to hold it.
    LeftOut,
}

impl RowState {
    /// All of them.
    pub(super) const ALL: [RowState; 6] = [
        RowState::Equal,
        RowState::Changed,
        RowState::Missed,
        RowState::Unknown,
        RowState::Streamed,
        RowState::LeftOut,
    ];

    /// The word of the metric.
    pub(super) fn word(self) -> &'static str {
        match self {
            RowState::Equal => "equal",
            RowState::Changed => "changed",
            RowState::Missed => "missed",
            RowState::Unknown => "unknown",
            RowState::Streamed => "streamed",
            RowState::LeftOut => "left_out",
        }
    }

    /// Whether the row is sent.
    pub(super) fn is_sent(self) -> bool {
        matches!(
            self,
            RowState::Changed | RowState::Missed | RowState::Unknown
        )
    }
}

/// What is known of the table and its topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContentRules {
    /// The last second (since 1970 UTC) of which the stream has delivered every row, the late ones too.
    pub(super) settled: Option<i64>,
    /// The oldest timestamp in the topic, where the stream began. `None`: the topic holds no row.
    pub(super) oldest: Option<i64>,
    /// Rows that the sink wrote are left out, so that the topic may lack versions.
    pub(super) has_own_writes: bool,
}

/// What becomes of a row that was read and of which the topic holds this.
pub(super) fn judge(
    read: &DeliveredRow,
    delivered: Option<&DeliveredRow>,
    rules: &ContentRules,
) -> RowState {
    let (seconds, content) = (read.version.seconds, read.content);
    if let Some(held) = delivered {
        let same_count = held.version.mod_count == read.version.mod_count
            || held.version.mod_count.is_none()
            || read.version.mod_count.is_none();
        // The timestamp is part of the content.
        if same_count && held.content == content {
            return RowState::Equal;
        }
        if held.version.matches(read.version) {
            return held
                .content
                .map_or(RowState::Unknown, |_| RowState::Changed);
        }
    }
    let is_settled = rules.settled.is_some() && seconds <= rules.settled;
    let is_before_start = rules.oldest.is_none() || seconds < rules.oldest;
    if !is_settled {
        RowState::Streamed
    } else if rules.has_own_writes || (delivered.is_none() && is_before_start) {
        RowState::LeftOut
    } else {
        RowState::Missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivered::RowVersion;

    const RULES: ContentRules = ContentRules {
        settled: Some(100),
        oldest: Some(10),
        has_own_writes: false,
    };

    fn row(seconds: i64, mod_count: u32, content: u32) -> DeliveredRow {
        DeliveredRow {
            version: RowVersion {
                seconds: Some(seconds),
                mod_count: Some(mod_count),
            },
            content: Some(content),
        }
    }

    #[test]
    fn what_becomes_of_a_row() {
        let held = row(50, 2, 7);
        let old = DeliveredRow {
            content: None,
            ..held
        };
        for (read, delivered, expected) in [
            (row(50, 2, 7), Some(held), RowState::Equal),
            (row(50, 2, 8), Some(held), RowState::Changed),
            (row(50, 2, 8), Some(old), RowState::Unknown),
            (row(50, 3, 8), Some(held), RowState::Missed),
            (row(50, 3, 7), Some(held), RowState::Missed),
            (row(60, 3, 8), Some(held), RowState::Missed),
            (row(101, 3, 8), Some(held), RowState::Streamed),
            (row(101, 3, 8), Some(row(101, 3, 7)), RowState::Changed),
            (row(60, 0, 8), None, RowState::Missed),
            (row(101, 0, 8), None, RowState::Streamed),
            (row(9, 0, 8), None, RowState::LeftOut),
        ] {
            let state = judge(&read, delivered.as_ref(), &RULES);
            assert_eq!(state, expected, "{read:?} {delivered:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_sent() {
        let empty = ContentRules {
            oldest: None,
            ..RULES
        };
        assert_eq!(judge(&row(60, 0, 8), None, &empty), RowState::LeftOut);
        let young = ContentRules {
            settled: None,
            ..RULES
        };
        assert_eq!(judge(&row(60, 0, 8), None, &young), RowState::Streamed);
        let own = ContentRules {
            has_own_writes: true,
            ..RULES
        };
        let held = row(50, 2, 7);
        for (read, expected) in [
            (row(50, 2, 8), RowState::Changed),
            (row(60, 3, 8), RowState::LeftOut),
        ] {
            assert_eq!(judge(&read, Some(&held), &own), expected);
        }
    }

    /// Records from before the headers, with times in the zone of a user.
    #[test]
    fn equal_content_is_equal_whatever_the_stamp_says() {
        let mut held = row(5_000, 2, 7);
        held.version.mod_count = None;
        assert_eq!(judge(&row(50, 2, 7), Some(&held), &RULES), RowState::Equal);
    }
}
