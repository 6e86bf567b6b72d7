//! What `source` can be told: columns, display values, keys, filters, intervals.

use std::collections::BTreeSet;

use real_kafka::Record;
use servicenow_sim::{Fault, Generator, NoCount, Options, Row, Target};
use sha2::{Digest, Sha256};

use super::served;
use crate::support::rig::{
    Rig, Rows, TOPIC, check, id_of, produced, text_of, text_with, wait_rows,
};
use crate::support::{LONG, wait_for};

/// Waits for `count` records, stops the bridge and gives what the topic holds.
fn records(rig: &Rig, mut bridge: crate::support::bridge::Bridge, count: usize) -> Vec<Record> {
    bridge.wait_metric(&produced("incident", TOPIC), count as f64);
    rig.wait_polls("incident", 2);
    assert_eq!(bridge.terminate(), 0);
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    assert_eq!(records.len(), count);
    records
}

fn values(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(Record::value_text).collect()
}

#[test]
fn fields_and_the_cursor_columns() {
    let rig = Rig::new();
    rig.fill("incident", 120);
    let config = rig.config().table("fields: [number, short_description]");
    let bridge = rig.start(&config.source("batch_size: 50"));
    let columns = ["number", "short_description", "sys_id", "sys_updated_on"];
    let rows = rig.sim.rows("incident").unwrap();
    let rows: Rows = rows
        .iter()
        .map(|row| (id_of(row), text_with(row, &columns)))
        .collect();
    rig.finish(bridge, &rows, 0);
    for request in rig.asked("incident") {
        assert_eq!(
            request.param("sysparm_fields").unwrap(),
            "number,short_description,sys_id,sys_updated_on"
        );
    }
}

#[test]
fn display_values_do_not_confuse_the_cursor() {
    for mode in ["all", "true"] {
        let rig = Rig::with(Options {
            user_zone: "Asia/Tokyo".to_owned(),
            user_date_format: "dd/MM/yyyy HH:mm:ss".to_owned(),
            ..Options::default()
        });
        rig.fill("incident", 130);
        let config = rig.config().table(&format!("display_value: {mode}"));
        let mut bridge = rig.start(&config.source("batch_size: 50"));
        let ids = rig.rows("incident").into_keys().collect::<BTreeSet<_>>();
        bridge.wait_metric(&produced("incident", TOPIC), 130.0);
        rig.insert("incident");
        let records = records(&rig, bridge, 131);
        let keys: BTreeSet<String> = records.iter().map(Record::key_text).collect();
        assert_eq!(keys.len(), 131);
        assert!(ids.is_subset(&keys));
        let bytes = served(
            &rig,
            "incident",
            &format!("sysparm_display_value={mode}&sysparm_limit=2000"),
        );
        assert_eq!(values(&records), bytes.into_iter().collect(), "{mode}");
    }
}

#[test]
fn the_key_of_chosen_fields() {
    let rig = Rig::new();
    rig.fill("incident", 60);
    let config = rig
        .config()
        .table("partitioner: field_based\npartition_key_fields: [state, category]");
    let bridge = rig.start(&config);
    let rows = rig.sim.rows("incident").unwrap();
    let wanted: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| {
            let get = |name| row.get(name).unwrap();
            let hash = Sha256::digest(format!("{}\0{}", get("category"), get("state")));
            let hash = hash.iter().map(|byte| format!("{byte:02x}"));
            (hash.collect(), text_of(row))
        })
        .collect();
    let records = records(&rig, bridge, 60);
    let found = records.iter().map(|r| (r.key_text(), r.value_text()));
    assert_eq!(found.collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn no_key_with_round_robin() {
    let rig = Rig::new();
    rig.fill("incident", 200);
    let bridge = rig.start(&rig.config().table("partitioner: round_robin"));
    let records = records(&rig, bridge, 200);
    assert!(records.iter().all(|record| record.key.is_none()));
    let rows = rig.rows("incident").into_values().collect();
    assert_eq!(values(&records), rows);
}

#[test]
fn a_filter_is_part_of_every_branch() {
    let rig = Rig::new();
    rig.fill("incident", 400);
    let config = rig
        .config()
        .table("query: active=true^priority=2^NQpriority=1^ORpriority=5");
    let bridge = rig.start(&config.source("batch_size: 30"));
    let wanted = |row: &Row| {
        let is = |name, value| row.get(name) == Some(value);
        is("active", "true") && is("priority", "2") || is("priority", "1") || is("priority", "5")
    };
    let rows = rig.rows_where("incident", wanted);
    assert!(rows.len() > 30 && rows.len() < 400, "{}", rows.len());
    rig.finish(bridge, &rows, 0);
    for request in rig.asked("incident") {
        for branch in request.query().split("^NQ") {
            assert!(branch.contains("priority="), "{branch}");
            assert!(branch.contains("sys_updated_on"), "{branch}");
        }
    }
}

#[test]
fn the_first_load_goes_back_some_hours() {
    let rig = Rig::new();
    let old = Generator::new(1, 0, rig.sim.now() - 86_400);
    rig.sim.insert_many("incident", old.take(100)).unwrap();
    let old = rig.rows("incident");
    rig.fill("incident", 100);
    let config = rig.config().source("initial_query_hours_ago: 6");
    let bridge = rig.start(&config);
    let rows = rig.rows_where("incident", |row| !old.contains_key(&id_of(row)));
    assert_eq!(rows.len(), 100);
    rig.finish(bridge, &rows, 0);
}

#[test]
fn a_table_has_its_own_page_and_interval() {
    let rig = Rig::new();
    rig.fill("incident", 120);
    rig.fill("problem", 120);
    let mut config = rig.config().source("batch_size: 40");
    config.tables.push(
        "name: problem\nbatch_size: 7\nfast_poll_interval: 1h\nslow_poll_interval: 1h".to_owned(),
    );
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let problems = rig.rows("problem");
    let (reader, topic) = (rig.kafka.reader(), "servicenow.problem");
    wait_rows(&reader, &mut bridge, ("problem", topic), &problems);
    for (table, limit) in [("incident", "40"), ("problem", "7")] {
        for request in rig.asked(table) {
            assert_eq!(request.param("sysparm_limit"), Some(limit), "{table}");
        }
    }
    let before = rig.asked("problem").len();
    rig.insert("problem");
    rig.insert("incident");
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!(rig.asked("problem").len(), before, "asked before its time");
    check(&reader, topic, &problems, 0);
}

#[test]
fn two_tables_share_a_topic() {
    let rig = Rig::new();
    rig.kafka.create_topic("all").unwrap();
    rig.fill("incident", 150);
    rig.fill("problem", 150);
    let mut config = rig.config().topic("all");
    config.tables.push("name: problem\ntopic: all".to_owned());
    let mut bridge = rig.start(&config);
    let (incidents, problems) = (rig.rows("incident"), rig.rows("problem"));
    let reader = rig.kafka.reader();
    wait_rows(&reader, &mut bridge, ("incident", "all"), &incidents);
    wait_rows(&reader, &mut bridge, ("problem", "all"), &problems);
    assert_eq!(bridge.terminate(), 0);
    let rows = incidents.clone().into_iter().chain(problems).collect();
    for record in check(&reader, "all", &rows, 0) {
        let is_incident = incidents.contains_key(&record.key_text());
        let table = if is_incident { "incident" } else { "problem" };
        assert_eq!(record.header("sn_table").unwrap(), table);
    }
}

#[test]
fn a_count_that_was_not_asked_for_is_not_believed() {
    let rig = Rig::with(Options {
        no_count: NoCount::PageRows,
        ..Options::default()
    });
    rig.fill("incident", 630);
    rig.sim
        .hide("incident", |row| row.get("state") == "7")
        .unwrap();
    let bridge = rig.start(&rig.config().source("batch_size: 50"));
    let rows = rig.rows_where("incident", |row| row.get("state") != Some("7"));
    rig.finish(bridge, &rows, 0);
}

#[test]
fn a_count_that_is_missing_is_asked_for() {
    let rig = Rig::new();
    rig.fill("incident", 330);
    rig.sim
        .hide("incident", |row| row.get("state") == "7")
        .unwrap();
    rig.sim
        .faults()
        .on(Target::table("incident"), Fault::NoTotalCount);
    let bridge = rig.start(&rig.config().source("batch_size: 50"));
    let rows = rig.rows_where("incident", |row| row.get("state") != Some("7"));
    rig.finish(bridge, &rows, 0);
    let counted = |path: &str| path == "/api/now/stats/incident";
    let counts = rig.sim.count_requests(|request| counted(&request.path));
    assert!(counts > 0);
    wait_for("requests that were all answered", || {
        let requests = rig.sim.requests();
        requests
            .iter()
            .all(|request| request.status == 200)
            .then_some(())
    });
}

/// A gateway drops the header, and does not let the Aggregate API through.
#[test]
fn without_any_count_all_rows_come_once() {
    for refusal in [
        Fault::ApiAcl,
        Fault::Answer {
            status: 404,
            body: b"no such route".as_slice().into(),
        },
        Fault::RedirectToLogin,
        Fault::Unavailable,
    ] {
        let rig = Rig::new();
        rig.fill("incident", 330);
        // Twelve seconds of ten rows each: more than two pages in a row are hidden.
        let rows = rig.sim.rows("incident").unwrap();
        let stamps = rows.iter().filter_map(|row| row.get("sys_updated_on"));
        let first = servicenow_sim::parse_stamp(stamps.min().unwrap()).unwrap();
        let hidden: Vec<String> = (3..15)
            .map(|s| servicenow_sim::format_stamp(first + s))
            .collect();
        let is_hidden = move |at: &str| hidden.iter().any(|it| it == at);
        let is_seen = is_hidden.clone();
        rig.sim
            .hide("incident", move |row| is_hidden(&row.get("sys_updated_on")))
            .unwrap();
        rig.sim
            .faults()
            .on(Target::table("incident"), Fault::NoTotalCount);
        rig.sim
            .faults()
            .on(Target::Path("/gateway/counts".to_owned()), refusal);
        let config = rig
            .config()
            .servicenow("stats_api_path: /gateway/counts/")
            .source("batch_size: 50");
        let mut bridge = rig.start(&config);
        let rows = || {
            rig.rows_where("incident", |row| {
                !is_seen(row.get("sys_updated_on").unwrap())
            })
        };
        assert!((100..330).contains(&rows().len()), "{}", rows().len());
        rig.wait_rows(&mut bridge, &rows());
        bridge.wait_ready();
        rig.insert("incident");
        rig.wait_rows(&mut bridge, &rows());
        let told = bridge.log().matches("nothing counts the rows").count();
        assert_eq!(told, 1, "{}", bridge.log_tail());
        let told = bridge.log().matches("the table is read to its end").count();
        assert_eq!(told, 1, "{}", bridge.log_tail());
        let told = bridge.log().contains("it does not answer: requests wait");
        assert!(!told, "{}", bridge.log_tail());
        let words = "nothing counts the rows: more than 100000 hidden ones in a run";
        let (code, page) = bridge.get("/readyz");
        assert!(code == 200 && page.contains(words), "{code} {page}");
        let asked = rig
            .sim
            .count_requests(|request| request.path.starts_with("/gateway/counts/incident"));
        assert_eq!(asked, 1, "not asked again soon");
        // The header comes through again.
        rig.sim.faults().clear();
        rig.insert("incident");
        rig.wait_rows(&mut bridge, &rows());
        wait_for("a page without the note", || {
            let page = bridge.get("/readyz").1;
            (!page.contains("nothing counts")).then_some(())
        });
        rig.finish(bridge, &rows(), 0);
    }
}

/// Rows of other domains are not there, and do not count, unless they are asked for.
#[test]
fn rows_of_all_domains() {
    let rig = Rig::with(Options {
        domain: Some("!!!/own/".to_owned()),
        ..Options::default()
    });
    let row = |domain: &str| {
        let stamp = servicenow_sim::format_stamp(rig.sim.now() - 600);
        let row = Row::new().set("sys_domain_path", domain);
        rig.sim
            .insert("incident", row.set("sys_updated_on", stamp))
            .unwrap()
    };
    let (own, other) = (row("!!!/own/"), row("!!!/other/"));
    // Tables without domains are read as before.
    let config = rig.config();
    let records = records(&rig, rig.start(&config), 1);
    assert_eq!(records[0].key_text(), own);

    for file in ["offsets.json", "offsets.json.unsettled"] {
        std::fs::remove_file(rig.folder.path().join(file)).ok();
    }
    let mut bridge = rig.start(&config.servicenow("query_no_domain: true"));
    wait_for("the row of the other domain", || {
        let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
        records
            .iter()
            .any(|record| record.key_text() == other)
            .then_some(())
    });
    bridge.wait_ready();
    assert_eq!(bridge.terminate(), 0);
}
