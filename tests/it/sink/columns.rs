//! Columns of records that the table does not have.

use real_kafka::Draft;
use serde_json::json;

use crate::support::sink::{SinkRig, TABLE, create};

/// One record with columns of the table, two with another one too.
fn records() -> [Draft; 3] {
    let misspelt = |number: usize| {
        let row = json!({"correlation_id": format!("row-{number}"), "short_descripton": "x"});
        Draft::new(row.to_string()).key(number.to_string())
    };
    [create(0), misspelt(1), misspelt(2)]
}

#[test]
fn columns_that_the_table_lacks() {
    const WORDS: &str = "a column that the table lacks";
    for (mode, rows, warnings) in [("ignore", 3, 0), ("warn", 3, 1), ("dead_letter", 1, 0)] {
        let rig = SinkRig::new();
        rig.produce(records());
        let topic = format!("on_unknown_column: {mode}");
        let mut bridge = rig.start(&rig.config().sink_topic(&topic));
        rig.wait_done(&mut bridge);
        bridge.wait_ready();
        assert_eq!(rig.sim.count(TABLE).unwrap(), rows, "{mode}");
        let log = bridge.log();
        assert_eq!(log.matches(WORDS).count(), warnings, "{mode}: {log}");
        let letters = rig.letters();
        assert_eq!(letters.len(), 3 - rows, "{mode}");
        for (_, letter) in letters {
            assert_eq!(letter["error_kind"], "unknown_column");
            let error = letter["error"].as_str().unwrap();
            assert!(error.contains("no column `short_descripton`"), "{error}");
        }
        let asked = rig.sim.table_requests("sys_dictionary").len();
        assert_eq!(asked > 0, mode != "ignore", "{mode}");
        assert_eq!(bridge.terminate(), 0);
    }
}

/// Without the dictionary nothing is known of the columns: nothing is written, and readiness says so.
#[test]
fn a_dictionary_that_is_hidden_holds_the_topic() {
    let rig = SinkRig::new();
    rig.sim.hide("sys_dictionary", |_| true).unwrap();
    rig.produce(records());
    let bridge = rig.start(&rig.config().sink_topic("on_unknown_column: dead_letter"));
    bridge.wait_not_ready("the columns of table `incident` are not known");
    assert_eq!((rig.sim.count(TABLE).unwrap(), rig.letters().len()), (0, 0));
    assert_eq!(bridge.terminate(), 0);
}
