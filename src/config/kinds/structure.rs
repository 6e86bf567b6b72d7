//! Kinds of keys that lead to further keys: sections, and lists of sections.

use super::value::{KeyKind, ReadKey};
use crate::config::key_info::{KeyInfo, KeyShape};
use crate::config::key_table::{FromKeys, KeyEntry, KeyGroup, KeyParent};
use crate::config::reader::Section;
use crate::config::yaml::{Mapping, Value};

/// The context with which the keys of a value are read: defaults from elsewhere in the file, mostly.
type ContextOf<T> = <<T as FromKeys>::Keys as KeyGroup>::Context;

/// A section.
pub(in crate::config) struct Nested;

impl<T: FromKeys> KeyKind<T> for Nested {
    fn show(&self, key: &str, value: &T, shown: &mut Mapping) {
        shown.insert(Value::from(key), shown_section(&value.to_keys()));
    }

    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>) {
        describe_section::<T::Keys>(entry, KeyShape::Section, keys);
    }
}

impl<T: FromKeys> ReadKey<T, ContextOf<T>> for Nested {
    fn read(&self, section: &Section<'_>, key: &'static str, context: ContextOf<T>) -> T {
        section.section(key, |section| Inline.read(section, key, context))
    }
}

/// A section of several, of which another key names the one in use. It is read in any case, so that
/// a slip in it is found; its context is whether it is the one in use. It is shown only where it
/// says something.
pub(in crate::config) struct NestedIfUsed;

impl<T: KeyGroup<Context = bool> + PartialEq> KeyKind<T> for NestedIfUsed {
    fn show(&self, key: &str, value: &T, shown: &mut Mapping) {
        if *value != T::defaults(false) {
            Nested.show(key, value, shown);
        }
    }

    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>) {
        describe_section::<T>(entry, KeyShape::Section, keys);
    }
}

impl<T: KeyGroup<Context = bool> + PartialEq> ReadKey<T, bool> for NestedIfUsed {
    fn read(&self, section: &Section<'_>, key: &'static str, is_used: bool) -> T {
        Nested.read(section, key, is_used)
    }
}

/// Several keys of the same section that make one value.
pub(in crate::config) struct Inline;

impl<T: FromKeys> KeyKind<T> for Inline {
    fn show(&self, _: &str, value: &T, shown: &mut Mapping) {
        value.to_keys().show(shown);
    }

    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>) {
        T::Keys::describe(entry.at, keys);
    }
}

impl<T: FromKeys> ReadKey<T, ContextOf<T>> for Inline {
    fn read(&self, section: &Section<'_>, _: &'static str, context: ContextOf<T>) -> T {
        T::from_keys(section, T::Keys::read(section, context))
    }
}

/// A list of sections. The context is the same for each.
pub(in crate::config) struct EachOf;

impl<T: KeyGroup> KeyKind<Vec<T>> for EachOf {
    fn show(&self, key: &str, value: &Vec<T>, shown: &mut Mapping) {
        let items: Vec<Value> = value.iter().map(shown_section).collect();
        shown.insert(Value::from(key), items.into());
    }

    fn describe(&self, entry: &KeyEntry<'_>, keys: &mut Vec<KeyInfo>) {
        describe_section::<T>(entry, KeyShape::List, keys);
    }
}

impl<T: KeyGroup<Context: Clone>> ReadKey<Vec<T>, T::Context> for EachOf {
    fn read(&self, section: &Section<'_>, key: &'static str, context: T::Context) -> Vec<T> {
        section.sections(key, |section| T::read(section, context.clone()))
    }
}

fn shown_section<G: KeyGroup>(keys: &G) -> Value {
    let mut shown = Mapping::new();
    keys.show(&mut shown);
    Value::Mapping(shown)
}

fn describe_section<G: KeyGroup>(entry: &KeyEntry<'_>, shape: KeyShape, keys: &mut Vec<KeyInfo>) {
    let info = entry.info(shape, "");
    let items = if shape == KeyShape::List { "[]" } else { "" };
    let inside = KeyParent {
        path: format!("{}{items}", info.path),
        effect: info.effect,
    };
    keys.push(info);
    G::describe(&inside, keys);
}
