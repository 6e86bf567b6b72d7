//! The manual page and the completions, as packages install them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{alone, call};

/// Packages call these; shells read the scripts as the binary prints them.
#[test]
fn the_manual_page_and_the_completions_are_of_the_real_binary() {
    let (folder, _) = alone();
    let (page, errors, code) = call(folder.path(), &["man"]);
    assert_eq!((errors.as_str(), code), ("", 0));
    assert!(page.starts_with(".TH SERVICENOW-KAFKA-BRIDGE 1 "), "{page}");
    assert!(page.contains("\n.SS dead\\-letters\n"), "{page}");
    for shell in ["bash", "zsh", "fish"] {
        let (script, errors, code) = call(folder.path(), &["completions", shell]);
        assert_eq!((errors.as_str(), code), ("", 0), "{shell}");
        assert!(script.contains("dead-letters"), "{shell}: {script}");
    }
}

/// What bash offers behind these words, the last of which is being typed.
fn bash_offers(folder: &Path, words: &[&str]) -> String {
    const TRY: &str = "source ./script; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                       _servicenow_kafka_bridge; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-c", TRY, "try", "servicenow-kafka-bridge"])
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "", "{words:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let (folder, _) = alone();
    let (script, _, _) = call(folder.path(), &["completions", "bash"]);
    fs::write(folder.path().join("script"), script).unwrap();
    for (words, expected) in [
        (&["ch"][..], "check checkpoint"),
        (&["dead-letters", ""], "list show replay drop"),
        (&["-c", "x.yaml", "dead-letters", "re"], "replay"),
        (&["dead-letters", "replay", "--d"], "--dry-run --direct"),
        (&["dead-letters", "list", "--d"], ""),
        (&["dead-letters", "list", "--kind", "=", "acl"], "acl"),
        (&["dead-letters", "list", "--table", ""], ""),
        (&["log-level", "de"], "debug"),
        (&["log-level", "debug", ""], ""),
        (&["status", "--j"], "--json"),
        (&["help", "st"], "status"),
    ] {
        assert_eq!(bash_offers(folder.path(), words), expected, "{words:?}");
    }
}
