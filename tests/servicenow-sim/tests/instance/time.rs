//! Line 34: time.

use std::time::Duration;

use serde_json::json;
use servicenow_sim::{Churn, Generator, NodeOrder, Options, Row, Sim, format_stamp, parse_stamp};

use crate::client::{get, ids, query, row, start};
use crate::writes::{LIST, write};

#[test]
fn line_34_late_commits_keep_their_old_stamp() {
    let sim = start();
    sim.insert("incident", row("b")).unwrap();
    let stamp = sim.now() - 60;
    let delay = Duration::from_millis(2_500);
    sim.insert_visible_later("incident", row("a"), stamp, delay)
        .unwrap();
    sim.update_visible_later("incident", "b", [("state", "7")], stamp, delay)
        .unwrap();
    assert_eq!(ids(&sim, "incident", ""), "b");
    std::thread::park_timeout(Duration::from_millis(2_600));
    let rows = query(&sim, "incident", "ORDERBYsys_id", "").rows();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(row["sys_updated_on"], format_stamp(stamp).as_str());
    }
    assert_eq!(rows[1]["state"], "7");
}

#[test]
fn line_34_bulk_update_in_one_second() {
    let sim = start();
    let old = sim.now() - 1000;
    sim.insert_many("incident", Generator::new(1, 1500, old).take(500))
        .unwrap();
    assert_eq!(
        sim.bulk_update_one_second("incident", 400).unwrap().len(),
        400
    );
    let newest = sim.rows("incident").unwrap();
    let newest: Vec<_> = newest
        .iter()
        .map(|row| row.get("sys_updated_on").unwrap())
        .collect();
    let last = *newest.iter().max().unwrap();
    assert!(parse_stamp(last).unwrap() > old + 500);
    assert_eq!(newest.iter().filter(|stamp| **stamp == last).count(), 400);
    // The tie-break alone gets through the second.
    let mut seen = 0;
    let mut id = "0".to_owned();
    loop {
        let text = format!("sys_updated_on={last}^sys_id>{id}^ORDERBYsys_updated_on^ORDERBYsys_id");
        let page = query(&sim, "incident", &text, "&sysparm_limit=150").column("sys_id");
        seen += page.len();
        match page.last() {
            Some(last) => id.clone_from(last),
            None => break,
        }
    }
    assert_eq!(seen, 400);
}

#[test]
fn line_34_the_date_header_is_server_time() {
    let options = Options {
        skew_seconds: 3600,
        node_skews: vec![0, -20],
        ..Options::default()
    };
    let sim = Sim::start(options).unwrap();
    let date = || {
        let answer = get(&sim, "/api/now/table/incident");
        let date = answer.header("Date").unwrap().to_owned();
        let parsed = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", &date).unwrap();
        let civil = parsed.to_datetime().unwrap();
        let text = civil.strftime("%Y-%m-%d %H:%M:%S").to_string();
        parse_stamp(&text).unwrap()
    };
    let (first, second) = (date(), date());
    assert!((sim.now() - first).abs() <= 1);
    assert!((sim.now() - 20 - second).abs() <= 1, "the nodes take turns");
    let id = sim.insert("incident", row("a")).unwrap();
    let stamp = sim
        .get("incident", &id)
        .unwrap()
        .get("sys_updated_on")
        .map(parse_stamp);
    assert!((stamp.unwrap().unwrap() - sim.now()).abs() <= 1);
}

/// The column's distance from the instance's clock in whole hours.
fn hours_off(sim: &Sim, id: &str) -> i64 {
    let row = sim.get("incident", id).unwrap();
    let stamp = parse_stamp(row.get("sys_updated_on").unwrap()).unwrap();
    (stamp - sim.now() + 1800).div_euclid(3600)
}

#[test]
fn line_34_each_change_is_stamped_by_the_clock_of_its_node() {
    let run = |node_order| {
        let sim = Sim::start(Options {
            node_skews: vec![3600, 7200],
            writer_skews: vec![-7200, 0, 3600],
            node_order,
            ..Options::default()
        })
        .unwrap();
        let by_handle: Vec<i64> = (0..9)
            .map(|_| hours_off(&sim, &sim.insert("incident", Row::new()).unwrap()))
            .collect();
        let by_request: Vec<i64> = (0..4)
            .map(|_| {
                let answer = write(&sim, "POST", LIST, &json!({}));
                let id = answer.json()["result"]["sys_id"].clone();
                hours_off(&sim, id.as_str().unwrap())
            })
            .collect();
        (by_handle, by_request)
    };
    let (by_handle, by_request) = run(NodeOrder::RoundRobin);
    assert_eq!(by_handle[..3], by_handle[3..6]);
    let mut all = by_handle[..3].to_vec();
    all.sort_unstable();
    assert_eq!(all, [-2, 0, 1]);
    assert_eq!(by_request, [1, 2, 1, 2]);
    let random = run(NodeOrder::Random(7));
    assert_eq!(random, run(NodeOrder::Random(7)), "the seed decides");
    assert_ne!(random.0[..3], random.0[3..6]);
    assert!(
        (-2..=1).all(|off| off == -1 || random.0.contains(&off)),
        "{random:?}"
    );
}

#[test]
fn an_update_of_nothing_leaves_the_stamps() {
    let sim = start();
    sim.insert(
        "incident",
        row("a")
            .set("state", "1")
            .set("sys_updated_on", "2024-01-01 00:00:00"),
    )
    .unwrap();
    sim.update("incident", "a", [("state", "1")]).unwrap();
    assert_eq!(
        sim.get("incident", "a").unwrap().get("sys_updated_on"),
        Some("2024-01-01 00:00:00")
    );
    sim.update("incident", "a", [("state", "2")]).unwrap();
    let row = sim.get("incident", "a").unwrap();
    assert_eq!(row.get("sys_mod_count"), Some("1"));
    assert_ne!(row.get("sys_updated_on"), Some("2024-01-01 00:00:00"));
    sim.delete("incident", "a").unwrap();
    assert_eq!(ids(&sim, "task", ""), "");
}

#[test]
fn churn_keeps_changing() {
    let sim = start();
    sim.insert_many(
        "incident",
        Generator::new(1, 1500, sim.now() - 100).take(20),
    )
    .unwrap();
    let churn = Churn::start(&sim, "incident", 500.0, 1500).unwrap();
    for _ in 0..100 {
        if churn.changes() > 50 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(churn.stop() > 50);
    assert!(sim.count("incident").unwrap() > 20);
    let rows = get(
        &sim,
        "/api/now/table/incident?sysparm_exclude_reference_link=true",
    )
    .rows();
    assert_eq!(rows.len(), sim.count("incident").unwrap());
}

#[test]
fn generated_rows_have_the_size_that_was_asked_for() {
    let sim = start();
    sim.insert_many(
        "incident",
        Generator::new(1, 2000, sim.now() - 100).take(50),
    )
    .unwrap();
    let bytes = get(
        &sim,
        "/api/now/table/incident?sysparm_exclude_reference_link=true",
    )
    .body
    .len();
    assert!((1900..2100).contains(&(bytes / 50)), "{}", bytes / 50);
}

#[test]
fn a_remembered_count_is_forgotten_when_the_data_changes() {
    let sim = start();
    let rows = (0..9).map(|n| row(&n.to_string()).set("state", "1"));
    sim.insert_many("incident", rows).unwrap();
    let count = || {
        let text = "state=1^ORDERBYsys_updated_on^ORDERBYsys_id";
        query(&sim, "incident", text, "&sysparm_limit=2")
            .header("X-Total-Count")
            .map(str::to_owned)
    };
    for change in 0..3 {
        let expected = Some((9 - change).to_string());
        assert_eq!(
            [count(), count(), count()],
            [expected.clone(), expected.clone(), expected]
        );
        sim.update("incident", &change.to_string(), [("state", "2")])
            .unwrap();
    }
}
