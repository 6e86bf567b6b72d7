//! A comparison that is interrupted goes on where it was.

use std::process::{Command, Stdio};

use servicenow_sim::{Fault, Rule, Target};

use super::{copied, count, unseen_rows, verify, with_headers};
use crate::support::bridge::PROGRAM;
use crate::support::process::Process;
use crate::support::rig::Rig;
use crate::support::wait_for;

/// More rows than one request for identifiers gets.
const ROWS: usize = 20_000;

#[test]
fn by_a_signal() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), ROWS);
    assert_eq!(bridge.terminate(), 0);
    let missing = unseen_rows(&rig, 40);
    rig.sim.clear_requests();
    let is_second_slice = |request: &servicenow_sim::LoggedRequest| {
        request
            .param("sysparm_query")
            .is_some_and(|query| query.contains("sys_id>="))
    };
    let hold = Rule::new(Target::table("incident"), Fault::Hold).when(is_second_slice);
    let hold = rig.sim.faults().add(hold);
    let child = Command::new(PROGRAM)
        .args(["verify", "incident", "--full"])
        .current_dir(rig.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Process(child);
    let state = rig.folder.path().join("verify-incident.json");
    wait_for("the state of the first slice", || {
        state.exists().then_some(())
    });
    wait_for("the second slice", || {
        (rig.sim.faults().fired(hold) > 0).then_some(())
    });
    let pid = child.0.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    let code = wait_for("the end of the command", || child.0.try_wait().unwrap());
    assert_eq!(code.code(), Some(75));

    rig.sim.faults().clear();
    rig.sim.clear_requests();
    let (report, code) = verify(&rig, &["--full"]);
    assert_eq!(code, 1, "{report}");
    assert_eq!(
        count(&report, "missing"),
        missing.len() as u64,
        "those before the stop too"
    );
    assert_eq!(count(&report, "equal"), ROWS as u64);
    assert!(!state.exists());
    let asked = rig.asked("incident");
    let lists = asked
        .iter()
        .filter_map(|request| request.param("sysparm_query"));
    let from_start =
        lists.filter(|query| !query.contains("sys_id>=") && !query.contains("sys_idIN"));
    // The clock is read by a row without a query.
    assert_eq!(from_start.count(), 0, "the first slice was asked for again");
}
