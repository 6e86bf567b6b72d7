//! Certificates: made, checked by the program, and by another reader.

use std::fs;
use std::process::{Command, Stdio};

use real_kafka::{Draft, Record, Writer};
use serde_json::Value;
use servicenow_sim::Churn;

use super::{copied, verify, with_headers};
use crate::support::LONG;
use crate::support::bridge::{run, texts};
use crate::support::config::Config;
use crate::support::rig::{Rig, TOPIC};

const PROOFS: &str = "proofs";

fn with_proofs(rig: &Rig) -> Config {
    rig.kafka.create_topic(PROOFS).unwrap();
    rig.config().source(&format!("proof_topic: {PROOFS}"))
}

fn certificate(rig: &Rig) -> Value {
    let text = fs::read(rig.folder.path().join("incident.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// What `--topic-only` says, and its exit code.
fn check(rig: &Rig) -> (String, i32) {
    let args = ["verify", "incident", "--topic-only", "incident.json"];
    let (out, errors, code) = texts(&run(rig.folder.path(), &args));
    (out + &errors, code)
}

/// Records as `kcat` prints them with the format of the handbook.
fn printed(records: &[Record]) -> String {
    let line = |record: &Record| {
        let headers = record.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        let size = record
            .value
            .as_ref()
            .map_or(-1, |value| i64::try_from(value.len()).unwrap());
        let Record {
            partition, offset, ..
        } = record;
        format!(
            "{partition}\t{offset}\t{size}\t{}\t{}\n",
            record.key_text(),
            headers.join(",")
        )
    };
    records.iter().map(line).collect()
}

/// What the reader of the handbook says.
fn read_by_python(rig: &Rig) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.md")).unwrap();
    let (_, program) = page.split_once("```python\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let folder = rig.folder.path();
    fs::write(folder.join("reader.py"), program).unwrap();
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    fs::write(folder.join("records"), printed(&records)).unwrap();
    let output = Command::new("python3")
        .args(["reader.py", "incident.json"])
        .current_dir(folder)
        .stdin(Stdio::from(fs::File::open(folder.join("records")).unwrap()))
        .output()
        .unwrap();
    let (out, errors, code) = texts(&output);
    assert_eq!(code, 0, "{errors}");
    out
}

#[test]
fn what_is_certified_is_what_another_reader_finds() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_proofs(&rig), 700);
    let (report, code) = verify(&rig, &["--full", "--certificate", "incident.json"]);
    assert_eq!(code, 0, "{report}");
    let proof = certificate(&rig);
    assert_eq!(proof["counts"]["proven"], 700);
    assert_eq!(proof["counts"]["all"], 700);
    let published = rig.kafka.reader().read_to_end(PROOFS, LONG).unwrap();
    let published: Value = serde_json::from_str(&published[0].value_text()).unwrap();
    assert_eq!(published, proof);
    assert_eq!(read_by_python(&rig), "equal\n");
    let (words, code) = check(&rig);
    assert!(
        code == 0 && words.contains("the same of 256 of 256"),
        "{words}"
    );
    assert_eq!(bridge.terminate(), 0);

    // What comes later says nothing of what was there.
    let records = rig.kafka.reader().read_to_end(TOPIC, LONG).unwrap();
    let writer = Writer::new(rig.kafka.bootstrap()).unwrap();
    let again = Draft::new("{}").key(records[0].key.clone().unwrap());
    let again = again
        .header("sn_table", "incident")
        .partition(records[0].partition);
    writer.write(TOPIC, [again]).unwrap();
    assert_eq!(read_by_python(&rig), "equal\n");
    assert_eq!(check(&rig).1, 0);

    // A certificate of other rows is none of these.
    let mut forged = proof;
    forged["slices"][7]["sha256"] = Value::from("00");
    forged["root"] = Value::from("00");
    fs::write(rig.folder.path().join("incident.json"), forged.to_string()).unwrap();
    let (words, code) = check(&rig);
    assert!(
        code == 1 && words.contains("something else of 1 of 256 slices: 07"),
        "{words}"
    );
    assert_eq!(read_by_python(&rig), "differs\n");
}

#[test]
fn while_rows_are_written() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 1_000);
    let churn = Churn::start(&rig.sim, "incident", 50.0, 0).unwrap();
    let (report, code) = verify(&rig, &["--full", "--certificate", "incident.json"]);
    assert_eq!(code, 0, "{report}");
    churn.stop();
    let proof = certificate(&rig);
    let proven = proof["counts"]["proven"].as_u64().unwrap();
    assert!(proven > 500, "{}", proof["counts"]);
    assert_eq!(read_by_python(&rig), "equal\n");
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn there_is_none_where_something_differs() {
    let rig = Rig::new();
    let bridge = copied(&rig, &with_headers(&rig), 50);
    assert_eq!(bridge.terminate(), 0);
    super::unseen_rows(&rig, 1);
    let (report, code) = verify(&rig, &["--full", "--certificate", "incident.json"]);
    assert_eq!(code, 1, "{report}");
    assert!(!rig.folder.path().join("incident.json").exists());
    assert!(
        report["notes"].to_string().contains("no certificate"),
        "{report}"
    );
}
