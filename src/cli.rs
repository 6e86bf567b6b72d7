//! Command line to [`CliCommand`]: what to do, and the words for someone who asks how.
//!
//! The Go program's `-config FILE` and `-version` are taken with one dash or two, anywhere.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use lexopt::Arg;

mod admin;
mod dead_letters;
mod help;
mod schema;
#[cfg(test)]
mod tests;
mod time;

pub use admin::AdminAction;
pub(crate) use dead_letters::UNREADABLE_KIND;
pub use dead_letters::{DeadLetterAction, DeadLetterFilter, DeadLetterPlace};
pub use help::{HelpTopic, help};
pub use schema::SchemaAction;

/// The file that is read when none is named, as in the Go program.
const DEFAULT_CONFIG_FILE: &str = "config.yaml";

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliCommand {
    /// Move records until told to stop.
    Run {
        /// The configuration file.
        config: PathBuf,
    },
    /// Check the configuration.
    Check {
        /// The configuration file.
        config: PathBuf,
        /// Also ask the instance and Kafka.
        connect: bool,
    },
    /// Print everything effective.
    ShowConfig {
        /// The configuration file.
        config: PathBuf,
    },
    /// Let the running bridge read its configuration again.
    Reload {
        /// The configuration file.
        config: PathBuf,
    },
    /// Look at a checkpoint or change it.
    Checkpoint {
        /// The configuration file.
        config: PathBuf,
        /// What to do with it.
        action: CheckpointAction,
    },
    /// Look at dead letters, send their records again, or give them up.
    DeadLetters {
        /// The configuration file.
        config: PathBuf,
        /// What to do with them.
        action: DeadLetterAction,
        /// With which of them.
        which: DeadLetterFilter,
        /// Print JSON lines instead of a table.
        json: bool,
    },
    /// Ask something of a running bridge.
    Admin {
        /// The configuration file it runs with.
        config: PathBuf,
        /// What.
        action: AdminAction,
    },
    /// Look at the Avro schema of a table, or register it.
    Schema {
        /// The configuration file.
        config: PathBuf,
        /// What to do with it.
        action: SchemaAction,
        /// The table.
        table: String,
        /// Print JSON instead of words.
        json: bool,
    },
    /// Print one line with version and commit.
    Version,
    /// Print a help text.
    Help(HelpTopic),
}

/// What to do with checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointAction {
    /// Print positions.
    Show {
        /// Only of this table.
        table: Option<String>,
    },
    /// Write a position.
    Set {
        /// The table.
        table: String,
        /// Epoch seconds, UTC.
        timestamp: i64,
        /// Identifier of the last row that is done; empty: the whole second is still to be read.
        last_identifier: String,
    },
    /// Forget a position, so that the table is read from its beginning.
    Reset {
        /// The table.
        table: String,
    },
}

/// A command line that makes no sense. Its text is one line and a hint where to read more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    topic: HelpTopic,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\ntry `servicenow-kafka-bridge help{}`",
            self.message,
            self.topic.argument()
        )
    }
}

impl std::error::Error for UsageError {}

/// Everything that was on the command line, in no order.
#[derive(Default)]
struct GivenArguments {
    words: Vec<OsString>,
    config: Option<PathBuf>,
    connect: bool,
    running: bool,
    timestamp: Option<OsString>,
    last_identifier: Option<OsString>,
    letters: dead_letters::GivenOptions,
    help: bool,
    version: bool,
}

/// Reads the arguments, without the name of the program.
///
/// # Errors
/// When they make no sense.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<CliCommand, UsageError> {
    let given = gather(args)?;
    let mut words = given.words.iter().map(|word| word.to_string_lossy());
    let verb = words.next();
    let topic = match verb.as_deref() {
        None | Some("help" | "version") => HelpTopic::General,
        Some(word) => HelpTopic::named(word).ok_or_else(|| unknown_command(word))?,
    };
    // Asking for help works whatever else is wrong with the line.
    if given.help {
        return Ok(CliCommand::Help(topic));
    }
    if given.version || verb.as_deref() == Some("version") {
        return Ok(CliCommand::Version);
    }
    if verb.as_deref() == Some("help") {
        return match words.next().as_deref() {
            None | Some("help" | "version") => Ok(CliCommand::Help(HelpTopic::General)),
            Some(word) => HelpTopic::named(word)
                .map(CliCommand::Help)
                .ok_or_else(|| unknown_command(word)),
        };
    }
    drop(words);
    command(topic, given)
}

fn command(topic: HelpTopic, mut given: GivenArguments) -> Result<CliCommand, UsageError> {
    let usage = |message: String| UsageError { message, topic };
    let misplaced = [
        (
            "--connect",
            "check",
            given.connect && topic != HelpTopic::Check,
        ),
        (
            "--running",
            "show-config",
            given.running && topic != HelpTopic::ShowConfig,
        ),
        (
            "--timestamp",
            "checkpoint set",
            given.timestamp.is_some() && topic != HelpTopic::Checkpoint,
        ),
        (
            "--last-identifier",
            "checkpoint set",
            given.last_identifier.is_some() && topic != HelpTopic::Checkpoint,
        ),
    ];
    if let Some((option, command, _)) = misplaced.iter().find(|(.., misplaced)| *misplaced) {
        return Err(usage(format!("`{option}` belongs to `{command}`")));
    }
    let others = ![HelpTopic::DeadLetters, HelpTopic::Admin, HelpTopic::Schema].contains(&topic);
    if let Some(option) = given.letters.any().filter(|_| others) {
        return Err(usage(format!("`--{option}` belongs to `dead-letters`")));
    }
    let config = given
        .config
        .take()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG_FILE));
    if topic == HelpTopic::Checkpoint {
        return Ok(CliCommand::Checkpoint {
            config,
            action: checkpoint(&given)?,
        });
    }
    if topic == HelpTopic::DeadLetters {
        let words = given.words.get(1..).unwrap_or_default();
        let (action, which, json) = dead_letters::parse(words, &given.letters)?;
        return Ok(CliCommand::DeadLetters {
            config,
            action,
            which,
            json,
        });
    }
    if topic == HelpTopic::Admin {
        let action = admin::parse(&given.words, &given.letters)?;
        return Ok(CliCommand::Admin { config, action });
    }
    if topic == HelpTopic::Schema {
        let words = given.words.get(1..).unwrap_or_default();
        let (action, table, json) = schema::parse(words, &given.letters)?;
        return Ok(CliCommand::Schema {
            config,
            action,
            table,
            json,
        });
    }
    if let Some(extra) = given.words.get(1) {
        return Err(usage(format!("one argument too many: {extra:?}")));
    }
    Ok(match topic {
        HelpTopic::Check => CliCommand::Check {
            config,
            connect: given.connect,
        },
        HelpTopic::ShowConfig if given.running => CliCommand::Admin {
            config,
            action: AdminAction::Config,
        },
        HelpTopic::ShowConfig => CliCommand::ShowConfig { config },
        HelpTopic::Reload => CliCommand::Reload { config },
        _ => CliCommand::Run { config },
    })
}

fn checkpoint(given: &GivenArguments) -> Result<CheckpointAction, UsageError> {
    let usage = |message: String| UsageError {
        message,
        topic: HelpTopic::Checkpoint,
    };
    let mut words = Vec::new();
    for word in given.words.iter().skip(1) {
        let word = word
            .to_str()
            .ok_or_else(|| usage(format!("{word:?} is not UTF-8")))?;
        words.push(word);
    }
    let (action, table) = match words[..] {
        [] => return Err(usage("`checkpoint` needs show, set or reset".to_owned())),
        [action] => (action, None),
        [action, table] => (action, Some(table)),
        [_, _, extra, ..] => return Err(usage(format!("one argument too many: {extra:?}"))),
    };
    let set_only = given.timestamp.is_some() || given.last_identifier.is_some();
    if action != "set" && set_only {
        let message = "`--timestamp` and `--last-identifier` belong to `checkpoint set`";
        return Err(usage(message.to_owned()));
    }
    let needed = || match table {
        Some(table) if !table.is_empty() => Ok(table.to_owned()),
        Some(_) | None => Err(usage(format!(
            "`checkpoint {action}` needs the name of a table"
        ))),
    };
    match action {
        "show" => Ok(CheckpointAction::Show {
            table: table.map(str::to_owned),
        }),
        "reset" => Ok(CheckpointAction::Reset { table: needed()? }),
        "set" => {
            let table = needed()?;
            let timestamp = given.timestamp.as_deref().and_then(OsStr::to_str);
            let Some(timestamp) = timestamp else {
                return Err(usage(
                    "`checkpoint set` needs `--timestamp TIME`".to_owned(),
                ));
            };
            let timestamp = time::parse(timestamp).map_err(usage)?;
            let last_identifier = match given.last_identifier.as_ref().map(|id| id.to_str()) {
                None => String::new(),
                Some(Some(id)) => id.to_owned(),
                Some(None) => return Err(usage("the identifier is not UTF-8".to_owned())),
            };
            Ok(CheckpointAction::Set {
                table,
                timestamp,
                last_identifier,
            })
        }
        other => Err(usage(format!(
            "`checkpoint {other}`: only show, set and reset are known"
        ))),
    }
}

fn gather(args: impl Iterator<Item = OsString>) -> Result<GivenArguments, UsageError> {
    let usage = |message: String| UsageError {
        message,
        topic: HelpTopic::General,
    };
    let mut given = GivenArguments::default();
    let mut parser = lexopt::Parser::from_args(args.map(double_dash));
    loop {
        let arg = match parser.next() {
            Ok(Some(arg)) => arg,
            Ok(None) => return Ok(given),
            Err(err) => return Err(usage(err.to_string())),
        };
        let mut option = None;
        match arg {
            Arg::Value(word) => given.words.push(word),
            Arg::Short('h') | Arg::Long("help") => given.help = true,
            Arg::Short('V') | Arg::Long("version") => given.version = true,
            Arg::Long("connect") => given.connect = true,
            Arg::Long("running") => given.running = true,
            Arg::Short('c') | Arg::Long("config") => option = Some("config"),
            Arg::Long("timestamp") => option = Some("timestamp"),
            Arg::Long("last-identifier") => option = Some("last-identifier"),
            Arg::Long(name) => {
                let is = |known: &&'static str| *known == name;
                if let Some(known) = dead_letters::DEAD_LETTER_SWITCHES.into_iter().find(is) {
                    given.letters.switches.push(known);
                } else {
                    option = dead_letters::DEAD_LETTER_VALUE_OPTIONS.into_iter().find(is);
                    if option.is_none() {
                        return Err(unknown_option(name));
                    }
                }
            }
            Arg::Short(letter) => return Err(usage(format!("unknown option `-{letter}`"))),
        }
        let Some(option) = option else { continue };
        let value = parser.value().map_err(|err| usage(err.to_string()))?;
        if value.is_empty() && option != "last-identifier" {
            return Err(usage(format!("`--{option}` needs a value")));
        }
        match option {
            "config" => given.config = Some(PathBuf::from(value)),
            "timestamp" => given.timestamp = Some(value),
            "last-identifier" => given.last_identifier = Some(value),
            other => {
                given.letters.values.insert(other, value);
            }
        }
    }
}

/// Go's flags take one dash or two; with one, lexopt would see a cluster of letters.
fn double_dash(arg: OsString) -> OsString {
    let bytes = arg.as_bytes();
    let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
    match name {
        b"-config" | b"-version" | b"-help" => {
            OsString::from_vec([b"-".as_slice(), bytes].concat())
        }
        _ => arg,
    }
}

fn unknown_option(name: &str) -> UsageError {
    let known = [
        "help",
        "version",
        "connect",
        "running",
        "config",
        "timestamp",
        "last-identifier",
    ];
    let known = known.into_iter().chain(dead_letters::DEAD_LETTER_SWITCHES);
    let known = known.chain(dead_letters::DEAD_LETTER_VALUE_OPTIONS);
    let guess = crate::config::names::closest(name, known);
    let guess = guess.map(|guess| format!(", did you mean `--{guess}`?"));
    UsageError {
        message: format!("unknown option `--{name}`{}", guess.unwrap_or_default()),
        topic: HelpTopic::General,
    }
}

fn unknown_command(word: &str) -> UsageError {
    let known = [
        "run",
        "check",
        "show-config",
        "checkpoint",
        "dead-letters",
        "schema",
        "version",
        "help",
    ];
    let known = known.into_iter().chain(admin::ADMIN_COMMANDS);
    let hint = match crate::config::names::closest(word, known) {
        Some(guess) => format!(", did you mean `{guess}`?"),
        None if word.contains(['.', '/']) => {
            format!("; a configuration is named with `--config {word}`")
        }
        None => String::new(),
    };
    UsageError {
        message: format!("unknown command `{word}`{hint}"),
        topic: HelpTopic::General,
    }
}

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Short id of the commit this was built from, or `unknown`.
pub const BUILD_REVISION: &str = match option_env!("SNKB_BUILD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Day of that commit, or `unknown`.
pub const BUILD_DATE: &str = match option_env!("SNKB_BUILD_DATE") {
    Some(date) => date,
    None => "unknown",
};

/// Target triple.
pub const BUILD_TARGET: &str = match option_env!("SNKB_BUILD_TARGET") {
    Some(target) => target,
    None => "unknown",
};

/// One line: name, version, commit, date, target.
pub fn version() -> String {
    format!("servicenow-kafka-bridge {VERSION} ({BUILD_REVISION} {BUILD_DATE}) {BUILD_TARGET}")
}
