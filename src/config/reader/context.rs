//! What all sections of a file share while it is read: the variables, and the notes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::config::env::{self, ExpandedText};
use crate::config::files::ConfigFiles;
use crate::config::key_info::{KeyInfo, KeyShape};
use crate::config::names::{closest, quoted};
use crate::config::yaml::{YamlEntry, YamlKind, YamlNode};
use crate::config::yaml_hint::odd_blank;

/// A problem or a warning before its line is looked up.
#[derive(Debug)]
pub(in crate::config) struct Remark {
    /// Number of the node that has the line, if the key is in the file.
    pub(in crate::config) id: Option<usize>,
    /// Dotted path of the key.
    pub(in crate::config) path: String,
    /// Words for the user.
    pub(in crate::config) message: String,
}

/// A key of the file that no section asked for.
#[derive(Debug)]
pub(super) struct UnknownKey {
    /// Number of the node that has the line.
    pub(super) id: usize,
    /// Dotted path of the key.
    pub(super) path: String,
    /// The key itself.
    pub(super) key: String,
    /// The keys that its section asked for.
    pub(super) siblings: Vec<&'static str>,
}

/// State that all sections share while a file is read.
pub(in crate::config) struct ReadContext<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: RefCell<Vec<Remark>>,
    warnings: RefCell<Vec<Remark>>,
    pub(super) unknown: RefCell<Vec<UnknownKey>>,
    pub(super) has_inline_secret: Cell<bool>,
    pub(super) files: RefCell<ConfigFiles>,
}

/// Everything that was noted while a file was read.
#[derive(Debug, Default)]
pub(in crate::config) struct ReadNotes {
    /// Problems: with one of them the configuration cannot be used.
    pub(in crate::config) problems: Vec<Remark>,
    /// Warnings: settings that work but are probably not meant.
    pub(in crate::config) warnings: Vec<Remark>,
    /// True if a secret stands in the file itself, which then should not be readable by all.
    pub(in crate::config) has_inline_secret: bool,
    /// The further files that the file names: secrets and certificates.
    pub(in crate::config) files: ConfigFiles,
}

impl<'a> ReadContext<'a> {
    /// `env` looks up an environment variable.
    pub(in crate::config) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> ReadContext<'a> {
        ReadContext {
            env,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            unknown: RefCell::default(),
            has_inline_secret: Cell::new(false),
            files: RefCell::default(),
        }
    }

    /// Ends the reading. `known` are all keys there are: with them the note about an unknown one says
    /// where it belongs.
    pub(in crate::config) fn into_notes(self, known: &[KeyInfo]) -> ReadNotes {
        let mut problems = self.problems.into_inner();
        let unknown = self.unknown.into_inner();
        problems.extend(unknown.into_iter().map(|key| key.into_remark(known)));
        ReadNotes {
            problems,
            warnings: self.warnings.into_inner(),
            has_inline_secret: self.has_inline_secret.get(),
            files: self.files.into_inner(),
        }
    }

    pub(super) fn problem(&self, place: &KeyPath, message: impl Into<String>) {
        self.problems.borrow_mut().push(place.remark(message));
    }

    pub(super) fn warning(&self, place: &KeyPath, message: impl Into<String>) {
        self.warnings.borrow_mut().push(place.remark(message));
    }

    pub(super) fn has_problem(&self, path: &str) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(|problem| problem.path == path)
    }

    /// The entries of a node that should be a mapping. A section with nothing in it is null.
    pub(super) fn mapping(&self, place: &KeyPath, node: &'a YamlNode) -> &'a [YamlEntry] {
        match &node.kind {
            YamlKind::Mapping(entries) => entries,
            YamlKind::Null => &[],
            YamlKind::Scalar(_) | YamlKind::Sequence(_) => {
                let place = KeyPath {
                    path: place.path.clone(),
                    id: place.id.or(Some(node.id)),
                };
                let found = kind_name(node);
                self.problem(&place, format!("expected keys and values, found {found}"));
                &[]
            }
        }
    }

    /// The text of a scalar with its variables replaced; empty means not given. `None` after a
    /// problem was noted.
    pub(super) fn scalar(
        &self,
        place: &KeyPath,
        node: &YamlNode,
        privacy: ValuePrivacy,
    ) -> Option<ExpandedText> {
        let text = match &node.kind {
            YamlKind::Scalar(text) => text,
            YamlKind::Null => return Some(ExpandedText::default()),
            YamlKind::Sequence(_) | YamlKind::Mapping(_) => {
                let found = kind_name(node);
                self.problem(place, format!("expected one value, found {found}"));
                return None;
            }
        };
        let expanded = match env::expand(text, self.env) {
            Ok(expanded) => expanded,
            Err(faults) => {
                for fault in faults {
                    self.problem(place, fault.message());
                }
                return None;
            }
        };
        for name in &expanded.bare {
            self.warn_bare(place, name, privacy);
        }
        Some(expanded)
    }

    /// A bare `$name` in a secret may be part of the secret, unless there is such a variable.
    fn warn_bare(&self, place: &KeyPath, name: &str, privacy: ValuePrivacy) {
        let message = if privacy == ValuePrivacy::Secret && (self.env)(name).is_none() {
            "holds a `$` and letters, taken as they are; a variable is written `${NAME}`".to_owned()
        } else {
            format!(
                "`${name}` is taken as it is; to use the environment variable write `${{{name}}}`"
            )
        };
        self.warning(place, message);
    }
}

impl UnknownKey {
    fn into_remark(self, known: &[KeyInfo]) -> Remark {
        let mut message = "unknown key".to_owned();
        if let Some(words) = odd_blank(&self.key) {
            message.push_str(&format!(", which {words}"));
        } else if let Some(guess) = closest(&self.key, self.siblings.iter().copied()) {
            message.push_str(&format!(", did you mean `{guess}`?"));
        } else if let Some(parent) = section_with(&self.key, known) {
            match parent.as_str() {
                "" => message.push_str(", it belongs to the top of the file"),
                parent => message.push_str(&format!(", it belongs under `{parent}`")),
            }
        }
        Remark {
            id: Some(self.id),
            path: self.path,
            message,
        }
    }
}

/// The section in which there is a key of this name.
fn section_with(key: &str, known: &[KeyInfo]) -> Option<String> {
    let values = known.iter().filter(|info| info.shape == KeyShape::Value);
    let paths: BTreeSet<&str> = values.map(|info| info.path.as_str()).collect();
    paths.into_iter().find_map(|path| {
        let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
        (last == key).then(|| parent.to_owned())
    })
}

/// A secret value appears in no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValuePrivacy {
    /// A message may quote it.
    Open,
    /// No message quotes it.
    Secret,
}

impl ExpandedText {
    /// Checks the text. What came from a variable is not repeated in the message: it may be a
    /// secret that was put under the wrong key.
    pub(super) fn checked<T>(
        &self,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        check(&self.text).map_err(|message| {
            if self.from_env {
                message.replace(&quoted(&self.text), "the value of the variable")
            } else {
                message
            }
        })
    }
}

/// Where a value stands: its path, and the number of the node that has its line.
#[derive(Debug, Clone)]
pub(super) struct KeyPath {
    pub(super) path: String,
    pub(super) id: Option<usize>,
}

impl KeyPath {
    /// The place of the whole file.
    pub(super) fn top() -> KeyPath {
        KeyPath {
            path: String::new(),
            id: None,
        }
    }

    /// Place of an item of the list that stands here.
    pub(super) fn item(&self, index: usize, node: &YamlNode) -> KeyPath {
        KeyPath {
            path: format!("{}[{index}]", self.path),
            id: Some(node.id),
        }
    }

    fn remark(&self, message: impl Into<String>) -> Remark {
        Remark {
            id: self.id,
            path: self.path.clone(),
            message: message.into(),
        }
    }
}

/// The kind of a node, for messages, which never hold its content.
pub(super) fn kind_name(node: &YamlNode) -> &'static str {
    match node.kind {
        YamlKind::Null => "nothing",
        YamlKind::Scalar(_) => "one value",
        YamlKind::Sequence(_) => "a list",
        YamlKind::Mapping(_) => "keys and values",
    }
}

/// The path of `key` in the section at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.len() <= 80;
    let key = if is_plain {
        key.to_owned()
    } else {
        quoted(key)
    };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
