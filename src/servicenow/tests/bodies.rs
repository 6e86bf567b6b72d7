//! Bodies that are broken, too long or too slow.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::server::{
    ClientBench, JSON_HEADER, ONE_ROW_ANSWER, ScriptedServer, ServerAction, answer, bench, request,
    spawn,
};
use crate::servicenow::{Error, InstanceFailure};

/// gzip of [`ROWS`], made with `gzip -9n`.
const GZIPPED: &[u8] = include_bytes!("rows.json.gz");

fn head(more: &str) -> ServerAction {
    ServerAction::Send(format!("HTTP/1.1 200 OK\r\n{JSON_HEADER}\r\n{more}\r\n\r\n").into_bytes())
}

fn send(bytes: &[u8]) -> ServerAction {
    ServerAction::Send(bytes.to_vec())
}

/// Reads one body from a server that sends `acts`.
fn read(acts: Vec<ServerAction>) -> Result<Vec<u8>, Error> {
    let server = ScriptedServer::start(move |_, _| acts.clone());
    bench(&server, |_| {}).read()
}

fn body_error(acts: Vec<ServerAction>) {
    let error = read(acts).unwrap_err();
    assert!(
        matches!(error.cause(), Some(InstanceFailure::Body(_))),
        "{error:?}"
    );
    assert!(error.is_retryable() && error.calls_for_smaller_page());
}

#[test]
fn a_chunked_body_that_ends_early() {
    let chunked = || head("Transfer-Encoding: chunked");
    body_error(vec![
        chunked(),
        send(b"5\r\nhello\r\n"),
        ServerAction::Close,
    ]);
    body_error(vec![chunked(), send(b"5\r\nhel"), ServerAction::Close]);
    body_error(vec![
        chunked(),
        send(b"5\r\nhello\r\nzz\r\n"),
        ServerAction::Close,
    ]);
    let whole = read(vec![chunked(), send(b"5\r\nhello\r\n0\r\n\r\n")]);
    assert_eq!(whole.unwrap(), b"hello");
}

#[test]
fn a_counted_body_that_ends_early() {
    body_error(vec![
        head("Content-Length: 100"),
        send(b"hello"),
        ServerAction::Close,
    ]);
}

#[test]
fn a_gzip_body_that_ends_early() {
    let gzip = |length: usize| {
        head(&format!(
            "Content-Encoding: gzip\r\nContent-Length: {length}"
        ))
    };
    let whole = read(vec![gzip(GZIPPED.len()), send(GZIPPED)]).unwrap();
    assert_eq!(whole, ONE_ROW_ANSWER.as_bytes());
    // Complete for HTTP, incomplete for gzip: in the data, in the checksum.
    for cut in [12, GZIPPED.len() - 12, GZIPPED.len() - 4] {
        body_error(vec![gzip(cut), send(&GZIPPED[..cut])]);
    }
    let mut damaged = GZIPPED.to_vec();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    body_error(vec![gzip(damaged.len()), send(&damaged)]);
    // And in chunks, without the last one.
    let chunk = [
        format!("{:x}\r\n", GZIPPED.len()).as_bytes(),
        GZIPPED,
        b"\r\n",
    ]
    .concat();
    let chunked = || head("Content-Encoding: gzip\r\nTransfer-Encoding: chunked");
    body_error(vec![chunked(), send(&chunk), ServerAction::Close]);
    let whole = read(vec![chunked(), send(&chunk), send(b"0\r\n\r\n")]).unwrap();
    assert_eq!(whole, ONE_ROW_ANSWER.as_bytes());
}

#[test]
fn gzip_in_chunks_keeps_the_connection() {
    let server = ScriptedServer::start(|_, _| {
        let chunk = [
            format!("{:x}\r\n", GZIPPED.len()).as_bytes(),
            GZIPPED,
            b"\r\n",
        ]
        .concat();
        let head = head("Content-Encoding: gzip\r\nTransfer-Encoding: chunked");
        vec![head, send(&chunk), send(b"0\r\n\r\n")]
    });
    let bench = bench(&server, |_| {});
    for _ in 0..3 {
        bench.read().unwrap();
    }
    assert!(server.seen().iter().all(|seen| seen.connection == 1));
}

#[test]
fn an_encoding_nobody_asked_for() {
    let error = read(vec![
        head("Content-Encoding: br\r\nContent-Length: 2"),
        send(b"{}"),
    ]);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("content encoding `br`")
    );
}

#[test]
fn a_reset_in_the_middle() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let resetting = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\n{JSON_HEADER}\r\nContent-Length: 1000\r\n\r\n[1,");
        stream.write_all(head.as_bytes()).unwrap();
        // Closing a socket with unread bytes, here the request, sends a reset.
    });
    let server = ScriptedServer::start(|_, _| vec![]);
    let bench = bench(&server, |config| config.base_url = format!("http://{addr}"));
    let error = bench.read().unwrap_err();
    resetting.join().unwrap();
    // The reset may overtake the head.
    assert!(
        matches!(error.metric_label(), "body" | "network"),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[test]
fn abort_ends_a_body() {
    let long = Duration::from_secs(60);
    let server = ScriptedServer::start(move |_, _| {
        vec![
            head("Content-Length: 9"),
            send(b"x"),
            ServerAction::Wait(long),
        ]
    });
    let bench = bench(&server, |_| {});
    let response = bench.get().unwrap();
    let started = Instant::now();
    let client = bench.client.clone();
    let reading = spawn(move || {
        let error = response.body.read_all(u64::MAX).unwrap_err();
        client.body_error(&error, "table `incident`")
    });
    bench.client.abort();
    assert!(matches!(reading.join().unwrap(), Error::Stopped));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_body_over_the_limit() {
    let body = "x".repeat(1000);
    let check = |limit: u64| {
        let body = body.clone();
        let server = ScriptedServer::start(move |_, _| answer("200 OK", &[JSON_HEADER], &body));
        bench(&server, |config| config.max_response_bytes = limit).read()
    };
    assert_eq!(check(1000).unwrap().len(), 1000);
    let error = check(999).unwrap_err();
    assert_eq!(
        *error.cause().unwrap(),
        InstanceFailure::TooLarge { limit: 999 }
    );
    assert!(error.calls_for_smaller_page());
}

#[test]
fn a_head_over_the_limit() {
    let line = format!("X-Long: {}", "x".repeat(90_000));
    let error = read(vec![head(&line)]).unwrap_err();
    assert_eq!(error.metric_label(), "body");
}

fn slow(acts: Vec<ServerAction>) -> (Error, Duration) {
    let server = ScriptedServer::start(move |_, _| acts.clone());
    let bench = bench(&server, |config| {
        config.read_timeout = Duration::from_millis(300);
        config.timeout = Duration::from_millis(900);
    });
    let started = Instant::now();
    let error = bench.read().unwrap_err();
    (error, started.elapsed())
}

#[test]
fn silence_and_dripping() {
    let long = Duration::from_secs(60);
    let drip = |first: ServerAction| {
        let mut acts = vec![first];
        for _ in 0..20 {
            acts.extend([ServerAction::Wait(Duration::from_millis(100)), send(b"x")]);
        }
        acts
    };
    for (acts, words, least, most) in [
        (
            vec![ServerAction::Wait(long)],
            "read_timeout_seconds",
            290,
            800,
        ),
        (
            vec![head("Content-Length: 9"), ServerAction::Wait(long)],
            "read_timeout_seconds",
            290,
            800,
        ),
        (
            drip(head("Content-Length: 99")),
            "in timeout_seconds",
            890,
            1500,
        ),
        (
            drip(send(b"HTTP/1.1 200 OK\r\nX-Slow: ")),
            "in timeout_seconds",
            890,
            1500,
        ),
    ] {
        let (error, time) = slow(acts);
        assert!(error.is_timeout() && error.is_retryable(), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let time = time.as_millis();
        assert!(least <= time && time < most, "{time} ms: {error}");
    }
}

#[test]
fn no_connection_is_no_reason_for_less() {
    let server = ScriptedServer::start(|_, _| vec![]);
    let addr = server.addr;
    drop(server);
    let other = ScriptedServer::start(|_, _| vec![]);
    let refused = bench(&other, |config| config.base_url = format!("http://{addr}"));
    let error = refused.get().unwrap_err();
    assert_eq!(error.metric_label(), "network");
    assert!(error.is_retryable() && !error.is_timeout());
    let unknown = bench(&other, |config| {
        config.base_url = "http://no.such.host.invalid".into();
    });
    let error = unknown.get().unwrap_err();
    assert_eq!(error.metric_label(), "network", "{error}");
}

#[test]
fn abort_ends_a_silent_request_and_later_ones() {
    let server = ScriptedServer::start(|_, _| vec![ServerAction::Wait(Duration::from_secs(60))]);
    let bench = bench(&server, |_| {});
    let started = Instant::now();
    let asking = {
        let (client, stop) = (bench.client.clone(), bench.stop.clone());
        spawn(move || client.get(&request(), &stop).map(|_| ()))
    };
    while server.seen().is_empty() {
        std::thread::yield_now();
    }
    bench.client.abort();
    assert!(matches!(asking.join().unwrap(), Err(Error::Stopped)));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(matches!(ClientBench::get(&bench), Err(Error::Stopped)));
}
