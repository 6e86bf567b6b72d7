//! The files, the group and the dead letters of the release before, there and back again.
//!
//! `BRIDGE_BEFORE=/path/to/its/binary make predecessor` runs them; without that binary there is nothing
//! to compare with.

use std::process::Command;

use real_kafka::{Draft, require_or_skip};
use servicenow_sim::Options;

use crate::support::bridge::{Bridge, PROGRAM, run, texts};
use crate::support::config::Config;
use crate::support::rig::Rig;
use crate::support::sink::{SinkRig, create};

/// The binaries in the order in which they run: before, after, and before again, which is the way back.
fn binaries() -> [String; 3] {
    let before = std::env::var_os("BRIDGE_BEFORE")
        .expect("BRIDGE_BEFORE names the binary of the release before");
    let before = before.into_string().unwrap();
    [before.clone(), PROGRAM.to_owned(), before]
}

fn start(folder: &std::path::Path, config: &Config, program: &str) -> Bridge {
    config.write(folder);
    let mut bridge = Bridge::spawn_command(folder, Command::new(program));
    bridge.wait_port();
    bridge
}

#[test]
#[ignore = "needs the release before: make predecessor"]
fn a_table_goes_on_from_the_checkpoint_there_and_back() {
    const ROWS: usize = 100;
    let rig = Rig::new();
    for (turn, program) in binaries().into_iter().enumerate() {
        for _ in 0..ROWS {
            rig.insert("incident");
        }
        let bridge = start(rig.folder.path(), &rig.config(), &program);
        let rows = rig.rows("incident");
        // The counter of each process begins at 0, so the keys in the topic tell.
        crate::support::wait_for("all rows", || {
            let records = rig
                .kafka
                .reader()
                .read_to_end(crate::support::rig::TOPIC, crate::support::LONG);
            let mut keys = crate::support::rig::keys(&records.unwrap());
            keys.sort_unstable();
            keys.dedup();
            (keys.len() >= rows.len()).then_some(())
        });
        assert_eq!(bridge.terminate(), 0);
        // The release before does not keep what was delivered within `source.settle`, so that comes once more.
        // On the way back the seconds do that were still open at the stop: the position stands before them.
        let again = turn * ROWS;
        crate::support::rig::check(
            &rig.kafka.reader(),
            crate::support::rig::TOPIC,
            &rows,
            again,
        );
    }
}

#[test]
#[ignore = "needs the release before: make predecessor"]
fn a_group_and_its_dead_letters_go_on_there_and_back() {
    if !require_or_skip() {
        return;
    }
    let rig = SinkRig::shared("predecessor", Options::default());
    for (turn, program) in binaries().into_iter().enumerate() {
        let bad = Draft::new("no json").key("k");
        let first = turn * 20;
        rig.produce((first..first + 20).map(create).chain([bad]));
        let mut bridge = start(rig.folder.path(), &rig.config(), &program);
        rig.wait_done(&mut bridge);
        assert_eq!(bridge.terminate(), 0);
        // Nothing was written twice, and what was refused before is not refused again.
        rig.assert_created_once(first + 20);
        assert_eq!(rig.letters().len(), turn + 1);
    }
    // Letters of both are listed.
    let (output, errors, code) = texts(&run(rig.folder.path(), &["dead-letters", "list"]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(output.matches("invalid_json").count(), 3, "{output}");
}
