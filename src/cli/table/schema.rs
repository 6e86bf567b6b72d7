//! `schema` in the table of commands.

use crate::cli::command::{CliCommand, SchemaAction};
use crate::cli::options::SchemaOptions;
use crate::cli::spec::{CommandSpec, options_of};

/// What the actions have in common.
const ACTION: CommandSpec = CommandSpec {
    inputs: &[options_of(SchemaOptions::INPUTS)],
    ..CommandSpec::EMPTY
};

pub(super) static SCHEMA_COMMAND: CommandSpec = CommandSpec {
    name: "schema",
    summary: "show or register the Avro schema of a table",
    details: "\
The Avro schema of a table of `source.tables`, made of its configuration and, where that does not
name the columns or wants their types, of the dictionary of the instance. A schema that is
registered already grows and never shrinks. `run` registers by itself unless
`schema_registry.auto_register` is false.",
    actions: &[
        CommandSpec {
            name: "show",
            summary: "print the schema that would be registered, and its subject",
            build: |given| {
                let options = SchemaOptions::read(given)?;
                Ok(CliCommand::Schema(SchemaAction::Show, options))
            },
            ..ACTION
        },
        CommandSpec {
            name: "diff",
            summary: "say how it differs from the one that is registered, and whether the registry \
                      would take it",
            build: |given| {
                let options = SchemaOptions::read(given)?;
                Ok(CliCommand::Schema(SchemaAction::Diff, options))
            },
            ..ACTION
        },
        CommandSpec {
            name: "register",
            summary: "register it, and the one of the key with `key: avro`",
            build: |given| {
                let options = SchemaOptions::read(given)?;
                Ok(CliCommand::Schema(SchemaAction::Register, options))
            },
            ..ACTION
        },
    ],
    examples: &[
        "schema diff incident",
        "schema show incident --json | jq .schema",
    ],
    exit_codes: &[
        (0, "done; of `diff`: what is registered serves"),
        (
            1,
            "of `diff`: there is a difference, and the registry would take it",
        ),
        (64, "the command line makes no sense"),
        (75, "the instance or the registry did not answer"),
        (
            78,
            "the configuration, or what is registered, must be put right first",
        ),
    ],
    ..CommandSpec::EMPTY
};
