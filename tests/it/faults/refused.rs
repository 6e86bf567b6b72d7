//! Tables that the instance refuses: readiness says which, why and what to do; others go on.

use servicenow_sim::{Fault, Target};

use crate::support::rig::{Rig, wait_rows};
use crate::support::wait_for;

/// `incident` is refused by `fault`, `problem` is not.
fn refused(fault: Fault, words: &[&str]) {
    let rig = Rig::new();
    rig.fill("incident", 50);
    rig.fill("problem", 50);
    let faults = rig.sim.faults();
    let fault = faults.on(Target::table("incident"), fault);
    let mut config = rig.config();
    config.tables.push("name: problem".to_owned());
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready("table incident: 40");
    let body = wait_for("one reason", || {
        let body = bridge.get("/readyz").1;
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        (value["reasons"].as_array().unwrap().len() == 1).then_some(body)
    });
    for words in words {
        assert!(body.contains(words), "`{words}` is not in: {body}");
    }
    let reader = rig.kafka.reader();
    let problem = ("problem", "servicenow.problem");
    wait_rows(&reader, &mut bridge, problem, &rig.rows("problem"));
    rig.insert("problem");
    wait_rows(&reader, &mut bridge, problem, &rig.rows("problem"));
    assert_eq!(bridge.get("/healthz").0, 200, "a restart repairs nothing");

    faults.remove(fault);
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}

fn error(status: u16, message: &str) -> Fault {
    Fault::Error {
        status,
        message: message.to_owned(),
    }
}

#[test]
fn by_403() {
    refused(
        Fault::ApiAcl,
        &[
            "/api/now/table/incident, table `incident`",
            "403 forbidden: User Not Authorized",
            "give the integration user read access",
        ],
    );
}

#[test]
fn by_404() {
    refused(
        error(404, "No Record found"),
        &["404 not found", "check table_api_path, the table name"],
    );
}

#[test]
fn by_400() {
    refused(
        error(400, "Pagination not supported"),
        &["400 bad request", "check the table name, the fields"],
    );
}

#[test]
fn a_table_that_does_not_exist() {
    let rig = Rig::new();
    rig.fill("incident", 50);
    rig.kafka.create_topic("servicenow.incidnet").unwrap();
    let mut config = rig.config();
    config.tables.push("name: incidnet".to_owned());
    let bridge = rig.start(&config);
    bridge.wait_not_ready("400 bad request: Invalid table incidnet (GET http");
    bridge.wait_not_ready("; check the table name");
    rig.finish(bridge, &rig.rows("incident"), 0);
}
