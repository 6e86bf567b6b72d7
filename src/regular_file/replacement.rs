//! Replacing a file so that there is either the old content or the new one, also after a crash or a power
//! loss.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{chown_like, folder_of, sibling};

/// A file that is replaced as a whole: a temporary file in its folder is written and synced, renamed over it,
/// and the folder is synced. One process at a time may do so; its owner has a lock for that.
#[derive(Debug)]
pub(crate) struct FileReplacement {
    /// The file itself, behind any symbolic links.
    target: PathBuf,
    folder: PathBuf,
    /// Hidden, as the file is there for an instant only.
    temp: PathBuf,
}

impl FileReplacement {
    /// Of this file, which need not exist. Nothing is touched yet.
    pub(crate) fn of(target: PathBuf) -> FileReplacement {
        FileReplacement {
            folder: folder_of(&target),
            temp: sibling(&target, ".", ".bridge-new"),
            target,
        }
    }

    /// The file.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Finds out whether the folder can be written in, and removes what a process that was killed left
    /// behind.
    pub(crate) fn try_folder(&self) -> io::Result<()> {
        self.create_temp().and_then(|_| fs::remove_file(&self.temp))
    }

    /// Replaces the content by what `fill` writes, and gives how long the disk was waited for. After an error
    /// the old content is still there, or the new one already is.
    pub(crate) fn replace(
        &self,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Duration> {
        let filled = self.create_temp().and_then(|mut temp| {
            self.take_over(&temp)?;
            fill(&mut temp)?;
            let begin = Instant::now();
            temp.sync_all()?;
            let waited = begin.elapsed();
            fs::rename(&self.temp, &self.target)?;
            Ok(waited)
        });
        let waited = filled.inspect_err(|_| {
            // A full disk must not be kept full by our half; the next write tries again anyway.
            fs::remove_file(&self.temp).ok();
        })?;
        let begin = Instant::now();
        match File::open(&self.folder).and_then(|folder| folder.sync_all()) {
            // Some network file systems cannot sync a folder.
            Err(err) if matches!(err.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {}
            done => done?,
        }
        Ok(waited + begin.elapsed())
    }

    /// A new, empty temporary file; an old one is removed.
    fn create_temp(&self) -> io::Result<File> {
        match fs::remove_file(&self.temp) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.temp)
    }

    /// Gives the temporary file mode and owner of the file it will replace, or the owner of the folder. What
    /// root writes the service must still be able to read.
    fn take_over(&self, temp: &File) -> io::Result<()> {
        match fs::symlink_metadata(&self.target) {
            // The target was resolved before, so that another program has put this there since.
            Ok(old) if !old.is_file() => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} is a symbolic link or no regular file: remove what was put in its place",
                    self.target.display()
                ),
            )),
            Ok(old) => {
                chown_like(temp, &old);
                temp.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))
            }
            Err(err) if err.kind() == ErrorKind::NotFound => {
                chown_like(temp, &fs::metadata(&self.folder)?);
                Ok(())
            }
            Err(err) => Err(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mode of a link lets all users read and write.
    #[test]
    fn a_link_in_the_place_of_the_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        fs::write(&other, "kept").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let replaced = FileReplacement::of(link.clone()).replace(|_| Ok(()));
        let why = replaced.unwrap_err().to_string();
        assert!(why.contains("no regular file"), "{why}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
    }
}
