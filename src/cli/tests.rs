//! Command lines in, commands and words out.

use expect_test::{Expect, expect};

use super::*;

fn line(text: &str) -> Result<CliCommand, UsageError> {
    parse(text.split_whitespace().map(OsString::from))
}

fn check(text: &str, expected: &CliCommand) {
    assert_eq!(line(text).as_ref(), Ok(expected), "{text}");
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes values")]
fn refused(text: &str, expected: Expect) {
    match line(text) {
        Ok(command) => panic!("{text}: {command:?}"),
        Err(usage) => expected.assert_eq(&usage.to_string()),
    }
}

#[test]
fn run_is_the_default() {
    let run = |config: &str| CliCommand::Run {
        config: PathBuf::from(config),
    };
    check("", &run("config.yaml"));
    check("run", &run("config.yaml"));
    for text in [
        "-c x",
        "-cx",
        "--config x",
        "--config=x",
        "-config x",
        "-config=x",
        "run -c x",
        "-c x run",
    ] {
        check(text, &run("x"));
    }
    check("-c -config=y", &run("--config=y"));
    check("-config a -config b", &run("b"));
}

#[test]
fn a_path_may_be_any_bytes() {
    let args = [OsString::from_vec(b"-config=\xff".to_vec())];
    let config = PathBuf::from(OsString::from_vec(b"\xff".to_vec()));
    assert_eq!(parse(args.into_iter()), Ok(CliCommand::Run { config }));
}

#[test]
fn commands() {
    let config = PathBuf::from("config.yaml");
    check(
        "check",
        &CliCommand::Check {
            config: config.clone(),
            connect: false,
        },
    );
    check(
        "--connect check",
        &CliCommand::Check {
            config: config.clone(),
            connect: true,
        },
    );
    check("show-config", &CliCommand::ShowConfig { config });
    for text in ["version", "-version", "--version", "-V", "check -V"] {
        check(text, &CliCommand::Version);
    }
    for text in [
        "help",
        "-h",
        "--help",
        "-help",
        "help help",
        "version --help",
    ] {
        check(text, &CliCommand::Help(HelpTopic::General));
    }
    check("help check", &CliCommand::Help(HelpTopic::Check));
    check(
        "checkpoint set --help",
        &CliCommand::Help(HelpTopic::Checkpoint),
    );
    check(
        "help dead-letters",
        &CliCommand::Help(HelpTopic::DeadLetters),
    );
}

#[test]
fn questions_to_a_running_bridge() {
    let check = |text: &str, action| {
        let config = PathBuf::from("config.yaml");
        check(text, &CliCommand::Admin { config, action });
    };
    let name = || "incident".to_owned();
    check("status", AdminAction::Status { json: false });
    check("--json status", AdminAction::Status { json: true });
    check("threads --json", AdminAction::Threads { json: true });
    check("pause incident", AdminAction::Pause(name()));
    check("resume incident", AdminAction::Resume(name()));
    check("poll incident", AdminAction::Poll(name()));
    check("refresh-token", AdminAction::RefreshToken);
    check("log-level debug", AdminAction::LogLevel("debug".to_owned()));
    check("show-config --running", AdminAction::Config);
    assert_eq!(line("help pause"), Ok(CliCommand::Help(HelpTopic::Admin)));
    assert_eq!(line("help admin"), Ok(CliCommand::Help(HelpTopic::Admin)));
    for (text, words) in [
        (
            "pause",
            "`pause` needs the name of a table or of a topic of the sink",
        ),
        ("poll", "`poll` needs the name of a table"),
        ("poll a b", "one argument too many: \"b\""),
        (
            "log-level",
            "`log-level` needs one of error, warn, info, debug, trace",
        ),
        (
            "log-level loud",
            "`log-level` needs one of error, warn, info, debug, trace",
        ),
        ("pause a --json", "`--json` does not belong to `pause`"),
        ("status --all", "`--all` does not belong to `status`"),
        (
            "admin",
            "`admin` is no command: it is one of status, threads, pause, resume",
        ),
        ("run --running", "`--running` belongs to `show-config`"),
        ("statsu", "unknown command `statsu`, did you mean `status`?"),
    ] {
        let usage = line(text).unwrap_err().to_string();
        assert!(usage.starts_with(words), "{text}: {usage}");
    }
}

#[test]
fn checkpoints() {
    let check = |text: &str, action| {
        check(
            text,
            &CliCommand::Checkpoint {
                config: PathBuf::from("config.yaml"),
                action,
            },
        );
    };
    let incident = || "incident".to_owned();
    check("checkpoint show", CheckpointAction::Show { table: None });
    check(
        "checkpoint show incident",
        CheckpointAction::Show {
            table: Some(incident()),
        },
    );
    check(
        "checkpoint reset incident",
        CheckpointAction::Reset { table: incident() },
    );
    let set = |last_identifier: &str| CheckpointAction::Set {
        table: incident(),
        timestamp: 1_706_140_800,
        last_identifier: last_identifier.to_owned(),
    };
    check("checkpoint set incident --timestamp 1706140800", set(""));
    check(
        "checkpoint set incident --timestamp=2024-01-25T00:00:00Z",
        set(""),
    );
    check(
        "checkpoint --last-identifier abc set incident --timestamp 1706140800",
        set("abc"),
    );
}

#[test]
fn usage_errors() {
    refused(
        "chek",
        expect![[r#"
        unknown command `chek`, did you mean `check`?
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "my.yaml",
        expect![[r#"
        unknown command `my.yaml`; a configuration is named with `--config my.yaml`
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "frobnicate",
        expect![[r#"
        unknown command `frobnicate`
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "--conect check",
        expect![[r#"
        unknown option `--conect`, did you mean `--connect`?
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "-x",
        expect![[r#"
        unknown option `-x`
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "--config",
        expect![[r#"
        missing argument for option '--config'
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "--config=",
        expect![[r#"
        `--config` needs a value
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "--version=1",
        expect![[r#"
        unexpected argument for option '--version': "1"
        try `servicenow-kafka-bridge help`"#]],
    );
    refused(
        "run --connect",
        expect![[r#"
        `--connect` belongs to `check`
        try `servicenow-kafka-bridge help run`"#]],
    );
    refused(
        "run now",
        expect![[r#"
        one argument too many: "now"
        try `servicenow-kafka-bridge help run`"#]],
    );
    refused(
        "check --timestamp 5",
        expect![[r#"
        `--timestamp` belongs to `checkpoint set`
        try `servicenow-kafka-bridge help check`"#]],
    );
    refused(
        "checkpoint",
        expect![[r#"
        `checkpoint` needs show, set or reset
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint delete",
        expect![[r#"
        `checkpoint delete`: only show, set and reset are known
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint reset",
        expect![[r#"
        `checkpoint reset` needs the name of a table
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint show a b",
        expect![[r#"
        one argument too many: "b"
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint set a",
        expect![[r#"
        `checkpoint set` needs `--timestamp TIME`
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint set a --timestamp yesterday",
        expect![[r#"
        "yesterday" is not a time; write epoch seconds, `2026-01-31 08:15:00` (UTC) or `2026-01-31T08:15:00Z`
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint reset a --timestamp 5",
        expect![[r#"
        `--timestamp` and `--last-identifier` belong to `checkpoint set`
        try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "help chek",
        expect![[r#"
        unknown command `chek`, did you mean `check`?
        try `servicenow-kafka-bridge help`"#]],
    );
}

#[test]
fn help_names_every_command_and_exit_code() {
    for word in [
        "run",
        "check",
        "show-config",
        "checkpoint",
        "dead-letters",
        "status",
        "pause",
        "version",
        "help",
    ] {
        assert!(help(HelpTopic::General).contains(word), "{word}");
    }
    for code in ["0 ", "1 ", "64 ", "70 ", "75 ", "78 "] {
        assert!(
            help(HelpTopic::General).contains(&format!("\n  {code}")),
            "{code}"
        );
    }
    for topic in [
        HelpTopic::General,
        HelpTopic::Run,
        HelpTopic::Check,
        HelpTopic::ShowConfig,
        HelpTopic::Checkpoint,
        HelpTopic::Schema,
        HelpTopic::DeadLetters,
        HelpTopic::Admin,
    ] {
        assert!(
            help(topic).lines().all(|line| line.len() <= 100),
            "{topic:?}"
        );
        assert!(help(topic).ends_with('\n'), "{topic:?}");
        assert!(help(topic).contains("example"), "{topic:?}");
    }
}

#[test]
fn version_is_one_line() {
    let version = version();
    let parts: Vec<&str> = version.split(' ').collect();
    assert_eq!(parts.len(), 5, "{version}");
    assert_eq!(parts[..2], ["servicenow-kafka-bridge", VERSION]);
}

#[test]
fn schemas() {
    let schema = |action, json| CliCommand::Schema {
        config: PathBuf::from("config.yaml"),
        action,
        table: "incident".to_owned(),
        json,
    };
    check("schema show incident", &schema(SchemaAction::Show, false));
    check(
        "--json schema diff incident",
        &schema(SchemaAction::Diff, true),
    );
    check(
        "schema register incident",
        &schema(SchemaAction::Register, false),
    );
    check("schema show --help", &CliCommand::Help(HelpTopic::Schema));
    for (text, words) in [
        ("schema", "needs show, diff or register"),
        ("schema show", "`schema show` needs the name of a table"),
        ("schema drop x", "only show, diff and register are known"),
        ("schema show a b", "one argument too many"),
        (
            "schema show a --all --json",
            "`--all` belongs to `dead-letters`",
        ),
        (
            "schema show a --table b",
            "`--table` belongs to `dead-letters`",
        ),
        ("schema show a --connect", "`--connect` belongs to `check`"),
        ("schem show a", "did you mean `schema`?"),
    ] {
        let usage = line(text).unwrap_err().to_string();
        assert!(usage.contains(words), "{text}: {usage}");
    }
}
