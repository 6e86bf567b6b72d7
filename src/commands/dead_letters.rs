//! `dead-letters`: look at what could not be written, send it again, or give it up.

mod filter;
mod found;
mod lines;
mod list;
mod replay;
mod scan;
mod send;
mod text;

use self::scan::DeadLetterTopic;
use super::failure::ExitResult;
use super::terminal::Terminal;
use crate::cli::DeadLetterAction;
use crate::config::Config;

/// The keys of the configuration that the command uses.
pub(super) fn needed_keys(action: &DeadLetterAction) -> &'static [&'static str] {
    match action {
        DeadLetterAction::Replay(_, options) if options.direct => {
            &["kafka", "sink", "schema_registry", "servicenow"]
        }
        _ => &["kafka", "sink"],
    }
}

/// Executes the command.
pub(super) fn execute(
    config: &Config,
    action: &DeadLetterAction,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let mut letters = DeadLetterTopic::open(config)?;
    match action {
        DeadLetterAction::List(filter, options) => {
            list::list(&mut letters, filter, options, terminal)
        }
        DeadLetterAction::Show(options) => list::show(&mut letters, options, terminal),
        DeadLetterAction::Drop(filter, options) => {
            list::drop(&mut letters, filter, options, terminal)
        }
        DeadLetterAction::Replay(filter, options) => {
            replay::replay(config, &mut letters, filter, options, terminal)
        }
    }
}
