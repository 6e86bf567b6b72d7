//! How a section of `config.yaml` and the words of a value are declared.

/// Declares the keys of a section:
///
/// ```text
/// config_keys! {
///     /// `offset`: where checkpoints are kept.
///     pub struct OffsetConfig check(CheckKeys) {
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
/// - `more` sets fields of `key_table::KeySpec`; `key: "..."` where the key is not named as the field.
/// - `check(CheckKeys)` says that the keys are looked at together: `checks` implements
///   `key_table::CheckKeys` for the struct.
/// - `default` gives the struct a `Default`, every key at its default, by reading an empty section
///   with this context.
macro_rules! config_keys {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Group:ident $(($context:ident: $Context:ty))?
        $(check($Check:ident))? $(default($without:expr))? {
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
                $(let group = $crate::config::key_table::$Check::check(section, group, &context);)?
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
                keys: &mut Vec<$crate::config::key_info::KeyInfo>,
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
                    if spec.effect == Some($crate::config::key_info::KeyEffect::NextStart) {
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

/// Declares an enum with the word of each value in the file.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $Type:ident {
            $($(#[$doc:meta])* $Variant:ident = $word:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $Type {
            $($(#[$doc])* $Variant,)*
        }

        impl $crate::config::kinds::Words for $Type {
            const WORDS: &'static [(&'static str, $Type)] = &[$(($word, $Type::$Variant),)*];
        }
    )*};
}

pub(super) use {config_keys, words};
