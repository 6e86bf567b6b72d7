//! Several addresses of one registry: which of them is believed.

use super::*;

const SCHEMA_ANSWER: &str = r#"{"schema":"\"string\"","id":7}"#;
/// Of a gateway.
const HTML_PAGE: &str = "<html>nothing here</html>";

fn unknown_schema() -> Vec<ServerAction> {
    json(
        "404 Not Found",
        r#"{"error_code":40403,"message":"Schema 7 not found"}"#,
    )
}

fn unknown_subject() -> Vec<ServerAction> {
    json(
        "404 Not Found",
        r#"{"error_code":40401,"message":"Subject 't-value' not found."}"#,
    )
}

/// A client of addresses, in this order.
fn bench_of<const N: usize>(urls: [String; N]) -> RegistryBench {
    let mut config = config("");
    config.urls = urls.into();
    bench(&config)
}

/// A client of a server that always gives this answer, and of one that always does well.
fn beside(
    answer: impl Fn() -> Vec<ServerAction> + Send + Sync + 'static,
) -> (ScriptedServer, ScriptedServer, RegistryBench) {
    let first = ScriptedServer::start(move |_, _| answer());
    let good = ScriptedServer::start(|_, seen| match path(seen) {
        "/subjects/t-value/versions/latest" => {
            ok(r#"{"subject":"t-value","version":3,"id":7,"schema":"\"string\""}"#)
        }
        _ => ok(SCHEMA_ANSWER),
    });
    let bench = bench_of([&first, &good].map(url));
    (first, good, bench)
}

fn url(server: &ScriptedServer) -> String {
    format!("http://{}", server.addr)
}

#[test]
fn another_address_steps_in_and_is_remembered() {
    let server = ScriptedServer::start(|number, _| ok(&format!(r#"{{"id":{number}}}"#)));
    let mut config = config(UNREACHABLE_ADDRESS);
    config.urls.push(format!("http://{}/path", server.addr));
    config.auth = RegistryAuth::Bearer {
        token: Secret::new("t"),
    };
    let bench = bench(&config);
    let register = |schema| bench.registry.register("s", schema, &bench.stop);
    assert_eq!(register("a"), Ok(0));
    assert_eq!(bench.registry.transport.good(), 1);
    assert_eq!(register("b"), Ok(1));
    assert_eq!(path(&server.seen()[0]), "/path/subjects/s/versions");
}

/// A node may be behind the others, a gateway broken, a node without our user: the next address knows
/// better, and is the one to ask from then on.
#[test]
fn what_one_address_refuses_another_may_know() {
    let refusals: [fn() -> Vec<ServerAction>; 7] = [
        unknown_schema,
        || answer("404 Not Found", &["Content-Type: text/html"], HTML_PAGE),
        || answer("302 Found", &["Location: https://login.example/"], ""),
        || json("401 Unauthorized", "{}"),
        || json("403 Forbidden", "{}"),
        || json("429 Too Many Requests", "{}"),
        || answer("200 OK", &["Content-Type: text/html"], HTML_PAGE),
    ];
    for refusal in refusals {
        let (first, good, bench) = beside(refusal);
        assert_eq!(bench.by_id(7).map(|writer| writer.id), Ok(7));
        assert_eq!(bench.registry.transport.good(), 1);
        assert_eq!(bench.by_id(8).map(|writer| writer.id), Ok(8));
        assert_eq!((first.seen().len(), good.seen().len()), (1, 2));
    }
}

/// Registering twice gives the same id, so an address that only refuses us is no verdict either.
#[test]
fn registering_goes_on_as_well() {
    let (first, good, bench) = beside(|| json("403 Forbidden", "{}"));
    assert_eq!(bench.register(), Ok(7));
    assert_eq!((first.seen().len(), good.seen().len()), (1, 1));
    let (_first, _good, bench) = beside(unknown_subject);
    let latest = bench.registry.latest("t-value", &bench.stop).unwrap();
    assert_eq!(latest.unwrap().version, Some(3));
}

/// Another address is the same registry: asked again, it might take what was refused.
#[test]
fn a_verdict_on_a_schema_is_final() {
    let verdicts = [
        ("409 Conflict", r#"{"error_code":409,"message":"no"}"#),
        (
            "422 Unprocessable Entity",
            r#"{"error_code":42201,"message":"no"}"#,
        ),
        (
            "422 Unprocessable Entity",
            r#"{"error_code":42205,"message":"no"}"#,
        ),
        (
            "422 Unprocessable Entity",
            r#"{"error_code":42208,"message":"no"}"#,
        ),
    ];
    for (status, body) in verdicts {
        let (first, good, bench) = beside(move || json(status, body));
        let check = bench.registry.check("t-value", "x", &bench.stop);
        check.unwrap_err();
        bench.register().unwrap_err();
        assert_eq!(first.count("POST /subjects/t-value/versions "), 1);
        assert_eq!(good.count("POST "), 0, "{status}");
    }
}

#[test]
fn what_no_address_knows_is_absent() {
    let [one, other] = [(); 2].map(|()| {
        ScriptedServer::start(|_, seen| match path(seen) {
            "/schemas/ids/7" => unknown_schema(),
            _ => unknown_subject(),
        })
    });
    let bench = bench_of([&one, &other].map(url));
    let error = bench.by_id(7).unwrap_err();
    assert!(error.is_about_the_schema(), "{error}");
    assert_eq!(bench.registry.latest("t-value", &bench.stop), Ok(None));
    assert_eq!((one.seen().len(), other.seen().len()), (2, 2));
    assert_eq!(bench.registry.transport.good(), 0);
}

/// The one that says nothing may be the one that knows: an id that was read from a record exists, and
/// a subject that is taken for new would begin its types anew.
#[test]
fn what_one_address_does_not_know_and_another_does_not_say_is_open() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/schemas/ids/7" => unknown_schema(),
        _ => unknown_subject(),
    });
    for urls in [
        [url(&server), UNREACHABLE_ADDRESS.to_owned()],
        [UNREACHABLE_ADDRESS.to_owned(), url(&server)],
    ] {
        let bench = bench_of(urls);
        let error = bench.by_id(7).unwrap_err();
        assert!(
            error.is_retryable() && !error.is_about_the_schema(),
            "{error}"
        );
        let words = error.to_string();
        for part in [
            "127.0.0.1:1/schemas/ids/7",
            "no such schema",
            "counts only when every address says so",
        ] {
            assert!(words.contains(part), "no {part} in {words}");
        }
        let error = bench.registry.latest("t-value", &bench.stop).unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    // Asked again each time, as a node that is behind soon is no more.
    assert_eq!(server.seen().len(), 2 * 2 * 4);
}

/// An address that refuses our user may know the schema: an operator can give that user the right.
#[test]
fn who_refuses_us_has_not_said_that_there_is_nothing() {
    let [behind, closed] = [unknown_schema, || json("401 Unauthorized", "{}")]
        .map(|answer: fn() -> Vec<ServerAction>| ScriptedServer::start(move |_, _| answer()));
    let error = bench_of([&behind, &closed].map(url)).by_id(7).unwrap_err();
    assert_eq!(error.metric_label(), "unauthorized", "{error}");
    assert!(!error.is_about_the_schema(), "{error}");
}

/// Who may not see the mode is answered all the same.
#[test]
fn one_address_that_answers_is_enough_to_be_reached() {
    let closed = ScriptedServer::start(|_, _| json("403 Forbidden", "{}"));
    let bench = bench_of([url(&closed), UNREACHABLE_ADDRESS.to_owned()]);
    assert_eq!(bench.registry.probe_mode(&bench.stop), Ok(None));
}

#[test]
fn when_all_addresses_fail_all_are_named() {
    let server = ScriptedServer::start(|_, _| json("502 Bad Gateway", ""));
    let mut config = config(UNREACHABLE_ADDRESS);
    config.urls.push(format!("http://{}", server.addr));
    let error = bench(&config).register().unwrap_err();
    let words = error.to_string();
    assert!(error.is_retryable());
    assert!(
        words.contains("127.0.0.1:1/") && words.contains("502 server error"),
        "{words}"
    );
    assert_eq!(server.seen().len(), 4);
}
