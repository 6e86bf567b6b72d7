//! The copy of the static build (docs/decisions/0010), which the compiler of this machine can check.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The flags of `build.rs`.
const FLAGS: [&str; 4] = [
    "-O2",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-tree-loop-distribute-patterns",
];

/// What the checks say of a copy.
fn checked(copy: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let [source, program] = ["check.c", "check"].map(|name| folder.path().join(name));
    fs::write(folder.path().join("copy.c"), copy).unwrap();
    fs::write(&source, shipped("check.c")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(FLAGS).arg(source).arg("-o").arg(&program);
    let compiled = cc.output().unwrap();
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{cc:?}: {errors}");
    Command::new(program).output().unwrap()
}

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/musl");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn it_copies_all_sizes_alignments_and_overlaps() {
    let output = checked(&shipped("copy.c"));
    assert!(output.status.success(), "{output:?}");
}

/// A copy that is right but reads further than it may, or writes the wrong bytes, is found.
#[test]
fn the_checks_see_what_is_wrong() {
    let copy = shipped("copy.c");
    for (line, wrong) in [
        (
            "if (size > 64) {",
            "if (*(const volatile unsigned char *)(from + size), size > 64) {",
        ),
        (
            "if (size > 64) {",
            "if (*(const volatile unsigned char *)(from - 1), size > 64) {",
        ),
        (
            "vector first = LOAD(from);",
            "vector first = LOAD(from + 1);",
        ),
        ("left > 64; left -= 64", "left > 48; left -= 64"),
    ] {
        assert!(copy.contains(line), "{line}");
        let output = checked(&copy.replacen(line, wrong, 1));
        assert_eq!(output.status.code(), Some(1), "{wrong}: {output:?}");
    }
}
