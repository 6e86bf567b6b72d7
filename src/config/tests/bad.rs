//! Problems of the file as a whole, and the words for them.

use expect_test::{Expect, expect};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "expect! makes values")]
pub(super) fn refused(text: &str, expected: Expect) {
    match parse(text, &env) {
        Ok((config, _)) => panic!("accepted: {config:?}"),
        Err(problems) => expected.assert_eq(&problems.to_string()),
    }
}

/// `LEAST` with `keys` added under `servicenow`, `kafka`, `source` or the table.
pub(super) fn refused_under(section: &str, keys: &str, expected: Expect) {
    let more = |indent: &str| {
        keys.lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect()
    };
    let more: String = more(if section == "table" { "      " } else { "  " });
    let text = match section {
        "table" => format!("{LEAST}{more}"),
        _ => LEAST.replace(&format!("{section}:\n"), &format!("{section}:\n{more}")),
    };
    refused(&text, expected);
}

/// Every class of mistake in one file: all of them are in the report.
#[test]
fn everything_at_once() {
    refused(
        "
servicenow:
  base_url: dev1.service-now.com
  timeuot_seconds: 30
  timeout_seconds: soon
  auth:
    type: oauth
    oauth:
      client_id: ${NOT_SET}
      username: [integration]
kafka:
  brokers: localhost:9092
  linger: 50
  tls: true
source:
  enabled: maybe
  batch_size: -5
  tables:
    - name: incident
      nmae: incident
      topic: all tables
    - name: incident
    - name: Problem Task
sink:
  enabled: true
offset:
  storage: kafkaa
log_level: loud
kafka: {}
",
        expect![[r#"
            config.yaml:3: servicenow.base_url: is not a URL; write for example `https://instance.service-now.com`
            config.yaml:4: servicenow.timeuot_seconds: unknown key, did you mean `timeout_seconds`?
            config.yaml:5: servicenow.timeout_seconds: `soon` is not a number
            config.yaml:8: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml:8: servicenow.auth.oauth.password: is required with `grant_type: password`; or set `password_file`
            config.yaml:9: servicenow.auth.oauth.client_id: environment variable `NOT_SET` is not set; set it where the bridge is started
            config.yaml:10: servicenow.auth.oauth.username: expected one value, found a list
            config.yaml:12: kafka.brokers: expected a list, found one value; write each item on a line after `- `
            config.yaml:13: kafka.linger: 50 has no unit; write for example `50s` or `50ms`
            config.yaml:14: kafka.tls: expected keys and values, found one value
            config.yaml:16: source.enabled: `maybe` is not true or false
            config.yaml:17: source.batch_size: -5 is out of range: 1 to 100000
            config.yaml:20: source.tables[0].nmae: unknown key, did you mean `name`?
            config.yaml:21: source.tables[0].topic: `all tables` is not a topic name: letters, digits, `.`, `_` and `-` only
            config.yaml:22: source.tables[1].name: `incident` is already in source.tables[0]; keep one of them
            config.yaml:23: source.tables[2].name: `Problem Task` is not a table name: lower case letters, digits and `_` only, as in `u_my_table` (the name, not the label)
            config.yaml:24: sink.topics: is required: a list with a `topic` and a `table` for each topic to consume
            config.yaml:27: offset.storage: `kafkaa` is not one of file, kafka, did you mean `kafka`?
            config.yaml:28: log_level: `loud` is not one of debug, info, warn, error, trace
            config.yaml:29: `kafka` is given twice; remove one
            config.yaml: 20 problems"#]],
    );
}

#[test]
fn nothing_at_all() {
    refused(
        "",
        expect![[r#"
            config.yaml: servicenow.base_url: is required
            config.yaml: servicenow.auth.oauth.client_id: is required with `type: oauth`
            config.yaml: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml: servicenow.auth.oauth.username: is required with `grant_type: password`
            config.yaml: servicenow.auth.oauth.password: is required with `grant_type: password`; or set `password_file`
            config.yaml: kafka.brokers: is required: a list of `host:port`
            config.yaml: source.enabled: nothing to do: set `source.enabled: true` or `sink.enabled: true`
            config.yaml: 7 problems"#]],
    );
    refused(
        "# only a comment\n",
        expect![[r#"
            config.yaml: servicenow.base_url: is required
            config.yaml: servicenow.auth.oauth.client_id: is required with `type: oauth`
            config.yaml: servicenow.auth.oauth.client_secret: is required with `type: oauth`; or set `client_secret_file`
            config.yaml: servicenow.auth.oauth.username: is required with `grant_type: password`
            config.yaml: servicenow.auth.oauth.password: is required with `grant_type: password`; or set `password_file`
            config.yaml: kafka.brokers: is required: a list of `host:port`
            config.yaml: source.enabled: nothing to do: set `source.enabled: true` or `sink.enabled: true`
            config.yaml: 7 problems"#]],
    );
    refused(
        "just words",
        expect![[r#"
            config.yaml: is no configuration of this bridge: at its top there is none of `servicenow`, `kafka`, `source`, `sink`; name the right file with `--config FILE`
            config.yaml: 1 problem"#]],
    );
    refused(
        "- a\n- b\n",
        expect![[r#"
            config.yaml: is no configuration of this bridge: at its top there is none of `servicenow`, `kafka`, `source`, `sink`; name the right file with `--config FILE`
            config.yaml: 1 problem"#]],
    );
}

#[test]
fn not_yaml() {
    refused(
        "servicenow:\n\tbase_url: x\n",
        expect![[r#"
            config.yaml:2: not valid YAML in column 1: found character that cannot start any token; a tab cannot indent in YAML; use spaces
            config.yaml: 1 problem"#]],
    );
    refused(
        "servicenow:\n  base_url: a: b\n",
        expect![[r#"
            config.yaml:2: not valid YAML in column 14: mapping values are not allowed in this context; put a value that holds `: ` in quotes
            config.yaml: 1 problem"#]],
    );
    refused(
        "servicenow: {base_url: \"x}\n",
        expect![[r#"
            config.yaml:1: not valid YAML: the quote that opens here in column 24 is not closed
            config.yaml: 1 problem"#]],
    );
    refused(
        "password: @home\n",
        expect![[r#"
            config.yaml:1: not valid YAML in column 11: found character that cannot start any token; put a value with special characters in quotes
            config.yaml: 1 problem"#]],
    );
    refused(
        "password: *star\n",
        expect![[r#"
            config.yaml:1: not valid YAML in column 11: unknown anchor; put a value with special characters in quotes
            config.yaml: 1 problem"#]],
    );
    refused(
        "brokers: [${BROKERS}]\n",
        expect![[r#"
            config.yaml:1: not valid YAML in column 12: did not find expected ',' or ']'; inside `[ ]` and `{ }` put `"${VAR}"` in quotes
            config.yaml: 1 problem"#]],
    );
    refused(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        config.yaml: the file holds more than one YAML document; keep one and remove the `---`
        config.yaml: 1 problem"#]],
    );
    refused(
        "? [a, b]\n: c\n",
        expect![[r#"
            config.yaml:1: a key must be a plain text, not a list or keys and values
            config.yaml: 1 problem"#]],
    );
    refused(
        "kafka: \u{7}\n",
        expect![[r#"
            config.yaml:1: not valid YAML in column 1: control characters are not allowed at position 7
            config.yaml: 1 problem"#]],
    );
}

#[test]
fn shapes() {
    refused(
        &least_with("source:\n", "source:\n  enabled: true\n"),
        expect![[r#"
            config.yaml:10: `enabled` is given twice; remove one
            config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}kafka: {{}}\n"),
        expect![[r#"
        config.yaml:13: `kafka` is given twice; remove one
        config.yaml: 1 problem"#]],
    );
    refused(
        &least_with("localhost:9092", "!secret x"),
        expect![[r#"
            config.yaml:7: YAML tags (`!name`) are not known here; remove the tag
            config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}    - <<: text\n"),
        expect![[r#"
        config.yaml:13: source.tables[1].name: is required
        config.yaml:13: `<<` takes a mapping or a list of mappings
        config.yaml: 2 problems"#]],
    );
    refused(
        &format!("{LEAST}    -\n"),
        expect![[r#"
        config.yaml:13: source.tables[1]: is empty; remove the `-`
        config.yaml: 1 problem"#]],
    );
    refused(
        &format!("{LEAST}    - incident\n"),
        expect![[r#"
        config.yaml:13: source.tables[1]: expected keys and values, found one value
        config.yaml:13: source.tables[1].name: is required
        config.yaml: 2 problems"#]],
    );
}

#[test]
fn unknown_keys() {
    refused_under(
        "servicenow",
        "batch_size: 5\nbaseUrl: x\ncolor: red",
        expect![[r#"
            config.yaml:2: servicenow.batch_size: unknown key, it belongs under `source`
            config.yaml:3: servicenow.baseUrl: unknown key, did you mean `base_url`?
            config.yaml:4: servicenow.color: unknown key
            config.yaml: 3 problems"#]],
    );
    refused_under(
        "table",
        "filter: active=true\nid_field: x",
        expect![[r#"
        config.yaml:13: source.tables[0].filter: unknown key
        config.yaml:14: source.tables[0].id_field: unknown key
        config.yaml: 2 problems"#]],
    );
    refused(
        &format!("{LEAST}x-mine: 1\nymine: 1\ncompression: lz4\n"),
        expect![[r#"
            config.yaml:14: ymine: unknown key
            config.yaml:15: compression: unknown key, it belongs under `kafka`
            config.yaml: 2 problems"#]],
    );
}

/// An unknown key that came by a merge has the line where it is written.
#[test]
fn lines_of_merged_keys() {
    let text = format!("x-more: &more\n  nmae: 5\n{LEAST}      <<: *more\n");
    refused(
        &text,
        expect![[r#"
        config.yaml:2: source.tables[0].nmae: unknown key, did you mean `name`?
        config.yaml: 1 problem"#]],
    );
}

#[test]
fn variables() {
    refused_under(
        "source",
        "batch_size: ${NOT_SET}",
        expect![[r#"
            config.yaml:9: source.batch_size: environment variable `NOT_SET` is not set; set it where the bridge is started
            config.yaml: 1 problem"#]],
    );
    refused_under(
        "source",
        "batch_size: ${SN_SECRET}",
        expect![[r#"
            config.yaml:9: source.batch_size: the value of the variable is not a whole number
            config.yaml: 1 problem"#]],
    );
    refused_under(
        "kafka",
        "linger: ${A:-50ms} ${B C} ${D",
        expect![[r#"
        config.yaml:7: kafka.linger: `${A...}`: only plain `${A}` is known, no default inside the braces; set the variable or write the value itself
        config.yaml:7: kafka.linger: a `${...}` does not hold a variable name of letters, digits and `_`; write `$${` for a literal `${`
        config.yaml:7: kafka.linger: `${` without `}`; write `$${` for a literal `${`
        config.yaml: 3 problems"#]],
    );
}

#[test]
fn base_urls() {
    for_each_value(
        &LEAST.replace("https://dev1.service-now.com", "VALUE"),
        &[
            "''",
            "dev1.service-now.com",
            "ftp://dev1",
            "https://",
            "https://u:hunter2@dev1",
            "https://dev1/?a=1",
            "https://dev1#a",
            "https://dev 1",
            "https://dev1:99999",
            "https://ünicode.example.com",
        ],
        expect![[r#"
            ''  servicenow.base_url: is required
            dev1.service-now.com  servicenow.base_url: is not a URL; write for example `https://instance.service-now.com`
            ftp://dev1  servicenow.base_url: only http and https are known; write for example `https://instance.service-now.com`
            https://  servicenow.base_url: has no host; write for example `https://instance.service-now.com`
            https://u:hunter2@dev1  servicenow.base_url: must not hold a user name or password; they have keys of their own
            https://dev1/?a=1  servicenow.base_url: must not hold a query (`?`) or a fragment (`#`)
            https://dev1#a  servicenow.base_url: must not hold a query (`?`) or a fragment (`#`)
            https://dev 1  servicenow.base_url: must not hold blanks, control characters or backslashes
            https://dev1:99999  servicenow.base_url: the port after `:` must be a number from 0 to 65535
            https://ünicode.example.com  servicenow.base_url: has a host that is no name or address (names beyond ASCII go in their `xn--` form); write for example `https://instance.service-now.com`
        "#]],
    );
}

#[expect(clippy::needless_pass_by_value, reason = "expect! makes values")]
pub(super) fn for_each_value(text: &str, values: &[&str], expected: Expect) {
    let mut all = String::new();
    for value in values {
        let Err(problems) = parse(&text.replace("VALUE", value), &env) else {
            panic!("accepted: {value}");
        };
        for problem in &problems.list {
            all.push_str(&format!("{value}  {}: {}\n", problem.path, problem.message));
        }
    }
    assert!(!all.replace("u:hunter2@", "").contains("hunter2"), "{all}");
    expected.assert_eq(&all);
}
