//! Edits of the sink: topics come, change and go while records are written.

use real_kafka::Draft;
use serde_json::json;

use super::{reloaded, rename_over};
use crate::support::sink::SinkRig;

/// Inserts, numbered from `first`.
fn creates(first: usize, count: usize) -> impl Iterator<Item = Draft> {
    (first..first + count).map(|number| {
        let row = json!({"correlation_id": format!("row-{number}")});
        Draft::new(row.to_string()).key(format!("row-{number}"))
    })
}

#[test]
fn topics_of_the_sink_come_change_and_go_and_nothing_is_written_twice() {
    let rig = SinkRig::new();
    rig.create_topic("more.in", 4);
    let config = rig.config();
    let mut bridge = rig.start(&config);
    rig.produce(creates(0, 300));
    rig.wait_rows(&mut bridge, 50);
    // A second topic, in the middle of the work.
    let mut edited = config.clone();
    edited
        .sink_topics
        .push("topic: more.in\ntable: incident".to_owned());
    reloaded(&bridge, || rename_over(rig.folder.path(), &edited.text()));
    rig.writer.write("more.in", creates(1_000, 50)).unwrap();
    rig.wait_rows(&mut bridge, 350);
    assert!(bridge.log().contains("topic more.in added"));
    // An edited one, and a new client for all.
    edited.sink_topics[0].push_str("\nconcurrency: 2");
    let edited = edited.servicenow("timeout_seconds: 29");
    rig.produce(creates(300, 200));
    reloaded(&bridge, || rename_over(rig.folder.path(), &edited.text()));
    rig.wait_rows(&mut bridge, 550);
    rig.wait_done(&mut bridge);
    rig.wait_done_of(&mut bridge, "more.in");
    // Taken away again, with its figures; what comes later waits for it.
    reloaded(&bridge, || rename_over(rig.folder.path(), &config.text()));
    crate::support::wait_for("its figures to go", || {
        let (_, page) = bridge.get("/metrics");
        (!page.contains("more.in")).then_some(())
    });
    rig.writer.write("more.in", creates(2_000, 5)).unwrap();
    rig.produce(creates(500, 10));
    rig.wait_rows(&mut bridge, 560);
    bridge.wait_ready();
    rig.finish(bridge);
    rig.assert_created_once(560);
}
