//! The files that a configuration was read from, with a digest of the content of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::regular_file::RegularFile;

/// No file of a configuration is larger.
const MAX_DIGESTED_BYTES: u64 = 2 << 20;

/// SHA-256 of a content.
type Digest = [u8; 32];

/// Files with a digest of the content of each, by which a change is seen. The content itself, often a
/// secret, is not kept. No digest: the file could not be read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigFiles(BTreeMap<PathBuf, Option<Digest>>);

impl ConfigFiles {
    /// Adds a file with the content that was read from it.
    pub(super) fn note(&mut self, path: &Path, content: &[u8]) {
        self.0.insert(path.to_owned(), Some(digest(content)));
    }

    /// Adds a file with the content that it has now.
    pub(super) fn note_now(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), digest_of(path));
    }

    /// The same files with the contents that they have now.
    pub fn read_again(&self) -> ConfigFiles {
        let now = |path: &PathBuf| (path.clone(), digest_of(path));
        ConfigFiles(self.0.keys().map(now).collect())
    }

    /// True if the content of this file is not the same in `other`.
    pub fn differs(&self, other: &ConfigFiles, path: &Path) -> bool {
        self.0.get(path) != other.0.get(path)
    }

    /// Adds the files of `other` that are not here.
    pub fn extend(&mut self, other: &ConfigFiles) {
        for (path, digest) in &other.0 {
            self.0.entry(path.clone()).or_insert(*digest);
        }
    }

    /// Their paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

impl std::fmt::Debug for ConfigFiles {
    /// Without the digests: a short secret could be guessed from its own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn digest(content: &[u8]) -> Digest {
    Sha256::digest(content).into()
}

fn digest_of(path: &Path) -> Option<Digest> {
    let file = RegularFile::read(path, MAX_DIGESTED_BYTES).ok()?;
    Some(digest(&file.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_and_nothing_is_told_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "a").unwrap();
        let mut files = ConfigFiles::default();
        files.note(&one, b"a");
        files.note_now(&two);
        assert_eq!(files.read_again(), files);
        std::fs::write(&one, "a").unwrap();
        assert_eq!(
            files.read_again(),
            files,
            "written again with the same content"
        );
        std::fs::write(&two, "b").unwrap();
        let now = files.read_again();
        assert!(now.differs(&files, &two) && !now.differs(&files, &one));
        assert!(format!("{now:?}").len() < 2 * folder.path().to_string_lossy().len() + 30);
    }
}
