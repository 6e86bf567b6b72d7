//! `dead-letters` in the table of commands.

use crate::cli::command::{CliCommand, DeadLetterAction};
use crate::cli::options::{
    DeadLetterFilter, DropOptions, ListOptions, ReplayOptions, ShowOptions, UNREADABLE_KIND,
};
use crate::cli::spec::{CommandSpec, InputGroup, options_of};
use crate::sink::RefusalKind;

/// The same by what is wrong, for the help.
fn listed_error_kinds() -> Vec<(String, String)> {
    let mut lists = Vec::new();
    for (subject, kinds) in RefusalKind::BY_SUBJECT {
        let labels: Vec<&str> = kinds.iter().map(|kind| kind.label()).collect();
        lists.push(((*subject).to_owned(), labels.join(", ")));
    }
    if let Some((_, first)) = lists.first_mut() {
        first.push_str(&format!("; {UNREADABLE_KIND}: it is no letter"));
    }
    lists
}

/// The flags that choose letters.
const FILTERS: InputGroup = InputGroup {
    heading: "filters, of which all must hold",
    usage: Some("[FILTER ...]"),
    inputs: DeadLetterFilter::INPUTS,
};

pub(super) static DEAD_LETTERS_COMMAND: CommandSpec = CommandSpec {
    name: "dead-letters",
    summary: "look at records that could not be written, send them again, or drop them",
    details: "\
A record that ServiceNow refuses is written to the topic `sink.dlq_topic`, with the reason. Each
letter has a place there, partition and offset: `0:12`.

The marks of `replay` and `drop` are the committed offsets of the group
`{sink.group_id}-dead-letters`; the Kafka user needs Describe and Read on it. Kafka forgets them
`offsets.retention.minutes` (7 days) after the last replay or drop: do not keep letters longer than
that in the topic, or use --since. Run one replay at a time.

TIME is epoch seconds, `2026-01-31 08:15:00` (UTC), `2026-01-31T08:15:00Z`, or how long ago it was:
`90m`, `2h`, `7d`.",
    actions: &[
        CommandSpec {
            name: "list",
            summary: "print a line for each letter",
            inputs: &[FILTERS, options_of(ListOptions::INPUTS)],
            build: |given| {
                let filter = DeadLetterFilter::read(given)?;
                let action = DeadLetterAction::List(filter, ListOptions::read(given)?);
                Ok(CliCommand::DeadLetters(action))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "show",
            summary: "print all of one letter, with what was to be written",
            inputs: &[options_of(ShowOptions::INPUTS)],
            build: |given| {
                let action = DeadLetterAction::Show(ShowOptions::read(given)?);
                Ok(CliCommand::DeadLetters(action))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "replay",
            summary: "send the records to their topics again, where the sink finds them",
            details: "Without a filter every letter goes that is not done. A record that is refused \
                      again comes back as a new letter. It may be interrupted and repeated: what \
                      was acknowledged is marked as done, not sent again",
            inputs: &[FILTERS, options_of(ReplayOptions::INPUTS)],
            build: |given| {
                let filter = DeadLetterFilter::read(given)?;
                let action = DeadLetterAction::Replay(filter, ReplayOptions::read(given)?);
                Ok(CliCommand::DeadLetters(action))
            },
            ..CommandSpec::EMPTY
        },
        CommandSpec {
            name: "drop",
            summary: "mark letters as done without sending them; the topic keeps them",
            inputs: &[FILTERS, options_of(DropOptions::INPUTS)],
            build: |given| {
                let filter = DeadLetterFilter::read(given)?;
                let options = DropOptions::read(given)?;
                if filter == DeadLetterFilter::default() && !options.all && !options.dry_run {
                    return Err(
                        "`dead-letters drop` gives letters up: say which with a filter, or \
                                `--all`"
                            .to_owned(),
                    );
                }
                let action = DeadLetterAction::Drop(filter, options);
                Ok(CliCommand::DeadLetters(action))
            },
            ..CommandSpec::EMPTY
        },
    ],
    glossary: Some(("kinds of error", listed_error_kinds)),
    examples: &[
        "dead-letters list --table incident --since '2026-01-31 08:00:00'",
        "dead-letters show 0:12",
        "dead-letters replay --kind forbidden --dry-run",
        "dead-letters drop --offset 0:12",
    ],
    exit_codes: &[
        (0, "done"),
        (1, "some letters could not be replayed; each is named"),
        (64, "the command line makes no sense"),
        (
            75,
            "interrupted, not acknowledged, or Kafka does not answer; safe to start again",
        ),
        (
            78,
            "the configuration must be put right first, or has no `sink.dlq_topic`",
        ),
    ],
    ..CommandSpec::EMPTY
};
