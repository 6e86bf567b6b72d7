//! `checkpoint` in the table of commands.

use crate::cli::command::{CheckpointAction, CliCommand};
use crate::cli::options::{
    CheckpointExportOptions, CheckpointImportOptions, CheckpointResetOptions, CheckpointSetOptions,
    CheckpointShowOptions,
};
use crate::cli::spec::{CommandSpec, options_of};

pub(super) static CHECKPOINT_COMMAND: CommandSpec = CommandSpec {
    name: "checkpoint",
    summary: "show, set, reset, export or import how far tables have been read",
    details: "\
A checkpoint says how far a table has been read: a time and the identifier of the last row of
that second that Kafka has acknowledged. It is kept in the file `offset.file_path` of the
configuration, or with `offset.storage: kafka` in the topic `offset.kafka_topic`.
Stop the bridge before `set`, `reset` and `import`: one process owns the positions.",
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
                let options = CheckpointResetOptions::read(given)?;
                Ok(CliCommand::Checkpoint(CheckpointAction::Reset(options)))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "export",
            summary: "write the positions of all tables to a new checkpoint file",
            inputs: &[options_of(CheckpointExportOptions::INPUTS)],
            build: |given| {
                let file = CheckpointExportOptions::read(given)?.file;
                Ok(CliCommand::Checkpoint(CheckpointAction::Export(file)))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "import",
            summary: "take the positions of a checkpoint file in place of those of the same tables",
            inputs: &[options_of(CheckpointImportOptions::INPUTS)],
            build: |given| {
                let options = CheckpointImportOptions::read(given)?;
                Ok(CliCommand::Checkpoint(CheckpointAction::Import(options)))
            },
            ..CommandSpec::EMPTY
        },
    ],
    examples: &[
        "checkpoint show",
        "checkpoint set incident --timestamp '2026-01-31 08:15:00'",
        "checkpoint export positions.json",
    ],
    exit_codes: &[
        (0, "done"),
        (64, "the command line makes no sense"),
        (1, "`export`: what is stored of some tables cannot be used"),
        (
            75,
            "another process has the positions, or Kafka does not answer",
        ),
        (
            78,
            "the configuration or the checkpoint file must be put right first",
        ),
    ],
    ..CommandSpec::EMPTY
};
