//! Comparisons while the bridge runs.

use serde_json::Value;

use super::{copied, unseen_rows};
use crate::support::LONG;
use crate::support::rig::Rig;
use crate::support::wait_for;

fn rows(state: &str) -> String {
    format!("bridge_verify_rows{{table=\"incident\",state=\"{state}\"}}")
}

#[test]
fn the_result_is_shown_and_certified() {
    let rig = Rig::new();
    rig.kafka.create_topic("proofs").unwrap();
    let config = rig
        .config()
        .source("verify_interval: 4s\nproof_topic: proofs");
    let mut bridge = copied(&rig, &config, 300);
    bridge.wait_metric(&rows("equal"), 300.0);
    assert_eq!(bridge.metric(&rows("missing")), 0.0);
    wait_for("a certificate", || {
        let proofs = rig.kafka.reader().read_to_end("proofs", LONG).unwrap();
        let proof: Value = serde_json::from_str(&proofs.first()?.value_text()).unwrap();
        assert_eq!(proof["counts"]["proven"], 300);
        Some(())
    });
    let missing = unseen_rows(&rig, 3).len();
    bridge.wait_metric(&rows("missing"), missing as f64);
    wait_for("the status", || {
        let verify = bridge.status()["tables"][0]["verify"].clone();
        (verify["differences"] == 3 && verify["rows"]["equal"] == 300).then_some(())
    });
    assert!(bridge.log().contains("does not hold what the table holds"));
    assert!(
        bridge
            .metric_if_any("bridge_verify_age_seconds{table=\"incident\"}")
            .is_some()
    );
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
}
