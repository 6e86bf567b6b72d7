//! `migrate --offsets`: a table goes on where its connector stopped.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Command;

use real_kafka::Embedded;
use servicenow_sim::{Generator, Options, Sim, parse_stamp};

use super::convert::{call, configs, folder, variables};
use crate::support::bridge::{Bridge, PROGRAM};
use crate::support::{LONG, wait_for};

/// The connector had read up to the middle of a second; the bridge reads that second again and all that
/// follows.
#[test]
fn a_table_goes_on_at_the_offset_of_the_connector() {
    let sim = Sim::start(Options::default()).unwrap();
    let kafka = Embedded::start(3).unwrap();
    kafka.create_topic("servicenow.incident").unwrap();
    let rows = Generator::new(7, 200, sim.now() - 7200).take(100);
    sim.insert_many("incident", rows).unwrap();
    let mut all: Vec<(i64, String)> = sim
        .rows("incident")
        .unwrap()
        .iter()
        .map(|row| {
            (
                parse_stamp(row.get("sys_updated_on").unwrap()).unwrap(),
                row.get("sys_id").unwrap().to_owned(),
            )
        })
        .collect();
    all.sort();
    let (second, last) = all[44].clone();
    let mut wanted: Vec<&str> = all
        .iter()
        .filter(|row| row.0 >= second)
        .map(|row| row.1.as_str())
        .collect();
    assert!(
        wanted.len() > 100 - 45,
        "the second has rows that were read"
    );

    let folder = folder();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let config = fs::read_to_string(configs().join("ibm-display-values.json")).unwrap();
    let config = config
        .replace("https://example.service-now.com", sim.url())
        .replace("the-client", "client-id")
        .replace("SECRET-1", "client-secret")
        .replace("\"integration\"", "\"bridge\"")
        .replace("\"all\"", "\"false\"")
        .replace(
            "identifier.field.name\": \"number\"",
            "identifier.field.name\": \"sys_id\"",
        )
        .replace("field-based", "default")
        .replace("incident,change_request", "incident");
    write("connector.json", config);
    write(
        "offsets-of-connect.txt",
        format!(
            "[\"incident-connector\",{{\"partition\":\"incident\"}}]\t\
             {{\"last_identifier\":\"{last}\",\"timestamp\":{second}}}\n"
        ),
    );
    let args = [
        "migrate",
        "connector.json",
        "-o",
        "config.yaml",
        "--offsets",
        "offsets-of-connect.txt",
    ];
    let (_, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!(code, 0, "{errors}");
    let mut environment = variables(&errors);
    for (name, value) in &mut environment {
        match name.as_str() {
            "SN_CLIENT_SECRET" => "client-secret".clone_into(value),
            "SN_PASSWORD" => "secret".clone_into(value),
            "KAFKA_BROKERS" => *value = kafka.bootstrap().to_owned(),
            other => panic!("{other}"),
        }
    }
    let (shown, errors, code) = call(folder.path(), &["checkpoint", "show"], &environment);
    let time = jiff::Timestamp::from_second(second).unwrap();
    assert_eq!(
        (shown, code),
        (format!("incident\t{time}\n"), 0),
        "{errors}"
    );

    let file = folder.path().join("config.yaml");
    let text = fs::read_to_string(&file).unwrap();
    // Without the rows before the offset, which come once more where nothing is known of them.
    let text = text.replacen("source:\n", "source:\n  settle: 0s\n", 1);
    fs::write(&file, text + "\nobservability:\n  addr: 127.0.0.1:0\n").unwrap();
    let mut command = Command::new(PROGRAM);
    command.envs(environment);
    let mut bridge = Bridge::spawn_command(folder.path(), command);
    bridge.wait_port();
    wait_for("the rows from that second on", || {
        (kafka.reader().count("servicenow.incident").unwrap() >= wanted.len() as u64).then_some(())
    });
    assert_eq!(bridge.terminate(), 0);
    let records = kafka
        .reader()
        .read_to_end("servicenow.incident", LONG)
        .unwrap();
    let mut got: Vec<String> = records.iter().map(real_kafka::Record::key_text).collect();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(
        got, wanted,
        "all from that second on, once, and none before"
    );
}

/// Without its offset a table is read from its beginning, which is told by the exit code too.
#[test]
fn an_offset_that_cannot_be_used_is_told() {
    let folder = folder();
    let config = configs().join("ibm-strimzi.yaml");
    let offsets = r#"{"offsets": [{"partition": {"partition": "change_request"},
        "offset": {"timestamp": 1700000000, "last_identifier": "x"}}]}"#;
    fs::write(folder.path().join("connect.json"), offsets).unwrap();
    let args = [
        "migrate",
        config.to_str().unwrap(),
        "--offsets",
        "connect.json",
        "--checkpoint",
        "out.json",
    ];
    let (output, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!(code, 1, "{errors}");
    // The bridge reads this checkpoint, wherever it is.
    let place = folder.path().canonicalize().unwrap().join("out.json");
    let key = format!("file_path: {}", place.display());
    assert!(output.contains(&key), "{output}");
    assert!(
        errors.contains("decide: x_example_user_access: is read from"),
        "{errors}"
    );
    let words = "offsets: x_example_user_access: has no offset, and begins anew";
    assert!(errors.contains(words), "{errors}");
    let written = fs::read_to_string(folder.path().join("out.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    let expected =
        serde_json::json!({"change_request": {"timestamp": 1_700_000_000, "last_identifier": ""}});
    assert_eq!(written, expected);
}

/// A configuration without its checkpoint would send whole tables again.
#[test]
fn without_its_checkpoint_no_configuration_is_left() {
    let folder = folder();
    let (config, offsets) = (
        configs().join("ibm-source.json"),
        folder.path().join("connect.json"),
    );
    fs::write(&offsets, OFFSETS_OF_CASES).unwrap();
    for (output, checkpoint) in [
        ("config.yaml", "ca.pem/offsets.json"),
        ("none/config.yaml", "offsets.json"),
    ] {
        let args = [
            "migrate",
            config.to_str().unwrap(),
            "--offsets",
            "connect.json",
            "-o",
            output,
        ];
        let args = [&args[..], &["--checkpoint", checkpoint]].concat();
        let (_, errors, code) = call(folder.path(), &args, &[]);
        assert!([75, 78].contains(&code), "{code}: {errors}");
        for path in [output, checkpoint] {
            assert!(!folder.path().join(path).exists(), "{path}: {errors}");
        }
    }
}

/// The checkpoint is written as the owner of its folder, the configuration by root.
#[test]
fn root_writes_the_configuration_beside_the_folder_of_the_service() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(4242), Some(4242)).unwrap();
    fs::write(folder.path().join("connect.json"), OFFSETS_OF_CASES).unwrap();
    let config = configs().join("ibm-source.json");
    let args = [
        "migrate",
        config.to_str().unwrap(),
        "--offsets",
        "connect.json",
        "-o",
        "config.yaml",
    ];
    let args = [&args[..], &["--checkpoint", "state/offsets.json"]].concat();
    let (_, errors, code) = call(folder.path(), &args, &[]);
    assert_eq!(code, 0, "{errors}");
    assert!(folder.path().join("config.yaml").exists());
    assert_eq!(state.join("offsets.json").metadata().unwrap().uid(), 4242);
}

const OFFSETS_OF_CASES: &str = r#"{"offsets": [{"partition": {"partition": "case"},
    "offset": {"timestamp": 1700000000, "last_identifier": "x"}}]}"#;
