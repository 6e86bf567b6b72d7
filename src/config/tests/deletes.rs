//! `deletes` and the keys that belong to it.

use expect_test::expect;

use super::bad::{refused, refused_under};
use super::*;
use crate::config::{DeleteDetection, OnLeave};

#[test]
fn a_table_takes_them_from_the_source_or_has_its_own() {
    let config = good(&LEAST.replace(
        "  tables:\n",
        "  deletes: audit\n  delete_guard: 7\n  on_leave: tombstone\n  tables:\n    - name: problem\n      \
         deletes: compare\n      delete_compare_interval: 1h\n      on_leave: keep\n",
    ));
    let [problem, incident] = &config.source.tables[..] else {
        panic!("not two tables")
    };
    assert_eq!(incident.deletes, config.source.deletes);
    assert!(incident.deletes.follows_audit() && !incident.deletes.compares());
    assert_eq!(
        incident.deletes.compare_interval,
        Duration::from_secs(86_400)
    );
    assert_eq!(problem.deletes.detection, DeleteDetection::Compare);
    assert!(problem.deletes.compares() && !problem.deletes.follows_audit());
    assert_eq!(problem.deletes.compare_interval, Duration::from_secs(3_600));
    assert_eq!(problem.deletes.guard, Some(7));
    assert_eq!(problem.deletes.on_leave, OnLeave::Keep);
    assert!(!good(LEAST).source.tables[0].deletes.is_on());
}

#[test]
fn a_tombstone_needs_the_identifier_as_its_key() {
    for partitioner in ["round_robin", "field_based\npartition_key_fields: [state]"] {
        let keys = format!("deletes: all\npartitioner: {partitioner}");
        refused_under(
            "table",
            &keys,
            expect![[r#"
                config.yaml:14: source.tables[0].partitioner: must be default with `deletes`: only a record whose key is the row's identifier can be followed by a tombstone
                config.yaml: 1 problem"#]],
        );
    }
    refused_under(
        "table",
        "deletes: compare\nidentifier_field: number",
        expect![[r#"
            config.yaml:14: source.tables[0].identifier_field: must be sys_id with `deletes`: the instance names deleted rows by it
            config.yaml: 1 problem"#]],
    );
    good(&format!("{LEAST}      partitioner: round_robin\n"));
}

/// Which tables are of one hierarchy is known to the instance alone.
#[test]
fn a_table_with_deletes_has_its_topic_to_itself() {
    let shared = "      topic: rows\n    - name: task\n      topic: rows\n";
    good(&format!("{LEAST}{shared}"));
    refused(
        &format!("{LEAST}{shared}      deletes: audit\n"),
        expect![[r#"
            config.yaml:15: source.tables[1].topic: is the topic of `incident` too; with `deletes` a table needs a topic of its own, as a tombstone of one could delete the row of the other
            config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}      deletes: audit\n{shared}"),
        expect![[r#"
            config.yaml:16: source.tables[1].topic: is the topic of `incident` too; with `deletes` a table needs a topic of its own, as a tombstone of one could delete the row of the other
            config.yaml: 1 problem"#]],
    );
}

#[test]
fn values_that_are_none() {
    refused_under(
        "table",
        "deletes: yes\non_leave: drop\ndelete_guard: -5\ndelete_compare_interval: 0.1s",
        expect![[r#"
            config.yaml:13: source.tables[0].deletes: `yes` is not one of none, audit, compare, all
            config.yaml:14: source.tables[0].on_leave: `drop` is not one of keep, tombstone
            config.yaml:16: source.tables[0].delete_compare_interval: 100ms is out of range: 1s to 8760h
            config.yaml: 3 problems"#]],
    );
}

#[test]
fn null_values_are_told_where_they_are_asked_for() {
    let warned = |text: &str| {
        let (_, warnings) = parse(text, &env).unwrap();
        let lines: Vec<String> = warnings.iter().map(|w| w.in_file("config.yaml")).collect();
        lines.join("\n")
    };
    expect!["config.yaml:13: source.tables[0].deletes: sends records with a null value (tombstones); the consumers of the topic must know what to do with them"].assert_eq(&warned(&format!("{LEAST}      deletes: audit\n")));
    expect!["config.yaml:11: source.deletes: sends records with a null value (tombstones); the consumers of the topic must know what to do with them"].assert_eq(&warned(&least_with(
        "  tables:",
        "  deletes: all\n  tables:",
    )));
    expect![""].assert_eq(&warned(&format!("{LEAST}      deletes: none\n")));
}
