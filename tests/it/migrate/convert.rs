//! `migrate`: configurations of other programs.
//!
//! The files in `configs` are public ones (documentation and examples of the connectors, scripts that
//! try them out, resources of Kubernetes) with other names, hosts and secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::bridge::{PROGRAM, texts};

pub(super) fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/migrate/configs")
}

/// Output, errors and exit code of the program in a folder, with variables.
pub(super) fn call(
    folder: &Path,
    args: &[&str],
    variables: &[(String, String)],
) -> (String, String, i32) {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(args).stdin(Stdio::null());
    command.envs(variables.iter().cloned());
    texts(&command.output().unwrap())
}

/// The variables that the command asks for, each with a value of its form.
pub(super) fn variables(errors: &str) -> Vec<(String, String)> {
    let asked = errors.lines().filter_map(|line| line.strip_prefix("set: "));
    let with_value = asked.map(|line| {
        let (name, _) = line.split_once(':').unwrap();
        let value = match name {
            "KAFKA_BROKERS" => "kafka.example.com:9092",
            "REGISTRY_URL" | "SN_BASE_URL" => "https://example.com",
            _ => "value",
        };
        (name.to_owned(), value.to_owned())
    });
    with_value.collect()
}

/// A folder with what the configurations name on this machine.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["kafka-1".to_owned()]).unwrap();
    fs::write(folder.path().join("ca.pem"), certificate.cert.pem()).unwrap();
    folder
}

/// Migrates a file of `configs`; the configuration and the exit code. It is what `check` accepts, and no
/// secret is in it.
fn migrated(name: &str) -> (String, i32) {
    let folder = folder();
    let file = configs().join(name);
    let (output, errors, code) = call(folder.path(), &["migrate", file.to_str().unwrap()], &[]);
    assert!([0, 1].contains(&code), "{name}: {errors}");
    assert!(
        !output.contains("SECRET-") && !errors.contains("SECRET-"),
        "{name}: {output}{errors}"
    );
    // A sink that is off until something is decided would leave nothing to do.
    let decided = match output.contains("\n  topics:\n") {
        true => output.replace("\nsink:\n  enabled: false\n", "\nsink:\n  enabled: true\n"),
        false => output.clone(),
    };
    fs::write(folder.path().join("config.yaml"), decided).unwrap();
    let (_, problems, checked) = call(folder.path(), &["check"], &variables(&errors));
    assert_eq!(checked, 0, "{name}: {problems}\n{output}");
    let decided = !errors.contains("decide: ");
    assert_eq!(code == 0, decided, "{name}: {errors}");
    (output, code)
}

/// What stands in a configuration, without comments.
pub(super) fn lines(config: &str) -> Vec<&str> {
    let lines = config.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split("  # ").next().unwrap_or(line).trim())
        .collect()
}

pub(super) fn assert_lines(name: &str, expected_code: i32, expected: &[&str]) -> String {
    let (config, code) = migrated(name);
    assert_eq!(code, expected_code, "{name}: {config}");
    let lines = lines(&config);
    for line in expected {
        assert!(lines.contains(line), "{name}: no `{line}` in\n{config}");
    }
    config
}

#[test]
fn sources_of_ibm() {
    let config = assert_lines(
        "ibm-source.json",
        1,
        &[
            "base_url: https://example.service-now.com",
            "client_secret: ${SN_CLIENT_SECRET}",
            "password: ${SN_PASSWORD}",
            "- name: sn_customerservice_case",
            "identifier_field: number",
            "query: numberISNOTEMPTY",
            "topic: test.servicenowconnector1.case",
            "initial_query_hours_ago: 720",
        ],
    );
    assert!(
        !lines(&config).contains(&"- name: change_request"),
        "it was not in the whitelist"
    );
    assert_lines(
        "ibm-display-values.json",
        1,
        &[
            "display_value: all",
            "partitioner: field_based",
            "- number",
            "- name: change_request",
            "topic: servicenow.change_request",
        ],
    );
    assert_lines(
        "ibm-strimzi.yaml",
        1,
        &[
            "- name: x_example_user_access",
            "topic: servicenow.x_example_user_access",
        ],
    );
}

#[test]
fn sources_of_confluent_platform() {
    assert_lines(
        "confluent-source.properties",
        1,
        &[
            "base_url: https://example.service-now.com",
            "type: basic",
            "username: admin",
            "- localhost:9092",
            "- name: incident",
            "topic: topic-servicenow",
            "batch_size: 10000",
            "slow_poll_interval: 60s",
        ],
    );
    let config = assert_lines(
        "confluent-source-proxy.json",
        1,
        &["url: http://nginx-proxy:8888"],
    );
    let comment = config.replace("\n#   ", " ");
    assert!(
        comment.contains("checkpoint set incident --timestamp '2026-08-19 00:00:00'"),
        "{config}"
    );
    assert_lines(
        "confluent-source-sasl.json",
        1,
        &[
            "- cluster.example.com:9092",
            "enabled: true",
            "mechanism: PLAIN",
            "username: ${KAFKA_USERNAME}",
            "password: ${KAFKA_PASSWORD}",
        ],
    );
}

#[test]
fn sources_of_confluent_cloud() {
    let log_in = [
        "mechanism: PLAIN",
        "username: ${KAFKA_API_KEY}",
        "password: ${KAFKA_API_SECRET}",
    ];
    assert_lines("confluent-cloud-source.json", 1, &log_in);
    assert_lines("confluent-cloud-source-v2.json", 1, &log_in);
    assert_lines(
        "confluent-cloud-source-v2.json",
        1,
        &[
            "url: ${REGISTRY_URL}",
            "username: ${REGISTRY_USERNAME}",
            "display_value: false",
        ],
    );
    // JSON with a schema in the registry is not sent.
    let config = assert_lines(
        "confluent-cloud-source-v2-oauth.json",
        1,
        &[
            "grant_type: client_credentials",
            "token_path: /oauth_token.do",
            "query: active=true^priority<=2",
            "timestamp_field: sys_created_on",
            "fast_poll_interval: 5000ms",
        ],
    );
    assert!(!config.contains("ORDERBY") || !lines(&config).iter().any(|it| it.contains("ORDERBY")));
    assert!(
        !lines(&config).iter().any(|line| line.contains("offset}")),
        "{config}"
    );
}

/// Which row a record means is to be decided, and no row is made before.
#[test]
fn sinks_of_confluent() {
    for name in [
        "confluent-sink.json",
        "confluent-sink-providers.json",
        "confluent-sink-kubernetes.yaml",
        "confluent-cloud-sink.json",
    ] {
        assert_lines(
            name,
            1,
            &[
                "- topic: test_table",
                "table: u_test_table",
                "operation: update",
                "commit_on_partial_failure: false",
                "deletes: true",
            ],
        );
    }
    assert_lines(
        "confluent-sink.json",
        1,
        &[
            "url: http://schema-registry:8081",
            "- broker:9092",
            "group_id: connect-servicenow-sink",
        ],
    );
    assert_lines(
        "confluent-sink-providers.json",
        1,
        &[
            "- ${KAFKA_BROKERS}",
            "username: ${REGISTRY_USERNAME}",
            "mechanism: PLAIN",
        ],
    );
}

#[test]
fn connectors_of_oso() {
    assert_lines(
        "oso-source.json",
        1,
        &[
            "client_id: ${SN_CLIENT_ID}",
            "- name: cmdb_ci_server",
            "topic: servicenow.change_request",
            "query: active=true",
        ],
    );
    assert_lines(
        "oso-sink.json",
        1,
        &[
            "- kafka:19092",
            "key_field: correlation_id",
            "nulls: ignore",
            "on_unknown_column: dead_letter",
            "dlq_topic: dlq-servicenow-incident-sink",
            "group_id: connect-servicenow-incident-sink",
        ],
    );
}

#[test]
fn configurations_of_the_go_program() {
    let config = assert_lines(
        "go-both-ways.yaml",
        0,
        &[
            "- kafka-2:9092",
            "mechanism: SCRAM-SHA-256",
            "password: ${KAFKA_PASSWORD}",
            "batch_size: 200",
        ],
    );
    assert!(
        config.contains("line 58, observability.metrics_addr: the Go program ignored"),
        "{config}"
    );
    assert!(
        !lines(&config)
            .iter()
            .any(|line| line.starts_with("storage")),
        "{config}"
    );
    assert_lines(
        "go-plain-secrets.yaml",
        0,
        &[
            "client_secret: ${SN_CLIENT_SECRET}",
            "password: ${SN_PASSWORD}",
            "- short_description",
        ],
    );
}

#[test]
fn source_and_sink_make_one_configuration_unless_they_are_of_two_instances() {
    let folder = folder();
    let [source, sink] =
        ["confluent-source-proxy.json", "confluent-sink.json"].map(|name| configs().join(name));
    let args = [
        "migrate",
        source.to_str().unwrap(),
        sink.to_str().unwrap(),
        "-o",
        "config.yaml",
    ];
    let (output, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!((output.as_str(), code), ("", 1), "{errors}");
    let config = fs::read_to_string(folder.path().join("config.yaml")).unwrap();
    for line in ["- name: incident", "- topic: test_table"] {
        assert!(lines(&config).contains(&line), "{config}");
    }
    let (_, problems, code) = call(folder.path(), &["check"], &variables(&errors));
    assert_eq!(code, 0, "{problems}");

    // Nothing is written over.
    let (_, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!(code, 64, "{errors}");
    assert!(errors.contains("config.yaml is there already"), "{errors}");

    let other = fs::read_to_string(&sink)
        .unwrap()
        .replace("example.service", "other.service");
    fs::write(folder.path().join("other.json"), other).unwrap();
    let args = ["migrate", source.to_str().unwrap(), "other.json"];
    let (output, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!((output.as_str(), code), ("", 78), "{errors}");
    let words = "`servicenow.base_url` is not as for the connector before it";
    assert!(errors.contains(words), "{errors}");

    // Of two sinks each has its group, of two bridges too.
    let other = fs::read_to_string(&sink).unwrap();
    let other = other.replace("\"servicenow-sink\"", "\"another-sink\"");
    fs::write(folder.path().join("other.json"), other).unwrap();
    let args = ["migrate", sink.to_str().unwrap(), "other.json"];
    let (output, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!((output.as_str(), code), ("", 78), "{errors}");
    let words = "other.json: `sink.group_id` is not as for";
    assert!(errors.contains(words), "{errors}");

    // The password of one must not be sent for the other.
    let other = fs::read_to_string(&source).unwrap();
    fs::write(
        folder.path().join("other.json"),
        other.replace("SECRET-1", "SECRET-2"),
    )
    .unwrap();
    let args = ["migrate", source.to_str().unwrap(), "other.json"];
    let (output, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!((output.as_str(), code), ("", 78), "{errors}");
    assert!(
        errors.contains("the secret for what `servicenow.password` held"),
        "{errors}"
    );
    assert!(!errors.contains("SECRET"), "{errors}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("unknown", "hello\n");
    write(
        "other.json",
        r#"{"connector.class": "io.debezium.connector.mysql.MySqlConnector"}"#,
    );
    write("large", &" ".repeat((1 << 20) + 1));
    write("offsets", "hello\n");
    let good = configs().join("ibm-source.json");
    let good = good.to_str().unwrap();
    let go = configs().join("go-plain-secrets.yaml");
    for (args, expected, words) in [
        (
            vec!["unknown"],
            78,
            "unknown: is not known; known are `config.yaml` of the Go program",
        ),
        (
            vec!["other.json"],
            78,
            "`connector.class` `io.debezium.connector.mysql.MySqlConnector` is not known",
        ),
        (vec!["large"], 78, "large"),
        (vec!["missing"], 78, "missing: cannot read it"),
        (vec!["."], 78, "a directory"),
        (
            vec![good, "--offsets", "offsets"],
            78,
            "offsets: line 1: is no record",
        ),
        (
            vec![go.to_str().unwrap(), "--offsets", "offsets"],
            78,
            "offsets: line 1",
        ),
        (
            vec![good, "--checkpoint", "offsets.json"],
            64,
            "there is no `--offsets`",
        ),
        (vec![], 64, "`migrate` needs the configurations"),
    ] {
        let args: Vec<&str> = ["migrate"].into_iter().chain(args).collect();
        let (output, errors, code) = call(folder.path(), &args, &[]);
        assert_eq!(
            (output.as_str(), code),
            ("", expected),
            "{args:?}: {errors}"
        );
        assert!(errors.contains(words), "{args:?}: {errors}");
    }
    assert!(!folder.path().join("offsets.json").exists());
}

#[test]
fn standard_input_is_read() {
    let folder = folder();
    let file = fs::File::open(configs().join("ibm-source.json")).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .current_dir(folder.path())
        .args(["migrate", "-"])
        .stdin(file);
    let (output, errors, code) = texts(&command.output().unwrap());
    assert_eq!(code, 1, "{errors}");
    assert!(
        errors.contains("with all that the connector had sent already"),
        "{errors}"
    );
    assert!(
        output.contains("from standard input (IBM's source)"),
        "{output}"
    );
}
