//! The file as it was written, read key by key.
//!
//! A [`Section`] is a mapping of the file. Asking it for a key gives the typed value, or notes a
//! problem and gives a stand-in, so that one pass finds everything that is wrong. The keys that
//! were asked for are the known ones: what is left in the file is reported as unknown, and no key
//! is listed twice in this program.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::env;
use super::files::ConfigFiles;
use super::names::{closest, quoted};
use super::yaml::{YamlEntry, YamlKind, YamlNode};

mod values;

pub(super) use self::values::{DurationBounds, IntegerBounds, KeyNeed};

/// A remark on a place of the file.
#[derive(Debug)]
pub(super) struct Remark {
    /// Node for the line, if the place is in the file.
    pub(super) id: Option<usize>,
    /// Dotted path of the key.
    pub(super) path: String,
    /// Words for the user.
    pub(super) message: String,
}

/// A key nobody asked for.
#[derive(Debug)]
struct UnknownKey {
    id: usize,
    path: String,
    key: String,
    siblings: Vec<&'static str>,
}

/// What the whole reading of a file shares.
pub(super) struct ReadContext<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Remark>>,
    warnings: RefCell<Vec<Remark>>,
    unknown: RefCell<Vec<UnknownKey>>,
    known: RefCell<BTreeSet<String>>,
    inline_secret: Cell<bool>,
    files: RefCell<ConfigFiles>,
}

/// Everything that was noted.
#[derive(Debug, Default)]
pub(super) struct ReadNotes {
    /// What is wrong.
    pub(super) problems: Vec<Remark>,
    /// What is odd.
    pub(super) warnings: Vec<Remark>,
    /// Patterns of all keys that were asked for, as `source.tables[].name`.
    #[cfg(test)]
    pub(super) known: BTreeSet<String>,
    /// Whether a secret stands in the file itself.
    pub(super) inline_secret: bool,
    /// The files that were named and read.
    pub(super) files: ConfigFiles,
}

impl<'a> ReadContext<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> ReadContext<'a> {
        ReadContext {
            env,
            problems: RefCell::default(),
            warnings: RefCell::default(),
            unknown: RefCell::default(),
            known: RefCell::default(),
            inline_secret: Cell::new(false),
            files: RefCell::default(),
        }
    }

    /// Reads the top of the file.
    pub(super) fn root<T>(&'a self, node: &'a YamlNode, read: impl FnOnce(&Section<'a>) -> T) -> T {
        let place = KeyPath {
            path: String::new(),
            pattern: String::new(),
            id: None,
        };
        let entries = self.mapping(&place, node);
        // Anchors need a place to be written; as elsewhere it is a top key that begins with `x-`.
        Section::new(self, place, entries).finish(read, |key| key.starts_with("x-"))
    }

    /// Ends the reading.
    pub(super) fn into_notes(self) -> ReadNotes {
        let known = self.known.into_inner();
        let mut problems = self.problems.into_inner();
        for unknown in self.unknown.into_inner() {
            problems.push(unknown.into_remark(&known));
        }
        ReadNotes {
            problems,
            warnings: self.warnings.into_inner(),
            #[cfg(test)]
            known,
            inline_secret: self.inline_secret.get(),
            files: self.files.into_inner(),
        }
    }

    fn problem(&self, id: Option<usize>, path: &str, message: impl Into<String>) {
        let remark = Remark {
            id,
            path: path.to_owned(),
            message: message.into(),
        };
        self.problems.borrow_mut().push(remark);
    }

    fn warning(&self, id: Option<usize>, path: &str, message: impl Into<String>) {
        let remark = Remark {
            id,
            path: path.to_owned(),
            message: message.into(),
        };
        self.warnings.borrow_mut().push(remark);
    }

    /// The entries of a node that should be a mapping. A section with nothing in it is null.
    fn mapping(&self, place: &KeyPath, node: &'a YamlNode) -> &'a [YamlEntry] {
        match &node.kind {
            YamlKind::Mapping(entries) => entries,
            YamlKind::Null => &[],
            YamlKind::Scalar(_) | YamlKind::Sequence(_) => {
                let found = kind_name(node);
                let id = place.id.or(Some(node.id));
                self.problem(
                    id,
                    &place.path,
                    format!("expected keys and values, found {found}"),
                );
                &[]
            }
        }
    }

    /// The text of a scalar with its variables replaced. `None` after a problem was noted.
    fn scalar(
        &self,
        place: &KeyPath,
        node: &YamlNode,
        privacy: ValuePrivacy,
    ) -> Option<ExpandedScalar> {
        let text = match &node.kind {
            YamlKind::Scalar(text) => text,
            YamlKind::Null => {
                return Some(ExpandedScalar {
                    text: String::new(),
                    from_env: false,
                });
            }
            YamlKind::Sequence(_) | YamlKind::Mapping(_) => {
                let found = kind_name(node);
                self.problem(
                    place.id,
                    &place.path,
                    format!("expected one value, found {found}"),
                );
                return None;
            }
        };
        let expanded = match env::expand(text, self.env) {
            Ok(expanded) => expanded,
            Err(faults) => {
                for fault in faults {
                    self.problem(place.id, &place.path, fault.message());
                }
                return None;
            }
        };
        for name in &expanded.bare {
            self.warn_bare(place, name, privacy);
        }
        Some(ExpandedScalar {
            text: expanded.text,
            from_env: expanded.from_env,
        })
    }

    /// A bare `$name` in a secret may be part of the secret, unless there is such a variable.
    fn warn_bare(&self, place: &KeyPath, name: &str, privacy: ValuePrivacy) {
        let message = match privacy {
            ValuePrivacy::Secret if (self.env)(name).is_none() => {
                "holds a `$` and letters, taken as they are; a variable is written `${NAME}`"
                    .to_owned()
            }
            ValuePrivacy::Secret | ValuePrivacy::Open => format!(
                "`${name}` is taken as it is; to use the environment variable write `${{{name}}}`"
            ),
        };
        self.warning(place.id, &place.path, message);
    }
}

impl UnknownKey {
    fn into_remark(self, known: &BTreeSet<String>) -> Remark {
        let mut message = "unknown key".to_owned();
        if let Some(guess) = closest(&self.key, self.siblings.iter().copied()) {
            message.push_str(&format!(", did you mean `{guess}`?"));
        } else if let Some(parent) = known.iter().find_map(|pattern| {
            let (parent, last) = pattern.rsplit_once('.').unwrap_or(("", pattern));
            (last == self.key).then_some(parent)
        }) {
            match parent {
                "" => message.push_str(", it belongs to the top of the file"),
                _ => message.push_str(&format!(", it belongs under `{parent}`")),
            }
        }
        Remark {
            id: Some(self.id),
            path: self.path,
            message,
        }
    }
}

/// Whether a value may appear in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValuePrivacy {
    Open,
    Secret,
}

/// A scalar after its variables were replaced. Empty means not given.
struct ExpandedScalar {
    text: String,
    from_env: bool,
}

impl ExpandedScalar {
    /// Checks the text. What came from a variable is not repeated in the message: it may be a
    /// secret that was put under the wrong key.
    fn checked<T>(&self, check: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
        check(&self.text).map_err(|message| match self.from_env {
            true => message.replace(&quoted(&self.text), "the value of the variable"),
            false => message,
        })
    }
}

/// Where a value stands.
#[derive(Debug, Clone)]
struct KeyPath {
    path: String,
    pattern: String,
    id: Option<usize>,
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
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether there is nothing under `key`. A variable that turned out empty is nothing too.
    pub(super) fn is_empty(&self, key: &str) -> bool {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        match entry.map(|entry| &entry.value.kind) {
            None | Some(YamlKind::Null) => true,
            Some(YamlKind::Scalar(text)) => match env::expand(text, self.context.env) {
                Ok(expanded) => expanded.text.is_empty(),
                Err(_) => false,
            },
            Some(YamlKind::Sequence(items)) => items.is_empty(),
            Some(YamlKind::Mapping(entries)) => entries.is_empty(),
        }
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
                self.context
                    .problem(place.id, &place.path, "is empty; remove the `-`");
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
        mut check: impl FnMut(&str) -> Result<(), String>,
    ) -> Vec<String> {
        self.note_known(key);
        let mut texts = Vec::new();
        for (place, node) in self.items(key) {
            let Some(scalar) = self.context.scalar(&place, node, ValuePrivacy::Open) else {
                continue;
            };
            let result = match scalar.text.as_str() {
                "" => Err("is empty".to_owned()),
                _ => scalar.checked(&mut check),
            };
            match result {
                Ok(()) => texts.push(scalar.text),
                Err(message) => self.context.problem(place.id, &place.path, message),
            }
        }
        texts
    }

    /// The entries of the mapping of texts under `key`; `check` says what is wrong with one.
    pub(super) fn pairs(
        &self,
        key: &'static str,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Vec<(String, String)> {
        self.note_known(key);
        let (place, node) = self.ask(key);
        let entries = node.map_or(&[][..], |node| self.context.mapping(&place, node));
        let mut pairs = Vec::new();
        for entry in entries {
            let place = KeyPath {
                path: join(&place.path, &entry.key),
                pattern: String::new(),
                id: Some(entry.key_id),
            };
            let Some(scalar) = self
                .context
                .scalar(&place, &entry.value, ValuePrivacy::Secret)
            else {
                continue;
            };
            match check(&entry.key, &scalar.text) {
                Ok(()) => pairs.push((entry.key.clone(), scalar.text)),
                Err(message) => self.context.problem(place.id, &place.path, message),
            }
        }
        pairs
    }

    /// Notes that the value of `key` is wrong, at its line, or that of the section without one.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        let path = join(&self.place.path, key);
        self.context.problem(self.line_id(key), &path, message);
    }

    /// Notes that `key` of an item of the list under `list` is wrong.
    pub(super) fn item_problem(
        &self,
        list: &str,
        index: usize,
        key: &str,
        message: impl Into<String>,
    ) {
        let path = format!("{}[{index}].{key}", join(&self.place.path, list));
        let entry = self.entries.iter().find(|entry| entry.key == list);
        let item = match entry.map(|entry| &entry.value.kind) {
            Some(YamlKind::Sequence(items)) => items.get(index),
            _ => None,
        };
        let own = item.and_then(|item| match &item.kind {
            YamlKind::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            YamlKind::Null | YamlKind::Scalar(_) | YamlKind::Sequence(_) => None,
        });
        let id = own.map(|entry| entry.key_id).or(item.map(|item| item.id));
        self.context.problem(id, &path, message);
    }

    /// Notes that the value of `key` is odd.
    pub(super) fn warning(&self, key: &str, message: impl Into<String>) {
        let path = join(&self.place.path, key);
        self.context.warning(self.line_id(key), &path, message);
    }

    fn line_id(&self, key: &str) -> Option<usize> {
        // `key` may go down some levels; its first step is what this section holds.
        let first = key.split(['.', '[']).next().unwrap_or(key);
        let entry = self.entries.iter().find(|entry| entry.key == first);
        entry.map(|entry| entry.key_id).or(self.place.id)
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
                self.context.problem(place.id, &place.path, message);
                &[][..]
            }
        };
        let with_place = |(index, node): (usize, &'a YamlNode)| {
            let place = KeyPath {
                path: format!("{}[{index}]", place.path),
                pattern: format!("{}[]", place.pattern),
                id: Some(node.id),
            };
            (place, node)
        };
        items.iter().enumerate().map(with_place).collect()
    }

    /// Finds a key and remembers that it is known.
    fn ask(&self, key: &'static str) -> (KeyPath, Option<&'a YamlNode>) {
        self.asked.borrow_mut().push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key);
        let place = KeyPath {
            path: join(&self.place.path, key),
            pattern: join(&self.place.pattern, key),
            id: entry.map(|entry| entry.key_id),
        };
        (place, entry.map(|entry| &entry.value))
    }

    fn note_known(&self, key: &str) {
        self.context
            .known
            .borrow_mut()
            .insert(join(&self.place.pattern, key));
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
    let plain = !key.is_empty() && key.len() <= 80;
    let key = if plain { key.to_owned() } else { quoted(key) };
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}
