//! The token thread.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::server::{
    JSON_HEADER, ScriptedServer, SeenRequest, ServerAction, answer, bench, oauth, password,
    request, rows, spawn, token, unauthorized,
};
use crate::config::{OAuthGrant, Secret};
use crate::servicenow::Error;

fn is_token(seen: &SeenRequest) -> bool {
    seen.line.starts_with("POST /oauth_token.do ")
}

fn refused() -> Vec<ServerAction> {
    answer(
        "401 Unauthorized",
        &[JSON_HEADER],
        r#"{"error_description":"access_denied","error":"server_error"}"#,
    )
}

/// An instance that numbers its tokens: `t1`, `t2`, ... Only the newest is good, while
/// `good` says so.
struct TokenInstance {
    issued: Mutex<u32>,
    revoked: Mutex<u32>,
    life: u64,
}

impl TokenInstance {
    fn new(life: u64) -> std::sync::Arc<TokenInstance> {
        let (issued, revoked) = (Mutex::new(0), Mutex::new(0));
        std::sync::Arc::new(TokenInstance {
            issued,
            revoked,
            life,
        })
    }

    fn revoke_all(&self) {
        *self.revoked.lock().unwrap() = *self.issued.lock().unwrap();
    }

    fn serve(&self, seen: &SeenRequest) -> Vec<ServerAction> {
        if is_token(seen) {
            let mut issued = self.issued.lock().unwrap();
            *issued += 1;
            return token(&format!("t{issued}"), self.life);
        }
        let number = seen
            .header("authorization")
            .and_then(|text| text.strip_prefix("Bearer t"));
        let number: u32 = number.unwrap().parse().unwrap();
        if *self.revoked.lock().unwrap() < number {
            rows()
        } else {
            unauthorized()
        }
    }
}

#[test]
fn the_password_grant_sends_all_in_the_body() {
    let instance = TokenInstance::new(1799);
    let server = ScriptedServer::start(move |_, seen| instance.serve(seen));
    let bench = bench(&server, |config| config.auth = password());
    for _ in 0..3 {
        bench.result().unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0].line, "POST /oauth_token.do HTTP/1.1");
    assert_eq!(
        seen[0].body,
        "grant_type=password&client_id=id&client_secret=s%26cret&username=bridge&password=p%3Dw%20%25"
    );
    assert_eq!(
        seen[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[1].header("authorization"), Some("Bearer t1"));
    assert_eq!(bench.metrics.token_requests.with(&["ok"]).get(), 1);
    let epoch = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let life = bench.metrics.token_expiry.get() - epoch;
    assert!((1790.0..1800.0).contains(&life), "{life}");
    for text in [format!("{:?}", bench.client), bench.metrics.render()] {
        assert!(!text.contains("t1") && !text.contains("cret"), "{text}");
    }
}

#[test]
fn tokens_of_one_second_are_renewed_by_the_refresh_grant() {
    let instance = TokenInstance::new(1);
    let server = ScriptedServer::start(move |_, seen| instance.serve(seen));
    let bench = bench(&server, |config| config.auth = password());
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2500) {
        bench.result().unwrap();
    }
    let tokens: Vec<SeenRequest> = server.seen().into_iter().filter(is_token).collect();
    assert!((3..=4).contains(&tokens.len()), "{}", tokens.len());
    assert_eq!(
        tokens[1].body,
        "grant_type=refresh_token&client_id=id&client_secret=s%26cret&refresh_token=r-t1"
    );
    assert_eq!(bench.metrics.api_errors.with(&["GET", "401"]).get(), 0);
}

#[test]
fn a_refused_refresh_falls_back_to_the_grant() {
    let server = ScriptedServer::start(|_, seen| match &seen.body {
        body if body.contains("grant_type=refresh_token") => refused(),
        body if body.contains("grant_type=password") => token("a", 1),
        _ => rows(),
    });
    let bench = bench(&server, |config| config.auth = password());
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1200) {
        bench.result().unwrap();
    }
    let grants: Vec<bool> = server
        .seen()
        .iter()
        .filter(|seen| is_token(seen))
        .map(|seen| seen.body.contains("grant_type=password"))
        .collect();
    assert_eq!(grants[..3], [true, false, true]);
}

#[test]
fn the_other_grants() {
    let check = |grant: OAuthGrant, expected: &str| {
        let instance = TokenInstance::new(1800);
        let server = ScriptedServer::start(move |_, seen| instance.serve(seen));
        let bench = bench(&server, |config| config.auth = oauth(grant));
        bench.result().unwrap();
        assert_eq!(server.seen()[0].body, expected);
    };
    check(
        OAuthGrant::ClientCredentials,
        "grant_type=client_credentials&client_id=id&client_secret=s%26cret",
    );
    check(
        OAuthGrant::RefreshToken {
            refresh_token: Secret::new("first"),
        },
        "grant_type=refresh_token&client_id=id&client_secret=s%26cret&refresh_token=first",
    );
}

#[test]
fn all_tokens_revoked_at_once_is_one_renewal() {
    let instance = TokenInstance::new(1800);
    let server = ScriptedServer::start({
        let instance = instance.clone();
        move |_, seen| instance.serve(seen)
    });
    let bench = bench(&server, |config| config.auth = password());
    bench.result().unwrap();
    for round in 2..5 {
        instance.revoke_all();
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let (client, stop) = (bench.client.clone(), bench.stop.clone());
                spawn(move || client.get(&request(), &stop).map(|_| ()))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        assert_eq!(server.count("POST"), round);
    }
    assert!(bench.health.readiness().ok);
}

#[test]
fn an_api_that_refuses_every_token_causes_no_storm() {
    let instance = TokenInstance::new(1800);
    let server = ScriptedServer::start(move |_, seen| {
        if is_token(seen) {
            instance.serve(seen)
        } else {
            unauthorized()
        }
    });
    let mut bench = bench(&server, |config| config.auth = password());
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let (client, stop) = (bench.client.clone(), bench.stop.clone());
            spawn(move || {
                while !stop.is_stopped() {
                    client.get(&request(), &stop).unwrap_err();
                }
            })
        })
        .collect();
    let (_hold, clock) = crate::stop::pair();
    assert!(!clock.wait(Duration::from_secs(3)));
    let (tokens, calls) = (server.count("POST"), server.count("GET"));
    drop(bench.trigger.take());
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(tokens <= 6, "{tokens} token requests");
    // At first all 20 are under way, each with its replay.
    assert!(calls <= 2 * 20 + 6, "{calls} calls");
}

#[test]
fn a_stubborn_token_is_not_asked_for_in_a_loop() {
    let server = ScriptedServer::start(|_, seen| {
        if is_token(seen) {
            token("same", 1800)
        } else {
            unauthorized()
        }
    });
    let mut bench = bench(&server, |config| config.auth = password());
    let error = bench.get().unwrap_err();
    assert_eq!(error.metric_label(), "unauthorized");
    assert!(error.to_string().contains("repeats a token"), "{error}");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        bench.get().unwrap_err();
    }
    assert_eq!(server.count("POST"), 2);
    assert_eq!(server.count("GET"), 1);
    drop(bench.trigger.take());
}

#[test]
fn a_wrong_password_is_not_tried_again_soon() {
    let server = ScriptedServer::start(|_, _| refused());
    let bench = bench(&server, |config| config.auth = password());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        let error = bench.get().unwrap_err();
        assert_eq!(error.metric_label(), "unauthorized");
        let text = error.to_string();
        assert!(text.contains("server_error: access_denied"), "{text}");
        assert!(
            text.contains("client_secret") && !text.contains("s&cret"),
            "{text}"
        );
    }
    assert_eq!(server.seen().len(), 1);
    assert_eq!(bench.metrics.token_requests.with(&["error"]).get(), 1);
    assert!(!bench.health.readiness().ok);
}

#[test]
fn odd_token_answers() {
    let check = |body: String, expected: Option<&str>| {
        let server = ScriptedServer::start(move |_, seen| {
            if is_token(seen) {
                answer("200 OK", &[JSON_HEADER], &body)
            } else {
                rows()
            }
        });
        let bench = bench(&server, |config| {
            config.auth = password();
            config.max_retries = Some(0);
        });
        match (bench.result(), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert!(error.to_string().contains(words), "{error}");
                assert!(!error.to_string().contains("secret-token"), "{error}");
            }
            (result, _) => panic!("{result:?}"),
        }
    };
    check(
        r#"{"access_token":"a","expires_in":"1800"}"#.to_owned(),
        None,
    );
    check(r#"{"access_token":"a","expires_in":0}"#.to_owned(), None);
    check(r#"{"access_token":"a"}"#.to_owned(), None);
    check(
        r#"{"access_token":"secret-token\n"}"#.to_owned(),
        Some("cannot be sent"),
    );
    check(r#"{"access_token":""}"#.to_owned(), Some("empty"));
    check(
        r#"{"access_token":["secret-token"]}"#.to_owned(),
        Some("no access_token"),
    );
    let padding = " ".repeat(70_000);
    check(
        format!(r#"{{"x":"{padding}","access_token":"a"}}"#),
        Some("no access_token"),
    );
}

#[test]
fn html_from_the_token_endpoint_is_no_token() {
    let server =
        ScriptedServer::start(|_, _| answer("200 OK", &["Content-Type: text/html"], "<html>"));
    let bench = bench(&server, |config| config.auth = password());
    let error = bench.get().unwrap_err();
    assert!(error.to_string().contains("access token"), "{error}");
    assert_eq!(error.metric_label(), "not_json");
}

#[test]
fn waiting_for_a_token_ends_with_the_stop_and_with_the_client() {
    let server = ScriptedServer::start(|_, _| vec![ServerAction::Wait(Duration::from_secs(60))]);
    let mut bench = bench(&server, |config| config.auth = password());
    let wait = |stop: crate::stop::Stop| {
        let client = bench.client.clone();
        spawn(move || client.get(&request(), &stop).map(|_| ()))
    };
    let (_hold, endless) = crate::stop::pair();
    let (first, second) = (wait(bench.stop.clone()), wait(endless));
    drop(bench.trigger.take());
    assert!(matches!(first.join().unwrap(), Err(Error::Stopped)));
    bench.client.shutdown();
    assert!(matches!(second.join().unwrap(), Err(Error::Stopped)));
    bench.client.shutdown();
}
