//! A replay that does not come to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};

use real_kafka::require_or_skip;
use servicenow_kafka_bridge::sink::DeadLetter;

use super::letters::{Rig, letter};
use super::{call, last};
use crate::support::bridge::PROGRAM;
use crate::support::wait_for;

const LETTERS: u32 = 20_000;
const ALL: usize = 20_000;
/// Letters that are sent before they are marked.
const LOT: usize = 100;

/// A topic full of letters, and a replay of it that is well under way.
fn under_way(name: &str) -> (Rig, Child) {
    let rig = Rig::new(name);
    let letters: Vec<DeadLetter> = (0..LETTERS)
        .map(|number| letter(&rig.topic, i64::from(number)))
        .collect();
    rig.put(&letters);
    let child = Command::new(PROGRAM)
        .args(["dead-letters", "replay"])
        .current_dir(rig.folder())
        .stdin(Stdio::null())
        .stderr(File::create(rig.folder().join("errors")).unwrap())
        .spawn()
        .unwrap();
    wait_for("the replay to be under way", || {
        (300 <= rig.count()).then_some(())
    });
    (rig, child)
}

/// How often each record was sent.
fn times(rig: &Rig) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for record in rig.replayed() {
        *times.entry(record.key_text()).or_default() += 1;
    }
    times
}

#[test]
fn killed_in_the_middle_it_can_be_repeated() {
    if !require_or_skip() {
        return;
    }
    let (rig, mut child) = under_way("dl-killed");
    child.kill().unwrap();
    child.wait().unwrap();
    let before = rig.count();
    assert!(before < u64::from(LETTERS), "it was not in the middle");
    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(code, 0, "{errors}");
    let times = times(&rig);
    assert_eq!(times.len(), ALL, "a record is missing");
    let twice = times.values().sum::<usize>() - times.len();
    assert!(twice <= LOT, "{twice} came again");
}

#[test]
fn interrupted_it_says_how_far_it_went() {
    if !require_or_skip() {
        return;
    }
    let (rig, mut child) = under_way("dl-interrupted");
    let kill = Command::new("kill")
        .arg("-INT")
        .arg(child.id().to_string())
        .status();
    assert!(kill.unwrap().success());
    let code = wait_for("the replay to end", || child.try_wait().unwrap());
    let errors = std::fs::read_to_string(rig.folder().join("errors")).unwrap();
    assert_eq!(code.code(), Some(75), "{errors}");
    let count = rig.count();
    let words = format!("interrupted: {count} letters replayed, 0 not, 0 done before");
    assert_eq!(last(&errors), words);
    assert!(count < u64::from(LETTERS), "it was not in the middle");

    let (_, errors, code) = call(rig.folder(), "replay");
    assert_eq!(code, 0, "{errors}");
    let rest = u64::from(LETTERS) - count;
    assert_eq!(
        last(&errors),
        format!("{rest} letters replayed, 0 not, {count} done before")
    );
    let times = times(&rig);
    assert_eq!(times.len(), ALL);
    assert!(
        times.values().all(|times| *times == 1),
        "a record came twice"
    );
}
