//! Schemas that a schema refers to.

use super::*;

/// An answer with a schema whose text is `text`, and what it refers to: name, subject and version.
fn referring(text: &str, links: &[(&str, &str, u32)]) -> Vec<ServerAction> {
    let links = links.iter().map(
        |(name, subject, version)| json!({"name": name, "subject": subject, "version": version}),
    );
    let links: Vec<_> = links.collect();
    ok(&json!({"schema": text, "references": links}).to_string())
}

fn texts(writer: &RegisteredSchema) -> Vec<&str> {
    let references = writer.references.iter();
    references
        .map(|reference| reference.schema.as_str())
        .collect()
}

/// 9 refers to a and b, both refer to c, and c to a: a circle, which is the schemas' own trouble.
#[test]
fn references_come_in_the_order_in_which_they_are_needed() {
    let (a, b, c) = (("ns.a", "s/a", 1), ("ns.b", "s/b", 1), ("ns.c", "s/c", 1));
    let server = ScriptedServer::start(move |_, seen| match path(seen) {
        "/schemas/ids/9" => referring("9", &[a, b]),
        "/subjects/s%2Fa/versions/1?deleted=true" => referring("a", &[c]),
        "/subjects/s%2Fb/versions/1?deleted=true" => referring("b", &[c]),
        _ => referring("c", &[a]),
    });
    let writer = of(&server).by_id(9).unwrap();
    assert_eq!(texts(&writer), ["c", "a", "b"]);
    assert_eq!(writer.references[0].name, "ns.c");
    assert_eq!(server.seen().len(), 4);
}

#[test]
fn references_without_end_are_refused() {
    let server = ScriptedServer::start(|number, _| {
        let next = format!("s{number}");
        referring("x", &[(next.as_str(), next.as_str(), 1)])
    });
    let error = of(&server).by_id(9).unwrap_err();
    assert!(
        error.to_string().contains("more than 64 schemas"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

/// A schema can be read as long as the registry has its id, also when what it refers to was deleted
/// since, but not for good: then its versions are given only to who asks for deleted ones.
#[test]
fn what_was_deleted_since_is_found() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/schemas/ids/9" => referring("9", &[("ns.a", "a", 1)]),
        "/subjects/a/versions/1?deleted=true" => referring("a", &[("ns.b", "b", 2)]),
        "/subjects/b/versions/2?deleted=true" => referring("b", &[]),
        _ => json(
            "404 Not Found",
            r#"{"error_code":40401,"message":"Subject not found."}"#,
        ),
    });
    assert_eq!(texts(&of(&server).by_id(9).unwrap()), ["b", "a"]);
}

/// Two versions of one name cannot stand in one schema. Confluent's clients take the first one that
/// they meet, so this is the one that the record was written with.
#[test]
fn the_first_version_of_a_name_is_taken() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/schemas/ids/1" => referring("1", &[("ns.A", "a", 2), ("ns.C", "c", 1)]),
        "/schemas/ids/2" => referring("2", &[("ns.C", "c", 1), ("ns.A", "a", 2)]),
        "/subjects/c/versions/1?deleted=true" => referring("c", &[("ns.A", "a", 1)]),
        "/subjects/a/versions/1?deleted=true" => referring("a, the first", &[]),
        "/subjects/a/versions/2?deleted=true" => referring("a, the second", &[]),
        other => panic!("{other}"),
    });
    let bench = of(&server);
    assert_eq!(texts(&bench.by_id(1).unwrap()), ["a, the second", "c"]);
    assert_eq!(texts(&bench.by_id(2).unwrap()), ["a, the first", "c"]);
}

/// One text may define several names.
#[test]
fn a_text_comes_once_whatever_it_is_called() {
    let server = ScriptedServer::start(|_, seen| match path(seen) {
        "/schemas/ids/1" => referring("1", &[("ns.A", "a", 1), ("ns.Inner", "a", 1)]),
        _ => referring("a", &[]),
    });
    assert_eq!(texts(&of(&server).by_id(1).unwrap()), ["a"]);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn texts_without_measure_are_refused() {
    let server = ScriptedServer::start(|number, _| {
        let next = format!("s{number}");
        let text = " ".repeat(300 << 10);
        referring(&text, &[(next.as_str(), next.as_str(), 1)])
    });
    let error = of(&server).by_id(9).unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    assert!(error.is_about_the_schema());
    assert_eq!(server.seen().len(), 5);
}
