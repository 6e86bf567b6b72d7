//! `migrate`: which group a sink goes on as, and what must be decided before it writes.

use std::fs;

use super::convert::{assert_lines, call, configs, folder, lines};

/// Without its group a sink would write every record of its topics again.
#[test]
fn the_group_of_a_sink_is_the_connectors() {
    let config = assert_lines("confluent-cloud-sink.json", 1, &["enabled: false"]);
    assert!(
        !lines(&config).iter().any(|it| it.starts_with("group_id")),
        "{config}"
    );
    assert!(
        config.replace("\n#   ", " ").contains("`connect-lcc-ID`"),
        "{config}"
    );

    let folder = folder();
    let sink = fs::read_to_string(configs().join("confluent-sink.json")).unwrap();
    let own = "\"tasks.max\": \"1\", \"consumer.override.group.id\": \"own\", \
               \"consumer.override.auto.offset.reset\": \"latest\", \"errors.tolerance\": \"all\"";
    let sink = sink.replace("\"tasks.max\": \"1\"", own);
    fs::write(folder.path().join("sink.json"), sink).unwrap();
    let (config, errors, _) = call(folder.path(), &["migrate", "sink.json"], &[]);
    assert!(lines(&config).contains(&"group_id: own"), "{config}");
    assert!(!config.contains("on_error"), "{config}");
    let words = "decide: consumer.override.auto.offset.reset: a group without offsets";
    assert!(errors.contains(words), "{errors}");
}

/// What a record does is to be decided: nothing is written before.
#[test]
fn operations_of_oso() {
    let folder = folder();
    let sink = fs::read_to_string(configs().join("oso-sink.json")).unwrap();
    for (mode, expected, words) in [
        (
            "\"header\"",
            "enabled: false",
            "the sink is off until the producer sends it",
        ),
        (
            "\"fixed\", \"snow.sink.operation.fixed\": \"delete\"",
            "enabled: false",
            "the sink is off",
        ),
        (
            "\"fixed\", \"snow.sink.operation.fixed\": \"patch\"",
            "operation: update",
            "keep `operation: update`",
        ),
    ] {
        let sink = sink.replace("\"key_value\"", mode);
        fs::write(folder.path().join("sink.json"), sink).unwrap();
        let (config, errors, code) = call(folder.path(), &["migrate", "sink.json"], &[]);
        assert_eq!(code, 1, "{errors}");
        assert!(lines(&config).contains(&expected), "{config}");
        assert!(errors.contains(words), "{errors}");
        assert!(!errors.contains("take both away"), "{errors}");
    }
}
