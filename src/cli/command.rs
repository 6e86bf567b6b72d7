//! What a command line asks for, as the commands take it.

use std::path::PathBuf;

use super::options::{
    CheckOptions, CheckpointImportOptions, CheckpointResetOptions, CheckpointSetOptions,
    CheckpointShowOptions, DeadLetterFilter, DoctorOptions, DropOptions, JsonOption, ListOptions,
    MigrateOptions, ProbeOptions, ReplayOptions, RewindOptions, SchemaOptions, ShowOptions,
    SnapshotOptions, VerifyOptions,
};
use super::values::{ManualPage, Shell};

/// A command, and the configuration it works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The configuration file that is named; commands without a configuration do not look at it.
    pub config: Option<PathBuf>,
    /// What to do.
    pub command: CliCommand,
}

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliCommand {
    /// Move records until told to stop.
    Run,
    /// Check the configuration, and perhaps all that it names.
    Check(CheckOptions),
    /// Look at everything that a first day can go wrong with.
    Doctor(DoctorOptions),
    /// Print every setting in effect.
    ShowConfig,
    /// Let the running bridge read its configuration again.
    Reload,
    /// Show or change how far tables have been read.
    Checkpoint(CheckpointAction),
    /// Look at dead letters, send their records again, or give them up.
    DeadLetters(DeadLetterAction),
    /// Ask something of a running bridge.
    Admin(AdminAction),
    /// Ask a running bridge how it is, and tell it by the exit code.
    Probe(ProbeOptions),
    /// Show, compare or register the Avro schema of a table.
    Schema(SchemaAction, SchemaOptions),
    /// Say whether a topic holds what its table holds.
    Verify(VerifyOptions),
    /// Make a configuration from those of other programs.
    Migrate(MigrateOptions),
    /// Print one line with version and commit.
    Version,
    /// Print a help text.
    Help(HelpTopic),
    /// Print a manual page.
    Man(ManualPage),
    /// Print completions for a shell.
    Completions(Shell),
}

/// What a help text is about: the command of this name, or with `None` the program as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpTopic(pub(super) Option<String>);

/// What to do with checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointAction {
    /// Print positions.
    Show(CheckpointShowOptions),
    /// Write a position.
    Set(CheckpointSetOptions),
    /// Forget the position of this table, so that it is read from its beginning.
    Reset(CheckpointResetOptions),
    /// Write all positions to a file.
    Export(PathBuf),
    /// Take positions from a file.
    Import(CheckpointImportOptions),
}

/// What to do with dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterAction {
    /// Print a line for each.
    List(DeadLetterFilter, ListOptions),
    /// Print all of one.
    Show(ShowOptions),
    /// Send the records again.
    Replay(DeadLetterFilter, ReplayOptions),
    /// Mark them as done.
    Drop(DeadLetterFilter, DropOptions),
}

/// What is asked of a running bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAction {
    /// Print what it is doing.
    Status(JsonOption),
    /// Print its threads.
    Threads(JsonOption),
    /// Print the configuration that it runs with.
    Config,
    /// Stop this table, or topic of the sink, for a while.
    Pause(String),
    /// Let it go on.
    Resume(String),
    /// Poll this table now.
    Poll(String),
    /// Decide about the deletes of this table that are held.
    Deletes {
        /// `accept` or `reject`.
        decision: String,
        /// The table.
        table: String,
    },
    /// Read a table, or a part of it, again beside its stream; or steer that.
    Snapshot(SnapshotOptions),
    /// Read again what changed since a time, beside the stream.
    Rewind(RewindOptions),
    /// Get a new access token.
    RefreshToken,
    /// Log from this level on.
    LogLevel(String),
}

/// What to do with the schema of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaAction {
    /// Print what would be registered.
    Show,
    /// Print how that differs from what is registered, and whether it fits.
    Diff,
    /// Register it.
    Register,
}
