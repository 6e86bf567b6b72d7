//! Kafka's jars: fetched once, kept in `.cache` beside this crate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::Error;
use crate::java;

/// Folder of this crate, with `pom.xml`.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// The version in `pom.xml`; a new one gets a folder of its own.
const VERSION: &str = "4.1.0";
/// Kafka 4 needs this at least.
const OLDEST_JAVA: u32 = 17;

/// Whether a real Kafka can be started here; if not, why, in one line. Asked once for a process.
pub fn available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    let look = || java().and_then(|_| java::fetchable(&folder()));
    ANSWER.get_or_init(look).clone()
}

/// For the first line of a test: false when it is to be skipped, which is said once on stderr.
///
/// # Panics
/// With `CI=true` nothing may be skipped.
pub fn require_or_skip() -> bool {
    static SAID: OnceLock<()> = OnceLock::new();
    java::require_or_skip("a real Kafka", available(), &SAID)
}

/// The Java to run.
pub(crate) fn java() -> Result<PathBuf, String> {
    static JAVA: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    JAVA.get_or_init(|| java::find(OLDEST_JAVA)).clone()
}

/// The class path of Kafka, fetched first where it is missing.
pub(crate) fn class_path() -> Result<OsString, Error> {
    available().map_err(Error::new)?;
    let folder = folder();
    let libs = folder.join("libs");
    let goal = [
        OsString::from("dependency:copy-dependencies"),
        OsString::from("-DincludeScope=runtime"),
        OsString::from(format!("-DoutputDirectory={}", libs.display())),
    ];
    java::fetch(Path::new(CRATE), &folder, &goal)?;
    Ok(libs.join("*").into_os_string())
}

fn folder() -> PathBuf {
    Path::new(CRATE)
        .join(".cache")
        .join(format!("kafka-{VERSION}"))
}
