//! The commands that are asked of a running bridge.

use crate::cli::command::{AdminAction, CliCommand};
use crate::cli::options::{
    DeletesOptions, JsonOption, LogLevelOptions, PipelineOptions, PollOptions, ProbeOptions,
    RewindOptions, SnapshotOptions,
};
use crate::cli::spec::{CommandSpec, InputGroup, OPTIONS, options_of};

/// What the commands have in common.
const ASK: CommandSpec = CommandSpec {
    details: "\
Asks a bridge that runs with the same configuration, at `observability.addr` (`:8080` is
127.0.0.1:8080). All but `status` and `probe` need `observability.admin_token_file`, which both
read.

Of the configuration only `observability` has to be right; other problems are told.",
    exit_codes: &[
        (0, "done"),
        (1, "the bridge refused, and says why"),
        (64, "the command line makes no sense"),
        (75, "no answer: it does not run, or is too busy"),
        (
            78,
            "the configuration has no token, or not the one that the bridge has",
        ),
    ],
    ..CommandSpec::EMPTY
};

pub(super) static ADMIN_COMMAND: CommandSpec = CommandSpec {
    name: "admin",
    summary: "ask something of a running bridge",
    is_group: true,
    actions: &[
        CommandSpec {
            name: "status",
            summary: "print what it is doing, as the page at its address shows it",
            inputs: &[options_of(JsonOption::INPUTS)],
            examples: &["status", "status --json | jq .tables"],
            build: |given| {
                Ok(CliCommand::Admin(AdminAction::Status(JsonOption::read(
                    given,
                )?)))
            },
            ..ASK
        },
        CommandSpec {
            name: "threads",
            summary: "print its threads, and by when each must show that it is alive",
            inputs: &[options_of(JsonOption::INPUTS)],
            examples: &["threads"],
            build: |given| {
                Ok(CliCommand::Admin(AdminAction::Threads(JsonOption::read(
                    given,
                )?)))
            },
            ..ASK
        },
        CommandSpec {
            name: "pause",
            summary: "stop a table or a topic of the sink; a restart forgets it",
            inputs: &[options_of(PipelineOptions::INPUTS)],
            examples: &["pause incident -c /etc/servicenow-kafka-bridge/config.yaml"],
            build: |given| {
                let name = PipelineOptions::read(given)?.name;
                Ok(CliCommand::Admin(AdminAction::Pause(name)))
            },
            ..ASK
        },
        CommandSpec {
            name: "resume",
            summary: "let a table or a topic of the sink go on",
            inputs: &[options_of(PipelineOptions::INPUTS)],
            examples: &["resume incident"],
            build: |given| {
                let name = PipelineOptions::read(given)?.name;
                Ok(CliCommand::Admin(AdminAction::Resume(name)))
            },
            ..ASK
        },
        CommandSpec {
            name: "poll",
            summary: "poll a table now instead of at the end of its interval",
            inputs: &[options_of(PollOptions::INPUTS)],
            examples: &["poll incident"],
            build: |given| {
                let table = PollOptions::read(given)?.table;
                Ok(CliCommand::Admin(AdminAction::Poll(table)))
            },
            ..ASK
        },
        CommandSpec {
            name: "deletes",
            summary: "decide about deleted rows that are held, as there are too many at once",
            inputs: &[options_of(DeletesOptions::INPUTS)],
            examples: &["deletes accept incident", "deletes reject incident"],
            build: |given| {
                let DeletesOptions { decision, table } = DeletesOptions::read(given)?;
                Ok(CliCommand::Admin(AdminAction::Deletes { decision, table }))
            },
            ..ASK
        },
        CommandSpec {
            name: "snapshot",
            summary: "deliver all rows of a table again, beside its stream",
            details: "\
Lets a running bridge read a table, or a part of it, in the order of sys_id and deliver each row as
it is now. The stream goes on meanwhile and comes first; a row that it delivers meanwhile is left
out, so that no record is followed by an older one. A restart goes on where it was; `status` shows
how far it is. It needs `observability.admin_token_file`.",
            inputs: &[InputGroup {
                heading: OPTIONS,
                usage: Some("[OPTIONS]"),
                inputs: SnapshotOptions::INPUTS,
            }],
            examples: &[
                "snapshot incident",
                "snapshot incident --query 'active=true' --slice 00..40",
                "snapshot incident --pause",
            ],
            build: |given| {
                let options = SnapshotOptions::read(given)?;
                let orders = [options.pause, options.resume, options.stop];
                let orders = orders.iter().filter(|order| **order).count();
                let is_part = options.query.is_some() || options.slice.is_some();
                if orders > 1 || (orders == 1 && is_part) {
                    let words = "`--pause`, `--resume` and `--stop` stand alone: they are about the \
                                 snapshot that is under way";
                    return Err(words.to_owned());
                }
                Ok(CliCommand::Admin(AdminAction::Snapshot(options)))
            },
            ..ASK
        },
        CommandSpec {
            name: "rewind",
            summary: "deliver all rows again that changed since a time, beside the stream",
            details: "\
As `snapshot`, of the rows whose timestamp is not before TIME. The checkpoint stays where it is;
`snapshot TABLE --pause`, `--resume` and `--stop` steer it.",
            inputs: &[options_of(RewindOptions::INPUTS)],
            examples: &[
                "rewind incident 2h",
                "rewind incident '2026-01-31 08:15:00'",
            ],
            build: |given| {
                let options = RewindOptions::read(given)?;
                Ok(CliCommand::Admin(AdminAction::Rewind(options)))
            },
            ..ASK
        },
        CommandSpec {
            name: "refresh-token",
            summary: "get a new access token",
            examples: &["refresh-token"],
            build: |_| Ok(CliCommand::Admin(AdminAction::RefreshToken)),
            ..ASK
        },
        CommandSpec {
            name: "log-level",
            summary: "log from this level on, until a reload that changes `log_level`",
            inputs: &[options_of(LogLevelOptions::INPUTS)],
            examples: &["log-level debug"],
            build: |given| {
                let level = LogLevelOptions::read(given)?.level;
                Ok(CliCommand::Admin(AdminAction::LogLevel(level)))
            },
            ..ASK
        },
        CommandSpec {
            name: "probe",
            summary: "say by the exit code whether it is alive, or ready; for containers and scripts",
            details: "\
Asks a running bridge for /healthz (`live`) or /readyz (`ready`), prints the answer with its
reasons, and tells it by the exit code. An image needs neither a shell nor curl for it.

A bridge that is not alive should be started again. One that is not ready waits for something, such
as Kafka or the instance: starting it again does not help.",
            inputs: &[options_of(ProbeOptions::INPUTS)],
            examples: &[
                "probe",
                "probe ready -c /etc/servicenow-kafka-bridge/config.yaml",
                "probe live --addr 127.0.0.1:8080",
            ],
            exit_codes: &[
                (0, "it is"),
                (1, "it is not, and the answer says why"),
                (64, "the command line makes no sense"),
                (75, "no answer within 10 s: it does not run, or is too busy"),
                (78, "the configuration does not say where it listens"),
            ],
            build: |given| Ok(CliCommand::Probe(ProbeOptions::read(given)?)),
            ..CommandSpec::EMPTY
        },
    ],
    examples: &[
        "status",
        "pause incident -c /etc/servicenow-kafka-bridge/config.yaml",
        "show-config --running",
    ],
    ..ASK
};
