use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Instant;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::stop;

mod remote;

const GO_CHECKPOINT: &str = r#"{
  "change_request": {
    "timestamp": 1706137200,
    "last_identifier": "def456"
  },
  "incident": {
    "timestamp": 1706140800,
    "last_identifier": "abc123"
  }
}"#;

struct CheckpointFolder {
    _folder: TempDir,
    path: PathBuf,
    metrics: Metrics,
}

/// An own folder, with this text as the checkpoint file, if any.
fn place(text: Option<&str>) -> CheckpointFolder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offsets.json");
    if let Some(text) = text {
        fs::write(&path, text).unwrap();
    }
    CheckpointFolder {
        _folder: folder,
        path,
        metrics: Metrics::new(),
    }
}

impl CheckpointFolder {
    fn open(&self) -> Result<CheckpointStore, Error> {
        CheckpointStore::open(&self.path, &self.metrics)
    }

    /// Opens again after a drop. Another test that starts a program at this moment has, until its
    /// child executes it, a copy of our lock.
    fn reopen(&self) -> CheckpointStore {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.open() {
                Err(Error::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// The words of the error at start, without the folder.
    fn refused(&self, expected: &Expect) {
        let words = self.open().unwrap_err().to_string();
        let folder = self.path.parent().unwrap().to_str().unwrap().to_owned();
        expected.assert_eq(&words.replace(&folder, "FOLDER"));
    }
}

fn entry(timestamp: i64, id: &str) -> CheckpointEntry {
    let position = CheckpointPosition {
        timestamp,
        last_identifier: id.to_owned(),
    };
    CheckpointEntry {
        position,
        fingerprint: None,
    }
}

#[test]
fn a_file_of_the_go_bridge_is_continued() {
    let place = place(Some(GO_CHECKPOINT));
    let store = place.open().unwrap();
    assert_eq!(store.get("incident"), Some(entry(1_706_140_800, "abc123")));
    assert_eq!(store.get("problem"), None);
    assert_eq!(
        store.durable_position("incident"),
        Some(entry(1_706_140_800, "abc123").position)
    );

    store.flush().unwrap();
    assert_eq!(
        place.metrics.checkpoint_writes.with(&["ok"]).get(),
        0,
        "nothing to write"
    );
    store.advance("incident", entry(1_706_140_801, "abd"));
    assert_eq!(
        store.durable_position("incident").unwrap().timestamp,
        1_706_140_800,
        "memory only"
    );
    store.flush().unwrap();
    let expected = GO_CHECKPOINT
        .replace("1706140800", "1706140801")
        .replace("abc123", "abd");
    assert_eq!(place.text(), expected, "the same look");
    assert_eq!(
        store.durable_position("incident").unwrap().timestamp,
        1_706_140_801
    );
    assert_eq!(
        place.metrics.checkpoint_timestamp.with(&["incident"]).get(),
        1_706_140_801.0
    );
}

#[test]
fn what_is_not_known_is_kept() {
    let place = place(Some(
        r#"{"old_table": {"timestamp": 1, "last_identifier": "x", "lane": {"done": [1, 2]}},
            "incident": {"timestamp": 2, "last_identifier": "y", "sweep": 7}}"#,
    ));
    let store = place.open().unwrap();
    let fingerprint = Some("f00".to_owned());
    store.advance(
        "incident",
        CheckpointEntry {
            fingerprint,
            ..entry(3, "")
        },
    );
    store.flush().unwrap();
    expect![[r#"
        {
          "incident": {
            "timestamp": 3,
            "last_identifier": "",
            "fingerprint": "f00",
            "sweep": 7
          },
          "old_table": {
            "timestamp": 1,
            "last_identifier": "x",
            "lane": {
              "done": [
                1,
                2
              ]
            }
          }
        }"#]]
    .assert_eq(&place.text());
}

#[test]
fn zeros_are_no_position() {
    let place = place(Some(
        r#"{"a": {"timestamp": 0, "last_identifier": ""}, "b": {}}"#,
    ));
    let store = place.open().unwrap();
    assert_eq!((store.get("a"), store.get("b")), (None, None));
    assert_eq!(read_only(&place.path).unwrap(), BTreeMap::new());
    for text in [None, Some("{}"), Some(" {}\n")] {
        assert_eq!(self::place(text).open().unwrap().get("a"), None);
    }
}

#[test]
fn a_removed_table_is_gone_from_the_file() {
    let place = place(Some(GO_CHECKPOINT));
    let store = place.open().unwrap();
    assert!(store.remove("incident"));
    assert!(!store.remove("incident"));
    store.flush().unwrap();
    assert!(!place.text().contains("incident"));
    assert!(
        place
            .metrics
            .checkpoint_timestamp
            .with(&["incident"])
            .get()
            .is_nan()
    );
}

#[test]
fn a_damaged_file_is_refused_with_words() {
    let damaged = |text: &[u8], expected: Expect| {
        let place = place(None);
        fs::write(&place.path, text).unwrap();
        let error = place.open().unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }) && !error.is_retryable());
        let Error::Damaged { what, .. } = error else {
            return;
        };
        expected.assert_eq(&what);
        assert!(matches!(read_only(&place.path), Err(Error::Damaged { .. })));
    };
    damaged(b"", expect!["it is empty"]);
    damaged(b"\0\0\0\0", expect!["expected value at line 1 column 1"]);
    damaged(
        GO_CHECKPOINT.split_at(60).0.as_bytes(),
        expect!["EOF while parsing a string at line 4 column 7"],
    );
    damaged(
        b"[]",
        expect!["invalid type: sequence, expected a map at line 1 column 0"],
    );
    damaged(
        br#"{"incident": {"timestamp": "now"}}"#,
        expect![[r#"invalid type: string "now", expected i64 at line 1 column 32"#]],
    );
    damaged(
        br#"{"a": {"timestamp": 1.5, "last_identifier": "a"}}"#,
        expect!["invalid type: floating point `1.5`, expected i64 at line 1 column 23"],
    );
    damaged(
        br#"{"a": {"last_identifier": "a"}}"#,
        expect!["`a` has no timestamp"],
    );
    damaged(&[b'{', 0xff, b'}'], expect!["it is not UTF-8 text"]);
    damaged(
        " ".repeat(17 << 20).as_bytes(),
        expect!["it is larger than 16 MiB"],
    );
    place(Some("")).refused(&expect!["checkpoint FOLDER/offsets.json is damaged: it is empty; restore a backup of it, or move it away and set the positions with `checkpoint set`; without the file all tables are read from the beginning"]);
}

#[test]
fn a_second_process_is_refused_and_may_read() {
    let place = place(Some(GO_CHECKPOINT));
    let store = place.open().unwrap();
    let words = place.open().unwrap_err().to_string();
    assert!(words.contains(&format!(
        "used by another process (pid {})",
        std::process::id()
    )));
    assert_eq!(read_only(&place.path).unwrap().len(), 2);
    // Also by another name of the same file.
    let link = place.beside("link.json");
    symlink("offsets.json", &link).unwrap();
    assert!(matches!(
        CheckpointStore::open(&link, &place.metrics),
        Err(Error::Locked { .. })
    ));
    drop(store);
    place.reopen();
}

#[test]
fn what_would_fail_later_fails_at_start() {
    let folder = place(None);
    fs::create_dir(&folder.path).unwrap();
    folder.refused(&expect!["cannot read checkpoint FOLDER/offsets.json: is a directory; it must be a file that the service's user can read"]);

    let temp = place(None);
    fs::create_dir(temp.beside(".offsets.json.bridge-new")).unwrap();
    temp.refused(&expect!["cannot write in the checkpoint folder FOLDER: Is a directory (os error 21); give the service's user write permission there, or set another offset.file_path"]);

    let mut file_as_folder = place(Some("x"));
    file_as_folder.path = file_as_folder.path.join("offsets.json");
    assert!(matches!(
        file_as_folder.open(),
        Err(Error::Read { .. } | Error::Folder { .. })
    ));

    // Root may write everywhere but in /proc.
    let metrics = Metrics::new();
    let error = CheckpointStore::open(Path::new("/proc/self/offsets.json"), &metrics).unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[test]
fn a_missing_folder_is_made() {
    let mut place = place(None);
    place.path = place.beside("a").join("b").join("offsets.json");
    let store = place.open().unwrap();
    store.advance("incident", entry(1, "a"));
    store.flush().unwrap();
    assert!(!place.open().unwrap_err().is_retryable(), "still locked");
    assert!(place.text().contains("incident"));
}

#[test]
fn mode_and_symbolic_link_survive() {
    let place = place(None);
    fs::create_dir(place.beside("state")).unwrap();
    symlink("state/real.json", &place.path).unwrap();
    let real = place.beside("state").join("real.json");

    let store = place.open().unwrap();
    store.advance("incident", entry(1, "a"));
    store.flush().unwrap();
    assert_eq!(
        real.metadata().unwrap().mode() & 0o777,
        0o600,
        "nobody else's business"
    );

    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    store.advance("incident", entry(2, "a"));
    store.flush().unwrap();
    assert_eq!(real.metadata().unwrap().mode() & 0o777, 0o640);
    assert!(place.path.symlink_metadata().unwrap().is_symlink());
    let names: Vec<_> = fs::read_dir(place.beside("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names.len(),
        3,
        "the file, its lock and the newest deliveries: {names:?}"
    );
}

#[test]
fn a_failed_write_keeps_everything_and_is_tried_again() {
    let place = place(Some(GO_CHECKPOINT));
    let store = place.open().unwrap();
    store.advance("incident", entry(5, "five"));

    // A folder in the way of the temporary file stops root too.
    let obstacle = place.beside(".offsets.json.bridge-new");
    fs::create_dir(&obstacle).unwrap();
    let error = store.flush().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(place.text(), GO_CHECKPOINT);
    assert_eq!(store.get("incident"), Some(entry(5, "five")));
    assert_eq!(
        store.durable_position("incident").unwrap().timestamp,
        1_706_140_800
    );
    assert_eq!(place.metrics.checkpoint_writes.with(&["error"]).get(), 1);

    fs::remove_dir(&obstacle).unwrap();
    store.flush().unwrap();
    drop(store);
    assert_eq!(
        place.open().unwrap().get("incident"),
        Some(entry(5, "five"))
    );
}

#[test]
fn a_full_disk_leaves_no_temporary_file() {
    let place = place(Some(GO_CHECKPOINT));
    let mut file = CheckpointFile::open(&place.path).unwrap();
    let error = file
        .replace_with(|temp| {
            temp.write_all(b"{\"incident\": {\"time")?;
            Err(ErrorKind::StorageFull.into())
        })
        .unwrap_err();
    assert!(error.to_string().contains("no storage space"), "{error}");
    assert!(!place.beside(".offsets.json.bridge-new").exists());
    assert_eq!(place.text(), GO_CHECKPOINT);
}

/// What a wait of the flush thread ended with.
fn waited(store: &CheckpointStore, stop: &Stop) -> &'static str {
    let stopped = store.wait_until_flush_due(Duration::from_secs(600), stop);
    if stopped { "stopped" } else { "due" }
}

#[test]
fn a_position_that_moves_wakes_the_flush_once() {
    let place = place(None);
    let store = place.open().unwrap();
    let (trigger, stop) = stop::pair();
    for id in ["a", "b", "c"] {
        store.advance("incident", entry(1, id));
    }
    store.moved.1.try_recv().unwrap();
    store.advance("incident", entry(1, "d"));
    assert!(store.moved.1.is_empty(), "one wake-up until the next write");
    assert_eq!(waited(&store, &stop), "due", "nothing was written before");
    store.flush().unwrap();
    let written = || place.metrics.checkpoint_writes.with(&["ok"]).get();
    let ended = store.state().last_write.unwrap();
    store.advance("incident", entry(2, "a"));
    assert_eq!(waited(&store, &stop), "due");
    assert!(ended.elapsed() >= Duration::from_millis(100), "the pause");
    store.flush().unwrap();
    assert_eq!(written(), 2);
    let shown = place.metrics.render();
    assert!(
        shown.contains("bridge_checkpoint_fsync_duration_seconds_count 2"),
        "{shown}"
    );
    // Nothing moves any more: only the stop ends the wait.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| waited(&store, &stop));
        drop(trigger);
        assert_eq!(thread.join().unwrap(), "stopped");
    });
    assert_eq!(written(), 2);
}

#[derive(Debug, Clone)]
enum StoreStep {
    Advance {
        table: u8,
        timestamp: i64,
        id: String,
    },
    Remove {
        table: u8,
    },
    Flush,
    FailedFlush,
    /// The process dies, possibly in the middle of a write.
    Crash {
        left_behind: Option<Vec<u8>>,
    },
}

fn step() -> impl Strategy<Value = StoreStep> {
    prop_oneof![
        4 => (0..3_u8, -5..i64::MAX, "\\PC{0,8}")
            .prop_map(|(table, timestamp, id)| StoreStep::Advance { table, timestamp, id }),
        1 => (0..3_u8).prop_map(|table| StoreStep::Remove { table }),
        2 => Just(StoreStep::Flush),
        1 => Just(StoreStep::FailedFlush),
        2 => proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|left_behind| StoreStep::Crash { left_behind }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_reads_back_the_last_flush(steps in proptest::collection::vec(step(), 1..30)) {
        let place = place(None);
        let temp = place.beside(".offsets.json.bridge-new");
        let mut store = place.open().unwrap();
        let mut memory = BTreeMap::new();
        let mut disk = BTreeMap::new();
        for step in steps.into_iter().chain([StoreStep::Crash { left_behind: None }]) {
            match step {
                StoreStep::Advance { table, timestamp, id } => {
                    let entry = entry(timestamp, &id);
                    store.advance(&table.to_string(), entry.clone());
                    memory.insert(table, entry);
                }
                StoreStep::Remove { table } => {
                    let known = memory.remove(&table).is_some();
                    prop_assert_eq!(store.remove(&table.to_string()), known);
                }
                StoreStep::Flush => {
                    store.flush().unwrap();
                    disk = memory.clone();
                }
                StoreStep::FailedFlush => {
                    fs::create_dir(&temp).unwrap();
                    prop_assert_eq!(store.flush().is_err(), memory != disk);
                    fs::remove_dir(&temp).unwrap();
                }
                StoreStep::Crash { left_behind } => {
                    drop(store);
                    if let Some(bytes) = left_behind {
                        fs::write(&temp, bytes).unwrap();
                    }
                    store = place.reopen();
                    prop_assert!(!temp.exists());
                    memory = disk.clone();
                }
            }
            for table in 0..3 {
                let zeros = |entry: &CheckpointEntry| *entry == self::entry(0, "");
                let expected = memory.get(&table).filter(|entry| !zeros(entry)).cloned();
                prop_assert_eq!(store.get(&table.to_string()), expected);
            }
        }
    }
}
