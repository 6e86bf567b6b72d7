//! A section of the file: its keys, one by one, and what is wrong with them.

use std::cell::RefCell;

use super::context::{KeyPath, ReadContext, UnknownKey, ValuePrivacy, join, kind_name};
use crate::config::env;
use crate::config::yaml::{YamlEntry, YamlKind, YamlNode};

/// A mapping of the file, or its absence.
pub(in crate::config) struct Section<'a> {
    pub(super) context: &'a ReadContext<'a>,
    place: KeyPath,
    entries: &'a [YamlEntry],
    /// The keys that were asked for: the known ones.
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Reads the top of the file.
    pub(in crate::config) fn root<T>(
        context: &'a ReadContext<'a>,
        node: &'a YamlNode,
        read: impl FnOnce(&Section<'a>) -> T,
    ) -> T {
        let place = KeyPath::top();
        let entries = context.mapping(&place, node);
        // Anchors need a place to be written; as elsewhere it is a top key that begins with `x-`.
        Section::new(context, place, entries).finish(read, |key| key.starts_with("x-"))
    }

    /// A section of which no key is given.
    pub(in crate::config) fn empty(context: &'a ReadContext<'a>) -> Section<'a> {
        Section::new(context, KeyPath::top(), &[])
    }

    fn new(context: &'a ReadContext<'a>, place: KeyPath, entries: &'a [YamlEntry]) -> Section<'a> {
        Section {
            context,
            place,
            entries,
            asked: RefCell::default(),
        }
    }

    /// Lets `read` take what it knows and reports the rest as unknown.
    pub(super) fn finish<T>(
        self,
        read: impl FnOnce(&Self) -> T,
        tolerate: impl Fn(&str) -> bool,
    ) -> T {
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

    /// True if `key` is in the file, even without a value.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// True if `key` is not in the file or leads to nothing. A variable that is empty is nothing too.
    pub(in crate::config) fn is_empty(&self, key: &str) -> bool {
        match self.entry(key).map(|entry| &entry.value.kind) {
            Some(YamlKind::Sequence(items)) => items.is_empty(),
            Some(YamlKind::Mapping(entries)) => entries.is_empty(),
            Some(YamlKind::Null | YamlKind::Scalar(_)) | None => self.has_no_text(key),
        }
    }

    /// As [`Section::is_empty`], but an empty list or section is something: it has been noted as wrong
    /// where a text belongs.
    pub(in crate::config) fn has_no_text(&self, key: &str) -> bool {
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
    pub(in crate::config) fn section<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Section<'a>) -> T,
    ) -> T {
        let (place, node) = self.ask(key);
        let entries = node.map_or(&[][..], |node| self.context.mapping(&place, node));
        self.at(place, entries, read)
    }

    /// Reads each section of the list under `key`.
    pub(in crate::config) fn sections<T>(
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
            Some(self.at(place, entries, &mut read))
        };
        self.items(key).into_iter().filter_map(each).collect()
    }

    /// The texts of the list under `key`; `check` says what is wrong with one.
    pub(in crate::config) fn texts(
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
    pub(in crate::config) fn recheck_texts(
        &self,
        key: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) {
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
    pub(in crate::config) fn pairs(
        &self,
        key: &'static str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (place, entry) in self.named_entries(key) {
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

    /// The entries of the mapping under `key`, of which the user chose the names, with their places.
    pub(super) fn named_entries(&self, key: &'static str) -> Vec<(KeyPath, &'a YamlEntry)> {
        let (place, node) = self.ask(key);
        let entries = node.map_or(&[][..], |node| self.context.mapping(&place, node));
        let named = |entry: &'a YamlEntry| {
            let place = KeyPath {
                path: join(&place.path, &entry.key),
                id: Some(entry.key_id),
            };
            (place, entry)
        };
        entries.iter().map(named).collect()
    }

    /// Reads `entries`, which stand at `place`, as a section of their own.
    pub(super) fn at<T>(
        &self,
        place: KeyPath,
        entries: &'a [YamlEntry],
        read: impl FnOnce(&Section<'a>) -> T,
    ) -> T {
        Section::new(self.context, place, entries).finish(read, |_| false)
    }

    /// Whether the value of `key`, which may go down some levels, was found to be wrong.
    pub(in crate::config) fn has_problem(&self, key: &str) -> bool {
        self.context.has_problem(&join(&self.place.path, key))
    }

    /// Whether the value at a path from the top of the file was found to be wrong.
    pub(in crate::config) fn is_wrong_elsewhere(&self, path: &str) -> bool {
        self.context.has_problem(path)
    }

    /// Notes that the value of `key` is wrong, at its line, or that of the section without one.
    pub(in crate::config) fn problem(&self, key: &str, message: impl Into<String>) {
        self.context.problem(&self.place_of(key), message);
    }

    /// Notes that `key` of an item of the list under `list` is wrong.
    pub(in crate::config) fn item_problem(
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
    pub(in crate::config) fn warning(&self, key: &str, message: impl Into<String>) {
        self.context.warning(&self.place_of(key), message);
    }

    /// Notes a problem if there is no text under `key`. `when` says in which case the key has to be
    /// there: "with `type: basic`", or nothing.
    pub(in crate::config) fn require(&self, key: &str, when: &str) {
        if self.has_no_text(key) {
            self.problem(key, format!("is required {when}").trim_end());
        }
    }

    /// As [`Section::require`], for a secret that may stand in a file of its own.
    pub(in crate::config) fn require_secret(&self, key: &str, file_key: &str, when: &str) {
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
    pub(super) fn ask(&self, key: &'static str) -> (KeyPath, Option<&'a YamlNode>) {
        self.asked.borrow_mut().push(key);
        let entry = self.entry(key);
        let place = KeyPath {
            path: join(&self.place.path, key),
            id: entry.map(|entry| entry.key_id),
        };
        (place, entry.map(|entry| &entry.value))
    }
}
