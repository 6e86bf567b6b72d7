//! Texts that are no YAML, or no configuration: where it is, and what to look at.

use super::*;

fn refused_with(text: &str, words: &[&str]) {
    let problems = parse(text, &env).unwrap_err().to_string();
    for word in words {
        assert!(problems.contains(word), "no `{word}` in {problems}");
    }
}

#[test]
fn slips_of_yaml_are_told_with_their_place() {
    let neighbours = "indented as its neighbours";
    for (text, words) in [
        (
            "kafka:\n  linger: 1s\n   brokers: [a]\n",
            &["config.yaml:3:", "column 11", neighbours][..],
        ),
        (
            "kafka:\n    linger: 1s\n  brokers: [a]\n",
            &["config.yaml:3:", "column 3", neighbours],
        ),
        ("kafka:\n  - a\n   b: c\n", &["config.yaml:3:", neighbours]),
        (
            "kafka:\n  sasl: {username: a\n  linger: 1s\n",
            &["config.yaml:3:", "column", "closing `]` or `}`"],
        ),
        (
            "kafka:\n  linger: a: b\n",
            &["config.yaml:2:", "holds `: ` in quotes"],
        ),
        (
            "kafka:\n  linger: 'it's'\n",
            &["config.yaml:2:", "written twice"],
        ),
        (
            "kafka:\n  linger: \"1s\n  brokers: [a]\nsource: x\n",
            &["config.yaml:2:", "opens here in column 11", "not closed"],
        ),
        ("kafka:\n\tlinger: 1s\n", &["config.yaml:2:", "tab"]),
        (
            "kafka:\n  linger: 1s\n\u{a0} brokers: [a]\n",
            &["config.yaml:3:", "no-break space (U+00A0) in column 1"],
        ),
        (
            "kafka:\n  linger: 1s\n  bro\u{200b}kers: [a]\n",
            &["config.yaml:3:", "zero-width space (U+200B) in column 4"],
        ),
    ] {
        refused_with(text, words);
    }
}

/// Some editors put a byte order mark in front.
#[test]
fn a_byte_order_mark_takes_no_line_away() {
    let text = format!(
        "\u{feff}{}",
        least_with("[localhost:9092]", "[localhost:no]")
    );
    let line = text
        .lines()
        .position(|line| line.contains("[localhost:no]"));
    let place = format!("config.yaml:{}:", line.unwrap() + 1);
    refused_with(&text, &[&place]);
    refused_with("\u{feff}kafka:\n\tlinger: 1s\n", &["config.yaml:2:"]);
}

/// A file that was named by mistake may hold secrets.
#[test]
fn what_is_no_configuration_is_not_quoted() {
    for text in [
        "root:$6$topsecret:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
        "topsecret: x\ntopsecret: y\n",
        "TOKEN=topsecret\n",
        "- topsecret\n",
        "-----BEGIN PRIVATE KEY-----\ntopsecret\n-----END PRIVATE KEY-----\n",
        "a: *topsecret\n",
        "a: !topsecret b\n",
        "%topsecret x\n",
        "topsecret: \"b\n",
        "topsecret: b: c\n",
        "{topsecret: [\n",
    ] {
        let problems = parse(text, &env).unwrap_err().to_string();
        assert!(!problems.contains("topsecret"), "{text}: {problems}");
        assert!(problems.ends_with("1 problem"), "{text}: {problems}");
    }
    refused_with(
        "a: 1\n",
        &["is no configuration of this bridge", "--config"],
    );
}
