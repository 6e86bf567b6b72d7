//! Start, life and stop as systemd and an operator see them.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use servicenow_sim::{Fault, Target};

use crate::support::bridge::{Bridge, PROGRAM};
use crate::support::rig::{Rig, TOPIC};
use crate::support::{LONG, wait_for};

/// A datagram socket in the place of systemd's.
struct Systemd(UnixDatagram);

impl Systemd {
    fn new(path: &Path) -> Systemd {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Systemd(socket)
    }

    /// Messages up to the first that begins with `word`.
    fn until(&self, word: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let deadline = Instant::now() + LONG;
        while Instant::now() < deadline {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).expect(word);
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            messages.push(message.clone());
            if message.starts_with(word) {
                return messages;
            }
        }
        panic!("no {word} in {messages:?}");
    }
}

fn spawn(rig: &Rig, socket: &Path) -> Bridge {
    let mut command = Command::new(PROGRAM);
    command.env("NOTIFY_SOCKET", socket);
    command.env("WATCHDOG_USEC", "2000000");
    let mut bridge = Bridge::spawn_command(rig.folder.path(), command);
    bridge.wait_port();
    bridge
}

#[test]
fn systemd_hears_of_start_reload_life_and_stop() {
    let rig = Rig::new();
    rig.fill("incident", 100);
    let config = rig.config();
    config.write(rig.folder.path());
    let path = rig.folder.path().join("notify.sock");
    let systemd = Systemd::new(&path);
    // Without Kafka the start takes longer, and says so.
    rig.kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    for id in 2..=4 {
        rig.kafka
            .with(move |cluster| cluster.broker_down(id))
            .unwrap()
            .ok();
    }
    let mut bridge = spawn(&rig, &path);
    let waiting = systemd.until("EXTEND_TIMEOUT_USEC=");
    assert!(
        waiting.iter().all(|it| !it.starts_with("READY")),
        "{waiting:?}"
    );
    let status = systemd.until("STATUS=").pop().unwrap();
    assert!(status.contains("not ready: "), "{status}");
    for id in 1..=4 {
        rig.kafka
            .with(move |cluster| cluster.broker_up(id))
            .unwrap()
            .ok();
    }
    systemd.until("READY=1");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    systemd.until("WATCHDOG=1");
    systemd.until("WATCHDOG=1");
    let status = systemd.until("STATUS=source").pop().unwrap();
    assert!(
        status.contains("rows/s") && status.contains("behind"),
        "{status}"
    );
    bridge.signal("HUP");
    let reloading = systemd.until("RELOADING=1").pop().unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    systemd.until("READY=1");
    bridge.signal("TERM");
    systemd.until("STOPPING=1");
    assert_eq!(bridge.wait_exit(), 0);
}

#[test]
fn every_thread_has_a_name() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let pid = bridge.pid();
    let thread_names = || -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect()
    };
    // The topics are found, or there would be no rows, so the thread that looked for them ends.
    let names = wait_for("the end of the thread `topics`", || {
        let names = thread_names();
        (!names.contains(&"topics".to_owned())).then_some(names)
    });
    // The kernel cuts after 15 letters; the program's own name is the main thread's.
    for name in [
        "servicenow-kafk",
        "admin",
        "signals",
        "config-watch",
        "checkpoint",
        "kafka-poll",
        "read:incident",
        "send:incident",
    ] {
        assert!(names.contains(&name.to_owned()), "no {name} in {names:?}");
    }
    assert!(!names.contains(&"topics".to_owned()), "{names:?}");
    let nameless = names
        .iter()
        .filter(|name| *name == "servicenow-kafk")
        .count();
    assert_eq!(nameless, 1, "{names:?}");
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_table_that_the_instance_refuses_or_that_cannot_start_stops_no_other() {
    let rig = Rig::new();
    rig.fill("incident", 50);
    rig.fill("problem", 50);
    rig.fill("cmdb_ci", 50);
    let mut config = rig.config();
    config
        .tables
        .extend(["name: problem".to_owned(), "name: cmdb_ci".to_owned()]);
    config
        .tables
        .push("name: task\ntopic: nobody.made.it".to_owned());
    // The checkpoint of one table belongs to another query.
    let foreign = r#"{"cmdb_ci": {"timestamp": 1706140800, "last_identifier": "x",
        "fingerprint": "0123456789abcdef"}}"#;
    fs::write(rig.folder.path().join("offsets.json"), foreign).unwrap();
    rig.sim.faults().on(Target::table("problem"), Fault::ApiAcl);
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_not_ready("checkpoint reset cmdb_ci");
    bridge.wait_not_ready("table problem");
    bridge.wait_not_ready("nobody.made.it");
    assert_eq!(bridge.get("/healthz").0, 200, "a restart would not help");
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn what_can_never_start_alone_ends_with_words() {
    let rig = Rig::new();
    rig.fill("incident", 5);
    rig.config().write(rig.folder.path());
    let foreign = r#"{"incident": {"timestamp": 1706140800, "last_identifier": "x",
        "fingerprint": "0123456789abcdef"}}"#;
    fs::write(rig.folder.path().join("offsets.json"), foreign).unwrap();
    let mut bridge = Bridge::spawn(rig.folder.path());
    assert_eq!(bridge.wait_exit(), 78);
    assert!(
        bridge.log().contains("checkpoint reset incident"),
        "{}",
        bridge.log()
    );
    assert_eq!(rig.kafka.reader().count(TOPIC).unwrap(), 0);
}

#[test]
fn a_stop_during_a_reload_that_waits_for_the_instance_is_in_time() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let mut config = rig.config();
    config.top.push_str("\nshutdown_timeout: 4s");
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let hang = rig.sim.faults().on(
        Target::table("incident"),
        Fault::Hang(Duration::from_secs(300)),
    );
    config = config.servicenow("timeout_seconds: 200\nread_timeout_seconds: 200");
    config.write(rig.folder.path());
    wait_for("the reload and a poll to hang", || {
        (rig.sim.faults().fired(hang) >= 2).then_some(())
    });
    let start = Instant::now();
    let code = bridge.terminate();
    let took = start.elapsed();
    assert_eq!(code, 0, "what was read was delivered");
    assert!(took < Duration::from_secs(15), "{took:?}");
}
