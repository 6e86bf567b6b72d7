//! The name of this bridge among the members of the sink's group: configured, or made once and kept
//! beside the checkpoint file, so that each start of one installation has the same name.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, folder_of, names};

/// Begins each name that is made here, so that an operator who lists the members of a group knows them.
const INSTANCE_ID_PREFIX: &str = "servicenow-kafka-bridge-";
/// A longer file was not written by this program.
const MAX_INSTANCE_ID_FILE_BYTES: u64 = 512;

/// Why the name of this bridge is not known.
#[derive(Debug)]
pub enum InstanceIdError {
    /// The file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The file holds something else than a name.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for InstanceIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceIdError::File {
                path,
                action,
                source,
            } => write!(
                f,
                "cannot {action} {}, which keeps the name of this bridge in the sink's group: {source}; \
                 give the service the right to do so, or set `cluster.instance_id`",
                path.display()
            ),
            InstanceIdError::Damaged { path, why } => write!(
                f,
                "{} does not hold the name of this bridge in the sink's group: {why}; remove the file \
                 to have a new name made, or set `cluster.instance_id`",
                path.display()
            ),
        }
    }
}

/// The configured name, or that in the file beside the checkpoint file, which is made if it is not there.
/// The caller has the lock of the checkpoint file, so that no two processes make one.
///
/// # Errors
/// The file cannot be read or written, or is damaged.
pub fn instance_id(config: &Config) -> Result<String, InstanceIdError> {
    match &config.cluster.instance_id {
        Some(id) => Ok(id.clone()),
        None => kept_instance_id(&config.offset.file_path),
    }
}

fn kept_instance_id(checkpoint: &Path) -> Result<String, InstanceIdError> {
    let path = with_ending(checkpoint, ".instance-id");
    if let Some(id) = read(&path)? {
        return Ok(id);
    }
    let id = format!("{INSTANCE_ID_PREFIX}{:032x}", fastrand::u128(..));
    if let Err(source) = write(&path, &id) {
        let action = "write";
        return Err(InstanceIdError::File {
            path,
            action,
            source,
        });
    }
    log::info!(instance_id = id, file:% = path.display();
        "this bridge has a name in the sink's group now");
    Ok(id)
}

/// The name in the file; `None`: there is no file.
fn read(path: &Path) -> Result<Option<String>, InstanceIdError> {
    let failed = |source| InstanceIdError::File {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let damaged = |why: String| InstanceIdError::Damaged {
        path: path.to_owned(),
        why,
    };
    // A pipe would block the opening, and a link could lead to a file of another user.
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(damaged("it is not a regular file".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            let mut file = file.take(MAX_INSTANCE_ID_FILE_BYTES + 1);
            file.read_to_end(&mut bytes)
        })
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_INSTANCE_ID_FILE_BYTES {
        return Err(damaged(format!(
            "it is longer than {MAX_INSTANCE_ID_FILE_BYTES} bytes"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8 text".to_owned()))?;
    let id = text.trim_end_matches(['\r', '\n']);
    names::check_instance_id(id).map_err(damaged)?;
    Ok(Some(id.to_owned()))
}

/// Writes the file as a whole or not at all: a process that is killed meanwhile leaves no half of a name.
fn write(path: &Path, id: &str) -> io::Result<()> {
    let temp = with_ending(path, ".new");
    match fs::remove_file(&temp) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        // Left behind by a process that was killed, or not there.
        _ => {}
    }
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(&temp);
    let written = opened.and_then(|mut file| {
        writeln!(file, "{id}")?;
        file.sync_all()?;
        fs::rename(&temp, path)
    });
    if let Err(error) = written {
        fs::remove_file(&temp).ok();
        return Err(error);
    }
    // Some network file systems cannot sync a folder.
    File::open(folder_of(path))?.sync_all().ok();
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_name_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("offsets.json");
        let first = kept_instance_id(&checkpoint).unwrap();
        assert!(first.starts_with(INSTANCE_ID_PREFIX), "{first}");
        assert_eq!(kept_instance_id(&checkpoint).unwrap(), first);
        let other = folder.path().join("other.json");
        assert_ne!(kept_instance_id(&other).unwrap(), first);
        let file = folder.path().join("offsets.json.instance-id");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, "mine\r\n").unwrap();
        assert_eq!(kept_instance_id(&checkpoint).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_name_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("offsets.json");
        let file = folder.path().join("offsets.json.instance-id");
        let (long, longer) = ("x".repeat(250), "x".repeat(600));
        for bad in ["", "\n", "a b\n", "a\nb\n", "\u{feff}a", &long, &longer] {
            fs::write(&file, bad).unwrap();
            let error = kept_instance_id(&checkpoint).unwrap_err().to_string();
            assert!(error.contains("cluster.instance_id"), "{bad:?}: {error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), bad);
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(kept_instance_id(&checkpoint).is_err());
        fs::remove_file(&file).unwrap();
        let aim = folder.path().join("aim");
        fs::write(&aim, "abc").unwrap();
        symlink(&aim, &file).unwrap();
        assert!(kept_instance_id(&checkpoint).is_err());
        assert_eq!(fs::read_to_string(&aim).unwrap(), "abc");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("missing/offsets.json");
        let error = kept_instance_id(&checkpoint).unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
    }
}
