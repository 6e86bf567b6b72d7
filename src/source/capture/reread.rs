//! Rows that an operator, or a comparison, wants to be delivered again.

use std::collections::VecDeque;
use std::time::Instant;

use super::delivered_topic::DeliveredTopic;
use super::delivery::{MAX_IDS_PER_REQUEST, Versions};
use super::task::{CaptureTask, StepContext};
use crate::config::TableConfig;
use crate::control::{TableCommand, TableRequest};
use crate::servicenow::query::query_value_fault;
use crate::source::poll_error::PollError;

/// Rows of one command.
const MAX_REREAD_ROWS: usize = 10_000;
/// Commands that may wait for the one that is done.
const MAX_WAITING_REREADS: usize = 4;
/// Failures in a row after which a command is given up.
const MAX_REREAD_FAILURES: u32 = 3;

/// The commands of one table that name rows.
pub(super) struct Reread {
    table: String,
    /// The one that is done first.
    commands: VecDeque<RereadCommand>,
}

struct RereadCommand {
    request: TableRequest,
    /// Identifiers of rows that are not delivered yet.
    left: Vec<String>,
    delivered: u64,
    unreadable: Vec<String>,
    failures: u32,
}

impl Reread {
    pub(super) fn new(table: &TableConfig) -> Reread {
        Reread {
            table: table.name.clone(),
            commands: VecDeque::new(),
        }
    }

    /// Delivers some rows of a command; true when these were the last ones.
    fn deliver(
        command: &mut RereadCommand,
        context: &mut StepContext<'_>,
    ) -> Result<bool, PollError> {
        let count = command.left.len().min(MAX_IDS_PER_REQUEST);
        let ids = command.left.get(..count).unwrap_or_default();
        let (delivery, heartbeat) = (&mut context.delivery, context.heartbeat);
        let delivered = delivery.deliver_by_id(ids, Versions::All, heartbeat)?;
        command.delivered += delivered.rows;
        command.unreadable.extend(delivered.unreadable);
        command.left.splice(..count, delivered.outdated);
        command.failures = 0;
        Ok(command.left.is_empty())
    }
}

/// What is wrong with the identifiers of a command, in words.
fn fault(ids: &[String]) -> Option<String> {
    if ids.is_empty() || ids.len() > MAX_REREAD_ROWS {
        return Some(format!(
            "name 1 to {MAX_REREAD_ROWS} rows, not {}",
            ids.len()
        ));
    }
    ids.iter().find_map(|id| {
        if id.is_empty() {
            return Some("an identifier is empty".to_owned());
        }
        let fault = query_value_fault(id.as_bytes())?;
        Some(format!(
            "the identifier {id:?} cannot be asked for: {fault}"
        ))
    })
}

/// The answer to a command that is done.
fn done(delivered: u64, unreadable: &[String]) -> String {
    let mut words = match delivered {
        1 => "1 row is delivered again".to_owned(),
        rows => format!("{rows} rows are delivered again"),
    };
    if !unreadable.is_empty() {
        let ids = unreadable.join(", ");
        words.push_str(&format!("; these are not there or may not be read: {ids}"));
    }
    words
}

impl CaptureTask for Reread {
    fn name(&self) -> &'static str {
        "the rereading of named rows"
    }

    fn take(&mut self, request: TableRequest, _: &mut DeliveredTopic) -> Option<TableRequest> {
        let TableCommand::Reread(ids) = &request.command else {
            return Some(request);
        };
        if let Some(fault) = fault(ids) {
            request.answer(Err(fault));
        } else if self.commands.len() >= MAX_WAITING_REREADS {
            let words = format!(
                "table {} reads other rows again; try again when that is done",
                self.table
            );
            request.answer(Err(words));
        } else {
            self.commands.push_back(RereadCommand {
                left: ids.clone(),
                request,
                delivered: 0,
                unreadable: Vec::new(),
                failures: 0,
            });
        }
        None
    }

    fn due(&mut self, now: Instant) -> Option<Instant> {
        self.commands.front().map(|_| now)
    }

    fn step(&mut self, context: &mut StepContext<'_>) -> Result<(), PollError> {
        let Some(mut command) = self.commands.pop_front() else {
            return Ok(());
        };
        match Reread::deliver(&mut command, context) {
            Ok(true) => {
                let words = done(command.delivered, &command.unreadable);
                command.request.answer(Ok(words));
                Ok(())
            }
            Ok(false) => {
                self.commands.push_front(command);
                Ok(())
            }
            Err(error) => {
                command.failures += u32::from(!error.is_waited_out_by_client());
                if command.failures < MAX_REREAD_FAILURES {
                    self.commands.push_front(command);
                } else {
                    let rows = command.left.len();
                    let words = format!("{rows} rows cannot be read: {error}");
                    command.request.answer(Err(words));
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_that_cannot_be_asked_for_are_refused() {
        let fault_of = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            fault(&ids)
        };
        assert_eq!(fault_of(&["0a", "glide.maint"]), None);
        for (ids, word) in [
            (&[][..], "1 to 10000"),
            (&["0a", ""][..], "empty"),
            (&["0a", "a^NQb"][..], "`^`"),
            (&["javascript:gs.log()"][..], "javascript:"),
        ] {
            let words = fault_of(ids).unwrap();
            assert!(words.contains(word), "{words}");
        }
        assert!(fault(&vec!["a".to_owned(); MAX_REREAD_ROWS + 1]).is_some());
    }

    #[test]
    fn an_answer_names_what_is_not_there() {
        assert_eq!(done(1, &[]), "1 row is delivered again");
        let ids = ["a".to_owned(), "b".to_owned()];
        let words = done(0, &ids);
        assert!(
            words.starts_with("0 rows") && words.ends_with(": a, b"),
            "{words}"
        );
    }
}
