use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use expect_test::{Expect, expect};

use super::*;
use crate::config::{self, Config, CurrentConfig};
use crate::control::{self, CommandRequest};
use crate::health::{ConditionKey, Health};
use crate::metrics::Metrics;

mod api;
mod status;

/// A configuration with these lines at its end.
fn config(more: &str) -> Config {
    let text = format!("{MINIMAL_CONFIG}{more}");
    config::parse(&text, &|_| None).unwrap().0
}

const MINIMAL_CONFIG: &str = "
servicenow:
  base_url: https://dev1.service-now.com
  auth: {type: basic, basic: {username: u, password: hunter2}}
kafka: {brokers: [localhost:9092]}
source:
  enabled: true
  topic_prefix: sn
  tables:
    - name: incident
";

/// What a server shows that nothing has been told.
fn shown(config: Config) -> (AdminServices, Receiver<CommandRequest>) {
    let (control, requests) = control::pair();
    let shown = AdminServices {
        metrics: Arc::new(Metrics::new()),
        health: Arc::new(Health::new()),
        control,
        config: Arc::new(CurrentConfig::new(config)),
    };
    (shown, requests)
}

fn start(addr: &str) -> Result<AdminServer, Error> {
    AdminServer::start(addr, shown(config("")).0)
}

fn server() -> (AdminServer, Arc<Health>) {
    let (shown, _) = shown(config(""));
    let health = Arc::clone(&shown.health);
    (AdminServer::start("127.0.0.1:0", shown).unwrap(), health)
}

fn connect(server: &AdminServer) -> TcpStream {
    let stream = TcpStream::connect(server.local_addrs()[0]).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// Sends this and reads until the server closes.
fn exchange(server: &AdminServer, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(server: &AdminServer, path: &str) -> String {
    exchange(
        server,
        &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"),
    )
}

#[track_caller]
fn check(answer: &str, expected: &Expect) {
    let answer = answer.replace('\r', "");
    let stable: Vec<_> = answer
        .split('\n')
        .filter(|line| !line.starts_with("Date: "))
        .collect();
    expected.assert_eq(&stable.join("\n"));
}

#[test]
fn health_and_readiness_say_what_is_wrong() {
    let (server, health) = server();
    check(
        &get(&server, "/healthz"),
        &expect![[r#"
        HTTP/1.1 200 OK
        Content-Type: application/json
        Content-Length: 20
        Cache-Control: no-store
        X-Content-Type-Options: nosniff
        Connection: close

        {"status":"healthy"}"#]],
    );
    check(
        &get(&server, "/readyz?verbose"),
        &expect![[r#"
        HTTP/1.1 200 OK
        Content-Type: application/json
        Content-Length: 18
        Cache-Control: no-store
        X-Content-Type-Options: nosniff
        Connection: close

        {"status":"ready"}"#]],
    );
    let condition = health.condition(
        ConditionKey::Table("\"incident\"".to_owned()),
        "403; grant the role",
    );
    let heartbeat = health.thread("source:incident");
    heartbeat.beat(Duration::ZERO);
    while health.liveness(Instant::now()).ok {
        thread::yield_now();
    }
    let answer = get(&server, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let reason = r#"{"status":"unhealthy","reasons":["thread source:incident: overdue for "#;
    assert!(answer.contains(reason), "{answer}");
    check(
        &get(&server, "/readyz"),
        &expect![[r#"
        HTTP/1.1 503 Service Unavailable
        Content-Type: application/json
        Content-Length: 76
        Cache-Control: no-store
        X-Content-Type-Options: nosniff
        Connection: close

        {"status":"not_ready","reasons":["table \"incident\": 403; grant the role"]}"#]],
    );
    condition.ok();
    assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200 "));
    assert!(get(&server, "/metrics").contains("\nbridge_ready 1\n"));
}

#[test]
fn other_requests_are_refused() {
    let (server, _) = server();
    check(
        &get(&server, "/nothing"),
        &expect![[r#"
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 14
        Cache-Control: no-store
        X-Content-Type-Options: nosniff
        Connection: close

        404 Not Found
    "#]],
    );
    let post = "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    check(
        &exchange(&server, post),
        &expect![[r#"
        HTTP/1.1 405 Method Not Allowed
        Content-Type: text/plain; charset=utf-8
        Content-Length: 23
        Cache-Control: no-store
        X-Content-Type-Options: nosniff
        Connection: close
        Allow: GET, HEAD

        405 Method Not Allowed
    "#]],
    );
    let body = "GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    assert!(exchange(&server, body).starts_with("HTTP/1.1 413 "));
    assert!(exchange(&server, "hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let head = exchange(
        &server,
        "HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
    );
    assert!(
        head.contains("\r\nContent-Length: 20\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn an_oversize_head_gets_its_answer() {
    let (server, _) = server();
    // More than the server reads: it must not reset the connection before the answer is read.
    let request = format!("GET / HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(100_000));
    assert!(exchange(&server, &request).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_connection_takes_many_requests() {
    let (server, _) = server();
    let requests = "GET /healthz HTTP/1.1\r\n\r\n".repeat(1000);
    let last = "GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n";
    let mut stream = connect(&server);
    let mut writer = stream.try_clone().unwrap();
    let writer = thread::Builder::new()
        .spawn(move || writer.write_all(format!("{requests}{last}").as_bytes()))
        .unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(answers.matches(r#"{"status":"healthy"}"#).count(), 1000);
    assert!(answers.ends_with(r#"{"status":"ready"}"#));
}

#[test]
fn a_head_may_come_in_pieces() {
    let (server, _) = server();
    let mut stream = connect(&server);
    for byte in b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut start = [0; 15];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
}

#[test]
fn half_open_clients_do_not_keep_a_probe_waiting() {
    let (server, _) = server();
    let mut half_open: Vec<_> = (0..400).map(|_| connect(&server)).collect();
    for stream in &mut half_open {
        // Some are given up already.
        stream.write_all(b"GET /metr").ok();
    }
    let begin = Instant::now();
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_half_open_client_is_dropped_in_time() {
    let (server, _) = server();
    let mut stream = connect(&server);
    stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let begin = Instant::now();
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
    assert!(Duration::from_secs(4) < begin.elapsed());
}

#[test]
fn dropped_connections_leave_nothing_behind() {
    let (server, _) = server();
    for _ in 0..500 {
        connect(&server);
    }
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_port_can_be_bound_again_at_once() {
    let (server, _) = server();
    let addr = server.local_addrs()[0].to_string();
    let again = || start(&addr);
    let error = again().unwrap_err().to_string().replace(&addr, "ADDR");
    expect!["cannot listen on observability.addr `ADDR`: Address already in use (os error 98); stop what uses it or set another port"].assert_eq(&error);
    let mut open = connect(&server);
    open.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    open.read_exact(&mut [0; 15]).unwrap();
    server.stop();
    // Another test that starts a program at this moment has, until its child executes it, a copy
    // of our socket.
    let deadline = Instant::now() + Duration::from_secs(10);
    let server = loop {
        match again() {
            Err(Error::Listen(..)) if Instant::now() < deadline => thread::yield_now(),
            started => break started.unwrap(),
        }
    };
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_bare_port_means_all_addresses() {
    let server = start(":0").unwrap();
    let port = server.local_addrs()[0].port();
    let mut reached = 0;
    for addr in ["127.0.0.1", "::1"] {
        let addr: std::net::IpAddr = addr.parse().unwrap();
        reached += usize::from(TcpStream::connect((addr, port)).is_ok());
    }
    // Where there is no IPv6 at all, IPv4 must do.
    let v6 = TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(reached, if v6 { 2 } else { 1 });
}

#[test]
fn bad_addresses_are_refused_with_words() {
    for (addr, expected) in [
        (
            ":http",
            expect![
                "cannot listen on observability.addr `:http`: the port is no number; write `host:port`, or `:port` for all addresses"
            ],
        ),
        (
            "8080",
            expect![
                "cannot listen on observability.addr `8080`: invalid socket address; write `host:port`, or `:port` for all addresses"
            ],
        ),
        (
            "192.0.2.1:0",
            expect![
                "cannot listen on observability.addr `192.0.2.1:0`: Cannot assign requested address (os error 99); write an address of this machine, or `:port` for all of them"
            ],
        ),
    ] {
        let error = start(addr).unwrap_err();
        expected.assert_eq(&error.to_string());
    }
}
