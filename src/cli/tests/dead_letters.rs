//! Command lines of `dead-letters`.

use std::num::NonZeroU64;

use super::*;

fn action(text: &str) -> Result<DeadLetterAction, String> {
    match line(&format!("dead-letters {text}")) {
        Ok(CliCommand::DeadLetters(action)) => Ok(action),
        Ok(other) => panic!("{text}: {other:?}"),
        Err(usage) => Err(usage.to_string()),
    }
}

#[test]
fn actions() {
    let filter = DeadLetterFilter::default;
    let list = |all, json| DeadLetterAction::List(filter(), ListOptions { all, json });
    let show = |partition, offset, json| {
        let place = DeadLetterPlace { partition, offset };
        DeadLetterAction::Show(ShowOptions { place, json })
    };
    let replay = |dry_run, direct, json| {
        let options = ReplayOptions {
            dry_run,
            direct,
            json,
        };
        DeadLetterAction::Replay(filter(), options)
    };
    let drop = |all, dry_run| {
        let options = DropOptions {
            all,
            dry_run,
            ..DropOptions::default()
        };
        DeadLetterAction::Drop(filter(), options)
    };
    for (text, expected) in [
        ("list", list(false, false)),
        ("list --all --json", list(true, true)),
        ("show 0:12", show(0, 12, false)),
        ("--json show 3:4", show(3, 4, true)),
        ("replay", replay(false, false, false)),
        ("replay --dry-run --json", replay(true, false, true)),
        ("replay --direct", replay(false, true, false)),
        ("drop --all", drop(true, false)),
        ("drop --dry-run", drop(false, true)),
    ] {
        assert_eq!(action(text), Ok(expected), "{text}");
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
        since: Some(PointInTime::At(EpochSeconds(1_706_140_800))),
        until: Some(PointInTime::At(EpochSeconds(1_706_227_200))),
        key: Some("K".to_owned()),
        places: Some(DeadLetterPlaces {
            partition: Some(1),
            offsets: 5..=9,
        }),
        limit: NonZeroU64::new(3),
    };
    let options = ListOptions {
        all: false,
        json: false,
    };
    assert_eq!(action(text), Ok(DeadLetterAction::List(expected, options)));
    for (text, partition, offsets) in [("0:7", Some(0), 7..=7), ("7-8", None, 7..=8)] {
        let Ok(DeadLetterAction::Drop(filter, _)) = action(&format!("drop --offset {text}")) else {
            panic!("{text}");
        };
        assert_eq!(filter.places, Some(DeadLetterPlaces { partition, offsets }));
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
            "`--table` belongs to `dead-letters list`, `dead-letters replay` and \
             `dead-letters drop`, not to `dead-letters show`",
        ),
        (
            "list --dry-run",
            "`--dry-run` belongs to `dead-letters replay` and `dead-letters drop`, not to \
             `dead-letters list`",
        ),
        (
            "replay --all",
            "`--all` belongs to `dead-letters list` and `dead-letters drop`, not to \
             `dead-letters replay`",
        ),
        ("drop", "say which with a filter, or `--all`"),
        ("drop --json", "say which with a filter, or `--all`"),
        (
            "list --kind nonsuch",
            "`--kind nonsuch` is none of invalid_json, ",
        ),
        (
            "drop --direct",
            "`--direct` belongs to `dead-letters replay`, not to `dead-letters drop`",
        ),
        ("list --offset 12", "`--offset 12` is none of"),
        ("list --offset 0:9-5", "`--offset 0:9-5` is none of"),
        ("list --offset 0:+5", "`--offset 0:+5` is none of"),
        ("list --offset -1:5", "is none of"),
        ("list --limit 0", "`--limit 0` is no number from 1 on"),
        ("list --since soon", "`--since soon` is not a time"),
        ("list --tabel t", "did you mean `--table`?"),
        ("list --table=", "`--table` needs a value"),
        ("list --connect", "`--connect` belongs to `check`"),
    ] {
        let error = action(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    let error = line("check --all").unwrap_err().to_string();
    assert!(
        error.starts_with("`--all` belongs to `dead-letters`"),
        "{error}"
    );
}
