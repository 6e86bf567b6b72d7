//! Command line to [`Invocation`]: what to do, and the words for someone who asks how.
//!
//! Everything is made from one table of commands and flags (`table`): the parser, the help texts, the
//! hints after a mistake, the manual page, and the completions of shells.

mod command;
mod completions;
pub mod exit_code;
mod given;
mod help;
mod input;
mod man;
mod options;
mod page;
mod parse;
mod spec;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod version;

pub use command::{
    AdminAction, CheckpointAction, CliCommand, DeadLetterAction, HelpTopic, Invocation,
    SchemaAction,
};
pub use completions::completions;
pub use help::help;
pub use man::man;
pub(crate) use options::UNREADABLE_KIND;
pub use options::{
    CheckOptions, CheckpointImportOptions, CheckpointResetOptions, CheckpointSetOptions,
    CheckpointShowOptions, DeadLetterFilter, DoctorOptions, DropOptions, JsonOption, ListOptions,
    MigrateOptions, ProbeOptions, ReplayOptions, RewindOptions, SchemaOptions, ShowOptions,
    SnapshotOptions, VerifyOptions,
};
pub use parse::{UsageError, parse};
pub use values::{
    BridgeAddress, DeadLetterPlace, DeadLetterPlaces, EpochSeconds, ManualPage, PointInTime,
    ProbeQuestion, Shell,
};
pub use version::{BUILD_DATE, BUILD_REVISION, BUILD_TARGET, VERSION, version};
