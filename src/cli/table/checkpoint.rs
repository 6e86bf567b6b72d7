//! `checkpoint` in the table of commands.

use crate::cli::command::{CheckpointAction, CliCommand};
use crate::cli::options::{CheckpointResetOptions, CheckpointSetOptions, CheckpointShowOptions};
use crate::cli::spec::{CommandSpec, options_of};

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
