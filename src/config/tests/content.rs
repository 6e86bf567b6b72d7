//! `content_cycle` and what it needs.

use expect_test::expect;

use super::bad::{refused, refused_under};
use super::*;

#[test]
fn a_table_takes_it_from_the_source_or_has_its_own() {
    let config = good(&LEAST.replace(
        "  tables:\n",
        "  content_cycle: 7d\n  tables:\n    - name: problem\n      content_cycle: 0s\n",
    ));
    let [problem, incident] = &config.source.tables[..] else {
        panic!("not two tables")
    };
    assert_eq!(incident.content_cycle, Duration::from_secs(604_800));
    assert!(incident.has_content_cycle() && incident.has_version_headers());
    assert!(!problem.has_content_cycle() && !problem.has_version_headers());
    assert!(!good(LEAST).source.tables[0].has_content_cycle());
}

#[test]
fn what_was_delivered_of_a_row_must_be_known() {
    refused_under(
        "table",
        "content_cycle: 7d\npartitioner: round_robin",
        expect![[r#"
            config.yaml:14: source.tables[0].partitioner: must be default with `content_cycle`: only by a key that is the row's identifier is known what was delivered of a row
            config.yaml: 1 problem"#]],
    );
    let shared = "      topic: rows\n    - name: task\n      topic: rows\n";
    refused(
        &format!("{LEAST}{shared}      content_cycle: 1h\n"),
        expect![[r#"
            config.yaml:15: source.tables[1].topic: is the topic of `incident` too; with `content_cycle` a table needs a topic of its own, as compaction could leave the record of the other table alone
            config.yaml: 1 problem"#]],
    );
}
