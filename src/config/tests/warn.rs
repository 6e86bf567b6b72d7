//! Warnings, and bounds on the files that are read.

use std::os::unix::fs::PermissionsExt;

use expect_test::{Expect, expect};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "expect! makes values")]
fn warned(text: &str, expected: Expect) {
    let (_, warnings) = parse(text, &env).unwrap_or_else(|problems| panic!("{problems}"));
    let lines: Vec<String> = warnings.iter().map(|w| w.in_file("config.yaml")).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn bare_variables() {
    warned(
        &least_with("topic_prefix: sn", "topic_prefix: sn # $HOME"),
        expect![[""]],
    );
    warned(
        &least_with(
            "name: incident",
            "name: incident\n      query: a=$SN_URL^b=$b",
        ),
        expect![[r#"
            config.yaml:13: source.tables[0].query: `$SN_URL` is taken as it is; to use the environment variable write `${SN_URL}`
            config.yaml:13: source.tables[0].query: `$b` is taken as it is; to use the environment variable write `${b}`"#]],
    );
    // What follows a `$` in a password may be the password.
    warned(
        &least_with("password: p", "password: pa$word"),
        expect![
            "config.yaml:5: servicenow.auth.basic.password: holds a `$` and letters, taken as they are; a variable is written `${NAME}`"
        ],
    );
    warned(
        &least_with("password: p", "password: $SN_SECRET"),
        expect![
            "config.yaml:5: servicenow.auth.basic.password: `$SN_SECRET` is taken as it is; to use the environment variable write `${SN_SECRET}`"
        ],
    );
}

#[test]
fn unprotected() {
    warned(
        &least_with("https://dev1.service-now.com", "http://dev1.example.com"),
        expect![
            "config.yaml:2: servicenow.base_url: is http: passwords, tokens and records travel unprotected; use https"
        ],
    );
    warned(
        &least_with("https://dev1.service-now.com", "http://localhost:8080"),
        expect![[""]],
    );
    warned(
        &least_with(
            "source:",
            "  sasl: {mechanism: plain, username: u, password: p}\nsource:",
        ),
        expect![
            "config.yaml:8: kafka.sasl.mechanism: sends the password unprotected, as `kafka.tls.enabled` is false"
        ],
    );
    warned(
        &least_with(
            "source:",
            "  properties: {enable.ssl.certificate.verification: false}\nsource:",
        ),
        expect![
            "config.yaml:8: kafka.properties.enable.ssl.certificate.verification: can switch off the check of who the broker is"
        ],
    );
}

#[test]
fn properties_that_are_not_known() {
    warned(
        &least_with(
            "source:",
            "  properties: {sockt.keepalive.enable: true, fetch.wait.max.ms: 5, ssl.new.modules: x.so}\nsource:",
        ),
        expect![[r#"
            config.yaml:8: kafka.properties.sockt.keepalive.enable: is none of the properties that are known to tune a client and do nothing else: it is passed on in this release, and will be refused in the next
            config.yaml:8: kafka.properties.ssl.new.modules: is none of the properties that are known to tune a client and do nothing else: it is passed on in this release, and will be refused in the next"#]],
    );
}

#[test]
fn without_effect() {
    warned(
        &least_with("kafka:", "  read_timeout_seconds: 60\nkafka:"),
        expect![
            "config.yaml:6: servicenow.read_timeout_seconds: is longer than `timeout_seconds`, which ends a request before"
        ],
    );
    warned(
        &least_with("source:", "  sasl: {username: u}\nsource:"),
        expect!["config.yaml:8: kafka.sasl.mechanism: is not set: nobody logs in to Kafka"],
    );
    warned(
        &least_with(
            "incident\n",
            "incident\n      partition_key_fields: [number]\n",
        ),
        expect![
            "config.yaml:13: source.tables[0].partition_key_fields: is not used: set `partitioner: field_based` or remove it"
        ],
    );
    warned(
        &least_with("incident\n", "incident\n      query: a%3D1\n"),
        expect![
            "config.yaml:13: source.tables[0].query: looks percent-encoded; write it plain, as the list view shows it"
        ],
    );
    warned(
        &format!("{LEAST}shutdown_timeout: 500ms\n"),
        expect![
            "config.yaml:13: shutdown_timeout: is very short: a stop that ends before Kafka has acknowledged reads those rows again at the next start"
        ],
    );
    warned(
        &least_with(
            "    type: basic\n",
            "    type: basic\n    oauth: {refresh_token: x}\n",
        ),
        expect![
            "config.yaml:5: servicenow.auth.oauth.refresh_token: is not used: set `grant_type: refresh_token` or remove it"
        ],
    );
}

/// Each of these works, in another way than it seems to say.
#[test]
fn values_that_are_taken_for_others() {
    for (under, lines, words) in [
        (
            "source",
            "batch_size: 0",
            "source.batch_size: 0 is taken for the default",
        ),
        (
            "source",
            "fast_poll_interval: 0s",
            "source.fast_poll_interval: 0 is taken",
        ),
        (
            "source",
            "fast_poll_interval: 1m",
            "source.fast_poll_interval: is longer than `slow_poll_interval`",
        ),
        (
            "source",
            "initial_query_hours_ago: -5",
            "source.initial_query_hours_ago: -5 is taken for -1",
        ),
        (
            "servicenow",
            "rate_limit_rps: -3",
            "rate_limit_rps: -3 is taken for 0",
        ),
        (
            "servicenow",
            "timeout_seconds: 0",
            "timeout_seconds: 0 is taken",
        ),
        (
            "servicenow",
            "max_retries: -7",
            "max_retries: -7 is taken for -1",
        ),
    ] {
        let text = LEAST.replacen(&format!("{under}:\n"), &format!("{under}:\n  {lines}\n"), 1);
        let (_, warnings) = parse(&text, &env).unwrap();
        let told: Vec<String> = warnings
            .iter()
            .map(|it| it.in_file("config.yaml"))
            .collect();
        assert!(
            told.iter().any(|it| it.contains(words)),
            "{lines}: {told:?}"
        );
        assert_eq!(told.len(), 1, "{told:?}");
    }
    for lines in [
        "source:\n  initial_query_hours_ago: -1\n  timestamp_delay_seconds: 0\n",
        "servicenow:\n  rate_limit_rps: 0\n  max_retries: -1\n",
    ] {
        let section = lines.split('\n').next().unwrap();
        let text = LEAST.replacen(&format!("{section}\n"), lines, 1);
        assert_eq!(parse(&text, &env).unwrap().1, [], "{lines}");
    }
}

#[test]
fn a_table_of_its_own_intervals_is_looked_at_alone() {
    let text = format!("{LEAST}      fast_poll_interval: 2m\n");
    let (_, warnings) = parse(&text, &env).unwrap();
    let paths: Vec<&str> = warnings.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["source.tables[0].fast_poll_interval"]);
}

#[test]
fn updates_of_rows_that_no_record_names() {
    let sink = |more: &str| {
        let topic = format!("{{topic: in, table: u_x, {more}}}");
        format!("{LEAST}sink:\n  enabled: true\n  dlq_topic: d\n  topics: [{topic}]\n")
    };
    for operation in ["update", "upsert"] {
        let (_, warnings) = parse(&sink(&format!("operation: {operation}")), &env).unwrap();
        let told: Vec<String> = warnings
            .iter()
            .map(|it| it.in_file("config.yaml"))
            .collect();
        assert!(told.concat().contains("set `key_field`"), "{told:?}");
        for more in ["key_field: u_key", "create_id: key", "key_is_sys_id: true"] {
            let text = sink(&format!("operation: {operation}, {more}"));
            assert_eq!(parse(&text, &env).unwrap().1, [], "{more}");
        }
    }
}

#[test]
fn an_address_that_was_copied_from_a_browser() {
    for (url, is_told) in [
        ("https://dev1.service-now.com/now/nav/ui", true),
        ("https://dev1.service-now.com/navpage.do", true),
        ("https://snow.example.com/navpage.do", true),
        ("https://snow.example.com/now/nav/ui", true),
        ("https://dev1.service-now.com/anything", true),
        ("https://gateway.example.com/servicenow", false),
        ("https://dev1.service-now.com/", false),
        ("https://dev1.service-now.com", false),
    ] {
        let text = least_with("https://dev1.service-now.com", url);
        let (_, warnings) = parse(&text, &env).unwrap();
        let told = warnings.iter().any(|it| it.path == "servicenow.base_url");
        assert_eq!(told, is_told, "{url}: {warnings:?}");
    }
}

/// One slip is one problem.
#[test]
fn a_flag_that_cannot_be_read_is_told_once() {
    let problems = parse(&least_with("enabled: true", "enabled: 1"), &env).unwrap_err();
    assert_eq!(problems.list.len(), 1, "{problems}");
    assert!(problems.to_string().contains("`1` is not true or false"));
}

#[test]
fn secrets_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    let read = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        let text = least_with("password: p", &format!("password_file: {}", file.display()));
        match parse(&text, &env) {
            Ok((config, _)) => match config.servicenow.auth {
                ServiceNowAuth::Basic { password, .. } => password.expose().to_owned(),
                other => panic!("{other:?}"),
            },
            Err(problems) => problems
                .to_string()
                .replace(&*file.to_string_lossy(), "FILE"),
        }
    };
    assert_eq!(read(b"hunter2"), "hunter2");
    assert_eq!(read(b"hunter2\n"), "hunter2");
    assert_eq!(read(b"hunter2\r\n"), "hunter2");
    assert_eq!(read(b" ${SN_SECRET}\n"), " ${SN_SECRET}");
    assert_eq!(read("\u{feff}hunter2\n".as_bytes()), "hunter2");
    let mut refused = String::new();
    for content in [
        &b""[..],
        b"\n",
        b"\xff",
        &[b'x'; 65_537],
        b"hunter2\n\n",
        b"# the password\nhunter2\n",
        b"hunter2\rhunter3",
        b"hun\0ter2",
        b"hunter2\t",
    ] {
        refused.push_str(&read(content));
        refused.push('\n');
    }
    expect![[r#"
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it is empty
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it is empty
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it is not UTF-8 text
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it is larger than 65536 bytes
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it holds more than one line, and a secret is one
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it holds more than one line, and a secret is one
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it holds more than one line, and a secret is one
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it holds the control character U+0000, which belongs to no secret
        config.yaml: 1 problem
        config.yaml:5: servicenow.auth.basic.password_file: cannot use `FILE`: it holds the control character U+0009, which belongs to no secret
        config.yaml: 1 problem
    "#]].assert_eq(&refused);
}

/// They come from a variable, or from a text over several lines.
#[test]
fn secrets_in_the_file_itself_are_one_line_too() {
    let text = least_with(
        "    basic: {username: u, password: p}",
        "    basic:\n      username: u\n      password: |\n        hunter2\n",
    );
    let problems = parse(&text, &env).unwrap_err().to_string();
    assert!(problems.contains("more than one line"), "{problems}");
    assert!(!problems.contains("hunter2"));
}

#[test]
fn a_blank_at_the_end_of_a_secret_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter2 \n").unwrap();
    let text = least_with("password: p", &format!("password_file: {}", file.display()));
    let (_, warnings) = parse(&text, &env).unwrap();
    let words: Vec<String> = warnings.into_iter().map(|it| it.message).collect();
    assert!(words.iter().any(|it| it.contains("blank")), "{words:?}");
    assert!(!words.concat().contains("hunter2"));
}

#[test]
fn files_are_read_with_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let tried = |content: Option<&[u8]>, mode: u32| {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let text = match load(&file) {
            Ok((_, warnings)) => warnings.iter().map(|w| w.in_file("config.yaml")).collect(),
            Err(problems) => problems.to_string(),
        };
        text.replace(&*file.to_string_lossy(), "config.yaml") + "\n"
    };
    let mut all = tried(None, 0);
    all.push_str(&tried(Some(b"a: \xff"), 0o600));
    all.push_str(&tried(Some(&[b'#'; (1 << 20) + 1]), 0o600));
    all.push_str(&tried(Some(LEAST.as_bytes()), 0o600));
    all.push_str(&tried(Some(LEAST.as_bytes()), 0o644));
    expect![[r#"
        config.yaml: cannot read it: there is no such file; make it from config.example.yaml, or name another with `--config FILE`
        config.yaml: 1 problem
        config.yaml: is not UTF-8 text (line 1); save it as UTF-8
        config.yaml: 1 problem
        config.yaml: is larger than 1048576 bytes; that is no configuration
        config.yaml: 1 problem

        config.yaml: holds a secret and everybody on this machine may read it (mode 0644); `chmod o-r` it, or use a `*_file` key or `${VAR}`
    "#]].assert_eq(&all);
}
