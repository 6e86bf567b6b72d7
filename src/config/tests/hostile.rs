//! Input that wants to hurt: size, depth, aliases, noise.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

const TOO_MANY: &str = "more than 100000 values, counting aliases as often as they are used";

/// The only message of a text, which must come quickly.
fn message(text: &str) -> String {
    let start = Instant::now();
    let problems = parse(text, &env).unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
    problems.list[0].message.clone()
}

#[test]
fn many_laughs() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            [before.as_str(); 9].join(", ")
        ));
    }
    assert_eq!(message(&text), TOO_MANY);
}

#[test]
fn an_alias_within_itself() {
    let expected = "not valid YAML in column 4: recursion limit exceeded; the nesting is too deep";
    assert_eq!(message("a: &a [*a]\n"), expected);
}

#[test]
fn deep_nesting() {
    let expected =
        "not valid YAML in column 129: recursion limit exceeded; the nesting is too deep";
    assert_eq!(message(&"[".repeat(200)), expected);
    message(&"- ".repeat(1 << 19));
    message(&"{a: ".repeat(20_000));
    for text in [
        "[".repeat(1 << 20),
        "{a: ".repeat(1 << 18),
        "%TAG !a! b\n".repeat(1 << 16),
    ] {
        assert!(message(&text).starts_with("more than 20000 of"));
    }
}

#[test]
fn a_megabyte_of_unknown_keys() {
    let text: String = (0..70_000).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(message(&text), TOO_MANY);
    let text: String = (0..5_000).map(|n| format!("k{n}: 1\n")).collect();
    let text = format!("{text}log_level: info\n");
    let problems = parse(&text, &env).unwrap_err();
    assert_eq!(problems.list.len(), 100);
    assert!(
        problems.to_string().ends_with("problems (4907 not listed)"),
        "{problems}"
    );
}

fn check_mutation(text: &str) -> Result<(), TestCaseError> {
    let result = parse(text, &env);
    prop_assert!(result.is_ok() || !result.unwrap_err().list.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a slip of the hand does to a file, there is an answer and no panic.
    #[test]
    fn mutated_configurations(
        cut in 0..EXAMPLE.len(), length in 0_usize..40, noise in "[\\PC\t\n\r]{0,8}", twice: bool,
    ) {
        let cut = EXAMPLE.floor_char_boundary(cut);
        let end = EXAMPLE.floor_char_boundary((cut + length).min(EXAMPLE.len()));
        let (start, rest) = EXAMPLE.split_at(cut);
        let (middle, tail) = rest.split_at(end - cut);
        let text = [start, if twice { middle } else { "" }, &noise, middle, tail].concat();
        check_mutation(&[start, &noise, tail].concat())?;
        check_mutation(&text)?;
    }

    /// YAML's own letters in any order.
    #[test]
    fn any_yaml_like_text(text in "([-?:,#&*!|>'\"%@`{}\\[\\] \t\n$~<]|servicenow|kafka|a|1){0,60}") {
        let result = parse(&text, &env);
        prop_assert!(result.is_err());
    }
}

/// A file in which most values are given, so that mutations meet all of them.
const EXAMPLE: &str = "\
servicenow:
  base_url: ${SN_URL}
  table_api_path: /api/now/table
  auth: {type: oauth, oauth: {client_id: a, client_secret: b, username: c, password: d}}
  timeout_seconds: 30
  rate_limit_rps: 2.5
  max_retries: -1
  proxy: {url: 'http://proxy:3128'}
  query_time_zone: Europe/Berlin
kafka:
  brokers: [&b 'localhost:9092', *b]
  sasl: {mechanism: PLAIN, username: u, password: \"p\"}
  linger: 1m30s
  queue_bytes: 0x1000000
  properties: {socket.keepalive.enable: true}
source:
  enabled: yes
  topic_prefix: sn
  batch_size: ${ROWS}
  tables:
    - &t {name: incident, fields: [number], query: active=true}
    - <<: *t
      name: problem
      partitioner: field_based
      partition_key_fields: [number]
sink: {topics: [{topic: a, table: b}]}
offset:
log_level: info
";
