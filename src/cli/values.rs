//! Values that a flag or an argument may have beyond texts: times, numbers, places of dead letters.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::input::{FromWord, text};
use crate::config::{parse_duration, whole_seconds};
use crate::verify::IdSlice;

/// A time in whole seconds since 1970-01-01 00:00:00 UTC, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpochSeconds(pub i64);

impl EpochSeconds {
    /// From epoch seconds, `YYYY-MM-DD HH:MM:SS` in UTC, or RFC 3339.
    ///
    /// # Errors
    /// It is no time, or one before 1970: with what may be written.
    pub fn parse(text: &str) -> Result<EpochSeconds, String> {
        let seconds = if is_number(text) {
            let seconds: Option<i64> = text.parse().ok();
            seconds.and_then(|seconds| Timestamp::from_second(seconds).ok())
        } else if let Ok(time) = text.parse::<Timestamp>() {
            Some(time)
        } else {
            let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text);
            time.and_then(|time| TimeZone::UTC.to_timestamp(time)).ok()
        };
        match seconds.map(Timestamp::as_second) {
            Some(seconds) if seconds >= 0 => Ok(EpochSeconds(seconds)),
            Some(_) => Err("is before 1970".to_owned()),
            None => Err(
                "is not a time; write epoch seconds, `2026-01-31 08:15:00` (UTC), \
                 `2026-01-31T08:15:00Z`, or how long ago it was, as `90m`, `2h` or `7d`"
                    .to_owned(),
            ),
        }
    }
}

/// A time on the command line: one of the clock, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointInTime {
    /// This second.
    At(EpochSeconds),
    /// So long before the command begins.
    Ago(Duration),
}

impl PointInTime {
    /// The second that is meant by a command that begins at `now`.
    pub fn resolve(self, now: EpochSeconds) -> EpochSeconds {
        match self {
            PointInTime::At(second) => second,
            PointInTime::Ago(time) => {
                let seconds = whole_seconds(time);
                EpochSeconds(now.0.saturating_sub(seconds).max(0))
            }
        }
    }
}

impl FromWord for PointInTime {
    /// As epoch seconds, a date and time, or a duration: `90m`, `2h`, `7d`.
    fn from_word(word: &OsStr) -> Result<PointInTime, String> {
        const DAY: u64 = 86_400;
        let text = text(word)?;
        if let Some(days) = text.strip_suffix('d').and_then(number::<u64>) {
            let seconds = days.saturating_mul(DAY);
            return Ok(PointInTime::Ago(Duration::from_secs(seconds)));
        }
        if text.ends_with(['h', 'm', 's'])
            && let Ok(time) = parse_duration(text)
        {
            return Ok(PointInTime::Ago(time));
        }
        EpochSeconds::parse(text).map(PointInTime::At)
    }
}

impl FromWord for Duration {
    fn from_word(word: &OsStr) -> Result<Duration, String> {
        let time = parse_duration(text(word)?);
        time.map_err(|_| "is no time such as `30s`, `2m` or `1h`".to_owned())
    }
}

impl FromWord for IdSlice {
    fn from_word(word: &OsStr) -> Result<IdSlice, String> {
        let slice = IdSlice::parse(text(word)?);
        slice.ok_or_else(|| "is no span such as `00..40` or `c0..`".to_owned())
    }
}

impl FromWord for NonZeroU64 {
    fn from_word(word: &OsStr) -> Result<NonZeroU64, String> {
        let number = text(word)?.parse();
        number.map_err(|_| "is no number from 1 on".to_owned())
    }
}

/// The place of a dead letter in its topic, written `PARTITION:OFFSET`.
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

impl FromWord for DeadLetterPlace {
    fn from_word(word: &OsStr) -> Result<DeadLetterPlace, String> {
        let place = text(word)?.split_once(':').and_then(|(partition, offset)| {
            Some(DeadLetterPlace {
                partition: number(partition)?,
                offset: number(offset)?,
            })
        });
        place.ok_or_else(|| "is no `PARTITION:OFFSET`".to_owned())
    }
}

/// Places of dead letters: `PARTITION:OFFSET`, `PARTITION:FROM-TO`, or `FROM-TO` in every partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPlaces {
    /// The partition; `None`: all of them.
    pub partition: Option<i32>,
    /// The offsets, both ends included.
    pub offsets: RangeInclusive<i64>,
}

impl DeadLetterPlaces {
    fn parse(text: &str) -> Option<DeadLetterPlaces> {
        let (partition, offsets) = match text.split_once(':') {
            Some((partition, offsets)) => (Some(number(partition)?), offsets),
            None => (None, text),
        };
        let (from, to) = match offsets.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if partition.is_some() => (number(offsets)?, number(offsets)?),
            None => return None,
        };
        let offsets = from..=to;
        (from <= to).then_some(DeadLetterPlaces { partition, offsets })
    }
}

impl FromWord for DeadLetterPlaces {
    fn from_word(word: &OsStr) -> Result<DeadLetterPlaces, String> {
        DeadLetterPlaces::parse(text(word)?).ok_or_else(|| {
            "is none of `PARTITION:OFFSET`, `PARTITION:FROM-TO`, `FROM-TO`".to_owned()
        })
    }
}

/// A shell that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

impl Shell {
    const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        Shell::ALL.map(Shell::name).to_vec()
    }
}

impl FromWord for Shell {
    fn from_word(word: &OsStr) -> Result<Shell, String> {
        let mut all = Shell::ALL.into_iter();
        let found = all.find(|shell| word == shell.name());
        found.ok_or_else(|| "is not known".to_owned())
    }
}

/// What `probe` asks a running bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProbeQuestion {
    /// Whether its threads are alive and move: a bridge that is not should be started again.
    #[default]
    Live,
    /// Whether everything is reached and nothing is stuck or held: a bridge that is not waits.
    Ready,
}

impl ProbeQuestion {
    const ALL: [ProbeQuestion; 2] = [ProbeQuestion::Live, ProbeQuestion::Ready];

    fn word(self) -> &'static str {
        match self {
            ProbeQuestion::Live => "live",
            ProbeQuestion::Ready => "ready",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        ProbeQuestion::ALL.map(ProbeQuestion::word).to_vec()
    }

    /// The page of the port that answers it.
    pub fn path(self) -> &'static str {
        match self {
            ProbeQuestion::Live => "/healthz",
            ProbeQuestion::Ready => "/readyz",
        }
    }
}

impl FromWord for ProbeQuestion {
    fn from_word(word: &OsStr) -> Result<ProbeQuestion, String> {
        let mut all = ProbeQuestion::ALL.into_iter();
        let found = all.find(|question| word == question.word());
        found.ok_or_else(|| "is not known".to_owned())
    }
}

/// One of the manual pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ManualPage {
    /// servicenow-kafka-bridge(1): every command and flag.
    #[default]
    Program,
    /// servicenow-kafka-bridge-config(5): every key of the configuration.
    Config,
    /// servicenow-kafka-bridge(7): how it works, and where its files are.
    Overview,
}

impl ManualPage {
    const ALL: [ManualPage; 3] = [
        ManualPage::Program,
        ManualPage::Config,
        ManualPage::Overview,
    ];

    fn word(self) -> &'static str {
        match self {
            ManualPage::Program => "program",
            ManualPage::Config => "config",
            ManualPage::Overview => "overview",
        }
    }

    pub(super) fn names() -> Vec<&'static str> {
        ManualPage::ALL.map(ManualPage::word).to_vec()
    }
}

impl FromWord for ManualPage {
    fn from_word(word: &OsStr) -> Result<ManualPage, String> {
        let mut all = ManualPage::ALL.into_iter();
        let found = all.find(|page| word == page.word());
        found.ok_or_else(|| "is not known".to_owned())
    }
}

/// Where a bridge listens, written `HOST:PORT`, or `:PORT` for this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeAddress(pub String);

impl FromWord for BridgeAddress {
    fn from_word(word: &OsStr) -> Result<BridgeAddress, String> {
        let address = text(word)?;
        let port = address.rsplit_once(':').and_then(|(_, port)| number(port));
        match port {
            None | Some(0_u16) => Err("has no port; write for example `127.0.0.1:8080`".to_owned()),
            Some(_) => Ok(BridgeAddress(address.to_owned())),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of digits alone: the parser of the standard library would take a sign too.
fn number<T: FromStr>(text: &str) -> Option<T> {
    if is_number(text) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form() {
        let parse = |text: &str| PointInTime::from_word(OsStr::new(text));
        for (text, expected) in [
            ("0", 0),
            ("1706140800", 1_706_140_800),
            ("2024-01-25 00:00:00", 1_706_140_800),
            ("2024-01-25T00:00:00Z", 1_706_140_800),
            ("2024-01-25T01:00:00+01:00", 1_706_140_800),
            ("2024-01-25 00:00:00.9Z", 1_706_140_800),
        ] {
            let expected = PointInTime::At(EpochSeconds(expected));
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for (text, ago) in [
            ("90m", 5_400),
            ("1h30m", 5_400),
            ("7d", 604_800),
            ("30s", 30),
        ] {
            let time = parse(text).unwrap();
            assert_eq!(time, PointInTime::Ago(Duration::from_secs(ago)), "{text}");
            let now = EpochSeconds(1_000_000);
            let second = 1_000_000 - i64::try_from(ago).unwrap();
            assert_eq!(time.resolve(now), EpochSeconds(second), "{text}");
        }
        for bad in [
            "",
            "d",
            "-1h",
            "+1d",
            "1w",
            "-1",
            "yesterday",
            "2024-01-25",
            "2024-02-30 00:00:00",
            "1969-01-01 00:00:00",
            "99999999999999999999",
            "9999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
