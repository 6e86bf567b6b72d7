//! What is asked of the instance: how much at once, how often, and with which words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use servicenow_sim::{Fault, Target};

use crate::support::rig::{Rig, TOPIC};
use crate::support::wait_for;

const PAGE_SIZE: &str = "bridge_source_page_size_rows{table=\"incident\"}";

#[test]
fn what_is_sent() {
    let rig = Rig::new();
    rig.fill("incident", 1_050);
    let bridge = rig.start(&rig.config().source("batch_size: 100"));
    rig.finish(bridge, &rig.rows("incident"), 0);
    let all = rig.sim.requests();
    for request in &all {
        assert_eq!(request.method, "GET");
        assert_eq!(
            request.header("cookie"),
            None,
            "one session is one at a time"
        );
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert_eq!(request.header("accept"), Some("application/json"));
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with("servicenow-kafka-bridge/"), "{agent}");
    }
    let asked = rig.asked("incident");
    for request in &asked {
        for (name, value) in [
            ("sysparm_suppress_pagination_header", "true"),
            ("sysparm_exclude_reference_link", "true"),
            ("sysparm_display_value", "false"),
            ("sysparm_limit", "100"),
        ] {
            assert_eq!(request.param(name), Some(value), "{name}");
        }
        assert_eq!(request.param("sysparm_offset"), None);
        let order = "^ORDERBYsys_updated_on^ORDERBYsys_id";
        assert!(request.query().ends_with(order), "{}", request.query());
    }
    // A count costs the instance a second look at the table.
    let uncounted = |n: &usize| asked[*n].param("sysparm_no_count") == Some("true");
    assert_eq!((1..10).filter(uncounted).count(), 9);
    assert!(!uncounted(&0));
    let connections: BTreeSet<u64> = all.iter().map(|request| request.connection).collect();
    assert!(
        connections.len() <= 2,
        "connections are kept: {connections:?}"
    );
}

#[test]
fn an_idle_table_costs_a_request_each_slow_interval() {
    let rig = Rig::new();
    rig.fill("incident", 20);
    let mut config = rig.config();
    config.source = config.source.replace("100ms", "1s");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_checkpoint("incident", rig.newest("incident"));
    rig.wait_polls("incident", 1);
    rig.sim.clear_requests();
    rig.wait_polls("incident", 4);
    let mut per_second: BTreeMap<i64, usize> = BTreeMap::new();
    for request in rig.sim.requests() {
        *per_second.entry(request.server_time).or_default() += 1;
    }
    assert!(
        per_second.values().all(|requests| *requests <= 3),
        "{per_second:?}"
    );
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn pages_shrink_until_the_instance_is_in_time_and_grow_back() {
    let rig = Rig::new();
    rig.fill("incident", 4_000);
    let slow = Fault::Slow {
        per_row: Duration::from_millis(1),
        per_offset: Duration::ZERO,
        limit: Duration::from_millis(120),
        malformed: false,
    };
    rig.sim.faults().on(Target::table("incident"), slow);
    let bridge = rig.start(&rig.config().source("batch_size: 400"));
    wait_for("smaller pages that come through", || {
        let asked = rig.asked("incident");
        let good = asked.iter().filter(|request| request.rows == 100).count();
        (good >= 2).then_some(())
    });
    let size = bridge.metric(PAGE_SIZE);
    assert!([100.0, 200.0].contains(&size), "{size}");
    rig.sim.faults().clear();
    wait_for("the configured page", || {
        (bridge.metric(PAGE_SIZE) == 400.0).then_some(())
    });
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn an_instance_that_ignores_conditions_is_not_believed() {
    let rig = Rig::new();
    rig.fill("incident", 300);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_checkpoint("incident", rig.newest("incident"));
    let fault = rig
        .sim
        .faults()
        .on(Target::table("incident"), Fault::IgnoreConditions);
    rig.insert("incident");
    bridge.wait_not_ready("table incident: the instance answered with");
    let (_, words) = bridge.get("/readyz");
    assert!(words.contains("it ignores a condition"), "{words}");
    rig.wait_polls("incident", 2);
    let produced = rig.kafka.reader().count(TOPIC).unwrap();
    assert_eq!(produced, 300, "rows that were not asked for");
    rig.sim.faults().remove(fault);
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_column_of_the_cursor_that_is_unreadable_is_named() {
    let rig = Rig::new();
    rig.fill("incident", 30);
    let columns = vec!["sys_updated_on".to_owned()];
    let fault = rig
        .sim
        .faults()
        .on(Target::table("incident"), Fault::DropColumns(columns));
    let mut bridge = rig.start(&rig.config());
    bridge.wait_not_ready("row 1 of the page has no value in `sys_updated_on`");
    rig.sim.faults().remove(fault);
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}
