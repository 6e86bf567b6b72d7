use std::io::{PipeReader, PipeWriter, Read as _, pipe};
use std::time::Duration;

use expect_test::{Expect, expect};
use log::kv::{Source, Value};

use super::*;

struct LoggerHarness {
    logger: Logger<PipeWriter>,
    reader: PipeReader,
    metrics: Metrics,
    begin: Instant,
}

fn harness(style: LineStyle) -> LoggerHarness {
    let (reader, writer) = pipe().unwrap();
    let metrics = Metrics::new();
    let control = LogControl {
        json: Arc::default(),
    };
    if style == LineStyle::Json {
        control.set_format(LogFormat::Json);
    }
    let logger = Logger::new(writer, style, control, &metrics);
    LoggerHarness {
        logger,
        reader,
        metrics,
        begin: Instant::now(),
    }
}

impl LoggerHarness {
    fn log(&self, second: u64, level: Level, target: &str, sentence: &str, fields: &dyn Source) {
        let now = self.begin + Duration::from_secs(second);
        let time = Timestamp::from_second(1_706_140_800 + i64::try_from(second).unwrap()).unwrap();
        let mut record = Record::builder();
        record
            .level(level)
            .target(target)
            .key_values(&fields)
            .file(Some("x.rs"))
            .line(Some(7));
        self.logger
            .log_at(&record.args(format_args!("{sentence}")).build(), now, time);
    }

    #[track_caller]
    fn wrote(self, expected: &Expect) {
        let LoggerHarness {
            logger, mut reader, ..
        } = self;
        drop(logger);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        expected.assert_eq(&text);
    }
}

const OUR_TARGET: &str = "servicenow_kafka_bridge::source::poller";

/// Fields and sentences of every kind.
fn sample(style: LineStyle) -> LoggerHarness {
    let harness = harness(style);
    let log = |level, sentence, fields: &[(&str, Value<'_>)]| {
        harness.log(0, level, OUR_TARGET, sentence, &fields);
    };
    log(
        Level::Info,
        "page read",
        &[("table", "incident".into()), ("rows", 1000.into())],
    );
    log(
        Level::Warn,
        "request failed",
        &[
            ("error", "timed out after 30 s".into()),
            ("query", "a=1^b=\"2\"\\".into()),
            ("empty", "".into()),
            ("delay_seconds", 0.5.into()),
            ("negative", (-3).into()),
            ("infinite", f64::INFINITY.into()),
            ("again", true.into()),
            ("letter", 'x'.into()),
            ("debug", Value::from_debug(&["a b"])),
        ],
    );
    let forged = "x\n2024-01-25T00:00:00.000Z ERROR forged \u{1b}[31m \u{202e} \u{9b}2J ä";
    log(
        Level::Error,
        "answer\nwas odd",
        &[("body", forged.into()), ("k\n", "tab\there".into())],
    );
    log(Level::Debug, "batch done", &[]);
    harness.log(
        0,
        Level::Info,
        "rdkafka::client",
        "broker is up",
        &[("id", 1)].as_slice(),
    );
    harness
}

#[test]
fn text_lines() {
    sample(LineStyle::Text).wrote(&expect![[r#"
        2024-01-25T00:00:00.000Z INFO page read table=incident rows=1000
        2024-01-25T00:00:00.000Z WARN request failed error="timed out after 30 s" query="a=1^b=\"2\"\\" empty="" delay_seconds=0.5 negative=-3 infinite=inf again=true letter=x debug="[\"a b\"]"
        2024-01-25T00:00:00.000Z ERROR answer\nwas odd body="x\n2024-01-25T00:00:00.000Z ERROR forged \u001b[31m \u202e \u009b2J ä" k\n="tab\there"
        2024-01-25T00:00:00.000Z DEBUG batch done target=servicenow_kafka_bridge::source::poller
        2024-01-25T00:00:00.000Z INFO broker is up target=rdkafka::client id=1
    "#]]);
}

#[test]
fn journal_lines() {
    sample(LineStyle::Journal).wrote(&expect![[r#"
        <6>INFO page read table=incident rows=1000
        <4>WARN request failed error="timed out after 30 s" query="a=1^b=\"2\"\\" empty="" delay_seconds=0.5 negative=-3 infinite=inf again=true letter=x debug="[\"a b\"]"
        <3>ERROR answer\nwas odd body="x\n2024-01-25T00:00:00.000Z ERROR forged \u001b[31m \u202e \u009b2J ä" k\n="tab\there"
        <7>DEBUG batch done target=servicenow_kafka_bridge::source::poller
        <6>INFO broker is up target=rdkafka::client id=1
    "#]]);
}

#[test]
fn json_lines() {
    sample(LineStyle::Json).wrote(&expect![[r#"
        {"time":"2024-01-25T00:00:00.000Z","level":"INFO","msg":"page read","table":"incident","rows":1000}
        {"time":"2024-01-25T00:00:00.000Z","level":"WARN","msg":"request failed","error":"timed out after 30 s","query":"a=1^b=\"2\"\\","empty":"","delay_seconds":0.5,"negative":-3,"infinite":"inf","again":true,"letter":"x","debug":"[\"a b\"]"}
        {"time":"2024-01-25T00:00:00.000Z","level":"ERROR","msg":"answer\nwas odd","body":"x\n2024-01-25T00:00:00.000Z ERROR forged \u001b[31m \u202e \u009b2J ä","k\n":"tab\there"}
        {"time":"2024-01-25T00:00:00.000Z","level":"DEBUG","msg":"batch done","target":"servicenow_kafka_bridge::source::poller"}
        {"time":"2024-01-25T00:00:00.000Z","level":"INFO","msg":"broker is up","target":"rdkafka::client","id":1}
    "#]]);
}

#[test]
fn every_json_line_is_json() {
    let LoggerHarness {
        logger, mut reader, ..
    } = sample(LineStyle::Json);
    drop(logger);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["rows"], 1000);
    assert!(
        lines[2]["body"]
            .as_str()
            .unwrap()
            .contains("forged \u{1b}[31m")
    );
}

#[test]
fn long_values_are_cut() {
    let harness = harness(LineStyle::Text);
    harness.log(
        0,
        Level::Info,
        OUR_TARGET,
        "read",
        &("body", "ä".repeat(100_000).as_str()),
    );
    let LoggerHarness {
        logger, mut reader, ..
    } = harness;
    drop(logger);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.len() < 10_000 && text.ends_with("ää...\n"));
}

#[test]
fn a_repeated_line_is_counted_and_written_once() {
    let harness = harness(LineStyle::Text);
    for second in [0, 1, 2, 11] {
        for table in ["incident", "problem"] {
            harness.log(
                second,
                Level::Warn,
                OUR_TARGET,
                "refused",
                &("table", table),
            );
        }
        harness.log(
            second,
            Level::Debug,
            OUR_TARGET,
            "all of these",
            &("second", second),
        );
    }
    assert_eq!(harness.metrics.log_messages.with(&["warn"]).get(), 8);
    harness.wrote(&expect![[r#"
        2024-01-25T00:00:00.000Z WARN refused table=incident
        2024-01-25T00:00:00.000Z WARN refused table=problem
        2024-01-25T00:00:00.000Z DEBUG all of these target=servicenow_kafka_bridge::source::poller second=0
        2024-01-25T00:00:01.000Z DEBUG all of these target=servicenow_kafka_bridge::source::poller second=1
        2024-01-25T00:00:02.000Z DEBUG all of these target=servicenow_kafka_bridge::source::poller second=2
        2024-01-25T00:00:11.000Z WARN refused table=incident suppressed=2
        2024-01-25T00:00:11.000Z WARN refused table=problem suppressed=2
        2024-01-25T00:00:11.000Z DEBUG all of these target=servicenow_kafka_bridge::source::poller second=11
    "#]]);
}

#[test]
fn lost_lines_are_told() {
    let mut harness = harness(LineStyle::Text);
    let long = "x".repeat(4000);
    for number in 0..40 {
        harness.log(0, Level::Info, OUR_TARGET, &long, &("number", number));
    }
    let mut buffer = vec![0; 1 << 20];
    assert!(0 < harness.reader.read(&mut buffer).unwrap());
    harness.log(
        1,
        Level::Info,
        OUR_TARGET,
        "read again",
        &[("n", 1)].as_slice(),
    );
    let LoggerHarness {
        logger, mut reader, ..
    } = harness;
    drop(logger);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let last: Vec<_> = text.lines().rev().take(2).collect();
    assert!(
        last[0].contains("WARN log lines were lost, as nobody read them lost="),
        "{last:?}"
    );
    assert!(last[1].ends_with("INFO read again n=1"), "{last:?}");
}

#[test]
fn libraries_do_not_speak_below_info() {
    let harness = harness(LineStyle::Text);
    log::set_max_level(LevelFilter::Trace);
    let enabled = |level, target| {
        harness
            .logger
            .enabled(&Metadata::builder().level(level).target(target).build())
    };
    assert!(enabled(Level::Trace, OUR_TARGET));
    assert!(enabled(Level::Trace, "servicenow_kafka_bridge"));
    assert!(enabled(Level::Info, "ureq::run"));
    assert!(!enabled(Level::Debug, "ureq::run"));
    assert!(!enabled(Level::Debug, "servicenow_kafka_bridge_other"));
    log::set_max_level(LevelFilter::Off);
}

#[test]
fn stderr_of_a_test_is_not_the_journal() {
    assert!(!is_journal(io::stderr(), &SystemdEnvironment::default()));
}
