//! Rows that are named as deleted, which `verify --repair` does: each is asked for, and a tombstone follows where it
//! is gone. More than the guard lets pass in an hour wait for a decision.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::common::SearchContext;
use super::fate::RowFate;
use super::id_query::IDS_OF_A_QUESTION;
use super::state::{DeleteFinder, HeldDeletes};
use crate::control::{TableCommand, TableRequest};
use crate::source::capture::task::StepContext;
use crate::source::channels::Tombstone;
use crate::source::poll_error::PollError;

/// Rows of one command.
const MAX_ASKED_ROWS: usize = 10_000;
/// Commands that may wait for the one that is done.
const MAX_WAITING_COMMANDS: usize = 4;
/// Rows that may wait for a decision: `verify` names no more.
const MAX_HELD_ROWS: usize = 100_000;
/// Failures in a row after which a command is given up.
const MAX_COMMAND_FAILURES: u32 = 3;

/// The commands of one table that name rows.
#[derive(Default)]
pub(super) struct NamedRows {
    /// The one that is done first.
    commands: VecDeque<NamedCommand>,
}

#[derive(Default)]
struct NamedCommand {
    /// Who waits for the answer; `None`: these rows were held, and an operator has let them pass.
    request: Option<TableRequest>,
    /// Rows that are not asked for yet.
    left: Vec<String>,
    /// Tombstones that Kafka has.
    sent: u64,
    /// Rows whose records stay.
    kept: u64,
    /// Rows that are gone, of which the guard lets no tombstone pass.
    held: BTreeSet<String>,
    failures: u32,
}

impl NamedRows {
    /// Takes a command, where it is one of these; gives it back otherwise.
    pub(super) fn take(
        &mut self,
        request: TableRequest,
        common: &SearchContext,
    ) -> Option<TableRequest> {
        let TableCommand::FindDeleted(ids) = &request.command else {
            return Some(request);
        };
        if ids.is_empty() || ids.len() > MAX_ASKED_ROWS {
            let words = format!("name 1 to {MAX_ASKED_ROWS} rows, not {}", ids.len());
            request.answer(Err(words));
        } else if self.commands.len() >= MAX_WAITING_COMMANDS {
            let words = "other rows are asked for; try again when that is done";
            request.answer(Err(words.to_owned()));
        } else if let Some(why) = why_refused(common) {
            request.answer(Err(why));
        } else {
            self.commands.push_back(NamedCommand {
                left: ids.clone(),
                request: Some(request),
                ..NamedCommand::default()
            });
        }
        None
    }

    /// An operator has let these rows pass.
    pub(super) fn accept(&mut self, ids: BTreeSet<String>) {
        self.commands.push_front(NamedCommand {
            left: ids.into_iter().collect(),
            ..NamedCommand::default()
        });
    }

    /// Whether there is something to ask for. What waits beside deletes that are held is refused.
    pub(super) fn is_due(&mut self, common: &SearchContext) -> bool {
        if let Some(why) = why_refused(common) {
            for request in self.commands.drain(..).filter_map(|it| it.request) {
                request.answer(Err(why.clone()));
            }
        }
        !self.commands.is_empty()
    }

    /// Asks for some rows of a command, and sends the tombstones of those that are gone.
    pub(super) fn step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let Some(mut command) = self.commands.pop_front() else {
            return Ok(());
        };
        match command.step(common, context) {
            Ok(()) if command.left.is_empty() => {
                command.end(common);
                Ok(())
            }
            Ok(()) => {
                command.failures = 0;
                self.commands.push_front(command);
                Ok(())
            }
            Err(error) => {
                command.failures += u32::from(!error.is_waited_out_by_client());
                if command.failures < MAX_COMMAND_FAILURES || command.request.is_none() {
                    self.commands.push_front(command);
                } else if let Some(request) = command.request {
                    let rows = command.left.len();
                    request.answer(Err(format!("{rows} rows cannot be asked for: {error}")));
                }
                Err(error)
            }
        }
    }
}

impl NamedCommand {
    fn step(
        &mut self,
        common: &mut SearchContext,
        context: &mut StepContext<'_>,
    ) -> Result<(), PollError> {
        let count = self.left.len().min(IDS_OF_A_QUESTION);
        let ids: Vec<String> = self.left.iter().take(count).cloned().collect();
        let limit = common.guard_limit()?;
        // One that is not known yet counts in the hour that is counted.
        let instance = common.asker.instance();
        let now = instance.closed_second(Instant::now()).unwrap_or(0);
        let mut hour = common.hold.state.hour.clone();
        let is_accepted = self.request.is_none();
        let (mut sent, mut kept, mut held) = (0, 0, Vec::new());
        let delivered = context.delivery.deliver_tombstones(context.heartbeat, || {
            let mut tombstones = Vec::new();
            for (id, fate) in common.fates(&ids)? {
                if fate == RowFate::Unknown {
                    return Err(PollError::NothingCounts);
                } else if !common.is_to_be_deleted(fate) {
                    kept += 1;
                } else if is_accepted || hour.admits(now, limit) {
                    sent += 1;
                    tombstones.push(Tombstone {
                        id,
                        by: None,
                        at: None,
                    });
                } else {
                    held.push(id);
                }
            }
            Ok(tombstones)
        })?;
        if delivered {
            if !is_accepted {
                common.hold.state.hour = hour;
                common.hold.save();
            }
            let labels = [common.table.name.as_str(), DeleteFinder::Named.word()];
            common.metrics.source_deletes.with(&labels).add(sent);
            (self.sent, self.kept) = (self.sent + sent, self.kept + kept);
            self.held.extend(held);
            self.left.drain(..count);
        }
        Ok(())
    }

    /// All rows are asked for: holds what the guard does not let pass, and answers.
    fn end(self, common: &mut SearchContext) {
        let words = self.words(&common.table.name);
        if !self.held.is_empty() {
            let earlier = common.hold.state.held.take();
            let mut named = earlier.map(|held| held.named).unwrap_or_default();
            named.extend(self.held);
            let limit = common.guard_limit().unwrap_or_default();
            common.hold.hold(HeldDeletes {
                found_by: DeleteFinder::Named,
                rows: u64::try_from(named.len()).unwrap_or(u64::MAX),
                limit,
                to: 0,
                named,
            });
        }
        if let Some(request) = self.request {
            request.answer(Ok(words));
        }
    }

    fn words(&self, table: &str) -> String {
        let mut words = match self.sent {
            1 => "1 tombstone is sent".to_owned(),
            sent => format!("{sent} tombstones are sent"),
        };
        if self.kept > 0 {
            words += &format!(
                "; {} rows are there, hidden, or outside of the query, and their records stay",
                self.kept
            );
        }
        if !self.held.is_empty() {
            words += &format!(
                "; {} more wait for a decision (`deletes accept {table}`), as delete_guard lets no more pass",
                self.held.len()
            );
        }
        words
    }
}

/// Why no rows can be named: others wait for a decision. More of those that were named may join them.
fn why_refused(common: &SearchContext) -> Option<String> {
    let held = common.hold.state.held.as_ref()?;
    let has_room = held.found_by == DeleteFinder::Named && held.named.len() < MAX_HELD_ROWS;
    if has_room {
        None
    } else {
        common.hold.why_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_became_of_the_rows() {
        let mut command = NamedCommand {
            sent: 1,
            ..NamedCommand::default()
        };
        assert_eq!(command.words("incident"), "1 tombstone is sent");
        command.kept = 2;
        command.held.insert("a".to_owned());
        let words = command.words("incident");
        assert!(words.contains("; 2 rows are there"), "{words}");
        assert!(words.contains("`deletes accept incident`"), "{words}");
    }
}
