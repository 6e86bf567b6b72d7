//! `check --connect`: what it finds out about the instance, Kafka and the tables.

use real_kafka::Embedded;
use servicenow_sim::{Generator, RowView, Sim, User};
use tempfile::TempDir;

use super::{alone, call};
use crate::support::config::Config;

/// An instance with ten incidents, a broker with their topic.
pub(super) fn instance_and_kafka() -> (Sim, Embedded, TempDir, Config) {
    let options = servicenow_sim::Options {
        users: vec![User::new("bridge", "secret")],
        ..servicenow_sim::Options::default()
    };
    let (sim, kafka) = (Sim::start(options).unwrap(), Embedded::start(3).unwrap());
    let rows = Generator::new(1, 500, sim.now() - 3600).take(10);
    sim.insert_many("incident", rows).unwrap();
    kafka.create_topic("servicenow.incident").unwrap();
    let config = Config::new(sim.url(), kafka.bootstrap());
    (sim, kafka, tempfile::tempdir().unwrap(), config)
}

#[test]
fn check_connect_says_what_works() {
    let (sim, kafka, folder, config) = instance_and_kafka();
    config.write(folder.path());
    let (output, errors, code) = call(folder.path(), &["check", "--connect"]);
    assert_eq!(code, 0, "{output}{errors}");
    for words in [
        "config.yaml: configuration is valid",
        "ok      time zone: times in queries are read as UTC",
        "ok      table `incident`: 10 rows, 10 of the first 10 readable",
        "s from this host's",
        "ok      topic servicenow.incident: 3 partitions",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    // It looks, and leaves nothing.
    assert!(!folder.path().join("offsets.json").exists());
    assert_eq!(kafka.reader().count("servicenow.incident").unwrap(), 0);
    assert!(sim.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn check_connect_says_what_does_not_work() {
    let (sim, _kafka, folder, config) = instance_and_kafka();
    let (output, _, code) = {
        let mut wrong = config.clone();
        wrong.servicenow = wrong
            .servicenow
            .replace("password: secret", "password: wrong-one");
        wrong.write(folder.path());
        call(folder.path(), &["check", "--connect"])
    };
    assert_eq!(code, 75, "{output}");
    let refused = "FAILED  log-in: the log-in was refused: ";
    assert!(
        output.contains(refused) && output.contains("401"),
        "{output}"
    );
    assert!(!output.contains("wrong-one"), "{output}");
    assert!(
        !output.contains("times in queries"),
        "the log-in is what failed: {output}"
    );
    // Wrong passwords lock accounts.
    assert_eq!(sim.requests().len(), 1, "{output}");
    let rest = "FAILED  table `incident`: not tried: the log-in was refused";
    assert!(output.contains(rest), "{output}");

    let mut more = config.clone();
    more.tables
        .push("name: u_no_such_table\ntopic: servicenow.incident".to_owned());
    more.tables.push("name: problem".to_owned());
    more.write(folder.path());
    let (output, _, code) = call(folder.path(), &["check", "--connect"]);
    assert_eq!(code, 75, "{output}");
    let line = |words: &str| {
        let found = output.lines().find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no `{words}` in {output}"))
    };
    assert!(line("u_no_such_table").starts_with("FAILED  "), "{output}");
    assert!(
        line("table `incident`: 10 rows").starts_with("ok "),
        "{output}"
    );
    assert!(
        line("table `problem`: 0 rows").starts_with("ok "),
        "{output}"
    );
    assert!(
        line("servicenow.problem").starts_with("FAILED  "),
        "the topic is missing: {output}"
    );

    config.write(folder.path());
    let oldest = sim
        .rows("incident")
        .unwrap()
        .into_iter()
        .min_by_key(|row| row.get("sys_updated_on").map(str::to_owned));
    let oldest = oldest.unwrap().get("sys_id").unwrap().to_owned();
    let hides = [
        (
            oldest,
            0,
            "warning table `incident`: 10 rows, 9 of the first 10 readable; give the",
        ),
        (
            String::new(),
            75,
            "FAILED  table `incident`: 10 rows, none readable; give the",
        ),
    ];
    for (id, expected, words) in hides {
        let hidden = move |row: RowView<'_>| id.is_empty() || row.sys_id() == id;
        sim.hide("incident", hidden).unwrap();
        let (output, _, code) = call(folder.path(), &["check", "--connect"]);
        assert_eq!(code, expected, "{output}");
        assert!(output.contains(words), "{output}");
    }
    sim.show_all("incident").unwrap();

    sim.hide_field("incident", "sys_updated_on").unwrap();
    let (output, _, code) = call(folder.path(), &["check", "--connect"]);
    assert_eq!(code, 75, "{output}");
    let bad = output.lines().find(|line| line.starts_with("FAILED  "));
    assert!(bad.unwrap().contains("sys_updated_on"), "{output}");
}

/// `run` would make them, so that nothing is wrong; the check makes none.
#[test]
fn check_connect_names_topics_that_would_be_made() {
    let (_sim, kafka, folder, config) = instance_and_kafka();
    let create = "create_topics: {enabled: true, partitions: 2, replication_factor: 1}";
    let mut config = config.kafka(create);
    config
        .tables
        .push("name: problem\ntopic: not.there.yet".to_owned());
    config.write(folder.path());
    let (output, errors, code) = call(folder.path(), &["check", "--connect"]);
    assert_eq!(code, 0, "{output}{errors}");
    for words in [
        "ok      topic not.there.yet: does not exist yet; `run` makes it with 2 partitions",
        "ok      topic servicenow.incident: 3 partitions",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    let (output, _, _) = call(folder.path(), &["check", "--connect"]);
    assert!(
        output.contains("not.there.yet: does not exist yet"),
        "{output}"
    );
    drop(kafka);
}

#[test]
fn check_connect_without_an_instance_ends() {
    let (folder, _) = alone();
    let (output, _, code) = call(folder.path(), &["check", "--connect"]);
    assert_eq!(code, 75, "{output}");
    assert!(output.matches("FAILED  ").count() >= 2, "{output}");
    assert!(output.contains("127.0.0.1:9"), "{output}");
}

/// The instance drops what it does not understand, so the whole table would go out.
#[test]
fn check_connect_says_which_conditions_narrow_nothing() {
    let (sim, _kafka, folder, config) = instance_and_kafka();
    let row = servicenow_sim::Row::new().set("category", "unheard-of");
    sim.insert("incident", row).unwrap();
    let with = |query: &str| {
        let config = config.clone().table(&format!("query: {query}"));
        config.write(folder.path());
        call(folder.path(), &["check", "--connect"])
    };
    let (output, errors, code) = with("category=unheard-of^prioritty=1^stateNOT%20IN100");
    assert_eq!(code, 75, "{output}");
    for words in [
        "FAILED  table `incident`: the condition `prioritty=1` of its query narrows nothing: 1 rows",
        "no column `prioritty`",
        "warning table `incident`: the condition `stateNOT%20IN100` of its query narrows nothing",
    ] {
        assert!(output.contains(words), "no `{words}` in {output}");
    }
    assert!(errors.contains("looks percent-encoded"), "{errors}");
    assert!(
        !output.contains("`category=unheard-of` of its query narrows"),
        "{output}"
    );
    let (output, _, code) =
        with("category=unheard-of^ORcategory=nowhere^stateNOT IN100^sys_idISNOTEMPTY");
    assert_eq!(code, 0, "{output}");
    assert!(
        output.contains("`sys_idISNOTEMPTY` of its query narrows nothing"),
        "{output}"
    );
    // A query that finds nothing because of its other conditions says nothing of these.
    let (output, _, code) = with("category=nowhere");
    assert_eq!(code, 0, "{output}");
    assert!(!output.contains("narrows nothing"), "{output}");
}
