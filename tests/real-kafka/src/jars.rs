//! Java, Maven, and Kafka's jars: fetched once, kept in `.cache` beside this crate.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::{Context, Error};

/// Folder of this crate, with `pom.xml`.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// The version in `pom.xml`; a new one gets a folder of its own.
const VERSION: &str = "4.1.0";
/// Kafka 4 needs this at least.
const OLDEST_JAVA: u32 = 17;
/// How long another process may be fetching.
const FETCH: Duration = Duration::from_secs(900);

/// Whether a real Kafka can be started here; if not, why, in one line. Asked once for a process.
pub fn available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER.get_or_init(look).clone()
}

fn look() -> Result<(), String> {
    let output = Command::new(java()).arg("-version").output();
    let output = output.map_err(|error| format!("no Java {OLDEST_JAVA} or newer: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match major(&text) {
        Some(version) if OLDEST_JAVA <= version => {}
        Some(version) => return Err(format!("Java {version} is older than {OLDEST_JAVA}")),
        None => return Err("`java -version` says no version".to_owned()),
    }
    // Jars that are there already need no Maven.
    if folder().join("complete").exists() {
        return Ok(());
    }
    match Command::new("mvn").arg("-version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("`mvn -version` ended with {}", output.status)),
        Err(error) => Err(format!("no Maven to fetch Kafka with: {error}")),
    }
}

/// The major version in the answer of `java -version`: `openjdk version "17.0.15" 2025-04-15`.
fn major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("version \"")?;
    version.split(['.', '"', '-']).next()?.parse().ok()
}

/// For the first line of a test: false when it is to be skipped, which is said once on stderr.
///
/// # Panics
/// With `CI=true` nothing may be skipped.
pub fn require_or_skip() -> bool {
    let Err(why) = available() else { return true };
    if std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1") {
        #[expect(clippy::panic, reason = "this is how a test fails")]
        {
            panic!("tests against a real Kafka cannot run: {why}");
        }
    }
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Straight to stderr: the test harness hides what is printed by tests that pass.
        let line = format!("\nskipped: tests against a real Kafka: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).ok();
    });
    false
}

/// The Java to run: of `JAVA_HOME`, else the one in `PATH`.
pub(crate) fn java() -> PathBuf {
    match std::env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin").join("java"),
        _ => PathBuf::from("java"),
    }
}

/// The class path of Kafka, fetched first where it is missing.
pub(crate) fn class_path() -> Result<OsString, Error> {
    available().map_err(Error::new)?;
    let folder = folder();
    fs::create_dir_all(&folder).context("make the folder for Kafka's jars")?;
    let complete = folder.join("complete");
    if !complete.exists() {
        let _lock = lock(&folder.join("lock"))?;
        // Another process may have fetched while this one waited.
        if !complete.exists() {
            fetch(&folder)?;
            File::create(&complete).context("mark Kafka's jars as complete")?;
        }
    }
    Ok(folder.join("libs").join("*").into_os_string())
}

fn folder() -> PathBuf {
    Path::new(CRATE)
        .join(".cache")
        .join(format!("kafka-{VERSION}"))
}

/// Two test binaries often start at once.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).context("lock Kafka's jars")?;
    let deadline = Instant::now() + FETCH;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(200));
            }
            Err(error) => return Err(error).context("lock Kafka's jars"),
        }
    }
}

fn fetch(folder: &Path) -> Result<(), Error> {
    let libs = folder.join("libs");
    let mut said = String::new();
    // A registry has bad moments, and Maven keeps what it already has.
    for _ in 0..3 {
        let output = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(Path::new(CRATE).join("pom.xml"))
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", libs.display()))
            .output()
            .context("run mvn")?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let first: Vec<&str> = said.lines().take(10).collect();
    Err(Error::new(format!(
        "fetch Kafka with mvn: {}",
        first.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn java_versions() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major("java version \"1.8.0_292\""), Some(1));
        assert_eq!(major("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(major("command not found"), None);
    }
}
