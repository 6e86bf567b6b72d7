//! What is shipped beside the binary, and `make install`. The packages themselves are tested by
//! `make test-packaging`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{alone, call};
use crate::support::bridge::PROGRAM;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

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

/// `make` with these arguments in the checkout, with no cargo to call and nothing built below `target`.
fn make(target: &Path, args: &[&str]) -> Output {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "-C", ROOT, "CARGO=/bin/false"])
        .args(args);
    make.env("CARGO_TARGET_DIR", target);
    make.output().unwrap()
}

/// The files below `folder`, as absolute paths of a root that begins there.
fn files_below(folder: &Path) -> Vec<String> {
    let find = Command::new("find")
        .args([".", "-type", "f", "-printf", "/%P\n"])
        .current_dir(folder)
        .output()
        .unwrap();
    let mut files: Vec<String> = String::from_utf8(find.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    files.sort();
    files
}

#[test]
fn install_takes_what_is_built_and_uninstall_leaves_what_the_user_wrote() {
    let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let destination = format!("DESTDIR={}", folder.path().display());
    let nothing = make(target.path(), &["install", &destination]);
    let errors = String::from_utf8(nothing.stderr).unwrap();
    assert!(!nothing.status.success(), "{errors}");
    assert!(errors.contains("make static"), "{errors}");
    assert_eq!(files_below(folder.path()), [""; 0]);

    // The static binary goes before the other one.
    let [linked, fixed] = [
        "release",
        &format!("{}-unknown-linux-musl/release", std::env::consts::ARCH),
    ]
    .map(|place| target.path().join(place).join("servicenow-kafka-bridge"));
    for place in [&linked, &fixed] {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(PROGRAM, place).unwrap();
    }
    let installed = make(target.path(), &["install", &destination]);
    let words = String::from_utf8(installed.stdout).unwrap();
    assert!(installed.status.success(), "{words}");
    assert!(
        words.contains(&format!("Installed {}", fixed.display())),
        "{words}"
    );
    let files = files_below(folder.path());
    assert!(files.contains(&"/usr/local/bin/servicenow-kafka-bridge".to_owned()));
    assert!(
        !files.iter().any(|file| file.ends_with("/config.yaml")),
        "{files:?}"
    );
    for file in &files {
        assert!(words.contains(file), "no {file} in {words}");
    }
    let at = |path: &str| folder.path().join(path.trim_start_matches('/'));
    let unit = fs::read_to_string(at(
        "/usr/lib/systemd/system/servicenow-kafka-bridge.service",
    ))
    .unwrap();
    let starts = "\nExecStart=/usr/local/bin/servicenow-kafka-bridge run ";
    assert!(
        unit.contains(starts) && !unit.contains("/usr/bin/"),
        "{unit}"
    );

    let config = at("/etc/servicenow-kafka-bridge/config.yaml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "mine").unwrap();
    let removed = make(target.path(), &["uninstall", &destination]);
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(
        files_below(folder.path()),
        ["/etc/servicenow-kafka-bridge/config.yaml"]
    );
}

/// OpenSSL's and librdkafka's makes once took DESTDIR from the make that called cargo.
#[test]
fn no_variable_of_make_reaches_cargo() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = folder.path().join("cargo");
    fs::write(&cargo, "#!/bin/sh\nenv\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let cargo = format!("CARGO={}", cargo.display());
    let output = make(
        folder.path(),
        &["-j2", "build", &cargo, "DESTDIR=/x", "PREFIX=/y"],
    );
    let environment = String::from_utf8(output.stdout).unwrap();
    assert!(environment.contains("\nCARGO_TARGET_DIR="), "{environment}");
    for name in [
        "MAKEFLAGS=",
        "MFLAGS=",
        "MAKEOVERRIDES=",
        "DESTDIR=",
        "PREFIX=",
    ] {
        let found = environment.lines().find(|line| line.starts_with(name));
        assert_eq!(found, None, "{environment}");
    }
}

/// Two units in two files, so that each can be read; they must not drift apart.
#[test]
fn the_unit_of_an_instance_differs_by_its_files_only() {
    let unit =
        |name: &str| fs::read_to_string(Path::new(ROOT).join("packaging").join(name)).unwrap();
    let mut expected = unit("servicenow-kafka-bridge.service");
    for (one, instance) in [
        ("Kafka bridge\n", "Kafka bridge: %i\n"),
        (
            "-/etc/default/servicenow-kafka-bridge\n",
            "-/etc/default/servicenow-kafka-bridge-%i\n",
        ),
        (
            "/var/lib/servicenow-kafka-bridge\n",
            "/var/lib/servicenow-kafka-bridge/%i\n",
        ),
        (
            "StateDirectory=servicenow-kafka-bridge\n",
            "StateDirectory=servicenow-kafka-bridge/%i\n",
        ),
        (
            "/etc/servicenow-kafka-bridge/config.yaml",
            "/etc/servicenow-kafka-bridge/%i.yaml",
        ),
    ] {
        assert!(expected.contains(one), "{one}");
        expected = expected.replace(one, instance);
    }
    assert_eq!(unit("servicenow-kafka-bridge@.service"), expected);
}

/// What `make static` asks of each object, on one that the compiler of this machine made.
#[test]
fn an_object_compiled_against_glibc_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let checked = |source: &str| {
        let [file, object] = ["x.c", "x.o"].map(|name| folder.path().join(name));
        fs::write(&file, source).unwrap();
        let mut cc = Command::new("cc");
        let compiled = cc.args(["-O2", "-c", "-o"]).arg(&object).arg(file).status();
        assert!(compiled.unwrap().success());
        let check = Path::new(ROOT).join("packaging/musl/glibc-symbols");
        Command::new(check).arg(object).output().unwrap()
    };
    let clean = checked("int puts(const char *); int f(void) { return puts(\"x\"); }");
    assert!(clean.status.success(), "{clean:?}");
    for (source, name) in [
        (
            "#include <ctype.h>\nint f(int x) { return isdigit(x) + isalpha(x); }",
            "__ctype_b_loc",
        ),
        (
            "#include <stdio.h>\nint f(char *x, int *y) { return sscanf(x, \"%d\", y); }",
            "scanf",
        ),
    ] {
        let found = checked(source);
        let names = String::from_utf8(found.stdout).unwrap();
        assert_eq!(found.status.code(), Some(1), "{names}");
        assert!(names.contains("x.o") && names.contains(name), "{names}");
    }
}
