//! Paths of files, and secrets, which may stand in files.

use std::path::{Path, PathBuf};

use super::text::text_value;
use super::value::ValueKind;
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::yaml::Value;

/// Stands in the place of a secret wherever one would be shown.
pub(in crate::config) const REDACTED: &str = "[redacted]";

/// The path of a file that need not exist.
pub(in crate::config) fn path() -> ValueKind<PathBuf> {
    let parse = |text: &str| Ok(Some(PathBuf::from(text)));
    ValueKind::scalar("path of a file", parse, |path| path_value(path))
}

/// The path of a file that must exist.
pub(in crate::config) fn existing_file() -> ValueKind<Option<PathBuf>> {
    let read = |section: &Section<'_>, key| section.existing_file(key);
    ValueKind::new("path of a PEM file", read, |path: &PathBuf| {
        path_value(path)
    })
    .optional()
}

/// A secret, which may stand in a file of its own: the path of that is under `file_key`.
pub(in crate::config) fn secret(file_key: &'static str) -> ValueKind<Option<Secret>> {
    let read = move |section: &Section<'_>, key| section.secret(key, file_key);
    let mut kind = ValueKind::new("text", read, |_| Value::from(REDACTED)).optional();
    kind.secret_file_key = Some(file_key);
    kind
}

/// A path as it is shown.
pub(in crate::config) fn path_value(path: &Path) -> Value {
    text_value(&path.to_string_lossy())
}
