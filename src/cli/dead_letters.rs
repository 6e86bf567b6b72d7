//! `dead-letters`: which letters, and what to do with them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;

use super::{HelpTopic, UsageError, time};
use crate::sink::dead_letter::REFUSAL_KINDS;

/// Options with a value.
pub(super) const DEAD_LETTER_VALUE_OPTIONS: [&str; 8] = [
    "table", "topic", "kind", "since", "until", "key", "offset", "limit",
];
/// Options without one.
pub(super) const DEAD_LETTER_SWITCHES: [&str; 4] = ["all", "dry-run", "json", "direct"];

/// The kind of what is no letter.
pub(crate) const UNREADABLE_KIND: &str = "unreadable";

/// What to do with dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterAction {
    /// Print a line for each.
    List {
        /// Also those that are done.
        all: bool,
    },
    /// Print all of one.
    Show {
        /// Its place.
        place: DeadLetterPlace,
    },
    /// Send the records again.
    Replay {
        /// Only say what would be sent.
        dry_run: bool,
        /// To the instance instead of the topic.
        direct: bool,
    },
    /// Mark them as done: those of a filter, or all if that was said.
    Drop {
        /// Only say which.
        dry_run: bool,
    },
}

/// The place of a letter in the dead letter topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterPlace {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl std::fmt::Display for DeadLetterPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// Which letters. What is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterFilter {
    /// The table it was for.
    pub table: Option<String>,
    /// The topic the record was in.
    pub topic: Option<String>,
    /// Kind of the error.
    pub kind: Option<String>,
    /// Written at this time or later, epoch seconds.
    pub since: Option<i64>,
    /// Written before this time, epoch seconds.
    pub until: Option<i64>,
    /// Key of the record.
    pub key: Option<String>,
    /// Partition of the letter.
    pub partition: Option<i32>,
    /// Offsets of the letter.
    pub offsets: Option<RangeInclusive<i64>>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// The options of this command as they were given.
#[derive(Default)]
pub(super) struct GivenOptions {
    pub(super) values: BTreeMap<&'static str, OsString>,
    pub(super) switches: Vec<&'static str>,
}

impl GivenOptions {
    /// Any option, for a command that takes none of them.
    pub(super) fn any(&self) -> Option<&'static str> {
        let switch = self.switches.first().copied();
        self.values.keys().next().copied().or(switch)
    }
}

fn usage(message: impl Into<String>) -> UsageError {
    UsageError {
        message: message.into(),
        topic: HelpTopic::DeadLetters,
    }
}

/// What to do, with which letters, and whether as JSON.
pub(super) fn parse(
    words: &[OsString],
    given: &GivenOptions,
) -> Result<(DeadLetterAction, DeadLetterFilter, bool), UsageError> {
    let mut texts = Vec::new();
    for word in words {
        texts.push(text(word)?);
    }
    let (verb, place) = match texts[..] {
        [] => return Err(usage("`dead-letters` needs list, show, replay or drop")),
        [verb] => (verb, None),
        ["show", place] => ("show", Some(place)),
        ["show", _, extra, ..] | [_, extra, ..] => {
            return Err(usage(format!("one argument too many: {extra:?}")));
        }
    };
    let on = |name: &str| given.switches.contains(&name);
    let action = match verb {
        "list" => DeadLetterAction::List { all: on("all") },
        "show" => DeadLetterAction::Show {
            place: place
                .and_then(one_place)
                .ok_or_else(|| usage("`dead-letters show` needs a place such as `0:12`"))?,
        },
        "replay" => DeadLetterAction::Replay {
            dry_run: on("dry-run"),
            direct: on("direct"),
        },
        "drop" => DeadLetterAction::Drop {
            dry_run: on("dry-run"),
        },
        other => {
            let message =
                format!("`dead-letters {other}`: only list, show, replay and drop are known");
            return Err(usage(message));
        }
    };
    check(verb, given)?;
    if verb == "drop" && given.values.is_empty() && !on("all") && !on("dry-run") {
        let message = "`dead-letters drop` gives letters up: say which with a filter, or `--all`";
        return Err(usage(message));
    }
    Ok((action, which(given)?, on("json")))
}

/// Refuses options that another action has.
fn check(verb: &str, given: &GivenOptions) -> Result<(), UsageError> {
    let belongs = |name: &str| match name {
        "all" => matches!(verb, "list" | "show" | "drop"),
        "dry-run" => matches!(verb, "replay" | "drop"),
        "direct" => verb == "replay",
        "json" => true,
        _ => verb != "show",
    };
    let mut names = given.values.keys().chain(&given.switches);
    names.find(|name| !belongs(name)).map_or(Ok(()), |name| {
        Err(usage(format!("`dead-letters {verb}` takes no `--{name}`")))
    })
}

fn which(given: &GivenOptions) -> Result<DeadLetterFilter, UsageError> {
    let value = |name: &str| given.values.get(name).map(text).transpose();
    let owned = |name: &str| Ok(value(name)?.map(str::to_owned));
    let moment = |name: &str| {
        let parsed = value(name)?.map(|text| time::parse(text).map_err(usage));
        parsed.transpose()
    };
    let limit = |text: &str| {
        let number = text.parse().ok().filter(|number| 0 < *number);
        number.ok_or_else(|| usage(format!("`--limit {text}` is no number from 1 on")))
    };
    let places = value("offset")?.map(|text| {
        places(text).ok_or_else(|| {
            usage(format!(
                "`--offset {text}` is none of `PARTITION:OFFSET`, `PARTITION:FROM-TO`, `FROM-TO`"
            ))
        })
    });
    let (partition, offsets) = places.transpose()?.unzip();
    Ok(DeadLetterFilter {
        table: owned("table")?,
        topic: owned("topic")?,
        kind: value("kind")?.map(kind).transpose()?,
        since: moment("since")?,
        until: moment("until")?,
        key: owned("key")?,
        partition: partition.flatten(),
        offsets,
        limit: value("limit")?.map(limit).transpose()?,
    })
}

fn text(word: &OsString) -> Result<&str, UsageError> {
    word.to_str()
        .ok_or_else(|| usage(format!("{word:?} is not UTF-8")))
}

/// A kind that no letter has is a slip, and would find nothing.
fn kind(word: &str) -> Result<String, UsageError> {
    match REFUSAL_KINDS.contains(&word) || word == UNREADABLE_KIND {
        true => Ok(word.to_owned()),
        false => Err(usage(format!(
            "`--kind {word}` is none of {}, {UNREADABLE_KIND}",
            REFUSAL_KINDS.join(", ")
        ))),
    }
}

/// `0:12`.
fn one_place(text: &str) -> Option<DeadLetterPlace> {
    let (partition, offset) = text.split_once(':')?;
    Some(DeadLetterPlace {
        partition: digits(partition)?,
        offset: digits(offset)?,
    })
}

/// `0:12`, `0:12-20` or `12-20`.
fn places(text: &str) -> Option<(Option<i32>, RangeInclusive<i64>)> {
    let (partition, offsets) = match text.split_once(':') {
        Some((partition, offsets)) => (Some(digits(partition)?), offsets),
        None => (None, text),
    };
    let (from, to) = match offsets.split_once('-') {
        Some((from, to)) => (digits(from)?, digits(to)?),
        None if partition.is_some() => (digits(offsets)?, digits(offsets)?),
        None => return None,
    };
    (from <= to).then_some((partition, from..=to))
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::CliCommand;

    fn line(text: &str) -> Result<(DeadLetterAction, DeadLetterFilter, bool), String> {
        let words = text.split_whitespace().map(OsString::from);
        let words = [OsString::from("dead-letters")].into_iter().chain(words);
        match crate::cli::parse(words) {
            Ok(CliCommand::DeadLetters {
                config,
                action,
                which,
                json,
            }) => {
                assert_eq!(config, PathBuf::from("config.yaml"));
                Ok((action, which, json))
            }
            Ok(other) => panic!("{text}: {other:?}"),
            Err(usage) => Err(usage.to_string()),
        }
    }

    #[test]
    fn actions() {
        let replay = |dry_run, direct| DeadLetterAction::Replay { dry_run, direct };
        let show = |partition, offset| DeadLetterAction::Show {
            place: DeadLetterPlace { partition, offset },
        };
        for (text, action, json) in [
            ("list", DeadLetterAction::List { all: false }, false),
            (
                "list --all --json",
                DeadLetterAction::List { all: true },
                true,
            ),
            ("show 0:12", show(0, 12), false),
            ("--json show 3:4", show(3, 4), true),
            ("replay", replay(false, false), false),
            ("replay --dry-run --json", replay(true, false), true),
            ("replay --direct", replay(false, true), false),
            (
                "drop --all",
                DeadLetterAction::Drop { dry_run: false },
                false,
            ),
            (
                "drop --dry-run",
                DeadLetterAction::Drop { dry_run: true },
                false,
            ),
        ] {
            assert_eq!(
                line(text),
                Ok((action, DeadLetterFilter::default(), json)),
                "{text}"
            );
        }
    }

    #[test]
    fn the_help_names_every_kind() {
        let help = crate::cli::help(HelpTopic::DeadLetters);
        let known = |word: &str| help.split([' ', ',', ';', ':', '\n']).any(|it| it == word);
        for kind in REFUSAL_KINDS.iter().chain([&UNREADABLE_KIND]) {
            assert!(known(kind), "{kind}");
        }
    }

    #[test]
    fn filters() {
        let text = "list --table incident --topic t --kind forbidden --since 1706140800 \
                    --until 2024-01-26T00:00:00Z --key K --offset 1:5-9 --limit 3";
        let expected = DeadLetterFilter {
            table: Some("incident".to_owned()),
            topic: Some("t".to_owned()),
            kind: Some("forbidden".to_owned()),
            since: Some(1_706_140_800),
            until: Some(1_706_227_200),
            key: Some("K".to_owned()),
            partition: Some(1),
            offsets: Some(5..=9),
            limit: Some(3),
        };
        assert_eq!(line(text).unwrap().1, expected);
        for (text, partition, offsets) in [("0:7", Some(0), 7..=7), ("7-8", None, 7..=8)] {
            let which = line(&format!("drop --offset {text}")).unwrap().1;
            assert_eq!((which.partition, which.offsets), (partition, Some(offsets)));
        }
    }

    #[test]
    fn what_makes_no_sense() {
        for (text, words) in [
            ("", "`dead-letters` needs list, show, replay or drop"),
            (
                "lst",
                "`dead-letters lst`: only list, show, replay and drop are known",
            ),
            ("list more", "one argument too many: \"more\""),
            ("show", "`dead-letters show` needs a place such as `0:12`"),
            ("show 12", "needs a place such as `0:12`"),
            ("show 0:1 2", "one argument too many: \"2\""),
            (
                "show 0:1 --table t",
                "`dead-letters show` takes no `--table`",
            ),
            ("list --dry-run", "`dead-letters list` takes no `--dry-run`"),
            ("replay --all", "`dead-letters replay` takes no `--all`"),
            ("drop", "say which with a filter, or `--all`"),
            ("drop --json", "say which with a filter, or `--all`"),
            (
                "list --kind nonsuch",
                "`--kind nonsuch` is none of invalid_json, ",
            ),
            ("drop --direct", "`dead-letters drop` takes no `--direct`"),
            ("list --offset 12", "`--offset 12` is none of"),
            ("list --offset 0:9-5", "`--offset 0:9-5` is none of"),
            ("list --offset 0:+5", "`--offset 0:+5` is none of"),
            ("list --offset -1:5", "is none of"),
            ("list --limit 0", "`--limit 0` is no number from 1 on"),
            ("list --since soon", "\"soon\" is not a time"),
            ("list --tabel t", "did you mean `--table`?"),
            ("list --table=", "`--table` needs a value"),
            ("list --connect", "`--connect` belongs to `check`"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let words = ["check", "--all"].map(OsString::from);
        let error = crate::cli::parse(words.into_iter())
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("`--all` belongs to `dead-letters`"),
            "{error}"
        );
    }
}
