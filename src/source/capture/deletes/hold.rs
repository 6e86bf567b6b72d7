//! Deletes that wait for a decision, and what is kept of the search beside the checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use super::state::{DeleteFinder, DeleteState, DeleteStateFile, HeldDeletes};
use crate::config::TableConfig;
use crate::control::DeleteDecision;
use crate::health::{Condition, ConditionKey};
use crate::metrics::Gauge;
use crate::source::context::SourceContext;
use crate::source::poll_error::PollError;

/// What no delete can be believed of, or found by. Each is cleared by its own success alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Neither list can be read.
    Rights,
    /// The lists do not get on.
    Lists,
    /// The comparison does not get on.
    Progress,
    /// What the last comparison has found.
    Result,
}

/// The state of a table's search, and whether its deletes are held.
pub(super) struct DeleteHold {
    table: String,
    pub(super) state: DeleteState,
    /// `None`: its folder cannot be made, which the log has.
    file: Option<DeleteStateFile>,
    doubts: BTreeMap<Doubt, String>,
    condition: Condition,
    gauge: Gauge,
    compared: Gauge,
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
                (DeleteState::of(fingerprint), None)
            }
        };
        let hold = DeleteHold {
            table: table.name.clone(),
            state,
            file,
            doubts: BTreeMap::new(),
            condition,
            gauge: context.metrics.source_deletes_held.with(&[&table.name]),
            compared: context.metrics.source_deletes_compared.with(&[&table.name]),
        };
        hold.show();
        hold
    }

    /// Whether deletes wait for a decision.
    pub(super) fn is_held(&self) -> bool {
        self.state.held.is_some()
    }

    /// Why no other deletes are looked at, while some wait for a decision; `None`: none do.
    pub(super) fn why_held(&self) -> Option<String> {
        let rows = self.state.held.as_ref()?.rows;
        Some(format!(
            "{rows} deletes of table {table} wait for a decision: run `deletes accept {table}` or `deletes \
             reject {table}` first",
            table = self.table
        ))
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

    /// An operator has decided about what is held.
    pub(super) fn decide(&mut self, decision: DeleteDecision) {
        let Some(held) = self.state.held.take() else {
            return;
        };
        match (held.found_by, decision) {
            (DeleteFinder::Audit, DeleteDecision::Accept) => self.state.accepted_to = held.to,
            (DeleteFinder::Audit, DeleteDecision::Reject) => {
                let lists = [&mut self.state.deletes, &mut self.state.history];
                for cursor in lists.into_iter().flatten() {
                    cursor.pass_over(held.to);
                }
            }
            (DeleteFinder::Comparison, DeleteDecision::Accept) => self.state.is_accepted = true,
            // What was named is sent by who has named it; after a rejection it may be named again.
            (DeleteFinder::Named, _) | (DeleteFinder::Comparison, DeleteDecision::Reject) => {}
        }
        self.save();
        self.show();
    }

    /// Why no delete can be believed, until the next success; `None`: it can.
    pub(super) fn show_doubt(&mut self, about: Doubt, why: Option<&str>) {
        let before = match why {
            Some(why) => self.doubts.insert(about, why.to_owned()),
            None => self.doubts.remove(&about),
        };
        if before.as_deref() != why {
            self.show();
        }
    }

    /// Shows a failure, or that there is none.
    pub(super) fn show_outcome(&mut self, about: Doubt, words: &str, done: &Result<(), PollError>) {
        match done {
            Ok(()) => self.show_doubt(about, None),
            Err(PollError::Stopped) => {}
            // The instance is away, which has a condition of its own.
            Err(error) if error.is_waited_out_by_client() => {}
            Err(error) => self.show_doubt(about, Some(&format!("{words}: {error}"))),
        }
    }

    /// A comparison has come to its end.
    pub(super) fn compared(&mut self) {
        self.state.is_accepted = false;
        self.state.compared = Some(jiff::Timestamp::now().as_second());
        self.save();
        self.show();
    }

    fn show(&self) {
        #[expect(clippy::cast_precision_loss, reason = "gauges")]
        let (rows, compared) = (
            self.state
                .held
                .as_ref()
                .map_or(0.0, |held| held.rows as f64),
            self.state.compared.unwrap_or(0) as f64,
        );
        self.gauge.set(rows);
        self.compared.set(compared);
        match words(&self.table, self.state.held.as_ref(), &self.doubts) {
            None => self.condition.ok(),
            Some(words) => self.condition.fail(words),
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

/// Why deletes of a table do not arrive; `None`: they do.
fn words(
    table: &str,
    held: Option<&HeldDeletes>,
    doubts: &BTreeMap<Doubt, String>,
) -> Option<String> {
    let held = held.map(|held| {
        format!(
            "{} deletes are held, as {} pass without a decision (delete_guard); look at the table, then \
             run `deletes accept {table}` or `deletes reject {table}`",
            held.rows, held.limit,
        )
    });
    let all: Vec<String> = held.into_iter().chain(doubts.values().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::health::Health;
    use crate::metrics::Metrics;

    #[test]
    fn a_doubt_is_cleared_by_its_own_success_alone() {
        let health = Arc::new(Health::new());
        let key = ConditionKey::Deletes("incident".to_owned());
        let mut hold = DeleteHold {
            table: "incident".to_owned(),
            state: DeleteState::default(),
            file: None,
            doubts: BTreeMap::new(),
            condition: health.condition(key, ""),
            gauge: Metrics::new().source_deletes_held.with(&["incident"]),
            compared: Metrics::new().source_deletes_compared.with(&["incident"]),
        };
        hold.show_doubt(Doubt::Result, Some("no row was found"));
        hold.show_doubt(Doubt::Lists, Some("nothing counts"));
        let told = || health.conditions()[0].state.reason().unwrap_or_default();
        assert!(told().contains("no row was found") && told().contains("nothing counts"));
        hold.show_doubt(Doubt::Lists, None);
        assert!(told().contains("no row was found") && !told().contains("nothing counts"));
        hold.hold(HeldDeletes {
            found_by: DeleteFinder::Comparison,
            rows: 12,
            limit: 10,
            to: 0,
            named: BTreeSet::new(),
        });
        assert!(told().contains("12 deletes are held") && told().contains("no row was found"));
        hold.decide(DeleteDecision::Accept);
        assert!(hold.state.is_accepted && !hold.is_held());
        assert!(!told().contains("held") && told().contains("no row was found"));
        hold.show_doubt(Doubt::Result, None);
        assert!(hold.condition.is_ok());
    }
}
