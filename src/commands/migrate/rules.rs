//! What becomes of a setting: the words of the tables in `connectors`, and how they are applied.

use super::draft::{ConfigDraft, DraftValue, RemarkKind, literal};
use super::foreign::{ConnectorConfig, ForeignSetting};
use crate::terminal_text::is_active;

/// How the value of a setting is written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// As it is.
    Text,
    /// A list with commas between its items.
    Texts,
    /// A whole number.
    Whole,
    /// True or false.
    Flag,
    /// Milliseconds, written in seconds.
    MillisToSeconds,
    /// Milliseconds, written as a duration.
    MillisToDuration,
    /// Seconds, written as a duration.
    SecondsToDuration,
    /// A URL, perhaps without its scheme.
    Url(&'static str),
}

/// What becomes of a setting. A path that begins with `@.` is below the table or topic.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// It goes to the key at this path.
    To(&'static str, Conversion),
    /// The same for a secret: a variable of this name takes its place.
    Secret(&'static str, &'static str),
    /// It goes to a key with a few words of its own; other words must be decided on.
    Words(&'static str, &'static [(&'static str, &'static str)]),
    /// There is no need for it, because of this.
    Unneeded(&'static str),
    /// It is done in another way, which is this.
    Differs(&'static str),
    /// There is nothing that does the same, and this is to be decided, unless the value is the harmless one.
    Decide(&'static str, &'static str),
    /// It is read by the function that finishes the connector.
    Finished,
}

/// A setting, or with a trailing `*` all that begin so, and its fate.
pub(super) type SettingRule = (&'static str, Fate);

/// One connector on its way into the draft.
pub(super) struct Translation<'a> {
    pub(super) draft: &'a mut ConfigDraft,
    pub(super) config: &'a ConnectorConfig,
    /// Paths of the tables or topics that settings of the connector as a whole are about.
    pub(super) places: Vec<String>,
}

impl Translation<'_> {
    /// What is set for a key.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.config.get(key).map(str::to_owned)
    }

    /// Whether a setting is `true`; `default` where it is not set.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        let value = self.config.get(key);
        value.map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// Paths behind `path`, which may begin with `@.`.
    fn paths(&self, path: &str) -> Vec<String> {
        match path.strip_prefix("@.") {
            Some(rest) => {
                let places = self.places.iter();
                places.map(|place| format!("{place}.{rest}")).collect()
            }
            None => vec![path.to_owned()],
        }
    }

    /// Sets a key to a value from one setting.
    pub(super) fn set(&mut self, path: &str, value: &DraftValue, origin: &str) {
        for path in self.paths(path) {
            if !self.draft.set(&path, value.clone(), origin) {
                let words = format!("`{path}` has another value already, which was kept");
                self.draft.remark(RemarkKind::Decide, origin, &words);
            }
        }
    }

    /// Sets a key to a text from one setting.
    pub(super) fn set_text(&mut self, path: &str, text: &str, origin: &str) {
        self.set(path, &DraftValue::Text(text.to_owned()), origin);
    }

    /// Sets a key to a variable in place of a secret.
    pub(super) fn set_secret(&mut self, path: &str, variable: &str, origin: &str) {
        self.hide(path, variable, origin, "stand-in");
    }

    fn hide(&mut self, path: &str, variable: &str, origin: &str, stand_in: &str) {
        let meaning = format!("what `{origin}` held ({})", path.trim_start_matches("@."));
        let held = self.get(origin).unwrap_or_default();
        let reference = self.draft.variable(variable, &meaning, stand_in, &held);
        self.set_text(path, &reference, origin);
    }

    /// Adds a remark about a setting.
    pub(super) fn remark(&mut self, kind: RemarkKind, setting: &str, text: &str) {
        self.draft.remark(kind, setting, text);
    }

    /// Does with a setting what its rule says.
    pub(super) fn apply(&mut self, setting: &ForeignSetting, fate: Fate) {
        let (key, value) = (setting.key.as_str(), setting.value.trim());
        match fate {
            Fate::Finished => {}
            Fate::Unneeded(why) => self.remark(RemarkKind::Unneeded, key, why),
            _ if value.is_empty() => self.remark(RemarkKind::Unneeded, key, "is empty"),
            Fate::Differs(how) => self.remark(RemarkKind::Differs, key, how),
            Fate::Decide(harmless, _) if value.eq_ignore_ascii_case(harmless) => {
                self.remark(
                    RemarkKind::Unneeded,
                    key,
                    "asks for what is done in any case",
                );
            }
            Fate::Decide(_, what) => self.remark(RemarkKind::Decide, key, what),
            Fate::Secret(path, variable) => match environment_reference(value) {
                Some(name) => self.refer(path, &name, key, "stand-in"),
                None => self.set_secret(path, variable, key),
            },
            Fate::Words(path, words) => {
                let known = words
                    .iter()
                    .find(|(word, _)| value.eq_ignore_ascii_case(word));
                match known {
                    Some((_, ours)) => self.set_text(path, ours, key),
                    None => {
                        let words = format!(
                            "its value is not known; `{}` has to be set",
                            path.trim_start_matches("@.")
                        );
                        self.remark(RemarkKind::Decide, key, &words);
                    }
                }
            }
            Fate::To(path, conversion) => self.convert(key, value, path, conversion),
        }
    }

    fn convert(&mut self, key: &str, value: &str, path: &str, conversion: Conversion) {
        if value.chars().any(is_active) {
            let words = "holds control characters and was left out";
            return self.remark(RemarkKind::Decide, key, words);
        }
        if let Some(name) = environment_reference(value) {
            return self.refer(path, &name, key, stand_in(conversion));
        }
        if is_provider_reference(value) {
            let name = variable_name(path);
            return self.refer(path, &name, key, stand_in(conversion));
        }
        if has_credentials(value, matches!(conversion, Conversion::Url(_))) {
            return self.hide(path, &variable_name(path), key, stand_in(conversion));
        }
        match converted(value, conversion) {
            Ok(value) => self.set(path, &value, key),
            Err(why) => self.remark(RemarkKind::Decide, key, why),
        }
    }

    /// Sets a key to a variable that takes the place of a reference in the old configuration.
    fn refer(&mut self, path: &str, variable: &str, key: &str, stand_in: &str) {
        let plain = path.trim_start_matches("@.");
        let meaning = format!("what `{key}` referred to ({plain})");
        let held = self.get(key).unwrap_or_default();
        let reference = self.draft.variable(variable, &meaning, stand_in, &held);
        self.set_text(path, &reference, key);
    }
}

/// The rule for a key: an exact one before one with `*`.
pub(super) fn find(rules: &[SettingRule], key: &str) -> Option<Fate> {
    let exact = rules.iter().find(|(name, _)| *name == key);
    let begins = |(name, _): &&SettingRule| {
        let start = name.strip_suffix('*');
        start.is_some_and(|start| key.starts_with(start))
    };
    let found = exact.or_else(|| rules.iter().find(begins));
    found.map(|(_, fate)| *fate)
}

fn converted(value: &str, conversion: Conversion) -> Result<DraftValue, &'static str> {
    let number = || {
        value
            .parse::<u64>()
            .map_err(|_| "its value is no whole number")
    };
    let text = match conversion {
        Conversion::Text => literal(value),
        Conversion::Texts => return Ok(DraftValue::Texts(items(value).map(literal).collect())),
        Conversion::Whole => value
            .parse::<i64>()
            .map_err(|_| "its value is no whole number")?
            .to_string(),
        Conversion::Flag if ["true", "false"].contains(&value.to_ascii_lowercase().as_str()) => {
            value.to_ascii_lowercase()
        }
        Conversion::Flag => return Err("its value is neither true nor false"),
        Conversion::MillisToSeconds => {
            let millis = number()?;
            match millis % 1000 {
                0 => (millis / 1000).to_string(),
                rest => format!("{}.{rest:03}", millis / 1000),
            }
        }
        Conversion::MillisToDuration => format!("{}ms", number()?),
        Conversion::SecondsToDuration => format!("{}s", number()?),
        Conversion::Url(scheme) => {
            let value = value.trim_end_matches('/');
            let scheme = if value.contains("://") { "" } else { scheme };
            literal(&format!("{scheme}{value}"))
        }
    };
    Ok(DraftValue::Text(text))
}

/// The items of a list with commas between them.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    let items = list.split(',').map(str::trim);
    items.filter(|item| !item.is_empty())
}

/// `${env:NAME}` of Kafka's `EnvVarConfigProvider`: the name, where it can be one here too.
fn environment_reference(value: &str) -> Option<String> {
    let inner = value.strip_prefix("${env:")?.strip_suffix('}')?;
    // The path of the provider is empty, so that a second `:` may stand before the name.
    let name = inner.trim_start_matches(':');
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(legal);
    (is_name && !name.is_empty()).then(|| name.to_owned())
}

/// Whether a value names one that a config provider of Kafka looks up, as `${file:/path:key}`.
pub(super) fn is_provider_reference(value: &str) -> bool {
    let inner = value.split_once("${").map(|(_, rest)| rest);
    let reference = inner.and_then(|rest| rest.split_once('}'));
    reference.is_some_and(|(reference, _)| reference.contains(':'))
}

/// Whether a text is a URL, perhaps without its scheme, in which a name or a password may stand.
pub(super) fn has_credentials(text: &str, is_url: bool) -> bool {
    text.contains('@') && (is_url || text.contains("://"))
}

/// The name of a variable for the value at a path.
pub(super) fn variable_name(path: &str) -> String {
    let plain = path.trim_start_matches("@.");
    let name = plain.replace("servicenow.auth.oauth.", "sn.");
    let name = name.replace("servicenow.auth.basic.", "sn.");
    let name = name.replace("servicenow.", "sn.");
    let as_variable = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.to_ascii_uppercase().chars().map(as_variable).collect()
}

/// A value with which a reference is checked.
fn stand_in(conversion: Conversion) -> &'static str {
    match conversion {
        Conversion::Text | Conversion::Texts => "stand-in",
        Conversion::Whole | Conversion::MillisToSeconds => "1",
        Conversion::Flag => "true",
        Conversion::MillisToDuration | Conversion::SecondsToDuration => "1s",
        Conversion::Url("http://") => "http://proxy.example.com:3128",
        Conversion::Url(_) => "https://instance.example.com",
    }
}
