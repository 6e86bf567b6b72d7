use serde_json::json;

use super::*;
use crate::avro::decode::to_json;

mod random;

/// A record with one field `a` of this type.
fn record(kind: &str) -> String {
    format!(
        r#"{{"type":"record","name":"M","namespace":"n","fields":[{{"name":"a","type":{kind}}}]}}"#
    )
}

/// The JSON of a record, or why its schema cannot be read.
fn read(text: &str, references: &[&str], body: &[u8]) -> Result<String, String> {
    let schema = WriterSchema::parse(text, references).map_err(|error| error.to_string())?;
    let json = to_json(&schema, body).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(json).unwrap())
}

fn refused(text: &str, references: &[&str]) -> String {
    let schema = WriterSchema::parse(text, references);
    schema.unwrap_err().to_string()
}

#[test]
fn only_what_reading_needs_is_judged() {
    for (field, body, expected) in [
        // Registries accept any default, unless they are configured to check them.
        (r#""type":"string","default":null"#, &b"\x02x"[..], r#""x""#),
        (r#""type":"long","default":"0""#, b"\x0e", r#""7""#),
        (
            r#""type":["null","boolean"],"default":"null""#,
            b"\x02\x01",
            r#""true""#,
        ),
        (
            r#""type":{"type":"string","logicalType":"uuid"},"default":"""#,
            b"\x02x",
            r#""x""#,
        ),
        (
            r#""type":{"type":"enum","name":"E","symbols":["a-b"],"default":5}"#,
            b"\0",
            r#""a-b""#,
        ),
        (
            r#""type":"int","aliases":["a b",7],"doc":1,"order":"?""#,
            b"\x02",
            r#""1""#,
        ),
        // Defaults and attributes that are valid JSON and that no machine number or text can hold.
        (r#""type":"int","default":-1e400"#, b"\x02", r#""1""#),
        (
            r#""type":{"type":"int","x":"\ud83d"},"doc":"\ud83d""#,
            b"\x02",
            r#""1""#,
        ),
        (
            r#""type":{"type":"int","name":1,"fields":{"size":[true,-1,1.5,null]}}"#,
            b"\x02",
            r#""1""#,
        ),
        // Of a repeated member the last one counts, and its name may be written with escapes.
        (
            r#""type":"x","type":{"type":"x","type":"long"}"#,
            b"\x02",
            r#""1""#,
        ),
        (r#""t\u0079pe":"l\u006fng""#, b"\x02", r#""1""#),
        // Logical types that are unknown, or not for this type.
        (
            r#""type":{"type":"long","logicalType":5}"#,
            b"\x02",
            r#""1""#,
        ),
        (
            r#""type":{"type":"long","logicalType":"date"}"#,
            b"\x02",
            r#""1""#,
        ),
        (
            r#""type":{"type":"long","logicalType":"x"}"#,
            b"\x02",
            r#""1""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"decimal","precision":0}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"decimal","precision":1,"scale":2}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":-1}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"decimal","precision":"2"}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"decimal","scale":0}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"fixed","name":"F","size":1,"logicalType":"uuid"}"#,
            b"\x07",
            r#""Bw==""#,
        ),
        // The specification has no `uuid` in `bytes`, but Rust's library writes it: 16 bytes are one.
        (
            r#""type":{"type":"bytes","logicalType":"uuid"}"#,
            b"\x02\x07",
            r#""Bw==""#,
        ),
        (
            r#""type":{"type":"bytes","logicalType":"uuid"}"#,
            b"\x20\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
            r#""00112233-4455-6677-8899-aabbccddeeff""#,
        ),
        // Unions that the specification forbids, but whose bytes have only one meaning.
        (
            r#""type":["null",["null","int"]]"#,
            b"\x02\x02\x02",
            r#""1""#,
        ),
        (r#""type":["int","int"]"#, b"\x02\x02", r#""1""#),
        (
            r#""type":{"type":{"type":["null","int"]}}"#,
            b"\x02\x02",
            r#""1""#,
        ),
    ] {
        let text = format!(r#"{{"type":"record","name":"M","fields":[{{"name":"a",{field}}}]}}"#);
        assert_eq!(
            read(&text, &[], body),
            Ok(format!(r#"{{"a":{expected}}}"#)),
            "{field}"
        );
    }
    // Names of inner classes in Java, and of systems that do not check them.
    for (name, namespace) in [
        ("Inner", "com.x.Outer$"),
        ("Outer$Inner", "x"),
        ("M", "my-app.x"),
        ("é", "1.2"),
    ] {
        let next = json!(["null", name, format!("{namespace}.{name}")]);
        let fields = json!([{"name": "next", "type": next}]);
        let text =
            json!({"type": "record", "name": name, "namespace": namespace, "fields": fields});
        let expected = Ok(r#"{"next":{"next":{"next":null}}}"#.to_owned());
        assert_eq!(
            read(&text.to_string(), &[], b"\x02\x04\0"),
            expected,
            "{text}"
        );
    }
}

#[test]
fn names_are_resolved_as_avro_and_java_do() {
    let fixed =
        |name: &str, size: u8| format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#);
    let one = Ok(r#"{"a":"Bw=="}"#.to_owned());
    let two = Ok(r#"{"a":"BwA="}"#.to_owned());
    let (near, far, none) = (fixed("n.A", 1), fixed("x.A", 2), fixed("A", 2));
    // A name with a dot is a full name. A name without one is looked up in the namespace around it,
    // then, as Java does, among the names without a namespace.
    let both = [near.as_str(), far.as_str()];
    assert_eq!(read(&record(r#""A""#), &both, b"\x07"), one);
    assert_eq!(read(&record(r#""n.A""#), &both, b"\x07"), one);
    assert_eq!(read(&record(r#""x.A""#), &both, b"\x07\0"), two);
    assert_eq!(read(&record(r#"{"type":"x.A"}"#), &both, b"\x07\0"), two);
    assert_eq!(read(&record(r#""A""#), &[&none], b"\x07\0"), two);
    assert_eq!(read(&record(r#""A""#), &[&none, &near], b"\x07"), one);
    // A record without a namespace is in the one around it, an empty namespace is none, and a dot in
    // the name overrides both.
    for (inner, kind, known) in [
        (r#""name":"R""#, "A", true),
        (r#""name":"R","namespace":null"#, "A", true),
        (r#""name":"R","namespace":"""#, "A", false),
        (r#""name":".R""#, "A", false),
        (r#""name":"x.R","namespace":"n""#, "A", false),
        (r#""name":"n.R","namespace":"x""#, "A", true),
        (r#""name":"R","namespace":"""#, "n.A", true),
    ] {
        let inner =
            format!(r#"{{"type":"record",{inner},"fields":[{{"name":"b","type":"{kind}"}}]}}"#);
        let schema = WriterSchema::parse(&record(&inner), &[&near]);
        assert_eq!(schema.is_ok(), known, "{inner} {schema:?}");
    }
    // A name may be used before its definition: Java's parser has allowed it since 1.12.
    let text = r#"{"type":"record","name":"M","namespace":"n","fields":[
        {"name":"a","type":"A"},{"name":"b","type":["null",{"type":"fixed","name":"A","size":1}]}]}"#;
    assert_eq!(
        read(text, &[], b"\x07\0"),
        Ok(r#"{"a":"Bw==","b":null}"#.to_owned())
    );
    // A name with a dot means that type only, wherever it is defined.
    let text = r#"{"type":"record","name":"M","fields":[
        {"name":"a","type":{"type":"fixed","name":"A","size":1}},{"name":"b","type":"x.A"},
        {"name":"c","type":["null",{"type":"fixed","name":"x.A","size":2}]}]}"#;
    assert_eq!(
        read(text, &[], b"\x01\x02\x03\0"),
        Ok(r#"{"a":"AQ==","b":"AgM=","c":null}"#.to_owned())
    );
    assert!(refused(&record(r#""x.A""#), &[&none]).contains("`x.A`"));
    assert_eq!(
        refused(&record(r#""x.B""#), &both),
        "the writer's schema cannot be read: it uses the type `x.B`, which neither it nor a schema \
         it refers to defines: is a reference missing?"
    );
    assert!(refused(&record(r#""bool""#), &[]).contains("`n.bool`"));
}

#[test]
fn schemas_are_read_in_the_order_of_their_references() {
    let inline = record(r#"{"type":"record","name":"A","fields":[{"name":"n","type":"int"}]}"#);
    let x = inline.replace(r#""M""#, r#""X""#);
    let y = record(r#""A""#).replace(r#""M""#, r#""Y""#);
    for _ in 0..200 {
        let json = read(&record(r#""Y""#), &[&x, &y], b"\x02");
        assert_eq!(json, Ok(r#"{"a":{"a":{"n":1}}}"#.to_owned()));
    }
}

#[test]
fn the_first_definition_of_a_name_counts() {
    let v2 = r#"{"type":"record","name":"n.A","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}]}"#;
    let v1 = r#"{"type":"record","name":"n.A","fields":[{"name":"x","type":"int"}]}"#;
    let c = r#"{"type":"record","name":"n.C","fields":[{"name":"a","type":"A"}]}"#;
    let text = r#"{"type":"record","name":"n.M","fields":[{"name":"a","type":"A"},{"name":"c","type":"C"}]}"#;
    let json = read(text, &[v2, v1, c], b"\x02\x04\x06\x08");
    assert_eq!(
        json,
        Ok(r#"{"a":{"x":1,"y":2},"c":{"a":{"x":3,"y":4}}}"#.to_owned())
    );
    let json = read(text, &[v1, c, v2], b"\x02\x04");
    assert_eq!(json, Ok(r#"{"a":{"x":1},"c":{"a":{"x":2}}}"#.to_owned()));
    // At the place of a later definition the record is read as it is defined there.
    let again = format!(r#"["null",{v1},"n.A"]"#);
    assert_eq!(
        read(&again, &[v2], b"\x02\x02"),
        Ok(r#"{"x":"1"}"#.to_owned())
    );
    assert_eq!(
        read(&again, &[v2], b"\x04\x02\x04"),
        Ok(r#"{"x":"1","y":"2"}"#.to_owned())
    );
}

#[test]
fn nothing_overflows_the_stack() {
    let arrays = |inner: String| {
        (0..100).fold(inner, |inner, _| {
            format!(r#"{{"type":"array","items":{inner}}}"#)
        })
    };
    let chain: Vec<String> = (0..64)
        .map(|at| {
            let before = if at == 0 {
                "\"int\"".to_owned()
            } else {
                format!("\"X{}\"", at - 1)
            };
            record(&arrays(before)).replace(r#""M""#, &format!("\"X{at}\""))
        })
        .collect();
    let references: Vec<&str> = chain.iter().map(String::as_str).collect();
    let text = record(r#""X63""#);
    assert_eq!(
        read(&text, &references, b"\0"),
        Ok(r#"{"a":{"a":[]}}"#.to_owned())
    );
    let mut deep = vec![2; 1000];
    deep.push(0);
    assert!(
        read(&text, &references, &deep)
            .unwrap_err()
            .contains("nested too deeply")
    );
    // Records that contain themselves, with nothing in between.
    for (kind, step) in [
        (r#""M""#, &[0][..]),
        (r#"["M"]"#, &[0]),
        (r#"[["null"],["M"]]"#, &[2, 0]),
        (r#"{"type":{"type":"M"}}"#, &[0]),
        (r#"{"type":"map","values":"M"}"#, &[2, 0]),
    ] {
        let json = read(&record(kind), &[], &step.repeat(1000));
        assert!(json.unwrap_err().contains("nested too deeply"), "{kind}");
    }
    for open in ["[", r#"{"type":"#, r#"{"type":"array","items":"#] {
        let text = open.repeat((1 << 19) / open.len());
        for error in [refused(&text, &[]), refused(r#""int""#, &[&text])] {
            assert!(error.contains("nested too deeply"), "{error}");
        }
    }
}

/// Types nested as deeply as allowed, and one level deeper, in a thread with the stack of those that read
/// schemas.
#[test]
fn schemas_are_nested_as_deep_as_a_thread_holds() {
    let inside = |times: u32, open: &str, close: &str| {
        (0..times).fold(r#""int""#.to_owned(), |inner, at| {
            format!("{}{inner}{close}", open.replace('#', &at.to_string()))
        })
    };
    let union = r#"{"type":"record","name":"R#","fields":[{"name":"f","type":["null","#;
    for (times, open, close) in [
        (128, union, "]}]}"),
        (512, "[", "]"),
        (512, r#"{"type":"#, "}"),
        (512, r#"{"type":"array","items":"#, "}"),
    ] {
        let schema = WriterSchema::parse(&inside(times, open, close), &[]);
        assert!(schema.is_ok(), "{schema:?}");
        let error = refused(&inside(times + 1, open, close), &[]);
        assert!(
            error.contains("nested too deeply, in more than 512"),
            "{error}"
        );
    }
    // A member that is passed over may nest without bound.
    let deep = format!(
        r#"{{"type":"int","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        read(&record(&deep), &[], b"\x02"),
        Ok(r#"{"a":"1"}"#.to_owned())
    );
}

/// `serde_json` reads JSON from a string under a private name of its own (`RawValue`), and would begin
/// to count the nesting anew each time.
#[test]
fn json_inside_of_json_is_not_read() {
    let mut text = r#""int""#.to_owned();
    for _ in 0..12 {
        let quoted = serde_json::Value::from(text).to_string();
        let (open, close) = ("[".repeat(120), "]".repeat(120));
        text = format!(r#"{open}{{"$serde_json::private::RawValue":{quoted}}}{close}"#);
    }
    assert!(refused(&text, &[]).contains("a type has no `type`"));
}

#[test]
fn sizes_of_schemas_are_bounded() {
    let text = format!(
        r#"{{"type":"fixed","name":"A","size":1,"doc":"{}"}}"#,
        "x".repeat(1 << 18)
    );
    assert!(WriterSchema::parse(r#""A""#, &[text.as_str(); 3]).is_ok());
    assert!(refused(r#""A""#, &[text.as_str(); 4]).contains("1048576 bytes"));
    // Otherwise a namespace of a MiB could be part of each name.
    let long = "x".repeat(2_000);
    for kind in [
        format!(r#"{{"type":"enum","name":"{long}","symbols":[]}}"#),
        format!(r#"{{"type":"enum","name":"A","namespace":"{long}","symbols":[]}}"#),
        format!(r#""{long}""#),
    ] {
        let error = refused(&record(&kind), &[]);
        assert!(
            error.contains("longer than 1000 bytes") && error.len() < 500,
            "{error}"
        );
    }
    let error = refused(&record("5").replace(r#""a""#, &format!("\"{long}\"")), &[]);
    assert!(error.len() < 500, "{error}");
}

#[test]
fn text_that_is_no_schema_is_refused_with_a_reason() {
    let start = "the writer's schema cannot be read: ";
    for (kind, why) in [
        (
            "5",
            "field `a` of `n.M`: a type is neither a name nor an object nor a list",
        ),
        (
            "null",
            "field `a` of `n.M`: a type is neither a name nor an object nor a list",
        ),
        ("{}", "field `a` of `n.M`: a type has no `type`"),
        (
            r#"{"type":"fixed","size":1}"#,
            "field `a` of `n.M`: a type has no `name`",
        ),
        (
            r#"{"type":"record","name":"R"}"#,
            "field `a` of `n.M`: `n.R` has no list `fields`",
        ),
        (
            r#"{"type":"record","name":"R","fields":[5]}"#,
            "field `a` of `n.M`: a field of `n.R` has no `name`",
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"b"}]}"#,
            "field `b` of `n.R`: it has no `type`",
        ),
        (
            r#"{"type":"array"}"#,
            "field `a` of `n.M`: an array has no `items`",
        ),
        (
            r#"{"type":"map","items":"int"}"#,
            "field `a` of `n.M`: a map has no `values`",
        ),
        (
            r#"{"type":"enum","name":"E"}"#,
            "field `a` of `n.M`: `n.E` has no list `symbols`",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":[1]}"#,
            "field `a` of `n.M`: a symbol of `n.E` is no text",
        ),
        (
            r#"{"type":"fixed","name":"F","size":-1}"#,
            "field `a` of `n.M`: the `size` of `n.F` is no whole number",
        ),
        (
            r#"{"type":"fixed","name":"F","size":1e30}"#,
            "field `a` of `n.M`: the `size` of `n.F` is no whole number",
        ),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":101,"scale":101}"#,
            "field `a` of `n.M`: a decimal has more than 100 digits behind the point",
        ),
    ] {
        assert_eq!(
            refused(&record(kind), &[]),
            format!("{start}{why}"),
            "{kind}"
        );
        let error = refused(r#""int""#, &[r#""int""#, &record(kind)]);
        assert_eq!(
            error,
            format!("{start}schema 2 of the 2 it refers to: {why}"),
            "{kind}"
        );
    }
    assert_eq!(
        refused("{", &[]),
        format!("{start}it is no JSON: EOF while parsing an object at line 1 column 1")
    );
    // The Avro library panics on this one (0.22).
    let nested = r#"{"name":"A","type":{"type":"record","name":"B","fields":[]}}"#;
    assert!(refused(&record(r#""A""#), &[nested]).contains("`n.A`"));
    assert_eq!(
        read(&record(r#""B""#), &[nested], b""),
        Ok(r#"{"a":{}}"#.to_owned())
    );
}
