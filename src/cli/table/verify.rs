//! `verify` in the table of commands.

use crate::cli::command::CliCommand;
use crate::cli::options::VerifyOptions;
use crate::cli::spec::{CommandSpec, InputGroup, OPTIONS};

pub(super) static VERIFY_COMMAND: CommandSpec = CommandSpec {
    name: "verify",
    summary: "say whether a topic holds what its table holds",
    details: "\
Reads the topic of a table to its present end, lists the table by sys_id, and compares the
version of each row: its time and `sys_mod_count`. Rows that differ are looked at again until
`--wait` is over: only what stays the same difference counts. A row is then missing, stale or extra
in the topic; rows that the bridge leaves out on purpose are counted apart.

Without `--full` counts and sums are compared first, and the rows only where those differ. Equal
sums are no proof: a missing and an extra row may cancel out.

`--index` takes what the topic holds from the index that `deletes: compare` keeps beside the
checkpoint, and reads only the records behind it: much faster, but not a look at the whole topic.

A certificate has a digest of all rows, which any reader of the topic can make again; it also goes
to `source.proof_topic`. `--topic-only` makes it again from the topic, without the instance.

It runs beside the bridge, asks for one page at a time and pauses after each as long as that took.
Ctrl-C stops it; the same command goes on where it was. Nothing is written to table or topic:
`--repair` names the rows that differ to the running bridge. It reads again what is missing or
stale; with `deletes` it asks for what is extra, and sends tombstones for what is gone, no more
than `delete_guard` lets pass.",
    inputs: &[InputGroup {
        heading: OPTIONS,
        usage: Some("[OPTIONS]"),
        inputs: VerifyOptions::INPUTS,
    }],
    examples: &[
        "verify incident --full",
        "verify incident --full --slice 00..40 --json",
        "verify incident --full --repair",
        "verify incident --full --certificate incident.json",
        "verify incident --topic-only incident.json",
    ],
    exit_codes: &[
        (0, "no difference"),
        (1, "table and topic differ"),
        (64, "the command line makes no sense"),
        (
            75,
            "stopped, or the instance or Kafka did not answer; the same command goes on",
        ),
        (78, "the configuration must be put right first"),
    ],
    build: |given| {
        let options = VerifyOptions::read(given)?;
        let is_part = !options.full || options.slice.is_some();
        if options.certificate.is_some() && is_part {
            let words = "`--certificate` is about all rows: it needs `--full` and no `--slice`";
            return Err(words.to_owned());
        }
        if options.index && (options.certificate.is_some() || options.topic_only.is_some()) {
            let words = "a certificate speaks of the topic alone: leave out `--index`";
            return Err(words.to_owned());
        }
        Ok(CliCommand::Verify(options))
    },
    ..CommandSpec::EMPTY
};
