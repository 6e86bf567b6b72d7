//! Everything that goes wrong, with its words.

use expect_test::{Expect, expect};

use super::*;

/// The message for an answer to registering, and whether it was tried again.
fn refused(
    status: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    expected: &Expect,
) {
    let server = ScriptedServer::start(move |_, seen| match path(seen) {
        "/subjects/t-value/versions" => {
            let mut all = vec![REGISTRY_JSON_HEADER];
            all.extend(headers);
            answer(status, &all, body)
        }
        "/subjects/t-value/versions/latest" => ok(
            r#"{"subject":"t","version":1,"id":1,"schema":"{\"fields\":[{\"name\":\"number\"}]}"}"#,
        ),
        "/config/t-value?defaultToGlobal=true" => ok(r#"{"compatibilityLevel":"BACKWARD"}"#),
        "/compatibility/subjects/t-value/versions?verbose=true" => ok(
            r#"{"is_compatible":false,"messages":["{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: STRING'}","{oldSchemaVersion: 1}"]}"#,
        ),
        _ => json("500 Internal Server Error", ""),
    });
    let error = of(&server).register().unwrap_err();
    let asked = server.count("POST /subjects/t-value/versions ");
    assert_eq!(asked > 1, error.is_retryable(), "{error}");
    let words = error.to_string().replace(&server.addr.to_string(), "HOST");
    expected.assert_eq(&words);
}

#[test]
fn refusals_say_what_to_do() {
    refused(
        "401 Unauthorized",
        &["WWW-Authenticate: Basic realm=\"SR\""],
        r#"{"error_code":401,"message":"Unauthorized"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 401 unauthorized: Unauthorized; check `schema_registry.auth`"
        ],
    );
    refused(
        "403 Forbidden",
        &[],
        r#"{"error_code":40301,"message":"User is denied operation Write on Subject: t-value"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 403 forbidden: User is denied operation Write on Subject: t-value; this user lacks a right: to read the subject, or to register under it"
        ],
    );
    refused(
        "404 Not Found",
        &[],
        "<html>nginx</html>",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 404 not found: no reason given; is `schema_registry.url` a registry, with its path? Apicurio's is `/apis/ccompat/v7`"
        ],
    );
    refused(
        "409 Conflict",
        &[],
        r#"{"error_code":409,"message":"Schema being registered is incompatible with an earlier schema"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): the schema does not fit to what is registered (compatibility BACKWARD): field `number`: The type (path '/fields/0/type') of a field in the new schema does not match with the old schema (reader type: INT not compatible with writer type: STRING); relax the compatibility of the subject for this change, or use another topic"
        ],
    );
    refused(
        "422 Unprocessable Entity",
        &[],
        r#"{"error_code":42201,"message":"Invalid schema: \"recrd\" is not a defined name"}"#,
        &expect![[
            r#"schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): refused as no valid schema: Invalid schema: "recrd" is not a defined name"#
        ]],
    );
    refused(
        "422 Unprocessable Entity",
        &[],
        r#"{"error_code":42205,"message":"Subject t-value is in read-only mode"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): takes no new schemas: Subject t-value is in read-only mode"
        ],
    );
    refused(
        "422 Unprocessable Entity",
        &[],
        r#"{"error_code":42208,"message":"Invalid subject"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 422 bad request: Invalid subject"
        ],
    );
    refused(
        "301 Moved Permanently",
        &["Location: https://elsewhere.example/x?token=hunter2"],
        "",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): redirected to elsewhere.example, which is not followed; set `schema_registry.url` to the address of the registry itself"
        ],
    );
    refused(
        "405 Method Not Allowed",
        &[],
        "",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 405 bad request: no reason given"
        ],
    );
    refused(
        "101 Switching Protocols",
        &[],
        "",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): unexpected status 101"
        ],
    );
}

#[test]
fn trouble_of_the_registry_is_waited_out() {
    refused(
        "500 Internal Server Error",
        &[],
        r#"{"error_code":50001,"message":"Error in the backend datastore"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 500 server error: Error in the backend datastore"
        ],
    );
    refused(
        "500 Internal Server Error",
        &[],
        r#"{"error_code":50003,"message":"Error while forwarding the request to the primary"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 500 server error: Error while forwarding the request to the primary"
        ],
    );
    refused(
        "503 Service Unavailable",
        &["Retry-After: 0"],
        "down",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 503 server error: no reason given"
        ],
    );
    refused(
        "429 Too Many Requests",
        &[],
        r#"{"error_code":429,"message":"Too Many Requests"}"#,
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): 429 rate limited: Too Many Requests"
        ],
    );
    refused(
        "200 OK",
        &[],
        "<html>log in</html>",
        &expect![
            "schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): incomplete or damaged answer: expected value at line 1 column 1"
        ],
    );
    refused(
        "200 OK",
        &[],
        r#"{"id":"seven"}"#,
        &expect![[
            r#"schema registry: POST http://HOST/subjects/t-value/versions (subject `t-value`): incomplete or damaged answer: invalid type: string "seven", expected u32 at line 1 column 13"#
        ]],
    );
}

#[test]
fn it_comes_back() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => vec![ServerAction::Close],
        1 => json(
            "500 Internal Server Error",
            r#"{"error_code":50002,"message":"Timeout"}"#,
        ),
        _ => ok(r#"{"id":3}"#),
    });
    assert_eq!(of(&server).register(), Ok(3));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn the_registry_says_how_long_to_wait() {
    let server = ScriptedServer::start(|number, _| match number {
        0 => answer("429 Too Many Requests", &["Retry-After: 1"], ""),
        _ => ok(r#"{"id":3}"#),
    });
    let began = Instant::now();
    assert_eq!(of(&server).register(), Ok(3));
    assert!(Duration::from_secs(1) <= began.elapsed());
}

#[test]
fn a_refusal_is_not_repeated_and_trouble_is() {
    let server = ScriptedServer::start(|number, seen| match path(seen) {
        "/schemas/ids/1" => json(
            "404 Not Found",
            r#"{"error_code":40403,"message":"Schema 1 not found"}"#,
        ),
        _ if number < 6 => json("500 Internal Server Error", ""),
        _ => ok(r#"{"schema":"x"}"#),
    });
    let bench = of(&server);
    for asked in 1..=2 {
        let error = bench.by_id(1).unwrap_err();
        assert!(error.to_string().contains("no such schema"), "{error}");
        assert_eq!(error.metric_label(), "not_found");
        assert_eq!(server.seen().len(), asked);
    }
    assert!(bench.by_id(2).is_err());
    assert_eq!(server.seen().len(), 2 + 4);
    assert!(bench.by_id(2).is_ok());
}

#[test]
fn an_endless_body_is_cut_off() {
    let server = ScriptedServer::start(|_, _| {
        let mut acts = answer("200 OK", &[REGISTRY_JSON_HEADER], "");
        acts[0] =
            ServerAction::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n".to_vec());
        acts.push(ServerAction::Send(vec![b' '; 5 << 20]));
        acts
    });
    let error = of(&server).register().unwrap_err();
    assert!(
        error.to_string().contains("larger than 2097152 bytes"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[test]
fn a_redirect_takes_no_credentials_along() {
    let thief = ScriptedServer::start(|_, _| ok(r#"{"id":1}"#));
    let to = format!("Location: http://{}/subjects", thief.addr);
    let server = ScriptedServer::start(move |_, _| answer("307 Temporary Redirect", &[&to], ""));
    let mut config = config(format!("http://{}", server.addr));
    config.auth = RegistryAuth::Bearer {
        token: Secret::new("hunter2"),
    };
    assert_eq!(
        bench(&config).register().unwrap_err().metric_label(),
        "redirect"
    );
    assert!(thief.seen().is_empty());
}

#[test]
fn a_stop_ends_its_own_requests_at_once() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/schemas/ids/2" => {
            let mut actions = vec![ServerAction::Wait(Duration::from_secs(1))];
            actions.extend(ok(r#"{"schema":"\"string\""}"#));
            actions
        }
        _ => vec![ServerAction::Wait(Duration::from_secs(60))],
    });
    let mut config = config(format!("http://{}", server.addr));
    config.timeout = Duration::from_secs(60);
    let registry = Arc::new(Registry::new(&config, &Metrics::new()).unwrap());
    let ask = |id: u32, stop: &Stop| {
        let (registry, stop) = (Arc::clone(&registry), stop.clone());
        spawn(move || registry.schema_by_id(id, &stop))
    };
    let (trigger, stop) = stop::pair();
    let (_other_trigger, other_stop) = stop::pair();
    let hanging = [ask(1, &stop), ask(1, &stop)];
    let other = ask(2, &other_stop);
    while server.seen().len() < 3 {
        assert!(!stop.wait(Duration::from_millis(5)));
    }
    let began = Instant::now();
    drop(trigger);
    for thread in hanging {
        assert_eq!(thread.join().unwrap().unwrap_err(), Error::Stopped);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    // The request of a caller that goes on is not repeated.
    assert_eq!(other.join().unwrap().map(|schema| schema.id), Ok(2));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn time_runs_out() {
    let server = ScriptedServer::start(|_, _| vec![ServerAction::Wait(Duration::from_secs(60))]);
    let mut config = config(format!("http://{}", server.addr));
    config.timeout = Duration::from_millis(100);
    let error = bench(&config).register().unwrap_err();
    assert!(
        error.to_string().contains("in `schema_registry.timeout`"),
        "{error}"
    );
    assert!(error.is_retryable());
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn addresses_and_tokens_are_checked_at_start() {
    let mut config = config(UNREACHABLE_ADDRESS);
    config.auth = RegistryAuth::Bearer {
        token: Secret::new("a\nb"),
    };
    let error = Registry::new(&config, &Metrics::new()).unwrap_err();
    assert!(error.to_string().contains("printable ASCII"), "{error}");
    config.urls.clear();
    let error = Registry::new(&config, &Metrics::new()).unwrap_err();
    assert_eq!(error.to_string(), "schema_registry.url: is not set");
    assert_eq!(error.metric_label(), "setup");
}

/// The first thread meets the silence; those that come then wait for the outcome of one request at a time.
#[test]
fn of_many_threads_one_at_a_time_asks_a_registry_that_is_away() {
    const SILENT: usize = 4;
    let server = ScriptedServer::start(|number, _| {
        if number < SILENT {
            vec![ServerAction::Close]
        } else {
            ok(r#"{"subject":"t-value","version":3,"id":7,"schema":"\"string\""}"#)
        }
    });
    let bench = Arc::new(of(&server));
    let ask = || {
        let bench = Arc::clone(&bench);
        spawn(move || bench.registry.latest("t-value", &bench.stop).is_ok())
    };
    let first = ask();
    while server.seen().is_empty() {
        std::thread::yield_now();
    }
    // Until the failure is known the others would go out as well.
    while !first.is_finished() && server.seen().len() < 2 {
        std::thread::yield_now();
    }
    let others: Vec<_> = (0..8).map(|_| ask()).collect();
    for thread in others.into_iter().chain([first]) {
        assert!(thread.join().unwrap());
    }
    let seen = server.seen();
    for pair in seen[1..SILENT].windows(2) {
        let pause = pair[1].at.duration_since(pair[0].at);
        assert!(pause >= Duration::from_millis(300), "{pause:?}");
    }
}
