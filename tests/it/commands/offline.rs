//! `check` without the network: it finds whatever keeps `run` from starting.

use std::fs;

use super::{alone, call};
use crate::support::bridge::Bridge;

#[test]
fn check_refuses_what_run_refuses() {
    let (folder, good) = alone();
    let place = folder.path();
    fs::create_dir(place.join("a-folder")).unwrap();
    fs::write(place.join("no-cert.pem"), "nothing\n").unwrap();
    fs::write(place.join("damaged.json"), "{").unwrap();
    let pem = place.join("no-cert.pem").display().to_string();
    for (from, to, words) in [
        (
            "kafka:\n",
            "kafka:\n  properties: {sockt.keepalive.enable: true}\n",
            &["kafka.properties.sockt.keepalive.enable"][..],
        ),
        (
            "kafka:\n",
            "kafka:\n  properties: {socket.keepalive.enable: perhaps}\n",
            &["kafka.properties.socket.keepalive.enable"],
        ),
        (
            "kafka:\n",
            &format!("kafka:\n  tls: {{enabled: true, ca_cert: {pem}}}\n"),
            &["kafka", "ssl.ca.location"],
        ),
        (
            "http://127.0.0.1:9\n",
            &format!("https://127.0.0.1:9\n  tls: {{ca_cert: {pem}}}\n"),
            &["servicenow.tls.ca_cert", "no PEM certificate"],
        ),
        (
            "offset:\n",
            &format!(
                "schema_registry: {{url: 'https://127.0.0.1:9', tls: {{ca_cert: {pem}}}}}\noffset:\n"
            ),
            &["schema_registry.tls.ca_cert"],
        ),
        (
            "offset:\n",
            "offset:\n  file_path: a-folder\n",
            &["checkpoint a-folder", "directory"],
        ),
        (
            "offset:\n",
            "offset:\n  file_path: no-cert.pem/offsets.json\n",
            &["checkpoint", "no-cert.pem", "directory"],
        ),
        // Of the block for documentation (RFC 5737), so of no machine.
        (
            "addr: 127.0.0.1:0",
            "addr: 192.0.2.1:8080",
            &["observability.addr `192.0.2.1:8080`", "of this machine"],
        ),
        (
            "offset:\n",
            "offset:\n  file_path: damaged.json\n",
            &["checkpoint damaged.json is damaged"],
        ),
    ] {
        let text = good.text();
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        fs::write(place.join("config.yaml"), &bad).unwrap();
        let mut run = Bridge::spawn(place);
        let (output, errors, code) = call(place, &["check"]);
        assert_eq!((output.as_str(), code), ("", 78), "{to}: {errors}");
        assert_eq!(run.wait_exit(), 78, "{to}");
        let log = run.log();
        for word in words {
            assert!(errors.contains(word), "{to}: no `{word}` in {errors}");
            assert!(log.contains(word), "{to}: no `{word}` in {log}");
        }
    }
}

/// A table that cannot start at its checkpoint keeps nothing else from running.
#[test]
fn check_reads_the_checkpoint() {
    let (folder, good) = alone();
    let place = folder.path();
    let other_query =
        r#"{"incident":{"timestamp":1,"last_identifier":"","fingerprint":"0123456789abcdef"}}"#;
    fs::write(place.join("offsets.json"), other_query).unwrap();
    let words = "checkpoint reset incident";
    let (output, errors, code) = call(place, &["check"]);
    assert_eq!((output.as_str(), code), ("", 78), "{errors}");
    assert!(errors.contains(words), "{errors}");
    let sink = "sink:\n  enabled: true\n  topics: [{topic: in, table: u_x}]\noffset:\n";
    let text = good.text().replacen("offset:\n", sink, 1);
    fs::write(place.join("config.yaml"), text).unwrap();
    let (output, errors, code) = call(place, &["check"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("valid, with "), "{output}");
    assert!(errors.contains(words), "{errors}");
    let unchanged = fs::read_to_string(place.join("offsets.json")).unwrap();
    assert_eq!(unchanged, other_query);
    let names = fs::read_dir(place)
        .unwrap()
        .map(|it| it.unwrap().file_name());
    assert_eq!(names.count(), 2, "no lock and no other file");
}

/// It would show, and register, another schema or subject than the bridge.
#[test]
fn schema_uses_no_key_that_is_wrong() {
    let (folder, good) = alone();
    for (key, value) in [("schema", "{style: tpyed}"), ("topic_prefix", "[a]")] {
        let text = good.text().replace("  topic_prefix: servicenow\n", "");
        let text = text.replacen("source:\n", &format!("source:\n  {key}: {value}\n"), 1);
        let registry = "schema_registry: {url: 'http://127.0.0.1:9'}\nsource:\n";
        let text = text.replacen("source:\n", registry, 1);
        fs::write(folder.path().join("config.yaml"), text).unwrap();
        let (output, errors, code) = call(folder.path(), &["schema", "show", "incident"]);
        assert_eq!((output.as_str(), code), ("", 78), "{errors}");
        assert!(errors.contains(&format!("source.{key}")), "{errors}");
    }
}

#[test]
fn check_names_all_that_is_wrong_and_makes_nothing() {
    let (folder, good) = alone();
    let config = good
        .kafka("properties: {sockt: 1}")
        .servicenow("tls: {ca_cert: config.yaml}");
    let text = config.text().replace("http://", "https://").replace(
        "offset:\n",
        "offset:\n  file_path: not/there/offsets.json\n",
    );
    fs::write(folder.path().join("config.yaml"), text).unwrap();
    let (output, errors, code) = call(folder.path(), &["check"]);
    assert_eq!((output.as_str(), code), ("", 78), "{errors}");
    for words in [
        "config.yaml: servicenow.tls.ca_cert",
        "config.yaml: kafka",
        "sockt",
        "config.yaml: 2 problems",
    ] {
        assert!(errors.contains(words), "no `{words}` in {errors}");
    }
    assert!(!folder.path().join("not").exists());
}
