//! Long trials of the checkpoint: kills in a whole load, and a slow disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use real_kafka::{Embedded, require_or_skip};
use servicenow_sim::{Fault, Options, Sim, Target};

use crate::crash::{KilledLoad, KilledLoadOutcome};
use crate::support::bridge::{Bridge, PROGRAM};
use crate::support::small;
use crate::support::wait_for;

#[test]
#[ignore = "minutes: make soak"]
fn a_load_of_100000_rows_that_is_killed_every_1500_ms_repeats_two_pages_a_kill_at_most() {
    if !require_or_skip() {
        return;
    }
    let load = KilledLoad {
        topic: "soak.kill",
        rows: 100_000,
        page: 1_000,
    };
    let KilledLoadOutcome { kills, repeated } = load.run();
    println!("killed load: {kills} kills, {repeated} repeated rows");
    assert!(kills >= 5, "only {kills} kills");
}

/// A library that makes each fsync take 50 ms longer.
fn slow_disk(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("slow_disk.c"), folder.join("slow_disk.so"));
    fs::write(
        &source,
        r#"#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) {
    usleep(50000);
    return syscall(SYS_fsync, fd);
}
"#,
    )
    .unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library);
    assert!(compiler.arg(&source).status().unwrap().success());
    library
}

/// Rows per second of one load, and how long its writes waited for the disk on average.
fn load(sim: &Sim, preload: Option<&Path>, rows: usize) -> (f64, Duration) {
    let kafka = Embedded::start(3).unwrap();
    kafka.create_topic("t").unwrap();
    let folder = tempfile::tempdir().unwrap();
    small::config(sim, kafka.bootstrap(), "t").write(folder.path());
    let mut command = Command::new(PROGRAM);
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library);
    }
    let mut bridge = Bridge::spawn_command(folder.path(), command);
    bridge.wait_port();
    let produced = small::produced("t");
    bridge.wait_metric(&produced, 1.0);
    let (began, first) = (Instant::now(), bridge.metric(&produced));
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let all = rows as f64;
    wait_for("all rows", || {
        (bridge.metric(&produced) >= all).then_some(())
    });
    let rate = (all - first) / began.elapsed().as_secs_f64();
    let name = "bridge_checkpoint_fsync_duration_seconds";
    let total = bridge.metric(&format!("{name}_sum"));
    let writes = bridge.metric(&format!("{name}_count"));
    assert_eq!(bridge.terminate(), 0);
    (rate, Duration::from_secs_f64(total / writes))
}

#[test]
#[ignore = "minutes: make soak"]
fn a_disk_that_takes_50_ms_costs_less_than_a_twentieth_of_the_rows() {
    const ROWS: usize = 200_000;
    const ROUNDS: usize = 3;
    let sim = Sim::start(Options::default()).unwrap();
    small::fill(&sim, ROWS);
    // Pages come at a steady rate, so that what else this machine does counts little.
    let delay = Fault::Delay(Duration::from_millis(20));
    sim.faults().on(Target::table(small::SMALL), delay);
    let folder = tempfile::tempdir().unwrap();
    let library = slow_disk(folder.path());
    let (mut plain, mut slow): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (rate, waited) = load(&sim, None, ROWS);
        plain.push(rate);
        let (slow_rate, slow_waited) = load(&sim, Some(&library), ROWS);
        assert!(slow_waited >= Duration::from_millis(50), "{slow_waited:?}");
        slow.push(slow_rate);
        println!(
            "slow disk: round {round}, {rate:.0} rows/s with {waited:?} a write, \
             {slow_rate:.0} with {slow_waited:?}"
        );
    }
    // The best of each: what else this machine does only takes away.
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let share = best(&slow) / best(&plain);
    println!("slow disk: {share:.3} of the rows/s");
    assert!(share > 0.95, "{share:.3}");
}
