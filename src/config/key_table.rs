//! The machinery of the table of configuration keys.
//!
//! A section of `config.yaml` is declared once, with `config_keys!` (the declarations are in
//! `keys/`). From a declaration come the struct that the rest of the program sees, its defaults, the
//! reader that notes every problem with its path and line, what `show-config` prints, the list of
//! what an edit changes, and [`KeyInfo`], from which `config.example.yaml` and
//! `docs/configuration.md` are made.

use super::key_info::{KeyEffect, KeyInfo, KeyShape};
use super::reader::{ReadContext, Section};
use super::yaml::Mapping;

/// What the table says about a key beside its type, its default and its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySpec {
    /// The key in the file.
    pub(super) key: &'static str,
    /// The doc comment as it stands in the table.
    pub(super) doc: &'static str,
    /// The default in words, where it depends on other keys.
    pub(super) default: &'static str,
    /// The values it takes, where the kind alone does not say it.
    pub(super) values: &'static str,
    /// See [`KeyInfo::example`].
    pub(super) example: &'static str,
    /// What an edit leads to, where that is not the same as for the whole section.
    pub(super) effect: Option<KeyEffect>,
}

impl KeySpec {
    /// A key of which the table says nothing special.
    pub(super) const fn new(key: &'static str, doc: &'static str) -> KeySpec {
        KeySpec {
            key,
            doc,
            default: "",
            values: "",
            example: "",
            effect: None,
        }
    }
}

/// A key of the table in its section.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyEntry<'a> {
    /// What the table says.
    pub(super) spec: KeySpec,
    /// The default as its kind writes it.
    pub(super) default: &'a str,
    /// The section.
    pub(super) at: &'a KeyParent,
}

impl KeyEntry<'_> {
    /// The documentation of this key; `values` are the words of its kind. What the table itself says
    /// has precedence.
    pub(super) fn info(&self, shape: KeyShape, values: &str) -> KeyInfo {
        let KeyEntry { spec, default, at } = self;
        let or = |own: &str, other: &str| if own.is_empty() { other } else { own }.to_owned();
        let lines: Vec<&str> = spec.doc.lines().map(str::trim).collect();
        KeyInfo {
            path: match at.path.as_str() {
                "" => spec.key.to_owned(),
                path => format!("{path}.{}", spec.key),
            },
            shape,
            doc: lines.join(" ").trim().to_owned(),
            values: or(spec.values, values),
            default: or(spec.default, default),
            example: spec.example,
            is_secret: false,
            effect: spec.effect.unwrap_or(at.effect),
        }
    }
}

/// The section in which a key stands.
#[derive(Debug)]
pub(super) struct KeyParent {
    /// Its path; empty for the top of the file.
    pub(super) path: String,
    /// What an edit of its keys leads to.
    pub(super) effect: KeyEffect,
}

/// A key whose value differs between two configurations.
#[derive(Debug)]
pub(super) struct KeyChange {
    /// Name of the field, in which durations have no unit in their names.
    pub(super) field: &'static str,
    /// The key in the file.
    pub(super) key: &'static str,
    /// The effect that the table gives to this key alone.
    pub(super) effect: Option<KeyEffect>,
    /// The values before and after, for keys that are no secret.
    pub(super) values: [String; 2],
}

/// The keys of one section. Implemented by `config_keys!` alone.
pub(super) trait KeyGroup: Clone + Sized {
    /// What reading the section needs from elsewhere in the file: defaults to inherit, for example.
    type Context;

    /// Reads every key and checks them against each other. A wrong value is noted in the section
    /// and replaced by a stand-in, so that one pass finds everything.
    fn read(section: &Section<'_>, context: Self::Context) -> Self;

    /// Every key at its default; keys that must be there are empty.
    fn defaults(context: Self::Context) -> Self {
        let env = |_: &str| None;
        let read = ReadContext::new(&env);
        Self::read(&Section::empty(&read), context)
    }

    /// Adds the keys with their values in effect, secrets redacted.
    fn show(&self, shown: &mut Mapping);

    /// Adds the documentation of each key.
    fn describe(at: &KeyParent, keys: &mut Vec<KeyInfo>);

    /// The keys of which the value differs in `new`.
    fn changes(&self, new: &Self) -> Vec<KeyChange>;

    /// Takes the values of [`KeyEffect::NextStart`] from `running`.
    fn keep_until_next_start(&mut self, running: &Self);
}

/// A section whose keys are looked at together when all of them are read. Implemented in `checks`.
pub(super) trait CheckKeys: KeyGroup {
    /// Notes in the section what is wrong or odd between the keys, and gives the keys back, with what
    /// follows from several of them filled in.
    fn check(section: &Section<'_>, keys: Self, context: &Self::Context) -> Self;
}

/// A value that takes several keys: `auth`, which is one of several ways to log in, or `sasl`, which
/// is there or not.
pub(super) trait FromKeys: Sized {
    /// The keys.
    type Keys: KeyGroup;

    /// Checks the keys against each other.
    fn from_keys(section: &Section<'_>, keys: Self::Keys) -> Self;

    /// The keys that give this value, to be shown.
    fn to_keys(&self) -> Self::Keys;
}

impl<G: KeyGroup> FromKeys for G {
    type Keys = G;

    fn from_keys(_: &Section<'_>, keys: G) -> G {
        keys
    }

    fn to_keys(&self) -> G {
        self.clone()
    }
}
