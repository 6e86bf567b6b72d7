//! Single values of a section, among them secrets and files.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::context::ValuePrivacy;
use super::section::Section;
use crate::config::env::ExpandedText;
use crate::config::names::quoted;
use crate::config::secret::Secret;

/// A file larger than this holds something else than a secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The value under a key, before its type is known.
enum KeyValue {
    /// Nothing, or an empty text.
    Absent,
    /// Something wrong, which was noted.
    Faulty,
    /// A text.
    Text(ExpandedText),
}

impl Section<'_> {
    /// A text that `check` turns into something, or says what is wrong with it. Empty counts as not
    /// given, as in the Go program that this one replaces.
    pub(in crate::config) fn parsed<T>(
        &self,
        key: &'static str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.value(key, ValuePrivacy::Open) {
            KeyValue::Text(scalar) => self.noted(key, scalar.checked(check)),
            KeyValue::Absent | KeyValue::Faulty => None,
        }
    }

    /// A file that must exist; edits of it are edits of the configuration.
    pub(in crate::config) fn existing_file(&self, key: &'static str) -> Option<PathBuf> {
        self.parsed(key, |text| {
            let path = PathBuf::from(text);
            self.context.files.borrow_mut().note_now(&path);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    Err(format!("{} is a directory, not a file", quoted(text)))
                }
                Ok(_) => Ok(path),
                Err(err) => Err(format!("cannot find {}: {err}", quoted(text))),
            }
        })
    }

    /// A secret, in the file itself or in a file of its own under `file_key`.
    pub(in crate::config) fn secret(
        &self,
        key: &'static str,
        file_key: &'static str,
    ) -> Option<Secret> {
        let inline = self.value(key, ValuePrivacy::Secret);
        match (inline, self.value(file_key, ValuePrivacy::Open)) {
            (KeyValue::Text(_), KeyValue::Text(_)) => {
                let message = format!("`{key}` and `{file_key}` are both set; keep one of them");
                self.problem(file_key, message);
                None
            }
            (KeyValue::Text(inline), KeyValue::Absent | KeyValue::Faulty) => {
                if !inline.from_env {
                    self.context.has_inline_secret.set(true);
                }
                Some(Secret::new(inline.text))
            }
            (KeyValue::Absent | KeyValue::Faulty, KeyValue::Text(path)) => {
                self.noted(file_key, self.read_secret(&path.text))
            }
            (KeyValue::Absent | KeyValue::Faulty, KeyValue::Absent | KeyValue::Faulty) => None,
        }
    }

    /// A secret that is always in a file of its own, and that file.
    pub(in crate::config) fn secret_file(&self, key: &'static str) -> Option<(PathBuf, Secret)> {
        self.parsed(key, |text| {
            Ok((PathBuf::from(text), self.read_secret(text)?))
        })
    }

    /// The secret in a file, which belongs to the configuration from now on, whatever is in it.
    fn read_secret(&self, name: &str) -> Result<Secret, String> {
        let path = Path::new(name);
        let bytes = read_bounded(path);
        let mut files = self.context.files.borrow_mut();
        match &bytes {
            Ok(bytes) => files.note(path, bytes),
            Err(_) => files.note_now(path),
        }
        drop(files);
        bytes
            .and_then(|bytes| secret_in(&bytes))
            .map_err(|why| format!("cannot use {}: {why}", quoted(name)))
    }

    /// Notes what went wrong.
    pub(in crate::config) fn noted<T>(&self, key: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(key, message)).ok()
    }

    fn value(&self, key: &'static str, privacy: ValuePrivacy) -> KeyValue {
        let (place, node) = self.ask(key);
        let Some(node) = node else {
            return KeyValue::Absent;
        };
        match self.context.scalar(&place, node, privacy) {
            None => KeyValue::Faulty,
            Some(scalar) if scalar.text.is_empty() => KeyValue::Absent,
            Some(scalar) => KeyValue::Text(scalar),
        }
    }
}

/// The bytes of a secret's file.
fn read_bounded(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|err| err.to_string())?;
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|err| err.to_string())?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("it is larger than {MAX_SECRET_BYTES} bytes"));
    }
    Ok(bytes)
}

/// The secret in its file; one newline at its end is the editor's, not the secret's.
fn secret_in(bytes: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(text))
}
