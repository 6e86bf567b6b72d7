//! Why a page does not count, and what that means for the next attempt.

use std::fmt;

use super::Rewind;
use super::time_zone::ZoneError;
use crate::servicenow;
use crate::servicenow::page::PageError;

/// Why a page did not count.
pub(super) enum Fault {
    Request(servicenow::Error),
    /// The connection failed inside the page.
    Body(servicenow::Error),
    Page(PageError),
    /// The instance answered something else than was asked.
    Disobeyed(String),
    Zone(ZoneError),
    /// Answers carry no readable `Date`.
    NoClock,
    /// The position is ahead of the instance's clock by this many seconds.
    Future(i64),
    /// The node that answered is behind the clock that was counted on.
    Early,
    /// More hidden rows in one place than can be passed.
    Stuck,
    /// The sender wants to go back.
    Rewound(Rewind),
    Stopped,
}

impl From<servicenow::Error> for Fault {
    fn from(error: servicenow::Error) -> Fault {
        match error {
            servicenow::Error::Stopped => Fault::Stopped,
            error => Fault::Request(error),
        }
    }
}

impl From<ZoneError> for Fault {
    fn from(error: ZoneError) -> Fault {
        match error {
            ZoneError::Stopped | ZoneError::Request(servicenow::Error::Stopped) => Fault::Stopped,
            error => Fault::Zone(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Request(error) | Fault::Body(error) => error.fmt(f),
            Fault::Page(error) => error.fmt(f),
            Fault::Disobeyed(what) => write!(
                f,
                "the instance answered with {what}: it ignores a condition or the order, so rows \
                 could be missed; the integration user needs read access to the cursor columns"
            ),
            Fault::Zone(error) => error.fmt(f),
            Fault::NoClock => f.write_str(
                "answers carry no readable Date header, so the instance's time is not known; a proxy \
                 on the way must let it through",
            ),
            Fault::Future(seconds) => write!(
                f,
                "the position is {seconds} s ahead of the instance's clock, so nothing would be \
                 read; correct it with `checkpoint set` or `checkpoint reset`"
            ),
            Fault::Early => f.write_str("the node that answered is behind the others"),
            Fault::Stuck => f.write_str(
                "too many rows in one second are hidden from the integration user and have \
                 identifiers that cannot be split; give the user read access to the table",
            ),
            Fault::Rewound(_) => f.write_str("reading again from the last delivered row"),
            Fault::Stopped => f.write_str("stopped"),
        }
    }
}

impl Fault {
    /// Bounded label for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Fault::Request(error) | Fault::Body(error) => error.kind(),
            Fault::Page(PageError::Read(_)) => "read",
            Fault::Page(PageError::Malformed(_)) => "malformed",
            Fault::Page(PageError::Failed(_)) => "failed",
            Fault::Page(PageError::Column(_)) => "column",
            Fault::Disobeyed(_) => "disobeyed",
            Fault::Zone(_) => "time_zone",
            Fault::NoClock | Fault::Early => "clock",
            Fault::Future(_) => "position",
            Fault::Stuck => "hidden",
            Fault::Rewound(_) | Fault::Stopped => "stopped",
        }
    }

    /// Whether a smaller page may come through.
    pub(super) fn wants_less(&self) -> bool {
        match self {
            Fault::Request(error) => error.wants_less(),
            Fault::Body(_) => true,
            Fault::Page(error) => !matches!(error, PageError::Column(_)),
            _ => false,
        }
    }

    /// Whether trying again soon may help without anybody's doing.
    pub(super) fn is_retryable(&self) -> bool {
        match self {
            // A body over the limit comes through as a smaller page.
            Fault::Request(error) | Fault::Body(error) => {
                error.is_retryable() || error.wants_less()
            }
            Fault::Page(error) => !matches!(error, PageError::Column(_)),
            Fault::Zone(ZoneError::Request(error)) => error.is_retryable(),
            Fault::Zone(ZoneError::Busy) | Fault::Early => true,
            _ => false,
        }
    }
}
