//! Why a poll ended early, and what that means for the next attempt.

use std::fmt;
use std::time::Duration;

use super::channels::RewindRequest;
use super::time_zone::TimeZoneError;
use crate::delivered::{FollowError, IndexError};
use crate::servicenow;
use crate::servicenow::InstanceClient;
use crate::servicenow::page::{BadRow, PageError, RowFault};

/// Why a poll ended before everything was read.
pub(super) enum PollError {
    /// A request failed.
    Request(servicenow::Error),
    /// The connection failed while the page arrived.
    Body(servicenow::Error),
    /// The page is not a complete list of rows.
    Page(PageError),
    /// The page has rows that were not asked for; says which.
    ConditionsIgnored(String),
    /// It is not known how the instance reads times in queries.
    TimeZone(TimeZoneError),
    /// Answers carry no readable `Date` header.
    NoClock,
    /// The position is ahead of the instance's clock by this many seconds, more than a clock that was
    /// set back explains.
    PositionAhead(i64),
    /// The instance's clock stands before what is read already, so that there was nothing to ask for.
    ClockBehind {
        /// Seconds between the clock and the position.
        ahead: i64,
        /// How long no rows were asked for.
        silence: Duration,
    },
    /// So many hidden rows stand in one second that no page gets past them.
    HiddenRows,
    /// Neither a header nor the Aggregate API counts rows, so that a row that is hidden looks as one that is
    /// deleted.
    NothingCounts,
    /// What the topic holds could not be found out.
    Delivered(FollowError),
    /// The sender asks to read again from an earlier row.
    Rewound(RewindRequest),
    /// A stop ended it.
    Stopped,
}

impl From<servicenow::Error> for PollError {
    fn from(error: servicenow::Error) -> PollError {
        match error {
            servicenow::Error::Stopped => PollError::Stopped,
            error => PollError::Request(error),
        }
    }
}

impl From<FollowError> for PollError {
    fn from(error: FollowError) -> PollError {
        PollError::Delivered(error)
    }
}

impl From<IndexError> for PollError {
    fn from(error: IndexError) -> PollError {
        PollError::Delivered(error.into())
    }
}

impl From<TimeZoneError> for PollError {
    fn from(error: TimeZoneError) -> PollError {
        match error {
            TimeZoneError::Stopped | TimeZoneError::Request(servicenow::Error::Stopped) => {
                PollError::Stopped
            }
            error => PollError::TimeZone(error),
        }
    }
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PollError::Request(error) | PollError::Body(error) => error.fmt(f),
            PollError::Page(error) => error.fmt(f),
            PollError::ConditionsIgnored(what) => write!(
                f,
                "the instance answered with {what}: it ignores a condition or the order, so rows \
                 could be missed; the integration user needs read access to the cursor columns"
            ),
            PollError::TimeZone(error) => error.fmt(f),
            PollError::NoClock => f.write_str(
                "answers carry no readable Date header, so the instance's time is not known; a proxy \
                 on the way must let it through",
            ),
            PollError::PositionAhead(seconds) => write!(
                f,
                "the position is {seconds} s ahead of the instance's clock, so nothing would be \
                 read; when the Date header of its answers is wrong, put that right (a proxy may \
                 write its own); only when the clock is right, correct the position with \
                 `checkpoint set`"
            ),
            PollError::ClockBehind { ahead, silence } => write!(
                f,
                "no rows were asked for in the last {} s: by the Date header of its answers the \
                 instance's clock is {ahead} s before the position; it goes on when the clock is \
                 there; look whether the clock of the instance, or of a proxy that writes Date, was \
                 set back",
                silence.as_secs()
            ),
            PollError::HiddenRows => f.write_str(
                "too many rows in one second are hidden from the integration user and have \
                 identifiers that cannot be split; give the user read access to the table",
            ),
            PollError::NothingCounts => f.write_str(
                "the instance sends no X-Total-Count and refuses the Aggregate API, so that rows that are \
                 hidden cannot be told from rows that are deleted; let one of them through, or set \
                 deletes: none",
            ),
            PollError::Delivered(error) => error.fmt(f),
            PollError::Rewound(_) => f.write_str("reading again from the last delivered row"),
            PollError::Stopped => f.write_str("stopped"),
        }
    }
}

/// Whether a row lacks a column that makes the cursor, which stays so however often it is asked for. A
/// damaged row may come whole the next time.
fn has_no_place(error: &PageError) -> bool {
    matches!(
        error,
        PageError::Row(BadRow {
            fault: RowFault::Column(_),
            ..
        })
    )
}

impl PollError {
    /// A page of `table` could not be read to its end.
    pub(super) fn of_page(error: PageError, client: &InstanceClient, table: &str) -> PollError {
        match error {
            PageError::Read(error) => {
                match client.body_error(&error, &format!("table `{table}`")) {
                    servicenow::Error::Stopped => PollError::Stopped,
                    error => PollError::Body(error),
                }
            }
            error => PollError::Page(error),
        }
    }

    /// The label of the metric of errors; there are few of them.
    pub(super) fn metric_label(&self) -> &'static str {
        match self {
            PollError::Request(error) | PollError::Body(error) => error.metric_label(),
            PollError::Page(PageError::Read(_)) => "read",
            PollError::Page(PageError::Malformed(_)) => "malformed",
            PollError::Page(PageError::Failed(_)) => "failed",
            PollError::Page(PageError::Row(BadRow {
                fault: RowFault::Column(_),
                ..
            })) => "column",
            PollError::Page(PageError::Row(_)) => "damaged_row",
            PollError::ConditionsIgnored(_) => "disobeyed",
            PollError::TimeZone(_) => "time_zone",
            PollError::NoClock | PollError::ClockBehind { .. } => "clock",
            PollError::PositionAhead(_) => "position",
            PollError::HiddenRows => "hidden",
            PollError::NothingCounts => "count",
            PollError::Delivered(_) => "delivered",
            PollError::Rewound(_) | PollError::Stopped => "stopped",
        }
    }

    /// Whether a smaller page may succeed where this one failed.
    pub(super) fn calls_for_smaller_page(&self) -> bool {
        match self {
            PollError::Request(error) => error.calls_for_smaller_page(),
            PollError::Body(_) => true,
            PollError::Page(error) => !has_no_place(error),
            _ => false,
        }
    }

    /// Whether the instance refuses the request, and will the next time.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            PollError::Request(error) => error.is_api_verdict(),
            _ => false,
        }
    }

    /// The request that failed, if it was one.
    fn request(&self) -> Option<&servicenow::Error> {
        match self {
            PollError::Request(error)
            | PollError::Body(error)
            | PollError::TimeZone(TimeZoneError::Request(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the client holds all requests back until the cause is over, or another table is at it,
    /// so that this table comes again at once.
    pub(super) fn is_waited_out_by_client(&self) -> bool {
        matches!(self, PollError::TimeZone(TimeZoneError::Busy))
            || self
                .request()
                .is_some_and(servicenow::Error::is_held_by_client)
    }

    /// Whether nothing was sent.
    pub(super) fn is_unsent_wait(&self) -> bool {
        matches!(self, PollError::TimeZone(TimeZoneError::Busy))
            || self
                .request()
                .is_some_and(servicenow::Error::is_unsent_wait)
    }

    /// Whether trying again soon may help although nothing was changed.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            // A body over the size limit fits when the page is smaller.
            PollError::Request(error) | PollError::Body(error) => {
                error.is_retryable() || error.calls_for_smaller_page()
            }
            PollError::Page(error) => !has_no_place(error),
            PollError::TimeZone(TimeZoneError::Request(error)) => error.is_retryable(),
            PollError::TimeZone(TimeZoneError::Busy) => true,
            _ => false,
        }
    }
}
