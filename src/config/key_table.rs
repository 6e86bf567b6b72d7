//! The machinery of the table of configuration keys.
//!
//! A section of `config.yaml` is declared once, with [`config_keys!`] (the declarations are in
//! `keys/`). From a declaration come the struct that the rest of the program sees, its defaults, the
//! reader that notes every problem with its path and line, what `show-config` prints, the list of
//! what an edit changes, and [`KeyInfo`], from which `config.example.yaml` and
//! `docs/configuration.md` are made.

use super::reader::{ReadContext, Section};
use super::yaml::Mapping;

/// What happens in a running bridge when an edit changes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEffect {
    /// Every pipeline moves to a new client of the instance, one after the other.
    NewClient,
    /// Every pipeline moves to a new producer, one after the other.
    NewProducer,
    /// The Avro tables and the sink start again with a new client of the schema registry.
    RegistryUsersRestart,
    /// The tables concerned start again at their checkpoints.
    TablesRestart,
    /// The sink starts again at the committed offsets.
    SinkRestarts,
    /// Nothing starts again; the new value counts at once.
    AtOnce,
    /// The edit is left aside until the process is started again.
    NextStart,
    /// The key is reserved: its value has no effect yet.
    Reserved,
}

impl KeyEffect {
    /// The effect in a few words, for the reference page.
    pub fn words(self) -> &'static str {
        match self {
            KeyEffect::NewClient => "new client",
            KeyEffect::NewProducer => "new producer",
            KeyEffect::RegistryUsersRestart => "Avro users restart",
            KeyEffect::TablesRestart => "tables restart",
            KeyEffect::SinkRestarts => "sink restarts",
            KeyEffect::AtOnce => "at once",
            KeyEffect::NextStart => "next start",
            KeyEffect::Reserved => "none",
        }
    }
}

/// What a key leads to in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape {
    /// A value: a text, a number, a list of texts.
    Value,
    /// A section with keys of its own.
    Section,
    /// A list of sections, as `source.tables`.
    List,
}

/// A key of `config.yaml` as its documentation needs it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Path with `[]` for the items of a list: `source.tables[].name`.
    pub path: String,
    /// What the key leads to.
    pub shape: KeyShape,
    /// What the key means, in one paragraph. Empty for the twin of a secret that names a file.
    pub doc: String,
    /// The values it takes: `duration, 1ms to 24h`. Empty for sections.
    pub values: String,
    /// The default as YAML, or `required`; empty when there is none.
    pub default: String,
    /// The value in `config.example.yaml`, for a key without a default that a first file needs; of
    /// a list whether it needs an item.
    pub example: &'static str,
    /// Whether the value is a secret, which is shown nowhere.
    pub is_secret: bool,
    /// What an edit of it leads to.
    pub effect: KeyEffect,
}

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

/// The keys of one section. Implemented by [`config_keys!`] alone.
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
        Self::read(&read.empty_section(), context)
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

/// Declares the keys of a section:
///
/// ```text
/// config_keys! {
///     /// `offset`: where checkpoints are kept.
///     pub struct OffsetConfig check(checks::state::offset) {
///         /// The longest time between an acknowledgement and its checkpoint on disk.
///         flush_interval: Duration = secs(5), time(ms(10), secs(3_600));
///     }
/// }
/// ```
///
/// - A key is `field: type = default, kind, more;`. The kinds are in `kinds`. A default that comes
///   from other keys is written behind `=>` instead of `=`; it may use the fields above it and the
///   context, and its words for the documentation are given by hand (`default: "..."`).
/// - A key that must be there has `Required` as its default. The default of a section is the context
///   that its own reading needs, in most cases `()`.
/// - The comment is the documentation for users: of the field, in `config.example.yaml` and on the
///   reference page. It ends with a full stop.
/// - `more` sets fields of [`KeySpec`]; `key: "..."` where the key is not named as the field.
/// - `check` names a function that takes the section, the struct and the context, notes what is
///   wrong between keys, and gives the struct back.
/// - `default` gives the struct a `Default`, every key at its default, by reading an empty section
///   with this context.
macro_rules! config_keys {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Group:ident $(($context:ident: $Context:ty))?
        $(check($check:path))? $(default($without:expr))? {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $Type:ty $(= $given:expr)? $(=> $computed:expr)?, $kind:expr
                $(, $more:ident: $value:expr)*;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $Group {
            $($(#[doc = $doc])* $vis $field: $Type,)*
        }

        $(
            impl Default for $Group {
                fn default() -> $Group {
                    $crate::config::key_table::KeyGroup::defaults($without)
                }
            }
        )?

        impl $crate::config::key_table::KeyGroup for $Group {
            type Context = config_keys!(@context $($Context)?);

            fn read(
                section: &$crate::config::reader::Section<'_>,
                context: Self::Context,
            ) -> $Group {
                // Not every section needs its context for the keys themselves.
                let _ = &context;
                $(
                    let $context = &context;
                    let _ = $context;
                )?
                $(
                    let $field: $Type = $crate::config::kinds::ReadKey::read(
                        &$kind,
                        section,
                        config_keys!(@spec $field [$($doc)*] $($more: $value)*).key,
                        $($given)? $($computed)?,
                    );
                )*
                let group = $Group { $($field),* };
                $(let group = $check(section, group, &context);)?
                group
            }

            fn show(&self, shown: &mut $crate::config::yaml::Mapping) {
                $(
                    $crate::config::kinds::KeyKind::show(
                        &$kind,
                        config_keys!(@spec $field [$($doc)*] $($more: $value)*).key,
                        &self.$field,
                        shown,
                    );
                )*
            }

            fn describe(
                at: &$crate::config::key_table::KeyParent,
                keys: &mut Vec<$crate::config::key_table::KeyInfo>,
            ) {
                $(
                    let default: &[String] = &[
                        $($crate::config::kinds::ReadKey::<$Type, _>::default_words(
                            &$kind,
                            &$given,
                        ))?
                    ];
                    let entry = $crate::config::key_table::KeyEntry {
                        spec: config_keys!(@spec $field [$($doc)*] $($more: $value)*),
                        default: default.first().map_or("", String::as_str),
                        at,
                    };
                    $crate::config::kinds::KeyKind::<$Type>::describe(&$kind, &entry, keys);
                )*
            }

            fn changes(&self, new: &$Group) -> Vec<$crate::config::key_table::KeyChange> {
                let mut changes = Vec::new();
                $(
                    if self.$field != new.$field {
                        let spec = config_keys!(@spec $field [$($doc)*] $($more: $value)*);
                        changes.push($crate::config::key_table::KeyChange {
                            field: stringify!($field),
                            key: spec.key,
                            effect: spec.effect,
                            values: [&self.$field, &new.$field].map(|value| format!("{value:?}")),
                        });
                    }
                )*
                changes
            }

            fn keep_until_next_start(&mut self, running: &$Group) {
                $(
                    let spec = config_keys!(@spec $field [$($doc)*] $($more: $value)*);
                    if spec.effect == Some($crate::config::key_table::KeyEffect::NextStart) {
                        self.$field = running.$field.clone();
                    }
                )*
            }
        }
    };
    (@context) => { () };
    (@context $Context:ty) => { $Context };
    (@spec $field:ident [$($doc:literal)*] $($more:ident: $value:expr)*) => {
        $crate::config::key_table::KeySpec {
            $($more: $value,)*
            ..$crate::config::key_table::KeySpec::new(
                stringify!($field),
                concat!($($doc, "\n"),*),
            )
        }
    };
}

pub(super) use config_keys;
