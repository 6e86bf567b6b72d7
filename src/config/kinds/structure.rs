//! Kinds of keys that lead to further keys: sections, and lists of sections.

use super::{KeyKind, ReadKey};
use crate::config::key_table::{
    FromKeys, KeyGroup, KeyInfo, KeyParent, KeyShape, KeySpec, KindWords,
};
use crate::config::reader::Section;
use crate::config::yaml::{Mapping, Value};

/// What reading the keys of a value needs from elsewhere in the file.
type ContextOf<T> = <<T as FromKeys>::Keys as KeyGroup>::Context;

/// A section.
pub(in crate::config) struct Nested;

impl<T: FromKeys> KeyKind<T> for Nested {
    fn show(&self, key: &str, value: &T, shown: &mut Mapping) {
        shown.insert(Value::from(key), shown_section(&value.to_keys()));
    }

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        describe_section::<T::Keys>(spec, at, keys);
    }
}

impl<T: FromKeys> ReadKey<T, ContextOf<T>> for Nested {
    fn read(&self, section: &Section<'_>, key: &'static str, context: ContextOf<T>) -> T {
        section.section(key, |section| {
            T::from_keys(section, T::Keys::read(section, context))
        })
    }

    fn default_words(&self, _: ContextOf<T>) -> String {
        String::new()
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

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        describe_section::<T>(spec, at, keys);
    }
}

impl<T: KeyGroup<Context = bool> + PartialEq> ReadKey<T, bool> for NestedIfUsed {
    fn read(&self, section: &Section<'_>, key: &'static str, is_used: bool) -> T {
        Nested.read(section, key, is_used)
    }

    fn default_words(&self, _: bool) -> String {
        String::new()
    }
}

/// A key of this kind that is shown only where it has a value.
pub(in crate::config) struct IfUsed<K>(pub(in crate::config) K);

impl<T, K: KeyKind<Option<T>>> KeyKind<Option<T>> for IfUsed<K> {
    fn show(&self, key: &str, value: &Option<T>, shown: &mut Mapping) {
        if value.is_some() {
            self.0.show(key, value, shown);
        }
    }

    fn describe(
        &self,
        spec: &KeySpec,
        default: String,
        at: &KeyParent<'_>,
        keys: &mut Vec<KeyInfo>,
    ) {
        self.0.describe(spec, default, at, keys);
    }
}

impl<T, G, K: ReadKey<Option<T>, G>> ReadKey<Option<T>, G> for IfUsed<K> {
    fn read(&self, section: &Section<'_>, key: &'static str, given: G) -> Option<T> {
        self.0.read(section, key, given)
    }

    fn default_words(&self, given: G) -> String {
        self.0.default_words(given)
    }
}

/// Several keys of the same section that make one value.
pub(in crate::config) struct Inline;

impl<T: FromKeys> KeyKind<T> for Inline {
    fn show(&self, _: &str, value: &T, shown: &mut Mapping) {
        value.to_keys().show(shown);
    }

    fn describe(&self, _: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        T::Keys::describe(at, keys);
    }
}

impl<T: FromKeys> ReadKey<T, ContextOf<T>> for Inline {
    fn read(&self, section: &Section<'_>, _: &'static str, context: ContextOf<T>) -> T {
        T::from_keys(section, T::Keys::read(section, context))
    }

    fn default_words(&self, _: ContextOf<T>) -> String {
        String::new()
    }
}

/// A list of sections. The context is the same for each.
pub(in crate::config) struct EachOf;

impl<T: KeyGroup> KeyKind<Vec<T>> for EachOf {
    fn show(&self, key: &str, value: &Vec<T>, shown: &mut Mapping) {
        let items: Vec<Value> = value.iter().map(shown_section).collect();
        shown.insert(Value::from(key), items.into());
    }

    fn describe(&self, spec: &KeySpec, _: String, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
        let info = spec.info(at, KeyShape::List, KindWords::default());
        let inside = KeyParent {
            path: &format!("{}[]", info.path),
            effect: info.effect,
        };
        keys.push(info.clone());
        T::describe(&inside, keys);
    }
}

impl<T: KeyGroup> ReadKey<Vec<T>, T::Context> for EachOf
where
    T::Context: Clone,
{
    fn read(&self, section: &Section<'_>, key: &'static str, context: T::Context) -> Vec<T> {
        section.sections(key, |section| T::read(section, context.clone()))
    }

    fn default_words(&self, _: T::Context) -> String {
        String::new()
    }
}

fn shown_section<G: KeyGroup>(keys: &G) -> Value {
    let mut shown = Mapping::new();
    keys.show(&mut shown);
    Value::Mapping(shown)
}

fn describe_section<G: KeyGroup>(spec: &KeySpec, at: &KeyParent<'_>, keys: &mut Vec<KeyInfo>) {
    let info = spec.info(at, KeyShape::Section, KindWords::default());
    let path = info.path.clone();
    let inside = KeyParent {
        path: &path,
        effect: info.effect,
    };
    keys.push(info);
    G::describe(&inside, keys);
}
