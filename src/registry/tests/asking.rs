//! What is sent, and what the answers mean.

use super::super::NextSchema;
use super::*;
use crate::avro::{RecordSchema, TableColumns};

const LATEST_ANSWER: &str = r#"{"subject":"t-value","version":3,"id":7,"schema":"\"string\""}"#;

#[test]
fn registering_says_what_it_is_each_time() {
    let server = ScriptedServer::start(|_, _| ok(r#"{"id":7}"#));
    let mut config = config(format!("http://{}/apis/ccompat/v7", server.addr));
    config.auth = RegistryAuth::Basic {
        username: "me".to_owned(),
        password: Secret::new("pa:ss"),
    };
    let bench = bench(&config);
    let register = |subject| {
        bench
            .registry
            .register(subject, r#"{"type": "string"}"#, &bench.stop)
    };
    assert_eq!(register("a/b c-välue"), Ok(7));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].line,
        "POST /apis/ccompat/v7/subjects/a%2Fb%20c-v%C3%A4lue/versions HTTP/1.1"
    );
    assert_eq!(seen[0].body, r#"{"schema":"{\"type\": \"string\"}"}"#);
    let header = |name| seen[0].header(name).unwrap();
    assert_eq!(
        header("content-type"),
        REGISTRY_JSON_HEADER.split_once(": ").unwrap().1
    );
    assert!(header("accept").starts_with("application/vnd.schemaregistry.v1+json,"));
    assert_eq!(header("authorization"), "Basic bWU6cGE6c3M=");
    // The registry may have lost it since.
    assert_eq!(register("a/b c-välue"), Ok(7));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_bearer_token_and_normal_forms() {
    let server = ScriptedServer::start(|_, _| ok(LATEST_ANSWER));
    let mut config = config(format!("http://{}", server.addr));
    config.auth = RegistryAuth::Bearer {
        token: Secret::new("hunter2"),
    };
    config.normalize = true;
    let bench = bench(&config);
    assert_eq!(bench.register(), Ok(7));
    let found = bench.registry.lookup("t-value", "x", &bench.stop).unwrap();
    assert_eq!(found.unwrap().version, Some(3));
    let seen = server.seen();
    assert_eq!(path(&seen[0]), "/subjects/t-value/versions?normalize=true");
    assert_eq!(path(&seen[1]), "/subjects/t-value?normalize=true");
    assert_eq!(seen[0].header("authorization"), Some("Bearer hunter2"));
    assert!(!format!("{:?}", bench.registry).contains("hunter2"));
}

#[test]
fn schemas_by_id_come_with_their_format() {
    let server = ScriptedServer::start(|_, seen| {
        ok(match path(seen) {
            "/schemas/ids/1" => r#"{"schema":"\"string\"","references":null}"#,
            "/schemas/ids/2" => r#"{"schema":"{}","schemaType":"JSON"}"#,
            _ => r#"{"schema":"x","schemaType":"XML"}"#,
        })
    });
    let bench = of(&server);
    for _ in 0..2 {
        assert_eq!(bench.by_id(1).unwrap().format, SchemaFormat::Avro);
        assert_eq!(bench.by_id(2).unwrap().format, SchemaFormat::Json);
        let other = bench.by_id(3).unwrap();
        assert_eq!(other.format, SchemaFormat::Other("XML".to_owned()));
    }
    // Nothing is remembered: the callers have memories of their own.
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn what_is_not_there_is_none() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/subjects/old/versions/latest" => ok(LATEST_ANSWER),
        "/subjects/t-value" => json(
            "404 Not Found",
            r#"{"error_code":40403,"message":"Schema not found"}"#,
        ),
        _ => json(
            "404 Not Found",
            r#"{"error_code":40401,"message":"Subject 'x' not found."}"#,
        ),
    });
    let bench = of(&server);
    let (registry, stop) = (&bench.registry, &bench.stop);
    assert_eq!(registry.latest("new", stop), Ok(None));
    assert_eq!(registry.lookup("t-value", "x", stop), Ok(None));
    assert_eq!(registry.latest("old", stop).unwrap().unwrap().id, 7);
    let fits = registry.check("new", "x", stop).unwrap();
    assert!(fits.compatible);
}

#[test]
fn without_auto_register_the_latest_is_used_or_missed() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/subjects/old/versions/latest" => ok(LATEST_ANSWER),
        _ => json(
            "404 Not Found",
            r#"{"error_code":40401,"message":"Subject 'x' not found."}"#,
        ),
    });
    let mut config = config(format!("http://{}", server.addr));
    config.auto_register = false;
    let bench = bench(&config);
    let publish = |subject| {
        bench
            .registry
            .register_or_latest(subject, "wanted", &bench.stop)
    };
    let used = publish("old").unwrap();
    assert_eq!((used.id, used.schema.as_str()), (7, r#""string""#));
    let error = publish("new").unwrap_err();
    let words = error.to_string();
    for part in [
        "`new`",
        "nothing is registered",
        "auto_register: true",
        "schema register",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!error.is_retryable());
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.line.starts_with("GET "))
    );
}

#[test]
fn with_auto_register_the_wanted_is_used() {
    let server = ScriptedServer::start(|_, _| ok(r#"{"id":8}"#));
    let bench = of(&server);
    let used = bench
        .registry
        .register_or_latest("t-value", "wanted", &bench.stop)
        .unwrap();
    assert_eq!((used.id, used.schema.as_str()), (8, "wanted"));
}

/// Our schema is below foreign ones, one version of which was deleted.
#[test]
fn our_own_is_looked_for_below_others_but_not_for_ever() {
    let ours = RecordSchema::strings(&TableColumns::named("t", ["a"]));
    for (number, found) in [(10, true), (30, false)] {
        let text = ours.json().to_owned();
        let server = ScriptedServer::start(move |_, seen| {
            let version = match path(seen).rsplit('/').next().unwrap() {
                "versions" => {
                    let all: Vec<u32> = (1..=number).filter(|it| *it != 5).collect();
                    return ok(&json!(all).to_string());
                }
                "latest" => number,
                version => version.parse().unwrap(),
            };
            let schema = match version {
                1 => text.as_str(),
                _ => r#""string""#,
            };
            ok(&json!({"subject": "s", "version": version, "id": 7, "schema": schema}).to_string())
        });
        let bench = of(&server);
        let wanted = RecordSchema::strings(&TableColumns::named("t", ["b"]));
        let next = NextSchema::find(&bench.registry, "s", &wanted, None, &bench.stop).unwrap();
        assert!(next.foreign.is_some());
        let columns = next.schema.fields().iter().map(|it| it.column.as_str());
        let expected: &[&str] = if found { &["a", "b"] } else { &["b"] };
        assert_eq!(columns.collect::<Vec<_>>(), expected);
        assert!(server.seen().len() <= 2 + 20);
    }
}

#[test]
fn levels_and_modes() {
    let server = ScriptedServer::start(|_, seen| {
        ok(match path(seen) {
            "/config/a%2Fb?defaultToGlobal=true" => r#"{"compatibilityLevel":"FULL"}"#,
            "/mode" => r#"{"mode":"READWRITE"}"#,
            other => panic!("{other}"),
        })
    });
    let bench = of(&server);
    assert_eq!(
        bench
            .registry
            .compatibility_level("a/b", &bench.stop)
            .as_deref(),
        Ok("FULL")
    );
    assert_eq!(bench.registry.mode(&bench.stop).as_deref(), Ok("READWRITE"));
}
