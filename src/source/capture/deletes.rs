//! Finds rows that were deleted, and has a tombstone sent for each.
//!
//! Two ways lead there: the instance's lists of deletes, which are prompt and do not have all, and a
//! comparison of the table with what its topic holds, which misses none. Rows can also be named, which
//! `verify --repair` does. All of them ask for each row before they believe it, and stop before too many
//! deletes at once, until an operator decides.

mod asker;
mod audit_cursor;
mod audit_list;
mod audit_tail;
mod common;
mod comparison;
mod fate;
mod guard;
mod hierarchy;
mod hold;
mod id_query;
mod listing;
mod named;
mod state;

use std::sync::Arc;
use std::time::Instant;

use self::asker::RowAsker;
use self::audit_tail::AuditTail;
use self::common::SearchContext;
use self::comparison::TableComparison;
use self::hold::DeleteHold;
use self::named::NamedRows;
use self::state::DeleteFinder;
use super::delivered_topic::DeliveredTopic;
use super::shared::CaptureShared;
use super::task::{CaptureTask, StepContext};
use crate::config::TableConfig;
use crate::control::{AdminCommandResult, DeleteDecision, TableCommand, TableRequest};
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// The search for deleted rows of one table.
pub(super) struct DeleteSearch {
    common: SearchContext,
    tail: Option<AuditTail>,
    comparison: Option<TableComparison>,
    named: NamedRows,
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
            comparison: deletes.compares().then(|| TableComparison::new(table)),
            named: NamedRows::default(),
            common: SearchContext::new(
                table,
                shared,
                RowAsker::new(&context.instance, stop),
                hold,
                &context.metrics,
            ),
        }
    }

    /// An operator has decided about what is held.
    fn decide(
        &mut self,
        decision: DeleteDecision,
        delivered: &mut DeliveredTopic,
    ) -> AdminCommandResult {
        let (hold, table) = (&mut self.common.hold, &self.common.table.name);
        let Some(held) = hold.state.held.clone() else {
            return Err(format!("no deletes of table {table} are held"));
        };
        if (held.found_by, decision) == (DeleteFinder::Comparison, DeleteDecision::Reject) {
            TableComparison::reject(delivered).map_err(|error| {
                format!("the deletes of table {table} stay held, as the index cannot be written: {error}")
            })?;
        }
        hold.decide(decision);
        if (held.found_by, decision) == (DeleteFinder::Named, DeleteDecision::Accept) {
            self.named.accept(held.named);
        }
        Ok(match decision {
            DeleteDecision::Accept => {
                format!(
                    "the tombstones of {} rows of table {table} are sent",
                    held.rows
                )
            }
            DeleteDecision::Reject => {
                format!("{} rows of table {table} stay in its topic", held.rows)
            }
        })
    }
}

impl CaptureTask for DeleteSearch {
    fn name(&self) -> &'static str {
        "the search for deleted rows"
    }

    fn take(
        &mut self,
        request: TableRequest,
        delivered: &mut DeliveredTopic,
    ) -> Option<TableRequest> {
        let TableCommand::DecideDeletes(decision) = request.command else {
            return self.named.take(request, &self.common);
        };
        let answer = self.decide(decision, delivered);
        request.answer(answer);
        None
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        if self.named.is_due(&self.common) {
            return Some(now);
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
        if self.named.is_due(&self.common) {
            return self.named.step(&mut self.common, context);
        }
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
