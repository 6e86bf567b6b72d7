//! An instance that answers badly, and connections that break: nothing is lost, nothing is invented.

mod refused;

use std::time::{Duration, Instant};

use servicenow_sim::{Fault, Generator, LoggedRequest, Options, Row, Rule, Target, format_stamp};

use crate::support::LONG;
use crate::support::rig::{Rig, TOPIC, keys, produced};

/// A load of ten pages; three requests in its middle and the first one meet the fault. Every row
/// arrives once: no page reaches 4 MiB.
fn survives(fault: Fault) {
    survives_with(fault, "");
}

fn survives_with(fault: Fault, servicenow: &str) {
    let rig = Rig::new();
    rig.fill("incident", 1_000);
    let faults = rig.sim.faults();
    let target = || Target::table("incident");
    let first = faults.add(Rule::new(target(), fault.clone()).times(1));
    let middle = faults.add(Rule::new(target(), fault).skip(4).times(3));
    let config = rig.config().servicenow(servicenow);
    let bridge = rig.start(&config.source("batch_size: 100"));
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!((faults.fired(first), faults.fired(middle)), (1, 3));
    for pair in rig.asked("incident").windows(2) {
        if pair[0].fault.is_some() {
            let places = (place(&pair[0]), place(&pair[1]));
            assert_eq!(places.0, places.1, "a page that is not whole moves nothing");
        }
    }
}

/// The row behind which a request asks for rows.
fn place(request: &LoggedRequest) -> Option<&str> {
    let (_, behind) = request.query().split_once("sys_updated_on=")?;
    Some(behind.split_once("^ORDERBY")?.0)
}

#[test]
fn rows_and_an_error_under_200() {
    for malformed in [false, true] {
        survives(Fault::PartialResult {
            share: 0.5,
            malformed,
        });
    }
}

#[test]
fn all_rows_and_an_error_under_200() {
    survives(Fault::PartialResult {
        share: 1.0,
        malformed: false,
    });
}

#[test]
fn html_under_200() {
    survives(Fault::Hibernating);
}

#[test]
fn bodies_that_end_early() {
    for fault in [
        Fault::CutChunks { after: None },
        Fault::CutChunks { after: Some(0) },
        Fault::CutGzip,
        Fault::CutJson,
    ] {
        survives(fault);
    }
}

#[test]
fn connections_that_are_reset() {
    for fault in [Fault::Reset, Fault::ResetMidBody { after: None }] {
        survives(fault);
    }
}

#[test]
fn bodies_without_a_result() {
    for fault in [Fault::NullBody, Fault::EmptyBody] {
        survives(fault);
    }
}

#[test]
fn a_request_that_was_not_executed() {
    survives(Fault::NotExecuted);
}

#[test]
fn a_redirect_to_the_login_page() {
    survives(Fault::RedirectToLogin);
}

#[test]
fn gateways_and_time_limits() {
    for fault in [Fault::BadGateway, Fault::QueuedTimeout] {
        survives(fault);
    }
}

#[test]
fn silence_in_the_middle_of_a_body() {
    survives_with(
        Fault::StallMidBody(Duration::from_secs(20)),
        "read_timeout_seconds: 0.3",
    );
}

#[test]
fn silence_before_the_answer() {
    survives_with(
        Fault::Hang(Duration::from_secs(20)),
        "timeout_seconds: 0.5\nread_timeout_seconds: 0.3",
    );
}

#[test]
fn a_large_page_that_breaks_repeats_no_more_than_itself() {
    let rig = Rig::with(Options {
        gzip: false,
        ..Options::default()
    });
    let rows = Generator::new(3, 20_000, rig.sim.now() - 7_200);
    rig.sim.insert_many("incident", rows.take(700)).unwrap();
    let broken = Fault::ResetMidBody {
        after: Some(8_000_000),
    };
    let rule = Rule::new(Target::table("incident"), broken).times(1);
    rig.sim.faults().add(rule);
    let bridge = rig.start(&rig.config().source("batch_size: 500"));
    let records = rig.finish(bridge, &rig.rows("incident"), 400);
    assert!(records.len() > 700, "the page went out while it arrived");
    let asked = rig.asked("incident");
    assert_eq!(
        asked[1].param("sysparm_limit"),
        Some("250"),
        "and is halved"
    );
}

#[test]
fn a_page_that_begins_anew_is_found_out_whatever_the_identifiers_look_like() {
    let rig = Rig::new();
    let stamp = format_stamp(rig.sim.now() - 3_600);
    let row = |number: u32| {
        let row = Row::new().set("number", format!("INC{number}"));
        row.set("sys_created_on", stamp.as_str())
            .set("sys_updated_on", stamp.as_str())
    };
    rig.sim.insert_many("incident", (1..=3).map(row)).unwrap();
    let faults = rig.sim.faults();
    let fault = faults.on(Target::table("incident"), Fault::IgnoreConditions);
    let config = rig.config().source("batch_size: 1");
    let mut bridge = rig.start(&config.table("identifier_field: number"));
    bridge.wait_not_ready("answered with a row that was read before");
    rig.wait_polls("incident", 4);
    let asked = rig.asked("incident");
    let behind_a_row = asked
        .iter()
        .filter(|request| request.query().contains("number>"));
    let times: Vec<Instant> = behind_a_row.map(|request| request.at).collect();
    assert!(times.len() >= 3, "{times:?}");
    for pair in times.windows(2) {
        let pause = pair[1].duration_since(pair[0]);
        assert!(
            pause >= Duration::from_millis(100),
            "asked again after {pause:?}"
        );
    }
    faults.remove(fault);
    bridge.wait_ready();
    bridge.wait_metric(&produced("incident", TOPIC), 3.0);
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    assert_eq!(keys(&records), ["INC1", "INC2", "INC3"]);
}

#[test]
fn fifteen_times_out_of_service() {
    let rig = Rig::new();
    rig.fill("incident", 300);
    let faults = rig.sim.faults();
    let target = Target::table("incident");
    let fault = faults.add(Rule::new(target, Fault::Unavailable).skip(2).times(15));
    let config = rig.config().servicenow("retry_backoff_seconds: 0.001");
    let bridge = rig.start(&config.source("batch_size: 50"));
    bridge.wait_not_ready("503 server error");
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!(faults.fired(fault), 15);
}

#[test]
fn a_pause_that_is_asked_for_is_kept_by_all_tables() {
    let rig = Rig::new();
    rig.fill("incident", 300);
    rig.fill("problem", 300);
    let faults = rig.sim.faults();
    let limited = Fault::RateLimited { retry_after: 3 };
    let rule = Rule::new(Target::table("incident"), limited);
    let fault = faults.add(rule.skip(3).times(1));
    let mut config = rig.config().source("batch_size: 20");
    config.tables.push("name: problem".to_owned());
    let bridge = rig.start(&config);
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!(faults.fired(fault), 1);
    let requests = rig.sim.requests();
    let refused = requests.iter().find(|request| request.status == 429);
    let refused = refused.unwrap();
    let early = |table: &str| {
        let asked = requests.iter().filter(|request| {
            request.table() == Some(table)
                && request.at > refused.at
                && request.at < refused.at + Duration::from_secs(3)
        });
        asked.count()
    };
    assert_eq!(early("incident"), 0);
    // One may have been on its way.
    assert!(early("problem") <= 1, "{}", early("problem"));
    assert!(requests.last().unwrap().at > refused.at);
}

#[test]
fn a_full_queue_of_the_instance_is_given_time() {
    let rig = Rig::new();
    rig.fill("incident", 300);
    let faults = rig.sim.faults();
    let rule = Rule::new(Target::table("incident"), Fault::SemaphoreFull);
    let fault = faults.add(rule.skip(2).times(2));
    let bridge = rig.start(&rig.config().source("batch_size: 50"));
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!(faults.fired(fault), 2);
    let requests = rig.asked("incident");
    for pair in requests.windows(2).filter(|pair| pair[0].status == 429) {
        let pause = pair[1].at.duration_since(pair[0].at);
        assert!(pause >= Duration::from_millis(500), "{pause:?}");
    }
}

#[test]
fn retries_that_are_used_up_make_the_table_unready_but_not_dead() {
    let rig = Rig::new();
    rig.fill("incident", 200);
    let faults = rig.sim.faults();
    let fault = faults.on(Target::table("incident"), Fault::Unavailable);
    let mut config = rig.config().servicenow("max_retries: 2");
    // Which is answered, so that the fault is the first table's own.
    config.tables.push("name: problem".to_owned());
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready("table incident: 503 server error");
    let log = bridge.log();
    let first = |text: &str| log.lines().position(|line| line.contains(text));
    let failed = log
        .lines()
        .filter(|line| line.contains("\"a page failed\""));
    assert_eq!(failed.take(2).count(), 2);
    assert!(first("\"the table cannot be read\"") > first("\"a page failed\""));
    faults.remove(fault);
    bridge.wait_ready();
    assert_eq!(rig.kafka.reader().count(TOPIC).unwrap() % 200, 0);
    rig.finish(bridge, &rig.rows("incident"), 0);
}
