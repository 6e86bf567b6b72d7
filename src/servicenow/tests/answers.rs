//! Verdicts on heads, the retries, the limits.

use std::time::{Duration, Instant};

use super::server::{
    JSON_HEADER, ONE_ROW_ANSWER, ScriptedServer, ServerAction, answer, bench, request, rows, spawn,
};
use crate::servicenow::{Error, InstanceFailure, ReadRequest};

fn cause(error: &Error) -> &InstanceFailure {
    error.cause().unwrap()
}

#[test]
fn a_good_answer_and_its_request() {
    let server = ScriptedServer::start(|_, _| {
        answer(
            "200 OK",
            &[
                JSON_HEADER,
                "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                "X-Total-Count: 12",
                "Set-Cookie: JSESSIONID=x; Path=/; HttpOnly",
            ],
            ONE_ROW_ANSWER,
        )
    });
    let bench = bench(&server, |_| {});
    assert!(!bench.health.readiness().ok);
    for _ in 0..3 {
        let answer = bench.client.get_result(&request(), &bench.stop).unwrap();
        assert_eq!(answer.result, r#"[{"sys_id":"a"}]"#);
        let meta = answer.head;
        assert_eq!(meta.date, Some(784_111_777));
        assert_eq!(meta.total_count, Some(12));
    }
    assert!(bench.health.readiness().ok);
    let seen = server.seen();
    assert_eq!(
        seen[0].line,
        "GET /api/now/table/incident?sysparm_query=active%3Dtrue%5EORDERBYsys_id HTTP/1.1"
    );
    let version = concat!("servicenow-kafka-bridge/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen[0].header("user-agent"), Some(version));
    assert_eq!(seen[0].header("accept"), Some("application/json"));
    assert_eq!(seen[0].header("accept-encoding"), Some("gzip"));
    assert_eq!(
        seen[0].header("authorization"),
        Some("Basic YnJpZGdlOnBhOnNz")
    );
    for seen in &seen {
        assert_eq!(seen.connection, 1, "the connection is kept");
        assert_eq!(seen.header("cookie"), None);
    }
    let requests = bench
        .metrics
        .api_requests
        .with(&["GET", "/api/now/table/{table}"]);
    assert_eq!(requests.get(), 3);
}

#[test]
fn statuses_become_errors() {
    let check = |status: &'static str, kind: &str, retryable: bool| {
        let body = r#"{"error":{"message":"Because","detail":null},"status":"failure"}"#;
        let server = ScriptedServer::start(move |_, _| answer(status, &[JSON_HEADER], body));
        let bench = bench(&server, |_| {});
        let error = bench.get().unwrap_err();
        assert_eq!(
            (error.metric_label(), error.is_retryable()),
            (kind, retryable),
            "{error}"
        );
        assert!(error.to_string().contains("table `incident`"), "{error}");
        assert!(!error.to_string().contains("ORDERBY"), "{error}");
        let code = status.split(' ').next().unwrap();
        assert_eq!(bench.metrics.api_errors.with(&["GET", code]).get(), 1);
    };
    check("202 Accepted", "not_executed", true);
    check("204 No", "status", false);
    check("400 Bad Request", "bad_request", false);
    check("401 Unauthorized", "unauthorized", false);
    check("403 Forbidden", "forbidden", false);
    check("404 Not Found", "not_found", false);
    check("414 Too Long", "bad_request", false);
    check("429 Too Many", "rate_limited", true);
    check("500 Internal", "server", true);
    check("503 Unavailable", "server", true);
    check("504 Gateway", "server", true);
}

#[test]
fn error_bodies_leave_the_connection_usable() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => answer(
            "404 Not Found",
            &[JSON_HEADER],
            &format!(r#"{{"error":{{"message":"{}"}}}}"#, "y".repeat(9000)),
        ),
        _ => rows(),
    });
    let bench = bench(&server, |_| {});
    bench.get().unwrap_err();
    bench.result().unwrap();
    assert_eq!(server.seen()[1].connection, 1);
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    let server = ScriptedServer::start(|_, _| [rows(), vec![ServerAction::Close]].concat());
    let bench = bench(&server, |config| config.max_retries = Some(0));
    let (_hold, clock) = crate::stop::pair();
    for connection in 1..=3 {
        bench.result().unwrap();
        assert_eq!(server.seen().last().unwrap().connection, connection);
        // The close needs a moment to arrive; nothing tells when it has.
        assert!(!clock.wait(Duration::from_millis(50)));
    }
}

#[test]
fn redirects_are_named_and_not_followed() {
    let other = ScriptedServer::start(|_, _| rows());
    let location = format!("Location: http://{}/login.do?secret=1", other.addr);
    let server = ScriptedServer::start(move |_, _| answer("302 Found", &[&location], ""));
    let bench = bench(&server, |_| {});
    let error = bench.get().unwrap_err();
    assert_eq!(
        *cause(&error),
        InstanceFailure::Redirect {
            host: "127.0.0.1".to_owned()
        }
    );
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!error.is_retryable());
    assert!(other.seen().is_empty());
    assert!(!bench.health.readiness().ok);
}

#[test]
fn html_under_200_is_no_answer() {
    let html = "<html><title>Instance Hibernating page</title></html>";
    let server = ScriptedServer::start(move |number, _| match number {
        0 => answer("200 OK", &["Content-Type: text/html;charset=UTF-8"], html),
        1 => answer(
            "200 OK",
            &["Content-Type: text/html"],
            "<html>Sign In</html>",
        ),
        _ => answer("200 OK", &[], ONE_ROW_ANSWER),
    });
    let bench = bench(&server, |_| {});
    let error = bench.get().unwrap_err();
    assert!(
        matches!(
            cause(&error),
            InstanceFailure::NotJson {
                hibernating: true,
                ..
            }
        ),
        "{error}"
    );
    for _ in 0..2 {
        let error = bench.get().unwrap_err();
        assert!(
            matches!(
                cause(&error),
                InstanceFailure::NotJson {
                    hibernating: false,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.is_retryable());
    }
}

#[test]
fn the_gate_of_a_whole_answer() {
    let check = |body: &'static str, expected: &str| {
        let server = ScriptedServer::start(move |_, _| answer("200 OK", &[JSON_HEADER], body));
        let bench = bench(&server, |config| config.max_retries = Some(1));
        let error = bench.result().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.seen().len(), 2, "tried again once");
    };
    check("null", "no JSON object");
    check("", "no JSON");
    check(r#"{"result":[{"a":"secret"}"#, "no JSON");
    check(r#"{"rows":[]}"#, "no `result`");
    check(
        r#"{"result":[],"error":{"message":"Cancelled","detail":"x"}}"#,
        "Cancelled: x",
    );
    check(r#"{"result":[],"status":"failure"}"#, "carries an error");
}

#[test]
fn retries_until_it_works_and_not_after_a_permanent_error() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => vec![ServerAction::Close],
        1 => answer("503 Unavailable", &[], "busy"),
        2 => rows(),
        _ => answer(
            "403 Forbidden",
            &[JSON_HEADER],
            r#"{"error":{"message":"no"}}"#,
        ),
    });
    let bench = bench(&server, |_| {});
    bench.result().unwrap();
    assert_eq!(server.seen().len(), 3);
    assert_eq!(bench.result().unwrap_err().metric_label(), "forbidden");
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn a_stop_ends_the_retries() {
    let server = ScriptedServer::start(|_, _| answer("503 Unavailable", &[], ""));
    let mut bench = bench(&server, |config| {
        config.max_retries = None;
        config.retry_backoff = Duration::from_secs(100);
    });
    let (client, stop, trigger) = (
        bench.client.clone(),
        bench.stop.clone(),
        bench.trigger.take(),
    );
    let asking = spawn(move || client.get_result(&request(), &stop).map(|_| ()));
    while server.seen().is_empty() {
        std::thread::yield_now();
    }
    drop(trigger);
    // The first back-off is random: it may be short, but the stop ends it in any case.
    assert!(matches!(asking.join().unwrap(), Err(Error::Stopped)));
}

#[test]
fn retry_after_holds_for_all_threads() {
    let server = ScriptedServer::start(|number, _| match number {
        1 => answer(
            "429 Too Many Requests",
            &["Retry-After: 1"],
            "Too Many Requests",
        ),
        _ => rows(),
    });
    let bench = bench(&server, |_| {});
    bench.result().unwrap();
    let error = bench.get().unwrap_err();
    assert!(error.to_string().contains("waiting 1 s"), "{error}");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || client.get_result(&request(), &stop).map(|_| ()))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 6);
    for later in &seen[2..] {
        assert!(later.at.duration_since(seen[1].at) >= Duration::from_secs(1));
    }
    assert!(bench.metrics.rate_limit_wait.get() >= Duration::from_secs(3));
}

#[test]
fn retry_after_as_a_date_counts_from_the_servers_clock() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => answer(
            "503 Service Unavailable",
            &[
                "Date: Sun, 06 Nov 1994 08:49:37 GMT",
                "Retry-After: Sun, 06 Nov 1994 08:49:38 GMT",
            ],
            "",
        ),
        _ => rows(),
    });
    let bench = bench(&server, |_| {});
    bench.result().unwrap();
    let seen = server.seen();
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(1));
}

#[test]
fn the_rate_limit_holds_for_all_threads() {
    let server = ScriptedServer::start(|_, _| rows());
    let bench = bench(&server, |config| config.rate_limit_rps = Some(10.0));
    let started = Instant::now();
    let threads: Vec<_> = (0..5)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || {
                for _ in 0..3 {
                    client.get_result(&request(), &stop).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // 15 requests, a burst of 10.
    assert!(
        started.elapsed() >= Duration::from_millis(490),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn names_are_encoded_in_paths() {
    let server = ScriptedServer::start(|_, _| rows());
    let bench = bench(&server, |_| {});
    let get = ReadRequest {
        path: "/api/now/table/u x?y".to_owned(),
        params: Vec::new(),
        ..request()
    };
    bench.client.get_result(&get, &bench.stop).unwrap();
    assert_eq!(
        server.seen()[0].line,
        "GET /api/now/table/u%20x%3Fy HTTP/1.1"
    );
}

#[test]
fn the_proxy_sees_its_own_credentials_only() {
    let proxy = ScriptedServer::start(|_, seen| {
        if seen.line.starts_with("CONNECT") {
            vec![ServerAction::Send(
                b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec(),
            )]
        } else {
            rows()
        }
    });
    let bench = bench(&proxy, |config| {
        config.base_url = "http://dev1.service-now.test".to_owned();
        config.proxy = Some(crate::config::ProxyConfig {
            url: format!("http://{}", proxy.addr),
            username: Some("me".to_owned()),
            password: Some(crate::config::Secret::new("p@:/")),
        });
    });
    bench.result().unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].line, "CONNECT dev1.service-now.test:80 HTTP/1.1");
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(
        seen[0].header("proxy-authorization"),
        Some("Basic bWU6cEA6Lw==")
    );
    // Inside the tunnel it is the other way round.
    assert_eq!(seen[1].header("proxy-authorization"), None);
    assert!(seen[1].header("authorization").is_some());
}
