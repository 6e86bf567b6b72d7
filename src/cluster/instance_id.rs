//! The name of this bridge among the members of the sink's group: configured, or made once and kept
//! beside the checkpoint file, so that each start of one installation has the same name.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::{Config, names};
use crate::regular_file::{self, Access, FileFault, FileReplacement, Links, sibling};

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
    let path = sibling(checkpoint, "", ".instance-id");
    if let Some(id) = read(&path)? {
        return Ok(id);
    }
    let id = format!("{INSTANCE_ID_PREFIX}{:032x}", fastrand::u128(..));
    // As a whole or not at all: a process that is killed meanwhile leaves no half of a name.
    let replacement = FileReplacement::of(path.clone());
    if let Err(source) = replacement.replace(|file| writeln!(file, "{id}")) {
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
    let opened = regular_file::open(path, Access::Read, Links::Refuse);
    let bytes = opened.and_then(|file| regular_file::read_up_to(&file, MAX_INSTANCE_ID_FILE_BYTES));
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(fault) if fault.is_missing() => return Ok(None),
        Err(FileFault::Io(source)) => return Err(failed(source)),
        Err(fault) => return Err(damaged(fault.to_string())),
    };
    let text = str::from_utf8(&bytes).map_err(|_| damaged("it is not UTF-8 text".to_owned()))?;
    let id = text.trim_end_matches(['\r', '\n']);
    names::check_instance_id(id).map_err(damaged)?;
    Ok(Some(id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

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

    /// The first `run` of root leaves a file that the service can read.
    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_folder() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        chown(folder.path(), Some(1234), Some(1235)).unwrap();
        kept_instance_id(&folder.path().join("offsets.json")).unwrap();
        let file = fs::metadata(folder.path().join("offsets.json.instance-id")).unwrap();
        assert_eq!((file.uid(), file.gid()), (1234, 1235));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("missing/offsets.json");
        let error = kept_instance_id(&checkpoint).unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
    }
}
