//! What the earlier attempts for a record may have done.

use std::time::Instant;

use crate::servicenow::{Error, InstanceFailure};
use crate::sink::write::indeterminate::{IndeterminateWrite, LateEffect};
use crate::sink::write::messages::{FirstAttempt, PriorAttempt};

/// A write that may have been executed although its answer is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ambiguity {
    /// When it was sent.
    pub(super) sent: Instant,
    /// The instance may still be executing it.
    pub(super) may_still_run: bool,
}

/// The attempts so far whose outcome is not known.
#[derive(Debug, Clone, Copy)]
enum UnknownAttempts {
    /// There was none.
    None,
    /// There were some; what the last one may have done has been looked up.
    LookedUp,
    /// What the last one has done is still to be found out.
    Open(Ambiguity),
}

/// Remembers what was sent for a record.
#[derive(Debug)]
pub(super) struct SentWrites {
    /// The record may have been tried before this writer got it.
    tried_before: bool,
    /// When this writer sent its first write.
    first: Option<Instant>,
    unknown: UnknownAttempts,
    left_behind: Option<IndeterminateWrite>,
}

impl SentWrites {
    pub(super) fn new(prior: PriorAttempt) -> SentWrites {
        let unknown = match prior {
            PriorAttempt::None => UnknownAttempts::None,
            PriorAttempt::Possible { since } => UnknownAttempts::Open(Ambiguity {
                sent: since,
                may_still_run: true,
            }),
        };
        SentWrites {
            tried_before: prior != PriorAttempt::None,
            first: None,
            unknown,
            left_behind: None,
        }
    }

    /// A write is sent at `now`.
    pub(super) fn sending(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// When the first attempt for the record was made, at `now` at the latest.
    pub(super) fn first_attempt(&self, now: Instant) -> FirstAttempt {
        FirstAttempt {
            first_sent: self.first.unwrap_or(now),
            tried_before: self.tried_before,
        }
    }

    /// A write that was sent at `sent` failed in a way that leaves open whether it was executed.
    pub(super) fn lost(&mut self, sent: Instant, error: &Error) {
        self.unknown = UnknownAttempts::Open(Ambiguity {
            sent,
            may_still_run: may_still_run(error),
        });
    }

    /// The row of an insert was met. It may be this record's own, which is as good as an attempt
    /// that is over and whose outcome is not known.
    pub(super) fn suspect_insert(&mut self) {
        if let Some(sent) = self.first
            && !self.is_open()
        {
            self.unknown = UnknownAttempts::Open(Ambiguity {
                sent,
                may_still_run: false,
            });
        }
    }

    /// Whether an attempt of unknown outcome was made at any time.
    pub(super) fn may_have_written(&self) -> bool {
        !matches!(self.unknown, UnknownAttempts::None)
    }

    /// Whether what the last attempt has done is still to be found out.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.unknown, UnknownAttempts::Open(_))
    }

    /// The last attempt, if what it has done is still to be found out. It counts as looked up from
    /// here on, as the caller sees to that.
    pub(super) fn take_open(&mut self) -> Option<Ambiguity> {
        match self.unknown {
            UnknownAttempts::Open(ambiguity) => {
                self.unknown = UnknownAttempts::LookedUp;
                Some(ambiguity)
            }
            UnknownAttempts::None | UnknownAttempts::LookedUp => None,
        }
    }

    /// A lost write may still be executed until `until`, with this effect on the row. An earlier one
    /// with a greater effect keeps that.
    pub(super) fn leave_behind(&mut self, row: &str, effect: LateEffect, until: Instant) {
        let before = self.left_behind.as_ref().map(|write| write.effect);
        self.left_behind = Some(IndeterminateWrite {
            row: row.to_owned(),
            effect: before.map_or(effect, |before| before.max(effect)),
            until,
        });
    }

    pub(super) fn left_behind(&self) -> Option<&IndeterminateWrite> {
        self.left_behind.as_ref()
    }
}

/// Whether the instance may still be working on a request. An answer of its own means that it has
/// finished; an answer of a gateway in front of it means nothing.
fn may_still_run(error: &Error) -> bool {
    !matches!(
        error.cause(),
        Some(
            InstanceFailure::Body(_)
                | InstanceFailure::Failed { .. }
                | InstanceFailure::Server { status: 500, .. }
        )
    )
}

/// Whether the instance, or what stands before it, said that a write was done, in an answer without the
/// content that it must have. Sending the write again may bring the same answer, so the row is read.
pub(super) fn is_unreadable_answer(error: &Error) -> bool {
    matches!(error.cause(), Some(InstanceFailure::Body(_)))
}

/// Whether the instance may have taken the request, so that it may still be executed after its
/// repetition. A 503 says that it was not taken.
pub(super) fn may_come_late(error: &Error) -> bool {
    let turned_away = matches!(
        error.cause(),
        Some(InstanceFailure::Server { status: 503, .. })
    );
    may_still_run(error) && !turned_away
}
