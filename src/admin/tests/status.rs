//! The status page and what it is drawn from.

use serde_json::Value;

use super::super::status::{BridgeStatus, PipelineState};
use super::*;
use crate::control::{
    PipelineKind, PipelinePhase, PlaceOutage, ReloadOutcome, ReloadRecord, SinkMember,
};
use crate::health::ConditionKey;

const SINK_CONFIG: &str = "
sink:
  enabled: true
  topics: [{topic: in, table: task}]
";

fn status(server: &AdminServer) -> BridgeStatus {
    let answer = get(server, "/status.json");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: application/json\r\n"));
    assert!(!body.contains("hunter2"));
    serde_json::from_str(body).unwrap()
}

#[test]
fn states_follow_the_conditions_and_the_supervisor() {
    let (shown, _requests) = shown(config(SINK_CONFIG));
    let server = AdminServer::start("127.0.0.1:0", shown.clone()).unwrap();
    let look = || status(&server);
    assert_eq!(look().tables[0].state, PipelineState::Starting);
    let table = shown.health.condition(
        ConditionKey::Table("incident".to_owned()),
        "waiting for the first page",
    );
    let delivery = shown
        .health
        .condition(ConditionKey::Delivery("incident".to_owned()), "");
    delivery.ok();
    let words = |status: &BridgeStatus| status.tables[0].words.clone().unwrap_or_default();
    assert_eq!(look().tables[0].state, PipelineState::Starting);
    assert_eq!(words(&look()), "waiting for the first page");
    table.ok();
    assert_eq!(look().tables[0].state, PipelineState::Running);
    table.fail("403 <script>");
    assert_eq!(
        (look().tables[0].state, words(&look()).as_str()),
        (PipelineState::Error, "403 <script>")
    );
    table.ok();
    assert_eq!(
        look().tables[0].last_error.as_ref().unwrap().words,
        "403 <script>"
    );
    shown.metrics.source_held.with(&["incident"]).set(1.0);
    delivery.hold("too large");
    assert_eq!(
        (look().tables[0].state, words(&look()).as_str()),
        (PipelineState::Held, "too large")
    );
    let phase = |kind, name: &str, phase| control::SupervisedPipeline {
        snapshot: None,
        kind,
        name: name.to_owned(),
        phase,
    };
    let why = "checkpoint of another query".to_owned();
    shown.control.set_pipelines(vec![
        phase(
            PipelineKind::Table,
            "incident",
            PipelinePhase::Stopped { why },
        ),
        phase(PipelineKind::Topic, "in", PipelinePhase::Paused),
    ]);
    let status = look();
    assert_eq!(
        (status.tables[0].state, words(&status).as_str()),
        (PipelineState::Stopped, "checkpoint of another query")
    );
    assert_eq!(status.topics[0].state, PipelineState::Paused);
    assert!(!status.ready && status.reasons.len() == 1);
}

#[test]
fn figures_come_from_the_metrics() {
    let (shown, _requests) = shown(config(SINK_CONFIG));
    let metrics = Arc::clone(&shown.metrics);
    let server = AdminServer::start("127.0.0.1:0", shown.clone()).unwrap();
    metrics
        .source_produced
        .with(&["incident", "sn.incident"])
        .add(42);
    metrics.offset_lag.with(&["incident"]).set(1.5);
    metrics.source_errors.with(&["incident", "timeout"]).add(2);
    metrics.source_errors.with(&["incident", "body"]).add(1);
    metrics.sink_records.with(&["task", "insert"]).add(3);
    metrics.sink_records.with(&["task", "update"]).add(4);
    metrics.sink_lag.with(&["in", "0"]).set(5.0);
    metrics.sink_lag.with(&["in", "1"]).set(6.0);
    metrics.sink_lag.with(&["other", "1"]).set(7.0);
    metrics.sink_dead_letters.with(&["task", "refused"]).add(8);
    metrics.source_deletes.with(&["incident", "audit"]).add(9);
    metrics.source_deletes_held.with(&["incident"]).set(3.0);
    metrics.source_late_rows.with(&["incident"]).add(10);
    metrics.source_lateness_max.with(&["incident"]).set(41.0);
    metrics.token_expiry.set(1_706_140_800.0);
    shown.control.add_reload(ReloadRecord {
        at: std::time::SystemTime::now(),
        outcome: ReloadOutcome::RolledBack,
        words: vec!["log_level".to_owned()],
    });
    let status = status(&server);
    let (table, topic) = (&status.tables[0], &status.topics[0]);
    assert_eq!(table.deletes, None, "deletes: none");
    let late = table.late.as_ref().unwrap();
    assert_eq!((late.rows, late.longest, late.unsettled), (10, 41.0, 0));
    assert_eq!(
        (table.name.as_str(), table.to.as_str()),
        ("incident", "sn.incident")
    );
    assert_eq!((table.rows, table.lag, table.errors), (42, Some(1.5), 3));
    assert_eq!(
        (topic.rows, topic.lag, topic.dead_letters),
        (7, Some(11.0), Some(8))
    );
    assert_eq!(status.servicenow.token_expires, Some(1_706_140_800.0));
    assert_eq!(status.reloads[0].outcome, "rolled_back");
    assert_eq!(status.history.points, 180);
    // To look makes no series.
    assert!(!metrics.render().contains("bridge_source_held{"));
}

#[test]
fn outages_the_member_and_the_checkpoint_are_told() {
    const AGE: Duration = Duration::from_secs(90);
    let (shown, _requests) = shown(config(SINK_CONFIG));
    let server = AdminServer::start("127.0.0.1:0", shown.clone()).unwrap();
    let before = status(&server);
    assert_eq!((before.outages.len(), before.sink_member), (0, None));
    assert_eq!(before.checkpoint.fsync_mean, None);
    assert_eq!(before.topics[0].waiting, None);
    let since = Instant::now().checked_sub(AGE).unwrap();
    shown.control.set_outages(vec![PlaceOutage {
        place: "servicenow_write",
        since,
        error: "503 <b>".to_owned(),
    }]);
    shown.control.set_sink_member(Some(SinkMember {
        group_id: "bridge".to_owned(),
        instance_id: "skb-1".to_owned(),
    }));
    shown.metrics.sink_waiting.with(&["in"]).set(2.0);
    for seconds in [0.25, 0.75] {
        shown.metrics.checkpoint_sync.observe(seconds);
    }
    let status = status(&server);
    let outage = &status.outages[0];
    assert_eq!(
        (outage.place.as_str(), outage.words.as_str()),
        ("servicenow_write", "503 <b>")
    );
    let age = status.time - outage.since;
    assert!((age - since.elapsed().as_secs_f64()).abs() < 30.0, "{age}");
    let member = status.sink_member.unwrap();
    assert_eq!(
        (member.group_id.as_str(), member.instance_id.as_str()),
        ("bridge", "skb-1")
    );
    assert_eq!(status.checkpoint.fsync_mean, Some(0.5));
    assert_eq!(status.topics[0].waiting, Some(2.0));
}

#[test]
fn the_page_lets_run_only_its_own_script() {
    let (server, _) = server();
    let answer = get(&server, "/");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert!(head.contains("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"));
    assert!(head.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'sha256-"));
    assert!(body.starts_with("<!doctype html>") && body.ends_with("</html>\n"));
}

#[test]
fn later_versions_are_understood() {
    let status: BridgeStatus = serde_json::from_value(serde_json::json!({
        "tables": [{"name": "a", "state": "dreaming", "new": 1}],
    }))
    .unwrap();
    assert_eq!(status.tables[0].state, PipelineState::Other);
    assert_eq!(Value::from(PipelineState::Other.word()), "unknown");
}
