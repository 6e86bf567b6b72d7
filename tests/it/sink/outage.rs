//! An instance that is away, wants to be left alone, or forgets who we are.

use std::time::{Duration, Instant};

use serde_json::Value;
use servicenow_sim::{Fault, Options, Rule, Target};

use crate::support::sink::{SinkRig, TABLE, by_row, create, update};
use crate::support::{LONG, wait_at_most, wait_for};

/// Creates, and changes of ten rows that must keep their order.
fn load(rig: &SinkRig) -> Vec<String> {
    let ids: Vec<String> = (0..10).map(|number| rig.row(number)).collect();
    let changes = (0..20).flat_map(|version| ids.iter().map(move |id| (id, version)));
    let changes = changes.map(|(id, version)| update(id, "state", version));
    rig.produce((0..200).map(create).chain(changes));
    ids
}

/// Everything arrived: rows once, changes in their order.
fn check(rig: &SinkRig, ids: &[String]) {
    rig.assert_created_once(200 + ids.len());
    let writes = rig.applied();
    let rows = by_row(&writes);
    for id in ids {
        let states: Vec<usize> = rows[id.as_str()]
            .iter()
            .map(|write| write.field("state").unwrap().parse().unwrap())
            .collect();
        assert!(states.is_sorted(), "row {id}: {states:?}");
        assert_eq!(states.last(), Some(&19));
        let mut distinct = states;
        distinct.dedup();
        assert_eq!(distinct.len(), 20, "row {id}");
    }
    assert_eq!(rig.letters().len(), 0);
}

/// `soak::an_instance_that_is_away_for_minutes_costs_the_sink_nothing` has the same for as long as outages last.
#[test]
fn an_instance_out_of_service_costs_nothing() {
    let rig = SinkRig::new();
    let ids = load(&rig);
    let outage = rig.sim.faults().on(Target::Any, Fault::Unavailable);
    let mut bridge = rig.start(&rig.config());
    bridge.wait_not_ready("503 server error");
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    assert_eq!(rig.letters().len(), 0);
    assert_eq!(rig.applied().len(), 0);
    rig.sim.faults().remove(outage);
    rig.wait_done(&mut bridge);
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
    check(&rig, &ids);
}

/// In the middle of the load, and with the answers of some writes lost before that.
#[test]
fn connections_that_break_cost_nothing() {
    let rig = SinkRig::new();
    let rule = Rule::new(Target::writes(TABLE), Fault::Reset);
    rig.sim.faults().add(rule.chance(0.2));
    let ids = load(&rig);
    let mut bridge = rig.start(&rig.config().sink("transaction_time: 1s"));
    for share in 1..4 {
        rig.wait_rows(&mut bridge, ids.len() + share * 50);
        rig.sim.drop_connections();
    }
    rig.finish(bridge);
    check(&rig, &ids);
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let rig = SinkRig::new();
    let ids = load(&rig);
    let limited = Fault::RateLimited { retry_after: 3 };
    let rule = Rule::new(Target::writes(TABLE), limited);
    let fault = rig.sim.faults().add(rule.skip(100).times(1));
    let bridge = rig.start(&rig.config());
    rig.finish(bridge);
    check(&rig, &ids);
    assert_eq!(rig.sim.faults().fired(fault), 1);
    let requests = rig.sim.requests();
    let refused = requests.iter().find(|it| it.status == 429).unwrap();
    let early = requests.iter().filter(|request| {
        // What was on its way when the answer came, on a machine that is busy.
        let told = refused.at + Duration::from_secs(1);
        told < request.at && request.at < refused.at + Duration::from_millis(2_900)
    });
    assert_eq!(early.count(), 0);
}

#[test]
fn a_token_that_is_revoked_costs_a_new_one() {
    let rig = SinkRig::with(Options {
        write_latency: Duration::from_millis(2),
        ..Options::default()
    });
    let mut config = rig.config();
    let client = "client_id: client-id, client_secret: client-secret";
    let oauth = format!("{{{client}, username: bridge, password: secret}}");
    config.servicenow = format!(
        "base_url: {}\nauth: {{type: oauth, oauth: {oauth}}}",
        rig.sim.url()
    );
    let ids = load(&rig);
    let mut bridge = rig.start(&config);
    for share in 1..4 {
        rig.wait_rows(&mut bridge, ids.len() + share * 50);
        rig.sim.revoke_tokens();
    }
    rig.finish(bridge);
    check(&rig, &ids);
    let refused = rig.sim.count_requests(|it| it.status == 401);
    assert!(
        refused >= 3,
        "only {refused} requests met a token that was gone"
    );
    assert!((4..=5).contains(&rig.sim.token_requests()));
}

/// With `retry_for` a record is not waited for without end.
#[test]
fn retry_for_ends_the_waiting() {
    let rig = SinkRig::new();
    rig.produce((0..3).map(create));
    rig.sim
        .faults()
        .on(Target::writes(TABLE), Fault::Unavailable);
    rig.sim
        .faults()
        .on(Target::table(TABLE), Fault::Unavailable);
    let mut bridge = rig.start(&rig.config().sink("retry_for: 2s"));
    wait_at_most(Duration::from_secs(60), "the letters", || {
        (rig.letters().len() == 3).then_some(())
    });
    rig.wait_done(&mut bridge);
    let letters = rig.letters();
    for (_, letter) in &letters {
        assert_eq!(letter["status"], 503, "{letter}");
    }
    // Those that wait try in turns, so that not each of them has had a second one.
    let tried_again = |letter: &Value| letter["attempts"].as_u64().unwrap() > 1;
    assert!(letters.iter().any(|(_, letter)| tried_again(letter)));
    assert_eq!(bridge.terminate(), 0);
}

/// A firewall (KB0793431: 403, often with HTML) and gateways that refuse everything, or every write, in
/// their own words.
#[test]
fn what_refuses_on_the_way_in_its_own_words_makes_no_dead_letter() {
    let (any, writes) = (Target::Any, Target::writes(TABLE));
    for (target, place, status, body) in [
        (
            any.clone(),
            "servicenow_read",
            403,
            "<html>Access denied</html>",
        ),
        (
            writes,
            "servicenow_write",
            403,
            r#"{"message":"Forbidden"}"#,
        ),
        (
            any,
            "servicenow_read",
            404,
            r#"{"message":"no Route matched with those values"}"#,
        ),
    ] {
        let rig = SinkRig::new();
        rig.produce((0..20).map(create));
        let refusal = Fault::Answer {
            status,
            body: body.as_bytes().into(),
        };
        let refusal = rig.sim.faults().on(target, refusal);
        let mut bridge = rig.start(&rig.config());
        bridge.wait_metric(&format!("bridge_outage{{place=\"{place}\"}}"), 1.0);
        bridge.wait_not_ready(&format!("{status} in words that are not the instance's"));
        let outage = wait_for("the outage in the status", || {
            let outage = bridge.status()["outages"][0].clone();
            outage.is_object().then_some(outage)
        });
        assert_eq!(outage["place"], place, "{outage}");
        let words = outage["words"].as_str().unwrap();
        assert!(words.contains(&status.to_string()), "{words}");
        assert_eq!(rig.letters().len(), 0, "{body}");
        rig.sim.faults().remove(refusal);
        wait_for("the end of the outage in the status", || {
            (bridge.status()["outages"] == serde_json::json!([])).then_some(())
        });
        rig.finish(bridge);
        rig.assert_created_once(20);
        assert_eq!(rig.letters().len(), 0, "{body}");
    }
}

/// The same words for one record alone are that record's, as others are written.
#[test]
fn what_only_one_record_meets_on_the_way_is_its_own() {
    let rig = SinkRig::new();
    let refusal = Fault::Answer {
        status: 403,
        body: b"<html>Access denied</html>".as_slice().into(),
    };
    let rule = Rule::new(Target::writes(TABLE), refusal);
    let is_bad = |request: &servicenow_sim::LoggedRequest| {
        String::from_utf8_lossy(&request.body).contains("c-bad")
    };
    rig.sim.faults().add(rule.when(is_bad));
    rig.produce((0..10).map(create).chain([create("bad")]));
    let mut bridge = rig.start(&rig.config().sink("record_retry_for: 1s"));
    let deadline = Instant::now() + LONG;
    for number in 10.. {
        assert!(Instant::now() < deadline, "there is no letter");
        if !rig.letters().is_empty() {
            break;
        }
        rig.produce([create(number)]);
        rig.wait_rows(&mut bridge, number + 1);
    }
    rig.finish(bridge);
    let letters = rig.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1["status"], 403, "{}", letters[0].1);
}
