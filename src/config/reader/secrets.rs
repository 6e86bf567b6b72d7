//! Single values of a section, among them secrets and files.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::context::{KeyPath, ValuePrivacy};
use super::section::Section;
use crate::config::env::ExpandedText;
use crate::config::names::quoted;
use crate::config::secret::Secret;
use crate::config::yaml::{YamlKind, YamlNode};
use crate::regular_file::{self, RegularFile, WriteAccess};

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

impl<'a> Section<'a> {
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
            let access = regular_file::look(&path)
                .map_err(|fault| format!("cannot use {}: {fault}", quoted(text)))?;
            self.accept(key, text, access)?;
            Ok(path)
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
                self.noted(key, check_characters(&inline.text))?;
                Some(Secret::new(inline.text))
            }
            (KeyValue::Absent | KeyValue::Faulty, KeyValue::Text(path)) => {
                self.noted(file_key, self.read_secret(file_key, &path.text))
            }
            (KeyValue::Absent | KeyValue::Faulty, KeyValue::Absent | KeyValue::Faulty) => None,
        }
    }

    /// A secret that is always in a file of its own, and that file.
    pub(in crate::config) fn secret_file(&self, key: &'static str) -> Option<(PathBuf, Secret)> {
        self.parsed(key, |text| {
            Ok((PathBuf::from(text), self.read_secret(key, text)?))
        })
    }

    /// The entries of the mapping under `key`, of which the user chose the names. Each is a secret,
    /// written there or in a file of its own: `NAME: {file: PATH}`. The checks say what is wrong with
    /// a name, and with a secret.
    pub(in crate::config) fn named_secrets(
        &self,
        key: &'static str,
        check_name: impl Fn(&str) -> Result<(), String>,
        check_secret: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<(String, Secret)> {
        let mut secrets = Vec::new();
        for (place, entry) in self.named_entries(key) {
            let name = check_name(&entry.key);
            let Some(secret) = self.named_secret(&place, &entry.value) else {
                continue;
            };
            match name.and_then(|()| check_secret(secret.expose())) {
                Ok(()) => secrets.push((entry.key.clone(), secret)),
                Err(message) => self.context.problem(&place, message),
            }
        }
        secrets
    }

    /// The secret at `place`; what is wrong with it is noted.
    fn named_secret(&self, place: &KeyPath, node: &'a YamlNode) -> Option<Secret> {
        if let YamlKind::Mapping(entries) = &node.kind {
            return self.at(place.clone(), entries, |section| {
                section.require("file", "");
                section.secret_file("file").map(|(_, secret)| secret)
            });
        }
        let written = self.context.scalar(place, node, ValuePrivacy::Secret)?;
        if written.text.is_empty() {
            let message = "is empty; give it a value, or remove it";
            self.context.problem(place, message);
            return None;
        }
        if !written.from_env {
            self.context.has_inline_secret.set(true);
        }
        let checked = check_characters(&written.text);
        checked
            .map_err(|message| self.context.problem(place, message))
            .ok()?;
        Some(Secret::new(written.text))
    }

    /// The secret in a file, which belongs to the configuration from now on, whatever is in it.
    fn read_secret(&self, key: &str, name: &str) -> Result<Secret, String> {
        let path = Path::new(name);
        let unusable = |why: &dyn Display| format!("cannot use {}: {why}", quoted(name));
        let file = RegularFile::read(path, MAX_SECRET_BYTES);
        let mut files = self.context.files.borrow_mut();
        match &file {
            Ok(file) => files.note(path, &file.bytes),
            Err(_) => files.note_now(path),
        }
        drop(files);
        let file = file.map_err(|fault| unusable(&fault))?;
        self.accept(key, name, file.write_access())?;
        let secret = secret_in(&file.bytes).map_err(|why| unusable(&why))?;
        if secret.expose().ends_with(' ') {
            let message = format!("{} ends with a blank, which is sent too", quoted(name));
            self.warning(key, message);
        }
        Ok(secret)
    }

    /// Warns of a file that every user may write, or refuses it.
    fn accept(&self, key: &str, name: &str, access: WriteAccess) -> Result<(), String> {
        match access {
            WriteAccess::Restricted => Ok(()),
            WriteAccess::Doubtful(words) => {
                self.warning(key, format!("{}: {words}", quoted(name)));
                Ok(())
            }
            WriteAccess::Refused(words) => Err(format!("cannot use {}: {words}", quoted(name))),
        }
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

/// The secret in its file. One newline at its end is the editor's, not the secret's, as is a byte order
/// mark at its beginning.
fn secret_in(bytes: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text
        .strip_suffix('\n')
        .map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    check_characters(text).map_err(|why| format!("it {why}"))?;
    Ok(Secret::new(text))
}

/// Refuses what belongs to no password, token or key, and came with it: a second line, for example.
fn check_characters(secret: &str) -> Result<(), String> {
    if secret.contains(['\n', '\r']) {
        return Err("holds more than one line, and a secret is one".to_owned());
    }
    match secret.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!(
            "holds the control character U+{:04X}, which belongs to no secret",
            u32::from(c)
        )),
        None => Ok(()),
    }
}
