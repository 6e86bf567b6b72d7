//! `probe`: what containers and scripts are told by its exit code.

use servicenow_sim::{Options, Sim};

use super::{alone, call};
use crate::support::bridge::Bridge;
use crate::support::small;

/// With the exit code for each: a bridge that waits for Kafka lives and is not ready; one that does not
/// run, and a port that is no bridge's, are told apart from a bridge that says no.
#[test]
fn each_state_has_its_exit_code() {
    let sim = Sim::start(Options::default()).unwrap();
    small::fill(&sim, 1);
    let (folder, _) = alone();
    let probe = |args: &str, expected: i32, words: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        let (output, errors, code) = call(folder.path(), &args);
        let all = format!("{output}{errors}");
        assert_eq!(code, expected, "{args:?}: {all}");
        assert!(all.contains(words), "{args:?}: {all}");
    };
    probe("probe -c nowhere.yaml", 78, "nowhere.yaml");
    probe("probe --addr 127.0.0.1:1", 75, "no answer from a bridge");
    let other = sim.url().strip_prefix("http://").unwrap();
    probe(&format!("probe --addr {other}"), 75, "is no bridge");

    small::config(&sim, "127.0.0.1:9", "t").write(folder.path());
    let bridge = Bridge::start(folder.path());
    bridge.wait_not_ready("broker");
    let addr = bridge.addr();
    let asked = |question: &str| format!("probe {question} --addr {addr} -c nowhere.yaml");
    probe(&asked("live"), 0, r#"{"status":"healthy""#);
    probe(&asked("ready"), 1, "broker");
    bridge.kill();
}
