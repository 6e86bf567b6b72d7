use proptest::prelude::*;

use super::*;

fn connectors(text: &str) -> Vec<ConnectorConfig> {
    match read(text) {
        Ok(ForeignConfig::Connect(found)) => found,
        other => panic!("{text}: {other:?}"),
    }
}

/// The same connector in each form that Kafka Connect and its operators have.
#[test]
fn every_form_of_a_connector_is_the_same() {
    let texts = [
        r#"{"name": "n", "connector.class": "C", "tasks.max": 1, "x": null, "y": "true"}"#,
        r#"{"name": "n", "config": {"connector.class": "C", "tasks.max": "1", "x": "", "y": true}}"#,
        r#"{"n": {"info": {"config": {"connector.class": "C", "tasks.max": 1, "x": null, "y": true}}, "status": {}}}"#,
        r#"[{"config": {"connector.class": "C", "name": "n", "tasks.max": 1, "x": null, "y": true}}]"#,
        "name=n\nconnector.class=C\ntasks.max=1\nx=\ny=true\n",
        "kind: Topic\n---\nkind: KafkaConnector\nmetadata: {name: n}\nspec:\n  class: C\n  config:\n    \
         tasks.max: 1\n    x:\n    y: true\n",
        "---\nkind: Connector\nmetadata: {name: of-the-resource}\nspec:\n  name: n\n  class: C\n  configs:\n    tasks.max: \"1\"\n    \
         x: ''\n    y: \"true\"\n",
    ];
    for text in texts {
        let found = connectors(text);
        let [connector] = found.as_slice() else {
            panic!("{text}: {found:?}");
        };
        assert_eq!(connector.name.as_deref(), Some("n"), "{text}");
        for (key, value) in [("connector.class", "C"), ("tasks.max", "1"), ("y", "true")] {
            assert_eq!(connector.get(key), Some(value), "{text}");
        }
        assert_eq!(connector.get("x"), None, "{text}");
    }
}

#[test]
fn of_a_key_given_twice_the_last_counts_as_in_java() {
    let found = connectors("connector.class=C\na=1\na=2\n");
    assert_eq!(found[0].get("a"), Some("2"));
    assert_eq!(found[0].settings.len(), 2);
}

#[test]
fn the_go_program_is_known_by_its_sections() {
    let text = "servicenow: {base_url: u}\nkafka:\n  brokers: [a, b]\nsource:\n";
    let Ok(ForeignConfig::Go(config)) = read(text) else {
        panic!("{text}");
    };
    let pairs = config.settings.iter().map(|it| {
        let line = crate::config::yaml_line(text, it.node);
        (it.key.as_str(), it.value.as_str(), line)
    });
    let pairs: Vec<_> = pairs.collect();
    assert_eq!(
        pairs,
        [
            ("servicenow.base_url", "u", Some(1)),
            ("kafka.brokers[0]", "a", Some(3)),
            ("kafka.brokers[1]", "b", Some(3)),
            ("source", "", Some(4)),
        ]
    );
}

#[test]
fn what_is_not_known_is_told_with_what_is() {
    for text in [
        "",
        "hello",
        "a: b\n",
        "{}",
        "[1, 2]",
        "{\"a\": {\"b\": 1}}",
        "a=b\n",
    ] {
        let why = read(text).unwrap_err();
        assert!(why.starts_with("is not known; known are"), "{text}: {why}");
    }
    let many: String = (0..10_001).map(|number| format!("a{number}=\n")).collect();
    for (text, words) in [
        ("{", "begins like JSON but is none"),
        ("a: [", "is not known (not valid YAML"),
        (
            r#"{"connector.class": "C", "a": {}}"#,
            "`a` holds an object",
        ),
        (
            &format!("connector.class=C\n{many}"),
            "more than 10000 settings",
        ),
    ] {
        let why = read(text).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }
}

#[test]
fn depth_has_a_bound() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(read(&deep).is_err());
    let deep = format!("servicenow: {}\nkafka:\n", "[".repeat(19_000));
    assert!(read(&deep).is_err());
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in ".{0,300}") {
        read(&text).ok();
    }

    /// Whatever a properties file holds comes out as it was written.
    #[test]
    fn properties_come_back(key in "[a-z.=: \\\\]{1,9}", value in "[^\\r\\n\\t\\x0c\\x00-\\x1f]{0,20}") {
        let escaped = |text: &str| {
            let special = |c: char| match c {
                '\\' | '=' | ':' | ' ' | '#' | '!' => format!("\\{c}"),
                c => c.to_string(),
            };
            text.chars().map(special).collect::<String>()
        };
        let text = format!("connector.class=C\n{}={}\n", escaped(&key), escaped(&value));
        let found = connectors(&text);
        let setting = found[0].settings.iter().find(|it| it.key == key);
        prop_assert_eq!(setting.map(|it| it.value.as_str()), Some(value.as_str()));
    }
}
