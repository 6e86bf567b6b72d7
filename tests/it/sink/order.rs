//! Records of one row are written one after the other, in their order, whatever the number of
//! workers.

use std::time::Duration;

use servicenow_sim::Options;

use crate::support::sink::{SinkRig, by_row, update};

const ROWS: usize = 20;

/// All versions of all rows, those of each row in order and none at the same time as another.
fn in_order(concurrency: usize, versions: usize) {
    let rig = SinkRig::with(Options {
        write_latency: Duration::from_millis(3),
        ..Options::default()
    });
    let ids: Vec<String> = (0..ROWS).map(|number| rig.row(number)).collect();
    let records = (0..versions).flat_map(|version| ids.iter().map(move |id| (id, version)));
    rig.produce(records.map(|(id, version)| update(id, "short_description", version)));
    let mut config = rig.config();
    config = config.sink(&format!("concurrency: {concurrency}"));
    let bridge = rig.start(&config);
    rig.finish(bridge);

    let writes = rig.applied();
    assert_eq!(writes.len(), ROWS * versions, "each once");
    let rows = by_row(&writes);
    assert_eq!(rows.len(), ROWS);
    for (id, writes) in rows {
        let sent: Vec<usize> = writes
            .iter()
            .map(|write| write.field("short_description").unwrap().parse().unwrap())
            .collect();
        assert_eq!(sent, (0..versions).collect::<Vec<_>>(), "row {id}");
        for pair in writes.windows(2) {
            assert!(
                pair[0].ended <= pair[1].began,
                "row {id}: two writes at a time"
            );
        }
        let last = rig.column(id, "short_description");
        assert_eq!(last, (versions - 1).to_string());
    }
    assert_eq!(rig.letters().len(), 0);
}

#[test]
fn with_five_workers() {
    in_order(5, 200);
}

#[test]
fn with_more_workers_than_rows() {
    in_order(50, 200);
}
