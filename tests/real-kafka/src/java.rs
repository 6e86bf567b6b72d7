//! What a server from Maven Central needs: a Java that is new enough, files fetched once, a process
//! that does not outlive this one. The crates of other servers use it as well.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context, Error};

/// Where Debian and its kin put Java, each version in a folder.
const JVMS: &str = "/usr/lib/jvm";
/// How long another process may be fetching.
const FETCH: Duration = Duration::from_secs(900);

/// Runs a server so that it never outlives this process: a line on stdin kills it (`kill -9`), the
/// end of stdin kills it and removes its folder. $1 is the folder, the rest is the command.
const GUARD: &str = r#"
folder=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & server=$!
( if read -r word <&3; then trap '' TERM; kill -9 "$server"
  else trap '' TERM; kill -9 "$server"; sleep 0.2; rm -rf "$folder"; fi ) 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"; code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// A Java of this version or newer: of `JAVA_HOME`, else the one in `PATH`, else one that Debian
/// has installed beside it. The error says in one line what was found instead.
pub fn find(oldest: u32) -> Result<PathBuf, String> {
    let mut found = Vec::new();
    for java in candidates() {
        match version(&java) {
            Some(version) if oldest <= version => return Ok(java),
            Some(version) => found.push(version.to_string()),
            None => {}
        }
    }
    Err(if found.is_empty() {
        format!("no Java {oldest} or newer, in PATH or in {JVMS}")
    } else {
        format!("no Java {oldest} or newer, only {}", found.join(" and "))
    })
}

fn candidates() -> Vec<PathBuf> {
    let mut all = Vec::new();
    if let Some(home) = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        all.push(Path::new(&home).join("bin").join("java"));
    }
    all.push(PathBuf::from("java"));
    let folders = fs::read_dir(JVMS).into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = folders
        .map(|folder| folder.path().join("bin").join("java"))
        .filter(|java| java.exists())
        .collect();
    installed.sort();
    all.extend(installed);
    all
}

fn version(java: &Path) -> Option<u32> {
    let output = Command::new(java).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// The major version in the answer of `java -version`: `openjdk version "17.0.15" 2025-04-15`.
fn major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("version \"")?;
    version.split(['.', '"', '-']).next()?.parse().ok()
}

/// Whether `folder` is filled, or Maven is here to fill it; if not, why, in one line.
pub fn fetchable(folder: &Path) -> Result<(), String> {
    // Files that are there already need no Maven.
    if folder.join("complete").exists() {
        return Ok(());
    }
    match Command::new("mvn").arg("-version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("`mvn -version` ended with {}", output.status)),
        Err(error) => Err(format!("no Maven to fetch it with: {error}")),
    }
}

/// Fills `folder` by a goal of the `pom.xml` in `source`, once for all processes.
pub fn fetch(source: &Path, folder: &Path, goal: &[OsString]) -> Result<(), Error> {
    fs::create_dir_all(folder).context("make a folder for what Maven fetches")?;
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(());
    }
    let _lock = lock(&folder.join("lock"))?;
    // Another process may have fetched while this one waited.
    if complete.exists() {
        return Ok(());
    }
    run_maven(source, goal)?;
    File::create(&complete).context("mark what Maven fetched as complete")?;
    Ok(())
}

/// Two test binaries often start at once.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).context("lock what Maven fetches")?;
    let deadline = Instant::now() + FETCH;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(200));
            }
            Err(error) => return Err(error).context("lock what Maven fetches"),
        }
    }
}

fn run_maven(source: &Path, goal: &[OsString]) -> Result<(), Error> {
    let mut said = String::new();
    // Maven Central has bad moments, and Maven keeps what it already has.
    for _ in 0..3 {
        let output = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(source.join("pom.xml"))
            .args(goal)
            .output()
            .context("run mvn")?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let first: Vec<&str> = said.lines().take(10).collect();
    Err(Error::new(format!(
        "fetch with mvn as {} says: {}",
        source.display(),
        first.join("\n")
    )))
}

/// For the first line of a test: false when it is to be skipped, which is said on stderr if `said`
/// is new. `what` is what the tests run against, as `a real Kafka`.
///
/// # Panics
/// With `CI=true` nothing may be skipped.
pub fn require_or_skip(
    what: &str,
    available: Result<(), String>,
    said: &std::sync::OnceLock<()>,
) -> bool {
    let Err(why) = available else { return true };
    if std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1") {
        #[expect(clippy::panic, reason = "this is how a test fails")]
        {
            panic!("tests against {what} cannot run: {why}");
        }
    }
    said.get_or_init(|| {
        // Straight to stderr: the test harness hides what is printed by tests that pass.
        let line = format!("\nskipped: tests against {what}: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).ok();
    });
    false
}

/// A command that starts `java` under a guard, its output in `log`. A line on its stdin kills it; the
/// end of its stdin, as when this process ends, kills it and removes `folder`.
pub fn guarded(folder: &Path, java: &Path, log: File) -> Result<Command, Error> {
    let errors = log.try_clone().context("open the server's log")?;
    let mut command = Command::new("sh");
    command
        .args(["-c", GUARD, "sh"])
        .arg(folder)
        .arg(java)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors);
    Ok(command)
}

/// A port below the range that the kernel gives to outgoing connections, so that it is still free
/// when a killed server comes back.
pub fn free_port() -> Result<u16, Error> {
    use std::hash::{BuildHasher, RandomState};
    let free = (0_u32..200).find_map(|attempt| {
        let random = RandomState::new().hash_one(attempt) % 15_000;
        let port = 16_000 + u16::try_from(random).ok()?;
        std::net::TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some(port)
    });
    free.ok_or_else(|| Error::new("no free port between 16000 and 31000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major("java version \"1.8.0_292\""), Some(1));
        assert_eq!(major("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(major("command not found"), None);
    }

    #[test]
    fn a_java_that_nobody_has_is_not_found() {
        let why = find(9999).unwrap_err();
        assert!(why.contains("no Java 9999"), "{why}");
    }
}
