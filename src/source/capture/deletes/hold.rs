//! Deletes that wait for a decision, and what is kept of the search beside the checkpoint.

use std::path::Path;

use super::state::{DeleteFinder, DeleteState, DeleteStateFile, HeldDeletes};
use crate::config::TableConfig;
use crate::control::DeleteDecision;
use crate::health::{Condition, ConditionKey};
use crate::metrics::Gauge;
use crate::source::context::SourceContext;

/// The state of a table's search, and whether its deletes are held.
pub(super) struct DeleteHold {
    table: String,
    pub(super) state: DeleteState,
    /// `None`: its folder cannot be made, which the log has.
    file: Option<DeleteStateFile>,
    condition: Condition,
    gauge: Gauge,
}

impl DeleteHold {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        checkpoint: &Path,
        fingerprint: &str,
    ) -> DeleteHold {
        let key = ConditionKey::Deletes(table.name.clone());
        let condition = context.health.condition(key, "");
        condition.ok();
        let (state, file) = match DeleteStateFile::beside(checkpoint, &table.name) {
            Ok(file) => {
                let (state, fault) = file.read(fingerprint);
                if let Some(why) = fault {
                    log::warn!(table = table.name, file:% = file.path().display(), why;
                        "what is kept of the search for deleted rows is of no use; it begins anew");
                }
                (state, Some(file))
            }
            Err(error) => {
                log::error!(table = table.name, error:% = error;
                    "the search for deleted rows cannot keep its state beside the checkpoint");
                let state = DeleteState {
                    fingerprint: fingerprint.to_owned(),
                    ..DeleteState::default()
                };
                (state, None)
            }
        };
        let hold = DeleteHold {
            table: table.name.clone(),
            state,
            file,
            condition,
            gauge: context.metrics.source_deletes_held.with(&[&table.name]),
        };
        hold.show();
        hold
    }

    /// Whether deletes wait for a decision.
    pub(super) fn is_held(&self) -> bool {
        self.state.held.is_some()
    }

    /// Holds deletes until a decision.
    pub(super) fn hold(&mut self, held: HeldDeletes) {
        log::error!(table = self.table, rows = held.rows, guard = held.limit, found_by = held.found_by.word();
            "more rows were deleted than delete_guard lets pass; their tombstones are held: look at the \
             table, then run `deletes accept TABLE` or `deletes reject TABLE`");
        self.state.held = Some(held);
        self.save();
        self.show();
    }

    /// An operator has decided; gives what had found the deletes that were held.
    pub(super) fn decide(&mut self, decision: DeleteDecision) -> Option<DeleteFinder> {
        let Some(held) = self.state.held.take() else {
            log::info!(table = self.table; "no deletes are held; the decision changes nothing");
            return None;
        };
        if held.found_by == DeleteFinder::Audit {
            match decision {
                DeleteDecision::Accept => self.state.accepted_to = held.to,
                DeleteDecision::Reject => {
                    let lists = [&mut self.state.deletes, &mut self.state.history];
                    for cursor in lists.into_iter().flatten() {
                        cursor.pass_over(held.to);
                    }
                }
            }
        }
        log::warn!(table = self.table, rows = held.rows, decision = decision.word();
            "the deletes that were held are decided");
        self.save();
        self.show();
        Some(held.found_by)
    }

    /// Why no delete can be believed, until the next success; `None`: it can.
    pub(super) fn show_doubt(&self, why: Option<&str>) {
        match why {
            _ if self.is_held() => {}
            Some(why) => self.condition.fail(why),
            None => self.condition.ok(),
        }
    }

    fn show(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        let rows = self
            .state
            .held
            .as_ref()
            .map_or(0.0, |held| held.rows as f64);
        self.gauge.set(rows);
        match &self.state.held {
            None => self.condition.ok(),
            Some(held) => self.condition.fail(format!(
                "{} deletes are held, as {} pass without a decision (delete_guard); look at the table, then \
                 run `deletes accept {table}` or `deletes reject {table}`",
                held.rows,
                held.limit,
                table = self.table
            )),
        }
    }

    /// Writes the state; what cannot be written is said, and is written the next time.
    pub(super) fn save(&mut self) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write(&self.state) {
            log::error!(table = self.table, file:% = file.path().display(), error:% = error;
                "the state of the search for deleted rows cannot be written; after a crash some \
                 tombstones may come again");
        }
    }
}
