//! Apicurio's files: fetched and unpacked once, kept in `.cache` beside this crate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use real_kafka::{Error, java};

/// Folder of this crate, with `pom.xml`.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// The version in `pom.xml`; a new one gets a folder of its own.
const VERSION: &str = "3.3.3";
/// With an older one it ends with `UnsupportedClassVersionError`.
const OLDEST_JAVA: u32 = 21;

/// Whether the registry can be started here; if not, why, in one line. Asked once for a process.
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
    java::require_or_skip("a real schema registry", available(), &SAID)
}

/// The Java to run, which is often not the one in `PATH`.
pub(crate) fn java() -> Result<PathBuf, String> {
    static JAVA: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    JAVA.get_or_init(|| java::find(OLDEST_JAVA)).clone()
}

/// The jar to run, fetched first where it is missing.
pub(crate) fn jar() -> Result<PathBuf, Error> {
    available().map_err(Error::new)?;
    let folder = folder();
    let app = folder.join("app");
    let goal = [
        OsString::from("dependency:unpack-dependencies"),
        OsString::from(format!("-DoutputDirectory={}", app.display())),
        // Beside the files, so that a folder that was removed is filled again.
        OsString::from(format!(
            "-DmarkersDirectory={}",
            folder.join("markers").display()
        )),
    ];
    java::fetch(Path::new(CRATE), &folder, &goal)?;
    Ok(app.join("quarkus-run.jar"))
}

fn folder() -> PathBuf {
    Path::new(CRATE)
        .join(".cache")
        .join(format!("apicurio-{VERSION}"))
}
