//! Finds rows that were deleted, and has a tombstone sent for each.
//!
//! Two ways lead there: the instance's lists of deletes, which are prompt and do not have all, and a
//! comparison of the table with what its topic holds, which misses none. Both ask for each row before they
//! believe it, and both stop before too many deletes at once, until an operator decides.

mod asker;
mod audit_cursor;
mod audit_tail;
mod common;
mod comparison;
mod fate;
mod guard;
mod hierarchy;
mod hold;
mod id_query;
mod listing;
mod state;

use std::sync::Arc;
use std::time::Instant;

use self::asker::RowAsker;
use self::audit_tail::AuditTail;
use self::common::SearchContext;
use self::comparison::TableComparison;
use self::hold::DeleteHold;
use self::state::DeleteFinder;
use super::shared::CaptureShared;
use super::task::{CaptureTask, StepContext};
use crate::config::TableConfig;
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// The search for deleted rows of one table.
pub(super) struct DeleteSearch {
    common: SearchContext,
    tail: Option<AuditTail>,
    comparison: Option<TableComparison>,
}

impl DeleteSearch {
    /// For a table with `deletes`; what is kept of it stands beside the checkpoint file.
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        fingerprint: &str,
        stop: &Stop,
    ) -> DeleteSearch {
        let checkpoint = &context.checkpoints.path();
        let hold = DeleteHold::new(context, table, checkpoint, fingerprint);
        let deletes = &table.deletes;
        DeleteSearch {
            tail: deletes.follows_audit().then(|| AuditTail::new(table)),
            comparison: deletes
                .compares()
                .then(|| TableComparison::new(context, table, checkpoint, fingerprint, stop)),
            common: SearchContext::new(
                table,
                shared,
                RowAsker::new(&context.instance, stop),
                hold,
                &context.metrics,
            ),
        }
    }
}

impl CaptureTask for DeleteSearch {
    fn name(&self) -> &'static str {
        "the search for deleted rows"
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        if let Some(decision) = self.common.shared.decision.lock().take() {
            let found_by = self.common.hold.decide(decision);
            if found_by == Some(DeleteFinder::Comparison)
                && let Some(comparison) = &mut self.comparison
            {
                comparison.decided(decision);
            }
        }
        if self.common.hold.is_held() {
            return None;
        }
        let tail = self.tail.as_ref().map(|tail| tail.due(now));
        let comparison = self
            .comparison
            .as_ref()
            .and_then(|it| it.due(&self.common, now));
        tail.into_iter().chain(comparison).min()
    }

    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        let now = Instant::now();
        match (&mut self.tail, &mut self.comparison) {
            (Some(tail), _) if tail.due(now) <= now => {
                let done = tail.step(&mut self.common, context);
                if done
                    .as_ref()
                    .is_err_and(|error| !error.is_waited_out_by_client())
                {
                    tail.postpone(now);
                }
                done
            }
            (_, Some(comparison)) => comparison.step(&mut self.common, context),
            _ => Ok(()),
        }
    }
}
