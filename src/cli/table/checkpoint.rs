//! `checkpoint` in the table of commands.

use super::{CommandSpec, options_of};
use crate::cli::command::{CheckpointAction, CliCommand};
use crate::cli::input::options;
use crate::cli::values::EpochSeconds;

options! {
    /// What `checkpoint show` is asked for.
    pub struct CheckpointShowOptions {
        /// the name of a table
        table: Option<String> = optional_argument("TABLE");
    }
}

options! {
    /// What `checkpoint set` is asked for.
    pub struct CheckpointSetOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// epoch seconds, `2026-01-31 08:15:00` (UTC) or `2026-01-31T08:15:00Z`
        timestamp: EpochSeconds = required_value("timestamp", "TIME");
        /// the last row of that second that is done (default: none, so that the whole second is read)
        last_identifier: Option<String> = value("last-identifier", "ID").or_empty();
    }
}

options! {
    /// What `checkpoint reset` is asked for.
    struct CheckpointResetOptions {
        /// the name of a table
        table: String = argument("TABLE");
    }
}

pub(super) static CHECKPOINT_COMMAND: CommandSpec = CommandSpec {
    name: "checkpoint",
    summary: "show, set or reset how far a table has been read",
    details: "\
A checkpoint says how far a table has been read: a time and the identifier of the last row of
that second that Kafka has acknowledged. The file is `offset.file_path` of the configuration.
Stop the bridge before `set` and `reset`: one process owns the file.",
    actions: &[
        CommandSpec {
            name: "show",
            summary: "print the position of one table or of all",
            inputs: &[options_of(CheckpointShowOptions::INPUTS)],
            build: |given| {
                let options = CheckpointShowOptions::read(given)?;
                Ok(CliCommand::Checkpoint(CheckpointAction::Show(options)))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "set",
            summary: "continue after this position: rows from that second on are sent (again)",
            inputs: &[options_of(CheckpointSetOptions::INPUTS)],
            build: |given| {
                let options = CheckpointSetOptions::read(given)?;
                Ok(CliCommand::Checkpoint(CheckpointAction::Set(options)))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "reset",
            summary: "forget the position: the table is read from its beginning, or as far back as \
                      `source.initial_query_hours_ago` says",
            inputs: &[options_of(CheckpointResetOptions::INPUTS)],
            build: |given| {
                let table = CheckpointResetOptions::read(given)?.table;
                Ok(CliCommand::Checkpoint(CheckpointAction::Reset(table)))
            },
            ..CommandSpec::EMPTY
        },
    ],
    examples: &[
        "checkpoint show",
        "checkpoint set incident --timestamp '2026-01-31 08:15:00'",
    ],
    exit_codes: &[
        (0, "done"),
        (64, "the command line makes no sense"),
        (75, "another process has the checkpoint file"),
        (
            78,
            "the configuration or the checkpoint file must be put right first",
        ),
    ],
    ..CommandSpec::EMPTY
};
