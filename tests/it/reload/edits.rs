//! Edits that follow each other: what is said of one must not be said of the next.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use real_kafka::{Draft, java::free_port, require_or_skip, shared};
use servicenow_sim::{Fault, Target};

use super::{SUCCESSFUL, rename_over, wait_log};
use crate::support::bridge::{Bridge, PROGRAM, texts};
use crate::support::config::Config;
use crate::support::rig::Rig;
use crate::support::sink::SinkRig;
use crate::support::wait_for;

/// What readiness says of a topic lives as long as the topic is in the configuration.
#[test]
fn a_mistyped_topic_that_was_put_right_is_forgotten() {
    let rig = SinkRig::new();
    let mut right = rig.config();
    right.reads = true;
    rig.create_topic("rows.out", 1);
    right.tables = vec!["name: incident\ntopic: rows.out".to_owned()];
    let bridge = rig.start(&right);
    bridge_ready(&bridge);
    let mut dead_letters = right.clone();
    dead_letters.sink = replaced(&right.sink, "dlq_topic: ", "dlq_topic: mistyped.");
    let mut topic = right.clone();
    topic.tables = vec!["name: incident\ntopic: mistyped.out".to_owned()];
    for wrong in [topic, dead_letters] {
        rename_over(rig.folder.path(), &wrong.text());
        bridge.wait_not_ready("mistyped.");
        rename_over(rig.folder.path(), &right.text());
        bridge_ready(&bridge);
        let (_, body) = bridge.get("/readyz");
        assert!(!body.contains("mistyped."), "{body}");
    }
    assert_eq!(bridge.terminate(), 0);
}

/// The client of an edit that is rolled back fails, and not the one that runs.
#[test]
fn an_edit_that_leads_nowhere_is_no_outage_of_what_runs() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let mut config = rig.config();
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let url = rig.sim.url();
    config.servicenow = replaced(&config.servicenow, url, "http://127.0.0.1:1");
    rename_over(rig.folder.path(), &config.text());
    wait_log(&bridge, "the edited configuration is not used", 0);
    let (_, page) = bridge.get("/metrics");
    let mut outages: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("bridge_outage{"))
        .collect();
    outages.sort_unstable();
    assert_eq!(
        outages,
        [
            "bridge_outage{place=\"servicenow_login\"} 0",
            "bridge_outage{place=\"servicenow_read\"} 0",
            "bridge_outage{place=\"servicenow_write\"} 0",
        ]
    );
    rig.finish(bridge, &rig.rows("incident"), 0);
}

/// The instance answers that there is nothing under the path.
#[test]
fn a_mistyped_path_of_the_table_api_is_not_used() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let mut config = rig.config();
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    config = config.servicenow("table_api_path: /api/now/tabel");
    rename_over(rig.folder.path(), &config.text());
    wait_log(&bridge, "the edited configuration is not used", 0);
    let words = "check servicenow.table_api_path";
    assert!(bridge.log().contains(words), "{}", bridge.log_tail());
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.finish(bridge, &rig.rows("incident"), 0);
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{text}");
    text.replace(old, new)
}

fn bridge_ready(bridge: &Bridge) {
    wait_for("readiness", || {
        (bridge.get("/readyz").0 == 200).then_some(())
    });
}

/// Nothing is left on the page of metrics of a table or topic that left the configuration.
#[test]
fn the_figures_of_what_left_the_configuration_go() {
    if !require_or_skip() {
        return;
    }
    let broker = shared().unwrap();
    let rig = Rig::new();
    // No record fits into this one: its produce errors are counted.
    let small = [("max.message.bytes", "60")];
    broker.create_topic("figures.problem", 1, &small).unwrap();
    for topic in ["figures.incident", "figures.orders", "figures.tasks"] {
        broker.create_topic(topic, 1, &[]).unwrap();
    }
    rig.fill("incident", 3);
    rig.fill("problem", 3);
    let mut config = Config::new(rig.sim.url(), &broker.plain_addr()).topic("figures.incident");
    config.sink_topics = vec!["topic: figures.orders\ntable: incident".to_owned()];
    let mut more = config.clone();
    more.tables
        .push("name: problem\ntopic: figures.problem".to_owned());
    more.sink_topics
        .push("topic: figures.tasks\ntable: change_request".to_owned());
    let mut bridge = rig.start(&more);
    let gone = [
        "\"problem\"",
        "table problem\"",
        "\"figures.problem\"",
        "\"figures.tasks\"",
        "\"change_request\"",
    ];
    bridge.wait_metric(
        "bridge_kafka_produce_errors_total{topic=\"figures.problem\"}",
        1.0,
    );
    let page = |bridge: &Bridge| bridge.get("/metrics").1;
    let record = Draft::new("{\"short_description\": \"one\"}").key("one");
    let writer = broker.writer().unwrap();
    writer.write("figures.tasks", [record]).unwrap();
    let written = "bridge_sink_records_total{table=\"change_request\",operation=\"insert\"}";
    bridge.wait_metric(written, 1.0);
    rename_over(rig.folder.path(), &config.text());
    wait_for("the figures to go", || {
        let page = page(&bridge);
        let left = gone.iter().any(|label| page.contains(label));
        (!left).then_some(())
    });
    // Those of the others stay.
    let page = page(&bridge);
    for kept in [
        "table=\"incident\"",
        "topic=\"figures.incident\"",
        "\"figures.orders\"",
    ] {
        assert!(page.contains(kept), "{kept}: {page}");
    }
    assert_eq!(bridge.terminate(), 0);
}

const TRYING: &str = "trying the edited configuration";

#[test]
fn without_rollback_no_edit_is_said_to_be_tried() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.top.push_str("\nreload_rollback: false");
    let mut bridge = rig.start(&config);
    bridge.wait_ready();
    let config = config.servicenow("timeout_seconds: 29");
    config.write(rig.folder.path());
    wait_log(&bridge, "moves to a new client", 0);
    let log = bridge.log();
    assert!(!log.contains(TRYING), "{log}");
    assert_eq!(bridge.terminate(), 0);
}

/// A bridge with an edit of the log-in under way: the instance does not answer yet.
struct SlowReload {
    rig: Rig,
    /// The configuration that runs, with a port that `reload` can ask.
    text: String,
    bridge: Bridge,
}

impl SlowReload {
    /// Edits the log-in, which the instance will refuse.
    fn of_a_wrong_password() -> SlowReload {
        let rig = Rig::new();
        rig.fill("incident", 3);
        let addr = format!("127.0.0.1:{}", free_port().unwrap());
        let text = replaced(&rig.config().text(), "127.0.0.1:0", &addr);
        fs::write(rig.folder.path().join("config.yaml"), &text).unwrap();
        let mut bridge = Bridge::start(rig.folder.path());
        rig.wait_rows(&mut bridge, &rig.rows("incident"));
        rig.sim.faults().on(Target::Any, Fault::Hold);
        let wrong = replaced(&text, "password: secret", "password: wrong-one");
        rename_over(rig.folder.path(), &wrong);
        wait_log(&bridge, TRYING, 0);
        SlowReload { rig, text, bridge }
    }

    /// Asks for a reload; the instance answers when that waits for its outcome.
    fn reload(&self) -> (String, String, i32) {
        let folder = self.rig.folder.path();
        let said = folder.join("reload.errors");
        let child = Command::new(PROGRAM)
            .arg("reload")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let text = || fs::read_to_string(&said).unwrap();
        wait_for("the reload to wait", || {
            text().contains("is trying the configuration").then_some(())
        });
        self.rig.sim.faults().clear();
        let (output, _, code) = texts(&child.wait_with_output().unwrap());
        (output, text(), code)
    }
}

#[test]
fn a_reload_that_is_asked_for_tells_the_outcome_of_its_own_edit() {
    let it = SlowReload::of_a_wrong_password();
    // The edit under way is refused later on; this one is good.
    let good = replaced(&it.text, "source:\n", "source:\n  batch_size: 17\n");
    rename_over(it.rig.folder.path(), &good);
    let (output, errors, code) = it.reload();
    let log = it.bridge.log();
    assert_eq!(code, 0, "{output}{errors}\n{log}");
    assert!(
        output.contains("it runs with this configuration now"),
        "{output}"
    );
    assert!(it.bridge.metric(SUCCESSFUL) > 0.5);
    assert!(log.contains("batch_size"), "{log}");
    assert_eq!(it.bridge.terminate(), 0);
}

#[test]
fn an_edit_is_tried_once_however_often_it_is_asked_for() {
    let it = SlowReload::of_a_wrong_password();
    let (output, errors, code) = it.reload();
    assert_eq!(code, 75, "{output}{errors}");
    assert!(
        errors.contains("it does not use this configuration"),
        "{errors}"
    );
    let log = it.bridge.log();
    assert_eq!(log.matches(TRYING).count(), 1, "{log}");
    assert_eq!(it.bridge.terminate(), 0);
}
