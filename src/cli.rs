//! Command line to [`Invocation`]: what to do, and the words for someone who asks how.
//!
//! Everything is made from one table of commands and flags (`table`): the parser, the help texts, the
//! hints after a mistake, the manual page, and the completions of shells.

mod command;
mod completions;
mod help;
mod input;
mod man;
mod page;
mod parse;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use command::{
    AdminAction, CheckpointAction, CliCommand, DeadLetterAction, HelpTopic, Invocation,
    SchemaAction,
};
pub use completions::completions;
pub use help::help;
pub use man::man;
pub use parse::{UsageError, parse};
pub use table::checkpoint::{CheckpointSetOptions, CheckpointShowOptions};
pub(crate) use table::dead_letters::UNREADABLE_KIND;
pub use table::dead_letters::{
    DeadLetterFilter, DropOptions, ListOptions, ReplayOptions, ShowOptions,
};
pub use table::local::CheckOptions;
pub use table::running_bridge::JsonOption;
pub use table::schema::SchemaOptions;
pub use values::{DeadLetterPlace, DeadLetterPlaces, EpochSeconds, Shell};

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Short id of the commit this was built from, or `unknown`.
pub const BUILD_REVISION: &str = match option_env!("SNKB_BUILD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Day of that commit, or `unknown`.
pub const BUILD_DATE: &str = match option_env!("SNKB_BUILD_DATE") {
    Some(date) => date,
    None => "unknown",
};

/// Target triple.
pub const BUILD_TARGET: &str = match option_env!("SNKB_BUILD_TARGET") {
    Some(target) => target,
    None => "unknown",
};

/// One line: name, version, commit, date, target.
pub fn version() -> String {
    format!("servicenow-kafka-bridge {VERSION} ({BUILD_REVISION} {BUILD_DATE}) {BUILD_TARGET}")
}
