//! Reads records with Python's fastavro, which shares no code with the bridge: what both agree on is
//! Avro.
//!
//! It comes from PyPI once, into `tests/avro-reader/.cache`.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use real_kafka::java;
use serde_json::{Value, json};

use super::wait_at_most;

/// How long another process may be installing.
const INSTALL: Duration = Duration::from_secs(600);
/// Begins the names of environments that are not whole.
const MAKING: &str = "making-";
/// Says its version, if it can make environments: Debian has that in a package of its own.
const VERSION: &str = "import ensurepip, sys, venv; print('%d.%d.%d' % sys.version_info[:3])";

/// Whether fastavro can be run here; if not, why, in one line. Asked once for a process.
pub(crate) fn available() -> Result<(), String> {
    version().map(|_| ())
}

/// For the first line of a test: false when it is to be skipped, which is said once on stderr. With
/// `CI=true` nothing may be skipped.
pub(crate) fn require_or_skip() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    java::require_or_skip("fastavro", available(), &SAID)
}

/// Reads records: the writer's schema, the reader's if it is another one, and the body without the
/// five bytes that name its schema. Panics with fastavro's words when one of them cannot be read, or
/// is longer than it should be.
pub(crate) fn read(records: &[(&str, Option<&str>, &[u8])]) -> Vec<Value> {
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let mut lines = String::new();
    for (writer, reader, body) in records {
        let line = json!({
            "writer": schema(writer),
            "reader": reader.map(schema),
            "body": STANDARD.encode(body),
        });
        writeln!(lines, "{line}").unwrap();
    }
    // A file: two pipes could wait for each other.
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    input.rewind().unwrap();
    // Isolated from the packages and the settings of this user.
    let output = Command::new(python())
        .arg("-I")
        .arg(home().join("read.py"))
        .stdin(input)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "fastavro: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let values: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(values.len(), records.len(), "a record for each line");
    values
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/avro-reader")
}

fn version() -> Result<String, String> {
    static VERSION_OF: OnceLock<Result<String, String>> = OnceLock::new();
    let look = || {
        let asked = Command::new("python3").args(["-c", VERSION]).output();
        let output = asked.map_err(|error| format!("no python3: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!(
                "python3 makes no environments (Debian: apt install python3-venv): {}",
                text(&output.stderr).lines().last().unwrap_or_default()
            ))
        }
    };
    VERSION_OF.get_or_init(look).clone()
}

/// The Python that has fastavro, installed first where it is missing. Parallel tests of this process
/// wait for the first one, other processes for the lock.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let wanted = fs::read_to_string(home().join("requirements.txt")).unwrap();
        // Another version of either gets an environment of its own.
        let name = format!("{}-python-{}", wanted.trim(), version().unwrap());
        let cache = home().join(".cache");
        let folder = cache.join(name.replace("==", "-"));
        let python = folder.join("bin/python3");
        fs::create_dir_all(&cache).unwrap();
        let _lock = lock(&cache.join("lock"));
        if !python.exists() {
            install(&cache, &folder);
        }
        python
    })
}

fn lock(path: &Path) -> File {
    let file = File::create(path).unwrap();
    wait_at_most(INSTALL, "the lock of fastavro", || match file.try_lock() {
        Ok(()) => Some(()),
        Err(TryLockError::WouldBlock) => None,
        Err(error) => panic!("{}: {error}", path.display()),
    });
    file
}

/// Made beside and renamed: `folder` is whole or not there. An environment may be moved as long as
/// its own scripts are not used.
fn install(cache: &Path, folder: &Path) {
    // What tests left that were killed. The name is new each time: their pip may still be running.
    for entry in fs::read_dir(cache).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .as_encoded_bytes()
            .starts_with(MAKING.as_bytes())
        {
            fs::remove_dir_all(path).ok();
        }
    }
    let making = tempfile::Builder::new()
        .prefix(MAKING)
        .tempdir_in(cache)
        .unwrap();
    let env = making.path().join("env");
    run(Command::new("python3").args(["-m", "venv"]).arg(&env));
    run(Command::new(env.join("bin/python3"))
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "-r"])
        .arg(home().join("requirements.txt")));
    fs::remove_dir_all(folder).ok();
    fs::rename(env, folder).unwrap();
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
}
