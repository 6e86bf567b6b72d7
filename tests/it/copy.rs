//! The copy of the static build (docs/decisions/0010), which the compiler of this machine can check.

use std::path::Path;
use std::process::{Command, Output};

/// The flags of `build.rs`.
const FLAGS: [&str; 4] = [
    "-O2",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-tree-loop-distribute-patterns",
];

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    output
}

#[test]
fn it_copies_all_sizes_alignments_and_overlaps() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/musl/check.c");
    let program = folder.path().join("check");
    let mut cc = Command::new("cc");
    cc.args(FLAGS).arg(source).arg("-o").arg(&program);
    run(&mut cc);
    run(&mut Command::new(&program));
}
