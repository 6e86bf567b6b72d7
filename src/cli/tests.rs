//! Command lines in, commands and words out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use expect_test::{Expect, expect};

use super::*;

fn invocation(text: &str) -> Result<Invocation, UsageError> {
    parse(text.split_whitespace().map(OsString::from))
}

/// The command of a line that names no configuration.
fn line(text: &str) -> Result<CliCommand, UsageError> {
    let invocation = invocation(text)?;
    assert_eq!(invocation.config, None, "{text}");
    Ok(invocation.command)
}

fn topic(command: &str) -> CliCommand {
    let page = parse::find(command).unwrap();
    CliCommand::Help(HelpTopic(Some(page.name.to_owned())))
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
    let check = |text: &str, config: Option<&str>| {
        let expected = Invocation {
            config: config.map(PathBuf::from),
            command: CliCommand::Run,
        };
        assert_eq!(invocation(text), Ok(expected), "{text}");
    };
    check("", None);
    check("run", None);
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
        check(text, Some("x"));
    }
    check("-c -config=y", Some("--config=y"));
    check("-config a -config b", Some("b"));
}

#[test]
fn a_path_may_be_any_bytes() {
    let args = [OsString::from_vec(b"-config=\xff".to_vec())];
    let config = PathBuf::from(OsString::from_vec(b"\xff".to_vec()));
    assert_eq!(
        parse(args.into_iter()).map(|it| it.config),
        Ok(Some(config))
    );
}

#[test]
fn commands() {
    check("check", &CliCommand::Check(CheckOptions { connect: false }));
    check(
        "--connect check",
        &CliCommand::Check(CheckOptions { connect: true }),
    );
    check("show-config", &CliCommand::ShowConfig);
    check("man", &CliCommand::Man(ManualPage::Program));
    check("man config", &CliCommand::Man(ManualPage::Config));
    check("completions zsh", &CliCommand::Completions(Shell::Zsh));
    for text in ["version", "-version", "--version", "-V", "check -V"] {
        check(text, &CliCommand::Version);
    }
    for text in ["help", "-h", "--help", "-help"] {
        check(text, &CliCommand::Help(HelpTopic(None)));
    }
    check("help help", &topic("help"));
    check("version --help", &topic("version"));
    check("help check", &topic("check"));
    check("checkpoint set --help", &topic("checkpoint"));
    check("help dead-letters", &topic("dead-letters"));
    check("help dead-letters replay", &topic("dead-letters"));
}

#[test]
fn questions_to_a_running_bridge() {
    let check = |text: &str, action| check(text, &CliCommand::Admin(action));
    let json = |json| JsonOption { json };
    let name = || "incident".to_owned();
    check("status", AdminAction::Status(json(false)));
    check("--json status", AdminAction::Status(json(true)));
    check("threads --json", AdminAction::Threads(json(true)));
    check("pause incident", AdminAction::Pause(name()));
    check("resume incident", AdminAction::Resume(name()));
    check("poll incident", AdminAction::Poll(name()));
    check(
        "deletes accept incident",
        AdminAction::Deletes {
            decision: "accept".to_owned(),
            table: name(),
        },
    );
    check("refresh-token", AdminAction::RefreshToken);
    check("log-level debug", AdminAction::LogLevel("debug".to_owned()));
    check("show-config --running", AdminAction::Config);
    assert_eq!(line("help pause"), Ok(topic("pause")));
    assert_eq!(line("help admin"), Ok(topic("admin")));
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
        (
            "pause a --json",
            "`--json` belongs to `doctor`, `dead-letters`, `schema`, `verify`, `status` and `threads`, not to `pause`",
        ),
        (
            "status --all",
            "`--all` belongs to `dead-letters`, not to `status`",
        ),
        (
            "admin",
            "`admin` is no command: it is one of status, threads, pause, resume",
        ),
        ("run --running", "`--running` belongs to `show-config`"),
        ("completions", "`completions` needs one of bash, zsh, fish"),
        (
            "completions tcsh",
            "`completions` needs one of bash, zsh, fish",
        ),
        ("statsu", "unknown command `statsu`, did you mean `status`?"),
    ] {
        let usage = line(text).unwrap_err().to_string();
        assert!(usage.starts_with(words), "{text}: {usage}");
    }
}

#[test]
fn probes() {
    for (text, question, addr) in [
        ("probe", None, None),
        ("probe live", Some(ProbeQuestion::Live), None),
        (
            "probe ready --addr [::1]:80",
            Some(ProbeQuestion::Ready),
            Some("[::1]:80"),
        ),
        ("probe --addr=:8080", None, Some(":8080")),
    ] {
        let addr = addr.map(|addr| BridgeAddress(addr.to_owned()));
        check(text, &CliCommand::Probe(ProbeOptions { question, addr }));
    }
    for (text, words) in [
        ("probe alive", "`alive` is none of live, ready"),
        ("probe --addr 8080", "`--addr 8080` has no port"),
        ("probe --addr :0", "`--addr :0` has no port"),
        ("probe --addr a:70000", "`--addr a:70000` has no port"),
    ] {
        let usage = line(text).unwrap_err().to_string();
        assert!(usage.starts_with(words), "{text}: {usage}");
    }
}

#[test]
fn checkpoints() {
    let check = |text: &str, action| check(text, &CliCommand::Checkpoint(action));
    let incident = || "incident".to_owned();
    let show = |table| CheckpointAction::Show(CheckpointShowOptions { table });
    check("checkpoint show", show(None));
    check("checkpoint show incident", show(Some(incident())));
    check(
        "checkpoint reset incident",
        CheckpointAction::Reset(CheckpointResetOptions {
            table: incident(),
            take_over: false,
        }),
    );
    let file = || PathBuf::from("state.json");
    check(
        "checkpoint export state.json",
        CheckpointAction::Export(file()),
    );
    check(
        "checkpoint import --take-over state.json",
        CheckpointAction::Import(CheckpointImportOptions {
            file: file(),
            take_over: true,
        }),
    );
    for (text, identifier) in [
        ("--timestamp 1706140800", None),
        ("--timestamp=2024-01-25T00:00:00Z", None),
        ("--timestamp 1706140800 --last-identifier=", Some("")),
        ("--last-identifier abc --timestamp 1706140800", Some("abc")),
    ] {
        let command = line(&format!("checkpoint {text} set incident"));
        let Ok(CliCommand::Checkpoint(CheckpointAction::Set(set))) = command else {
            panic!("{text}: {command:?}");
        };
        assert_eq!(set.table, "incident", "{text}");
        let second = PointInTime::At(EpochSeconds(1_706_140_800));
        assert_eq!(set.timestamp, second, "{text}");
        assert_eq!(set.last_identifier.as_deref(), identifier, "{text}");
    }
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
        `--connect` belongs to `check`, not to `run`
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
        `--timestamp` belongs to `checkpoint set`, not to `check`
        try `servicenow-kafka-bridge help check`"#]],
    );
    refused(
        "checkpoint",
        expect![[r#"
            `checkpoint` needs show, set, reset, export or import
            try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint delete",
        expect![[r#"
            `checkpoint delete`: only show, set, reset, export and import are known
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
            `--timestamp yesterday` is not a time; write epoch seconds, `2026-01-31 08:15:00` (UTC), `2026-01-31T08:15:00Z`, or how long ago it was, as `90m`, `2h` or `7d`
            try `servicenow-kafka-bridge help checkpoint`"#]],
    );
    refused(
        "checkpoint reset a --timestamp 5",
        expect![[r#"
        `--timestamp` belongs to `checkpoint set`, not to `checkpoint reset`
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
fn version_is_one_line() {
    let version = version();
    let parts: Vec<&str> = version.split(' ').collect();
    assert_eq!(parts.len(), 5, "{version}");
    assert_eq!(parts[..2], ["servicenow-kafka-bridge", VERSION]);
}

#[test]
fn schemas() {
    let schema = |action, json| {
        let table = "incident".to_owned();
        CliCommand::Schema(action, SchemaOptions { table, json })
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
    check("schema show --help", &topic("schema"));
    for (text, words) in [
        ("schema", "needs show, diff or register"),
        ("schema show", "`schema show` needs the name of a table"),
        ("schema drop x", "only show, diff and register are known"),
        ("schema show a b", "one argument too many"),
        (
            "schema show a --all --json",
            "`--all` belongs to `dead-letters`, not to `schema show`",
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

mod dead_letters;
mod handbook;
mod pages;
