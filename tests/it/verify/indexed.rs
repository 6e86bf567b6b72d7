//! `--index`: the local index in place of the whole topic.

use std::fs;

use super::{copied, count, has_compared, named, unseen_rows, verify, with_headers};
use crate::support::bridge::{run, texts};
use crate::support::rig::{Rig, TOPIC, produced};
use crate::support::wait_for;

#[test]
fn the_index_and_later_records_stand_for_the_topic() {
    let rig = Rig::new();
    let config = with_headers(&rig).table("deletes: compare");
    let mut bridge = copied(&rig, &config, 200);
    wait_for("the first comparison", || has_compared(&rig));
    // What came since is in the topic alone.
    let later = rig.insert("incident");
    bridge.wait_metric(&produced("incident", TOPIC), 201.0);
    let (report, code) = verify(&rig, &["--full", "--index"]);
    assert_eq!((code, count(&report, "equal")), (0, 201), "{report}");
    assert_eq!(report["known_from"], "index");
    let notes = report["notes"].to_string();
    assert!(notes.contains("the local index"), "{notes}");

    let missing = unseen_rows(&rig, 3);
    rig.sim.delete("incident", &later).unwrap();
    let (report, code) = verify(&rig, &["--index"]);
    let found = named(&report);
    assert_eq!((code, found.len()), (1, 4), "{report}");
    assert_eq!(found[&later], "extra");
    assert!(missing.iter().all(|id| found[id] == "missing"), "{report}");
    let args = ["verify", "incident", "--index", "--wait", "1s"];
    let (out, _, _) = texts(&run(rig.folder.path(), &args));
    assert!(
        out.contains("(as the local index knows it): differs"),
        "{out}"
    );
    let (report, _) = verify(&rig, &[]);
    assert_eq!(report["known_from"], "topic");
    assert_eq!(bridge.terminate(), 0);
}

/// The index says nothing of a topic that was made anew.
#[test]
fn an_index_of_a_topic_that_is_gone_is_refused() {
    let rig = Rig::new();
    let config = with_headers(&rig).table("deletes: compare");
    let bridge = copied(&rig, &config, 50);
    wait_for("the first comparison", || has_compared(&rig));
    assert_eq!(bridge.terminate(), 0);
    let folder = rig.folder.path().join("offsets.json.delivered");
    let args = ["verify", "incident", "--index"];
    let refused = || {
        let (_, errors, code) = texts(&run(rig.folder.path(), &args));
        (code, errors)
    };
    rig.kafka.create_topic("anew").unwrap();
    config.clone().topic("anew").write(rig.folder.path());
    let (code, errors) = refused();
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("it is of another table, query or topic"),
        "{errors}"
    );
    config.write(rig.folder.path());
    fs::remove_dir_all(folder).unwrap();
    let (code, errors) = refused();
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("there is none; with `deletes: compare`"),
        "{errors}"
    );
    assert!(
        errors.contains("without `--index` the whole topic"),
        "{errors}"
    );
}
