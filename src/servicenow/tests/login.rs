//! Fixed credentials, and refusals of any kind.

use std::time::Duration;

use super::server::{ScriptedServer, bench, request, rows, spawn, unauthorized};
use crate::config::{Secret, ServiceNowAuth};
use crate::servicenow::{Error, InstanceClient};

#[test]
fn an_api_key_goes_into_its_header() {
    let server = ScriptedServer::start(|_, _| rows());
    let bench = bench(&server, |config| {
        config.auth = ServiceNowAuth::ApiKey {
            header: "x-sn-apikey".to_owned(),
            key: Secret::new("k-secret"),
        };
    });
    bench.result().unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("x-sn-apikey"), Some("k-secret"));
    assert_eq!(seen[0].header("authorization"), None);
    assert!(!format!("{:?}", bench.client).contains("k-secret"));
}

#[test]
fn a_wrong_password_is_tried_by_one_thread_after_a_pause() {
    let server = ScriptedServer::start(|_, _| unauthorized());
    let mut bench = bench(&server, |_| {});
    let error = bench.get().unwrap_err();
    assert_eq!(error.metric_label(), "unauthorized");
    assert!(
        error.to_string().contains("User Not Authenticated"),
        "{error}"
    );
    assert!(!error.to_string().contains("pa:ss"));
    let ready = bench.health.readiness();
    assert!(!ready.ok && ready.lines[0].contains("401"), "{ready:?}");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || client.get(&request(), &stop).map(|_| ()))
        })
        .collect();
    // One second, then one thread; two seconds, then one thread.
    let (_hold, clock) = crate::stop::pair();
    assert!(!clock.wait(Duration::from_millis(2200)));
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(1));
    drop(bench.trigger.take());
    for thread in threads {
        thread.join().unwrap().unwrap_err();
    }
}

#[test]
fn many_threads_try_an_unproven_password_once() {
    let server = ScriptedServer::start(|_, _| unauthorized());
    let mut bench = bench(&server, |_| {});
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || client.get(&request(), &stop).map(|_| ()))
        })
        .collect();
    let (_hold, clock) = crate::stop::pair();
    assert!(!clock.wait(Duration::from_millis(700)));
    assert_eq!(server.seen().len(), 1);
    drop(bench.trigger.take());
    for thread in threads {
        thread.join().unwrap().unwrap_err();
    }
}

#[test]
fn a_good_answer_lets_all_through_again() {
    let server =
        ScriptedServer::start(|number, _| if number == 0 { unauthorized() } else { rows() });
    let bench = bench(&server, |_| {});
    bench.get().unwrap_err();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || client.get_result(&request(), &stop).map(|_| ()))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(server.seen().len(), 9);
    assert!(bench.health.readiness().ok);
}

/// A URL has 64 KiB at most.
#[test]
fn a_request_that_cannot_be_sent_proves_neither_the_password_nor_the_instance() {
    let server = ScriptedServer::start(|_, _| unauthorized());
    let mut bench = bench(&server, |_| {});
    let mut long = request();
    long.params = vec![("sysparm_query", "a".repeat(1 << 16))];
    let error = bench.client.get(&long, &bench.stop).unwrap_err();
    assert!(server.seen().is_empty());
    assert!(!error.is_api_verdict() && !error.is_retryable());
    assert!(error.possibly_executed_at().is_none());
    let words = error.to_string();
    assert!(words.starts_with("cannot be sent: "), "{words}");
    assert!(words.contains("shorten the query"), "{words}");
    assert!(!bench.health.readiness().ok);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || client.get(&request(), &stop).map(|_| ()))
        })
        .collect();
    let (_hold, clock) = crate::stop::pair();
    while server.seen().len() < 2 {
        assert!(!clock.wait(Duration::from_millis(5)));
    }
    let seen = server.seen();
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(1));
    drop(bench.trigger.take());
    for thread in threads {
        thread.join().unwrap().unwrap_err();
    }
}

#[test]
fn what_cannot_be_set_up_is_said_at_once() {
    let server = ScriptedServer::start(|_, _| rows());
    let check = |change: &dyn Fn(&mut crate::config::ServiceNowConfig), expected: &str| {
        let mut config = super::server::config(server.addr);
        change(&mut config);
        let metrics = std::sync::Arc::new(crate::metrics::Metrics::new());
        let health = std::sync::Arc::new(crate::health::Health::new());
        match InstanceClient::start(&config, &metrics, &health) {
            Err(Error::Setup(words)) => assert!(words.contains(expected), "{words}"),
            other => panic!("{other:?}"),
        }
    };
    check(
        &|config| {
            config.auth = ServiceNowAuth::ApiKey {
                header: "a b".to_owned(),
                key: Secret::new("k"),
            };
        },
        "`a b` is no name of a header",
    );
    check(
        &|config| {
            config.auth = ServiceNowAuth::ApiKey {
                header: "x-sn-apikey".to_owned(),
                key: Secret::new("k\n"),
            };
        },
        "cannot be sent in a header",
    );
    check(
        &|config| {
            config.base_url = "https://dev1.service-now.test".to_owned();
            config.tls.ca_cert = Some("/nonexistent/ca.pem".into());
        },
        "servicenow.tls.ca_cert: cannot read /nonexistent/ca.pem",
    );
}
