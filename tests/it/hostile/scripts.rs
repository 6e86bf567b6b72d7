//! Values that the instance would run or cut where they became a part of a query.

use std::fs;

use real_kafka::Draft;
use serde_json::json;
use servicenow_sim::{LoggedRequest, Row};

use crate::support::bridge::Bridge;
use crate::support::rig::Rig;
use crate::support::sink::SinkRig;
use crate::support::wait_for;

/// No request has the start of a script in its query, whatever its case.
fn nothing_is_run(requests: &[LoggedRequest]) {
    for request in requests {
        let query = request.query().to_lowercase();
        // How the bridge finds its own user.
        let own = query.starts_with("user_name=javascript:gs.getusername()");
        assert!(own || !query.contains("javascript:"), "{query}");
    }
}

#[test]
fn keys_of_records_are_refused() {
    for field in [
        "operation: upsert\nkey_field: correlation_id",
        "create_id: field\ncreate_id_field: correlation_id",
    ] {
        let rig = SinkRig::new();
        let bad = [
            "javascript:gs.getUserID()",
            " JavaScript:x",
            "a^NQsys_idISNOTEMPTY",
            "a\nb",
        ];
        let record =
            |value: &str| Draft::new(json!({"correlation_id": value, "state": "2"}).to_string());
        let config = rig.config().sink("transaction_time: 200ms");
        let mut bridge = rig.start(&config.sink_topic(field));
        rig.produce(bad.map(record).into_iter().chain([record("good")]));
        rig.wait_done(&mut bridge);
        assert_eq!(bridge.terminate(), 0);
        let letters = rig.letters();
        assert_eq!(letters.len(), bad.len());
        for (_, letter) in &letters {
            let error = letter["error"].as_str().unwrap();
            assert!(
                error.contains("`correlation_id` cannot be searched for"),
                "{error}"
            );
        }
        nothing_is_run(&rig.sim.requests());
        assert_eq!(rig.sim.count("incident").unwrap(), 1);
    }
}

#[test]
fn identifiers_of_rows_and_of_a_checkpoint_are_refused() {
    let rig = Rig::new();
    let row = |number: &str| Row::new().set("number", number.to_owned());
    rig.sim.insert("incident", row("javascript:x()")).unwrap();
    let config = rig.config().table("identifier_field: number");
    let bridge = rig.start(&config);
    bridge.wait_not_ready("begins with `javascript:`");
    drop(bridge);

    let position =
        json!({"incident": {"timestamp": 1_706_140_800, "last_identifier": "javascript:x()"}});
    fs::write(rig.folder.path().join("offsets.json"), position.to_string()).unwrap();
    let bridge = Bridge::spawn(rig.folder.path());
    wait_for("words on the checkpoint", || {
        let words = "`last_identifier` of its checkpoint is none of a row";
        bridge.log().contains(words).then_some(())
    });
    nothing_is_run(&rig.sim.requests());
}
