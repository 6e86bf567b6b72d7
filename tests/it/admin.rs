//! The admin port of the real program: what it does for those with the token, and what it bears.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use real_kafka::{Embedded, java::free_port};
use servicenow_sim::{Row, Sim};
use tempfile::TempDir;

use crate::support::bridge::{self, Bridge};
use crate::support::small::{self, SMALL};
use crate::support::wait_for;

/// What a probe may wait.
const SECOND: Duration = Duration::from_secs(1);

/// An instance with rows, a broker with the topic `t`, and a configuration with a token and a port
/// that is known beforehand.
fn world(rows: usize) -> (Sim, Embedded, TempDir) {
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    small::fill(&sim, rows);
    let folder = tempfile::tempdir().unwrap();
    small::config(&sim, kafka.bootstrap(), "t").write(folder.path());
    let addr = format!("127.0.0.1:{}", free_port().unwrap());
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef\n").unwrap();
    let lines = format!("addr: {addr}\n  admin_token_file: {}", token.display());
    edit(folder.path(), "addr: 127.0.0.1:0", &lines);
    (sim, kafka, folder)
}

fn edit(folder: &Path, old: &str, new: &str) {
    let file = folder.join("config.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(&file, text.replace(old, new)).unwrap();
}

/// What is answered to the bytes of a request, which asks for the end of its connection.
fn answer(bridge: &Bridge, request: &str) -> String {
    let mut stream = TcpStream::connect(bridge.addr()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn ask(folder: &TempDir, line: &str, code: u8, words: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let (output, errors, found) = bridge::texts(&bridge::run(folder.path(), &args));
    assert_eq!(found, i32::from(code), "{line}: {output}{errors}");
    let said = if code == 0 { &output } else { &errors };
    assert!(said.contains(words), "{line}: {output}{errors}");
    output
}

/// A pause that was forgotten: the status, the metrics and the notes tell it.
#[test]
fn what_is_paused_is_told_until_it_goes_on() {
    let (_sim, kafka, folder) = world(5);
    kafka.create_topic("orders").unwrap();
    let file = folder.path().join("config.yaml");
    let sink = "sink:\n  enabled: true\n  topics:\n    - {topic: orders, table: u_small}\n";
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{sink}")).unwrap();
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 5.0);
    bridge.wait_ready();
    let paused = |bridge: &Bridge| {
        let table = bridge.metric(&small::series("bridge_source_paused"));
        (table, bridge.metric("bridge_sink_paused{topic=\"orders\"}"))
    };
    assert_eq!(paused(&bridge), (0.0, 0.0));
    ask(&folder, "pause u_small", 0, "is paused");
    ask(&folder, "pause orders", 0, "is paused");
    wait_for("the gauges", || {
        (paused(&bridge) == (1.0, 1.0)).then_some(())
    });
    let (code, body) = bridge.get("/readyz");
    assert_eq!(code, 200, "{body}");
    for about in [
        "table u_small: paused since 20",
        "sink orders: paused since 20",
    ] {
        assert!(body.contains(about), "{body}");
    }
    let lag = small::series("bridge_offset_lag_seconds");
    let frozen = bridge.metric(&lag);
    bridge.wait_metric(&lag, frozen + 2.5);
    assert!(
        !bridge
            .get("/metrics")
            .1
            .contains("bridge_sink_lag_records{")
    );
    ask(&folder, "resume u_small", 0, "goes on");
    ask(&folder, "resume orders", 0, "goes on");
    wait_for("the gauges", || {
        (paused(&bridge) == (0.0, 0.0)).then_some(())
    });
    let (_, body) = bridge.get("/readyz");
    assert!(!body.contains("paused"), "{body}");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn the_command_line_asks_a_running_bridge() {
    let (sim, kafka, folder) = world(50);
    ask(
        &folder,
        "status",
        75,
        "no answer from a bridge at 127.0.0.1:",
    );
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 50.0);
    bridge.wait_ready();
    let status = ask(&folder, "status", 0, "servicenow-kafka-bridge ");
    assert!(
        status.contains(", ready\n") && status.contains("\nu_small  running    50 "),
        "{status}"
    );
    let json = ask(&folder, "status --json", 0, "");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["tables"][0]["rows"], 50);
    let threads = ask(&folder, "threads", 0, "read:u_small");
    assert!(threads.contains("admin"), "{threads}");
    ask(&folder, "pause u_small", 0, "table u_small is paused");
    wait_for("the pause", || {
        ask(&folder, "status", 0, "")
            .contains("u_small  paused")
            .then_some(())
    });
    sim.insert(SMALL, Row::new().set("name", "later")).unwrap();
    let polls = sim.table_requests(SMALL).len();
    ask(&folder, "poll u_small", 1, "does not run now");
    ask(
        &folder,
        "pause nothing",
        1,
        "`nothing` is no table of the source",
    );
    ask(&folder, "resume u_small", 0, "table u_small goes on");
    bridge.wait_metric(&small::produced("t"), 51.0);
    assert!(polls < sim.table_requests(SMALL).len());
    assert_eq!(kafka.reader().count("t").unwrap(), 51);
    ask(&folder, "log-level info", 0, "logging from info on");
    ask(&folder, "refresh-token", 1, "are no tokens");
    let running = ask(
        &folder,
        "show-config --running",
        0,
        "\"addr\": \"127.0.0.1:",
    );
    assert!(
        running.contains("\"password\": \"[redacted]\""),
        "{running}"
    );
    assert!(!running.contains("0123456789abcdef"));
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn only_names_of_this_machine_and_configured_ones_are_answered() {
    let (_sim, _kafka, folder) = world(5);
    let known = "observability:\n  allowed_hosts: [bridge.svc]";
    edit(folder.path(), "observability:", known);
    let bridge = Bridge::start(folder.path());
    let addr = bridge.addr().to_string();
    let status = |host: &str| {
        let request = format!("GET /healthz HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        answer(&bridge, &request)
    };
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for name in [
        &addr,
        "localhost:1",
        "10.1.2.3:80",
        "[::1]",
        "bridge.svc:80",
        hostname.trim(),
    ] {
        let answer = status(&format!("Host: {name}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
    assert!(status("").starts_with("HTTP/1.1 200"), "no browser");
    for name in [
        "evil.example",
        "127.0.0.1.evil.example",
        "bridge.svc.evil.example",
    ] {
        let answer = status(&format!("Host: {name}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 421"), "{name}: {answer}");
        assert!(answer.contains("observability.allowed_hosts"), "{answer}");
    }
    assert!(status("Host: localhost\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 400"));
}

#[test]
fn wrong_tokens_do_not_fill_the_log() {
    let (_sim, _kafka, folder) = world(5);
    let bridge = Bridge::start(folder.path());
    let addr = bridge.addr();
    let began = Instant::now();
    for number in 0..600 {
        let request = format!(
            "POST /api/v1/pause?{number} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer x{number}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = answer(&bridge, &request);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let log = bridge.log();
    let lines = log.lines().filter(|line| line.contains("wrong token"));
    let (lines, most) = (lines.count(), 1 + began.elapsed().as_secs() / 10);
    let told = (1..=most).contains(&(lines as u64));
    assert!(told, "{lines}, not one in ten seconds");
    assert!(
        !log.contains("/api/v1/pause"),
        "a path that the client chose"
    );
    assert_eq!(bridge.terminate(), 0);
}

/// An edit that went wrong is just when one wants to look.
#[test]
fn a_broken_file_does_not_keep_one_from_looking() {
    let (_sim, _kafka, folder) = world(5);
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    edit(folder.path(), "enabled: true", "enabld: true");
    let broken = |line: &str| bridge::texts(&bridge::run(folder.path(), &[line]));
    let (output, errors, code) = broken("status");
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("u_small  running"), "{output}");
    assert!(errors.contains("did you mean `enabled`?"), "{errors}");
    let (output, _, code) = broken("threads");
    assert!(code == 0 && output.contains("read:u_small"), "{output}");
    edit(folder.path(), "  tables:", " tables: [");
    let (output, errors, code) = broken("status");
    assert!(errors.contains("not valid YAML"), "{errors}");
    assert!(code == 0 && output.contains("u_small  running"), "{output}");
    edit(folder.path(), "admin_token_file", "admin_tokn_file");
    let (_, errors, code) = broken("status");
    assert_eq!(code, 78, "{errors}");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_reload_and_a_new_token() {
    let (_sim, _kafka, folder) = world(5);
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    // A client with another token gets 401; the bridge takes the new one when it has read it.
    edit(folder.path(), "log_level: debug", "log_level: warn");
    let words = ask(&folder, "reload", 0, "");
    assert!(!words.is_empty());
    let shown = || ask(&folder, "show-config --running", 0, "");
    wait_for("the new level", || {
        shown().contains("\"log_level\": \"warn\"").then_some(())
    });
    fs::write(folder.path().join("other"), "f".repeat(32)).unwrap();
    let other = fs::read_to_string(folder.path().join("config.yaml")).unwrap();
    let other = other.replace("/token", "/other");
    fs::write(folder.path().join("other.yaml"), other).unwrap();
    ask(
        &folder,
        "threads -c other.yaml",
        78,
        "is not that of observability.admin_token_file",
    );
    edit(
        folder.path(),
        &format!(
            "  admin_token_file: {}",
            folder.path().join("token").display()
        ),
        "",
    );
    ask(
        &folder,
        "threads",
        78,
        "needs observability.admin_token_file",
    );
    ask(&folder, "status", 0, "ready");
    assert_eq!(bridge.terminate(), 0);
}

/// Half of a request, on as many connections.
fn half_open(addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(addr).unwrap();
        // Some are given up already.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost").ok();
        stream
    };
    (0..count).map(open).collect()
}

#[track_caller]
fn probe(bridge: &Bridge) -> Duration {
    let begin = Instant::now();
    let (status, body) = bridge.get("/healthz");
    assert_eq!((status, body.as_str()), (200, r#"{"status":"healthy"}"#));
    begin.elapsed()
}

/// Of twenty probes most are answered within a second. A machine that is busy with other tests may
/// hold up one or the other.
fn probes(bridge: &Bridge) {
    let mut times: Vec<Duration> = (0..20).map(|_| probe(bridge)).collect();
    times.sort();
    assert!(times[10] < SECOND, "{times:?}");
}

fn descriptors(bridge: &Bridge) -> usize {
    fs::read_dir(format!("/proc/{}/fd", bridge.pid()))
        .unwrap()
        .count()
}

#[test]
fn a_probe_is_answered_beside_400_half_open_clients() {
    let (_sim, _kafka, folder) = world(5);
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    let before = descriptors(&bridge);
    let addr = bridge.addr();
    let clients = half_open(addr, 400);
    probes(&bridge);
    assert!(
        descriptors(&bridge) <= before + 70,
        "{}",
        descriptors(&bridge)
    );
    drop(clients);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let (_sim, _kafka, folder) = world(5);
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    let before = descriptors(&bridge);
    let addr = bridge.addr();
    for number in 0..10_000 {
        let mut stream = TcpStream::connect(addr).unwrap();
        match number % 3 {
            0 => {}
            1 => drop(stream.write_all(b"GET /met")),
            _ => drop(stream.write_all(b"POST /api/pause HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")),
        }
    }
    probe(&bridge);
    wait_for("their descriptors", || {
        (descriptors(&bridge) <= before + 2).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_spell_without_descriptors_is_survived() {
    let (sim, _kafka, folder) = world(5);
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_ready();
    let addr = bridge.addr();
    let limit = |soft: usize| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &bridge.pid().to_string()]);
        let done = prlimit.arg(format!("--nofile={soft}:")).status().unwrap();
        assert!(done.success());
    };
    let before = descriptors(&bridge);
    limit(before + 10);
    let clients = half_open(addr, 100);
    // What is asked of the instance meanwhile may fail, the port may not.
    probes(&bridge);
    // Some may have been opened between the count and the limit.
    assert!(descriptors(&bridge) < before + 50);
    limit(1024);
    drop(clients);
    bridge.wait_ready();
    sim.insert(SMALL, Row::new().set("name", "later")).unwrap();
    bridge.wait_metric(&small::produced("t"), 6.0);
    assert_eq!(bridge.terminate(), 0);
}
