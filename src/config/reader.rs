//! Reads the sections of the file and notes what is wrong.
//!
//! A [`Section`] is a mapping of the file. Asking it for a key gives the value, or notes a problem
//! and gives nothing, so that one pass over the file finds everything that is wrong with it. The keys
//! that were asked for are the known ones: what else stands in the section is reported as unknown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::env::{self, ExpandedText};
use super::files::ConfigFiles;
use super::key_table::KeyShape;
use super::names::{closest, quoted};
use super::yaml::{YamlEntry, YamlKind, YamlNode};

mod scalars;

pub(super) use scalars::{in_bounds, parse_integer, parse_number};

/// A problem or a warning before its line is looked up.
#[derive(Debug)]
pub(super) struct Remark {
    /// Number of the node that has the line, if the key is in the file.
    pub(super) id: Option<usize>,
    /// Dotted path of the key.
    pub(super) path: String,
    /// Words for the user.
    pub(super) message: String,
}

/// A key of the file that no section asked for.
#[derive(Debug)]
struct UnknownKey {
    id: usize,
    path: String,
    key: String,
    siblings: Vec<&'static str>,
}

/// What all sections share while a file is read.
pub(super) struct ReadContext<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Remark>>,
    warnings: RefCell<Vec<Remark>>,
    unknown: RefCell<Vec<UnknownKey>>,
    has_inline_secret: Cell<bool>,
    files: RefCell<ConfigFiles>,
}

/// Everything that was noted while a file was read.
#[derive(Debug, Default)]
pub(super) struct ReadNotes {
    /// What is wrong: the configuration cannot be used.
    pub(super) problems: Vec<Remark>,
    /// What works but is probably not meant.
    pub(super) warnings: Vec<Remark>,
    /// Whether a secret stands in the file itself.
    pub(super) has_inline_secret: bool,
    /// The further files that the file names: secrets and certificates.
    pub(super) files: ConfigFiles,
}

impl<'a> ReadContext<'a> {
    /// `env` looks up an environment variable.
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> ReadContext<'a> {
        ReadContext {
            env,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            unknown: RefCell::default(),
            has_inline_secret: Cell::new(false),
            files: RefCell::default(),
        }
    }

    /// Reads the top of the file.
    pub(super) fn root<T>(&'a self, node: &'a YamlNode, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let place = KeyPath {
            path: String::new(),
            id: None,
        };
        let entries = self.mapping(&place, node);
        // Anchors need a place to be written; as elsewhere it is a top key that begins with `x-`.
        Section::new(self, place, entries).finish(read, |key| key.starts_with("x-"))
    }

    /// Reads a section of which no key is given.
    pub(super) fn empty_section(&'a self) -> Section<'a> {
        let place = KeyPath {
            path: String::new(),
            id: None,
        };
        Section::new(self, place, &[])
    }

    /// Ends the reading.
    pub(super) fn into_notes(self) -> ReadNotes {
        let mut problems = self.problems.into_inner();
        let unknown = self.unknown.into_inner();
        problems.extend(unknown.into_iter().map(UnknownKey::into_remark));
        ReadNotes {
            problems,
            warnings: self.warnings.into_inner(),
            has_inline_secret: self.has_inline_secret.get(),
            files: self.files.into_inner(),
        }
    }

    fn problem(&self, place: &KeyPath, message: impl Into<String>) {
        self.problems.borrow_mut().push(place.remark(message));
    }

    fn warning(&self, place: &KeyPath, message: impl Into<String>) {
        self.warnings.borrow_mut().push(place.remark(message));
    }

    /// The entries of a node that should be a mapping. A section with nothing in it is null.
    fn mapping(&self, place: &KeyPath, node: &'a YamlNode) -> &'a [YamlEntry] {
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
    fn scalar(
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
    fn into_remark(self) -> Remark {
        let mut message = "unknown key".to_owned();
        if let Some(guess) = closest(&self.key, self.siblings.iter().copied()) {
            message.push_str(&format!(", did you mean `{guess}`?"));
        } else if let Some(parent) = section_with(&self.key) {
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
fn section_with(key: &str) -> Option<String> {
    let known = super::keys().into_iter();
    let values = known.filter(|info| info.shape == KeyShape::Value);
    let paths: BTreeSet<String> = values.map(|info| info.path).collect();
    paths.iter().find_map(|path| {
        let (parent, last) = path.rsplit_once('.').unwrap_or(("", path));
        (last == key).then(|| parent.to_owned())
    })
}

/// Whether a value may appear in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValuePrivacy {
    Open,
    Secret,
}

impl ExpandedText {
    /// Checks the text. What came from a variable is not repeated in the message: it may be a
    /// secret that was put under the wrong key.
    fn checked<T>(&self, check: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
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
struct KeyPath {
    path: String,
    id: Option<usize>,
}

impl KeyPath {
    /// Place of an item of the list that stands here.
    fn item(&self, index: usize, node: &YamlNode) -> KeyPath {
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

/// A mapping of the file, or its absence.
pub(super) struct Section<'a> {
    context: &'a ReadContext<'a>,
    place: KeyPath,
    entries: &'a [YamlEntry],
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    fn new(context: &'a ReadContext<'a>, place: KeyPath, entries: &'a [YamlEntry]) -> Section<'a> {
        Section {
            context,
            place,
            entries,
            asked: RefCell::default(),
        }
    }

    /// Lets `read` take what it knows and reports the rest as unknown.
    fn finish<T>(self, read: impl FnOnce(&Self) -> T, tolerate: impl Fn(&str) -> bool) -> T {
        let result = read(&self);
        let asked = self.asked.take();
        for entry in self.entries {
            if !asked.contains(&entry.key.as_str()) && !tolerate(&entry.key) {
                self.context.unknown.borrow_mut().push(UnknownKey {
                    id: entry.key_id,
                    path: join(&self.place.path, &entry.key),
                    key: entry.key.clone(),
                    siblings: asked.clone(),
                });
            }
        }
        result
    }

    /// Whether `key` is in the file, if only without a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether there is nothing under `key`. A variable that turned out empty is nothing too.
    pub(super) fn is_empty(&self, key: &str) -> bool {
        match self.entry(key).map(|entry| &entry.value.kind) {
            Some(YamlKind::Sequence(items)) => items.is_empty(),
            Some(YamlKind::Mapping(entries)) => entries.is_empty(),
            Some(YamlKind::Null | YamlKind::Scalar(_)) | None => self.has_no_text(key),
        }
    }

    /// Whether there is neither a text nor something else under `key`.
    pub(super) fn has_no_text(&self, key: &str) -> bool {
        match self.entry(key).map(|entry| &entry.value.kind) {
            None | Some(YamlKind::Null) => true,
            Some(YamlKind::Scalar(text)) => {
                env::expand(text, self.context.env).is_ok_and(|expanded| expanded.text.is_empty())
            }
            Some(YamlKind::Sequence(_) | YamlKind::Mapping(_)) => false,
        }
    }

    fn entry(&self, key: &str) -> Option<&'a YamlEntry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Reads the section under `key`.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let (place, node) = self.ask(key);
        let entries = node.map_or(&[][..], |node| self.context.mapping(&place, node));
        Section::new(self.context, place, entries).finish(read, |_| false)
    }

    /// Reads each section of the list under `key`.
    pub(super) fn sections<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&Section<'a>) -> T,
    ) -> Vec<T> {
        let each = |(place, node): (KeyPath, &'a YamlNode)| {
            if matches!(node.kind, YamlKind::Null) {
                self.context.problem(&place, "is empty; remove the `-`");
                return None;
            }
            let entries = self.context.mapping(&place, node);
            Some(Section::new(self.context, place, entries).finish(&mut read, |_| false))
        };
        self.items(key).into_iter().filter_map(each).collect()
    }

    /// The texts of the list under `key`; `check` says what is wrong with one.
    pub(super) fn texts(
        &self,
        key: &'static str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<String> {
        let mut texts = Vec::new();
        for (place, node) in self.items(key) {
            let Some(scalar) = self.context.scalar(&place, node, ValuePrivacy::Open) else {
                continue;
            };
            let result = match scalar.text.as_str() {
                "" => Err("is empty".to_owned()),
                _ => scalar.checked(&check),
            };
            match result {
                Ok(()) => texts.push(scalar.text),
                Err(message) => self.context.problem(&place, message),
            }
        }
        texts
    }

    /// Checks the texts of a list that was read before in another respect.
    pub(super) fn recheck_texts(&self, key: &str, check: impl Fn(&str) -> Result<(), String>) {
        let list = self.entry(key).map(|entry| &entry.value.kind);
        let Some(YamlKind::Sequence(items)) = list else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            if let YamlKind::Scalar(text) = &item.kind
                && let Ok(text) = env::expand(text, self.context.env)
                && let Err(message) = text.checked(&check)
            {
                let place = self.place_of(key).item(index, item);
                self.context.problem(&place, message);
            }
        }
    }

    /// The entries of the mapping of texts under `key`, whose values may be secrets; `check` says
    /// what is wrong with the name of one.
    pub(super) fn pairs(
        &self,
        key: &'static str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<(String, String)> {
        let (place, node) = self.ask(key);
        let entries = node.map_or(&[][..], |node| self.context.mapping(&place, node));
        let mut pairs = Vec::new();
        for entry in entries {
            let place = KeyPath {
                path: join(&place.path, &entry.key),
                id: Some(entry.key_id),
            };
            let scalar = self
                .context
                .scalar(&place, &entry.value, ValuePrivacy::Secret);
            let Some(scalar) = scalar else {
                continue;
            };
            match check(&entry.key) {
                Ok(()) => pairs.push((entry.key.clone(), scalar.text)),
                Err(message) => self.context.problem(&place, message),
            }
        }
        pairs
    }

    /// Notes that the value of `key` is wrong, at its line, or that of the section without one.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.context.problem(&self.place_of(key), message);
    }

    /// Notes that `key` of an item of the list under `list` is wrong.
    pub(super) fn item_problem(
        &self,
        list: &str,
        index: usize,
        key: &str,
        message: impl Into<String>,
    ) {
        let item = match self.entry(list).map(|entry| &entry.value.kind) {
            Some(YamlKind::Sequence(items)) => items.get(index),
            _ => None,
        };
        let own = item.and_then(|item| match &item.kind {
            YamlKind::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            YamlKind::Null | YamlKind::Scalar(_) | YamlKind::Sequence(_) => None,
        });
        let place = KeyPath {
            path: format!("{}[{index}].{key}", join(&self.place.path, list)),
            id: own
                .map(|entry| entry.key_id)
                .or_else(|| item.map(|item| item.id)),
        };
        self.context.problem(&place, message);
    }

    /// Notes that the value of `key` is odd.
    pub(super) fn warning(&self, key: &str, message: impl Into<String>) {
        self.context.warning(&self.place_of(key), message);
    }

    /// Notes a problem if there is no text under `key`. `when` says in which case the key has to be
    /// there: "with `type: basic`", or nothing.
    pub(super) fn require(&self, key: &str, when: &str) {
        if self.has_no_text(key) {
            self.problem(key, format!("is required {when}").trim_end());
        }
    }

    /// As [`Section::require`], for a secret that may stand in a file of its own.
    pub(super) fn require_secret(&self, key: &str, file_key: &str, when: &str) {
        if self.has_no_text(key) && self.has_no_text(file_key) {
            self.problem(key, format!("is required {when}; or set `{file_key}`"));
        }
    }

    /// Place of a key, which may go down some levels: the line is that of its first step, which is
    /// what this section holds.
    fn place_of(&self, key: &str) -> KeyPath {
        let first = key.split(['.', '[']).next().unwrap_or(key);
        KeyPath {
            path: join(&self.place.path, key),
            id: self
                .entry(first)
                .map(|entry| entry.key_id)
                .or(self.place.id),
        }
    }

    /// The items of the list under `key`. A scalar is no list, not even of one.
    fn items(&self, key: &'static str) -> Vec<(KeyPath, &'a YamlNode)> {
        let (place, node) = self.ask(key);
        let items = match node.map(|node| &node.kind) {
            None | Some(YamlKind::Null) => &[][..],
            Some(YamlKind::Sequence(items)) => items,
            Some(YamlKind::Scalar(text)) if text.is_empty() => &[][..],
            Some(YamlKind::Scalar(_) | YamlKind::Mapping(_)) => {
                let found = node.map_or("nothing", kind_name);
                let message =
                    format!("expected a list, found {found}; write each item on a line after `- `");
                self.context.problem(&place, message);
                &[][..]
            }
        };
        let items = items.iter().enumerate();
        items
            .map(|(index, node)| (place.item(index, node), node))
            .collect()
    }

    /// Finds a key and remembers that it is known.
    fn ask(&self, key: &'static str) -> (KeyPath, Option<&'a YamlNode>) {
        self.asked.borrow_mut().push(key);
        let entry = self.entry(key);
        let place = KeyPath {
            path: join(&self.place.path, key),
            id: entry.map(|entry| entry.key_id),
        };
        (place, entry.map(|entry| &entry.value))
    }
}

/// What a node is, for messages; never its content.
fn kind_name(node: &YamlNode) -> &'static str {
    match node.kind {
        YamlKind::Null => "nothing",
        YamlKind::Scalar(_) => "one value",
        YamlKind::Sequence(_) => "a list",
        YamlKind::Mapping(_) => "keys and values",
    }
}

fn join(path: &str, key: &str) -> String {
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
