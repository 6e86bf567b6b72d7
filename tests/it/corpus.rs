//! The seeds of the fuzz targets (`tests/fuzz`), replayed through the same functions.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library there")]
mod targets;

use std::fs;
use std::path::Path;

/// Runs a target on each of its seeds; gives their number. A panic names the seed.
fn replay(target: &str, run: fn(&[u8])) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/fuzz/corpus").join(target);
    let seeds = fs::read_dir(&folder).unwrap();
    let run_one = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let result = std::panic::catch_unwind(|| run(&bytes));
        assert!(result.is_ok(), "a finding: {}", path.display());
    };
    seeds.map(|seed| run_one(&seed.unwrap().path())).count()
}

/// The name of a target and what it does with its bytes.
type Target = (&'static str, fn(&[u8]));

#[test]
fn no_seed_is_a_finding() {
    let targets: [Target; 8] = [
        ("avro_record", targets::avro_record),
        ("avro_schema", targets::avro_schema),
        ("checkpoint_record", targets::checkpoint_record),
        ("dead_letter", targets::dead_letter),
        ("http_head", targets::http_head),
        ("page", targets::page),
        ("row", targets::row),
        ("yaml", targets::yaml),
    ];
    for (target, run) in targets {
        let seeds = replay(target, run);
        assert!(seeds >= 10, "{target} has only {seeds} seeds");
    }
    let manifest = include_str!("../fuzz/Cargo.toml");
    let known = manifest.matches("[[bin]]").count();
    assert_eq!(known, targets.len(), "a target is not replayed here");
}
