//! What the documentation of a key is made of.

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
