//! Flags and arguments of every command.
//!
//! `options!` declares a struct together with its part of the table of commands. A field is written
//! once: its doc comment is what `--help`, the manual page and the shells say of it, its initialiser
//! says how it looks on the command line, and its type says how its value is read.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::input::Input;
use super::values::{
    BridgeAddress, DeadLetterPlace, DeadLetterPlaces, ManualPage, PointInTime, ProbeQuestion, Shell,
};
use crate::control::DeleteDecision;
use crate::sink::RefusalKind;
use crate::verify::IdSlice;

/// Declares a struct of flags and arguments, their list `INPUTS` for the table of commands, and `read`,
/// which takes their values from a command line.
///
/// The initialiser of a field is a constructor of [`Input`] without its first parameter, which is the
/// doc comment, and may be followed by others of its methods. The values come from the method of
/// `GivenArguments` with the same name as the constructor.
macro_rules! options {
    ($(#[$about:meta])* $visible:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty =
            $kind:ident($($part:expr),*) $(.$more:ident($($setting:expr)?))*;)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $visible struct $name {
            $($(#[doc = $doc])+ $visible $field: $type,)+
        }

        impl $name {
            pub(in crate::cli) const INPUTS: &'static [$crate::cli::input::Input] = &[$(
                $crate::cli::input::Input::$kind(concat!($($doc),+), $($part),*)
                    $(.$more($($setting)?))*
            ),+];

            pub(in crate::cli) fn read(
                given: &$crate::cli::given::GivenArguments,
            ) -> Result<$name, String> {
                Ok($name {
                    $($field: given.$kind(
                        &$crate::cli::input::Input::$kind(concat!($($doc),+), $($part),*)
                            $(.$more($($setting)?))*
                    )?,)+
                })
            }
        }
    };
}

/// What may be decided about deletes that are held.
fn delete_decisions() -> Vec<&'static str> {
    DeleteDecision::ALL.map(DeleteDecision::word).to_vec()
}

/// Levels of the log, as the configuration names them.
fn log_levels() -> Vec<&'static str> {
    vec!["error", "warn", "info", "debug", "trace"]
}

/// The kind of a record of the dead letter topic that is no letter.
pub(crate) const UNREADABLE_KIND: &str = "unreadable";

/// Every kind of error that a letter may have.
pub(super) fn error_kinds() -> Vec<&'static str> {
    let kinds = RefusalKind::ALL.iter().map(|kind| kind.label());
    kinds.chain([UNREADABLE_KIND]).collect()
}

options! {
    /// Flags of every command.
    pub(super) struct GlobalOptions {
        /// the configuration (default: config.yaml, else /etc/servicenow-kafka-bridge/config.yaml)
        config: Option<PathBuf> = value("config", "FILE").short('c').file();
        /// as `version`
        version: bool = switch("version").short('V');
        /// as `help`
        help: bool = switch("help").short('h');
    }
}

impl GlobalOptions {
    /// The flag of this name.
    pub(super) fn find(name: &str) -> Option<&'static Input> {
        GlobalOptions::INPUTS.iter().find(|flag| flag.name == name)
    }
}

options! {
    /// What `check` is asked for.
    pub struct CheckOptions {
        /// also log in to the instance, read one row of every table, measure the user's time zone and
        /// the clock, and ask Kafka for the topics and the schema registry for the schemas
        connect: bool = switch("connect");
    }
}

options! {
    /// What `doctor` is asked for.
    pub struct DoctorOptions {
        /// print one JSON object: the worst level, and each finding with level, what was seen and the cure
        json: bool = switch("json");
    }
}

options! {
    /// What `show-config` is asked for.
    pub(super) struct ShowConfigOptions {
        /// ask the running bridge what it runs with, as JSON (see `help admin`)
        running: bool = switch("running");
    }
}

options! {
    /// What `help` is asked for.
    pub(super) struct HelpOptions {
        /// the name of a command
        command: Option<String> = optional_argument("COMMAND");
        /// one of its actions, which the same text explains
        action: Option<String> = optional_argument("ACTION");
    }
}

options! {
    /// What `completions` is asked for.
    pub(super) struct CompletionsOptions {
        /// one of bash, zsh, fish
        shell: Shell = argument("SHELL").one_of(Shell::names);
    }
}

options! {
    /// What `man` is asked for.
    pub(super) struct ManOptions {
        /// program (as without it), config or overview
        page: Option<ManualPage> = optional_argument("PAGE").one_of(ManualPage::names);
    }
}

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
        /// epoch seconds, `2026-01-31 08:15:00` (UTC), `2026-01-31T08:15:00Z`, or `2h` for so long ago
        timestamp: PointInTime = required_value("timestamp", "TIME");
        /// the last row of that second that is done (default: none, so that the whole second is read)
        last_identifier: Option<String> = value("last-identifier", "ID").or_empty();
        /// with positions in Kafka: also if a process seems to write there; it ends then
        take_over: bool = switch("take-over").short('t');
    }
}

options! {
    /// What `checkpoint reset` is asked for.
    pub struct CheckpointResetOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// with positions in Kafka: also if a process seems to write there; it ends then
        take_over: bool = switch("take-over").short('t');
    }
}

options! {
    /// What `checkpoint export` is asked for.
    pub(super) struct CheckpointExportOptions {
        /// the file to write, which must not be there yet
        file: PathBuf = argument("FILE").file();
    }
}

options! {
    /// What `checkpoint import` is asked for.
    pub struct CheckpointImportOptions {
        /// a checkpoint file
        file: PathBuf = argument("FILE").file();
        /// with positions in Kafka: also if a process seems to write there; it ends then
        take_over: bool = switch("take-over").short('t');
    }
}

options! {
    /// Which letters are meant: those for which all that is given holds.
    #[derive(Default)]
    pub struct DeadLetterFilter {
        /// was to be written to this table
        table: Option<String> = value("table", "T");
        /// comes from this topic
        topic: Option<String> = value("topic", "T");
        /// kind of error, see below
        kind: Option<String> = value("kind", "K").one_of(error_kinds);
        /// written at this time or later
        since: Option<PointInTime> = value("since", "TIME");
        /// written before this time
        until: Option<PointInTime> = value("until", "TIME");
        /// key of the record, as it is or as `show` prints it
        key: Option<String> = value("key", "K");
        /// place of the letter: `0:12`, `0:12-20`, or `12-20` in every partition
        places: Option<DeadLetterPlaces> = value("offset", "WHERE");
        /// no more than N letters
        limit: Option<NonZeroU64> = value("limit", "N");
    }
}

options! {
    /// What else `dead-letters list` is asked for.
    pub struct ListOptions {
        /// also what is done
        all: bool = switch("all");
        /// JSON lines instead of a table
        json: bool = switch("json");
    }
}

options! {
    /// What `dead-letters show` is asked for.
    pub struct ShowOptions {
        /// a place such as `0:12`
        place: DeadLetterPlace = argument("PLACE");
        /// the letter as it is
        json: bool = switch("json");
    }
}

options! {
    /// What else `dead-letters replay` is asked for.
    pub struct ReplayOptions {
        /// only say which letters
        dry_run: bool = switch("dry-run");
        /// write to the instance at once instead of sending to the topic
        direct: bool = switch("direct");
        /// JSON lines instead of a table
        json: bool = switch("json");
    }
}

options! {
    /// What else `dead-letters drop` is asked for.
    #[derive(Default)]
    pub struct DropOptions {
        /// every letter, without a filter
        all: bool = switch("all");
        /// only say which letters
        dry_run: bool = switch("dry-run");
        /// JSON lines instead of a table
        json: bool = switch("json");
    }
}

options! {
    /// What all actions of `schema` are asked for.
    pub struct SchemaOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// print one JSON object
        json: bool = switch("json");
    }
}

options! {
    /// What `verify` is asked for.
    pub struct VerifyOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// compare each row, instead of counts and sums first and the rows where those differ
        full: bool = switch("full");
        /// only rows whose sys_id begins between these hex digits, as `00..40`, `40..`
        slice: Option<IdSlice> = value("slice", "A..B");
        /// do not read the whole topic: take the local index of `deletes: compare`, and later records
        index: bool = switch("index");
        /// with `--full`: write a certificate there if nothing differs
        certificate: Option<PathBuf> = value("certificate", "FILE").file();
        /// compare the topic alone with an earlier certificate
        topic_only: Option<PathBuf> = value("topic-only", "FILE").file();
        /// how long a difference must stay the same to count (default: 2m)
        wait: Option<Duration> = value("wait", "TIME");
        /// let the running bridge read again what is missing or stale, and with `deletes` delete what is extra
        repair: bool = switch("repair");
        /// print one JSON object
        json: bool = switch("json");
    }
}

options! {
    /// What `migrate` is asked for.
    pub struct MigrateOptions {
        /// the configurations; `-` is standard input
        files: Vec<PathBuf> = arguments("FILE").file();
        /// write the configuration there, instead of to standard output
        output: Option<PathBuf> = value("output", "FILE").short('o').file();
        /// also make a checkpoint file from these offsets of a source connector
        offsets: Option<PathBuf> = value("offsets", "FILE").file();
        /// write the checkpoint file there (default: offsets.json, beside --output)
        checkpoint: Option<PathBuf> = value("checkpoint", "FILE").file();
    }
}

options! {
    /// What `status` and `threads` are asked for.
    pub struct JsonOption {
        /// the whole answer as JSON
        json: bool = switch("json");
    }
}

options! {
    /// What `pause` and `resume` are asked for.
    pub(super) struct PipelineOptions {
        /// the name of a table or of a topic of the sink
        name: String = argument("NAME");
    }
}

options! {
    /// What `poll` is asked for.
    pub(super) struct PollOptions {
        /// the name of a table
        table: String = argument("TABLE");
    }
}

options! {
    /// What `deletes` is asked for.
    pub(super) struct DeletesOptions {
        /// accept (the tombstones are sent) or reject (the records stay)
        decision: String = argument("DECISION").one_of(delete_decisions);
        /// the name of a table
        table: String = argument("TABLE");
    }
}

options! {
    /// What `snapshot` is asked for.
    pub struct SnapshotOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// only rows that this encoded query finds, beside the `query` of the table
        query: Option<String> = value("query", "QUERY");
        /// only rows whose sys_id begins between these hex digits, as `00..40`, `40..`
        slice: Option<IdSlice> = value("slice", "A..B");
        /// let the snapshot that is under way wait, also over restarts
        pause: bool = switch("pause");
        /// let it go on
        resume: bool = switch("resume");
        /// end it for good
        stop: bool = switch("stop");
    }
}

options! {
    /// What `rewind` is asked for.
    pub struct RewindOptions {
        /// the name of a table
        table: String = argument("TABLE");
        /// epoch seconds, `2026-01-31 08:15:00` (UTC), RFC 3339, or how long ago: `90m`, `2h`, `7d`
        time: PointInTime = argument("TIME");
    }
}

options! {
    /// What `log-level` is asked for.
    pub(super) struct LogLevelOptions {
        /// one of error, warn, info, debug, trace
        level: String = argument("LEVEL").one_of(log_levels);
    }
}

options! {
    /// What `probe` is asked for.
    pub struct ProbeOptions {
        /// live (as without it) or ready
        question: Option<ProbeQuestion> = optional_argument("QUESTION").one_of(ProbeQuestion::names);
        /// ask there, as `127.0.0.1:8080`, and read no configuration
        addr: Option<BridgeAddress> = value("addr", "ADDR");
    }
}
