//! The configuration that is being made: keys with their values, variables in place of secrets, and
//! what there is to say about the settings that it was made from.

use std::collections::BTreeMap;

use crate::cli::EpochSeconds;
use crate::config::Secret;

/// What a setting means for the person who migrates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemarkKind {
    /// Nothing here does the same: it must be decided before the first start.
    Decide,
    /// It is done in another way, which consumers or operators may notice.
    Differs,
    /// There is no need for it here.
    Unneeded,
}

/// A remark about settings of the old configuration. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MigrationRemark {
    pub(super) kind: RemarkKind,
    /// The settings that it is about.
    pub(super) settings: Vec<String>,
    pub(super) text: String,
}

/// A variable of the environment that the configuration refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftVariable {
    /// What belongs into it.
    pub(super) meaning: String,
    /// A value of the right form, with which the configuration is checked.
    pub(super) stand_in: String,
    /// What it takes the place of; empty where that is not in the file.
    pub(super) held: Secret,
}

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DraftValue {
    /// A scalar.
    Text(String),
    /// A list of scalars.
    Texts(Vec<String>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftEntry {
    /// As `source.tables[0].name`.
    pub(super) path: String,
    pub(super) value: DraftValue,
    /// The setting that it comes from; empty where it follows from several, or from none.
    pub(super) origin: String,
}

/// Where a table began in the old configuration while it had no position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableStart {
    /// The table's place, as `source.tables[0]`.
    pub(super) place: String,
    /// The setting that said so.
    pub(super) setting: String,
    /// As written, but a day with its midnight; empty: the day on which the connector was first started.
    pub(super) since: String,
}

/// A configuration under construction.
#[derive(Debug, Default)]
pub(super) struct ConfigDraft {
    pub(super) entries: Vec<DraftEntry>,
    pub(super) remarks: Vec<MigrationRemark>,
    /// By their names.
    pub(super) variables: BTreeMap<String, DraftVariable>,
    pub(super) starts: Vec<TableStart>,
}

impl ConfigDraft {
    /// Sets the key at `path`. What is there already stays; then the answer is whether it is the same.
    pub(super) fn set(&mut self, path: &str, value: DraftValue, origin: &str) -> bool {
        if let Some(entry) = self.entries.iter().find(|entry| entry.path == path) {
            return entry.value == value;
        }
        self.entries.push(DraftEntry {
            path: path.to_owned(),
            value,
            origin: origin.to_owned(),
        });
        true
    }

    /// The same for a scalar that does not come from one setting.
    pub(super) fn set_text(&mut self, path: &str, text: &str) {
        self.set(path, DraftValue::Text(text.to_owned()), "");
    }

    /// The scalar at `path`.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.value(path)? {
            DraftValue::Text(text) => Some(text),
            DraftValue::Texts(_) => None,
        }
    }

    /// Whether anything is set at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    /// A reference to a variable, which is listed with what belongs into it.
    pub(super) fn variable(
        &mut self,
        name: &str,
        meaning: &str,
        stand_in: &str,
        held: &str,
    ) -> String {
        let variable = DraftVariable {
            meaning: meaning.to_owned(),
            stand_in: stand_in.to_owned(),
            held: Secret::new(held),
        };
        self.variables.entry(name.to_owned()).or_insert(variable);
        format!("${{{name}}}")
    }

    /// Adds a remark; settings of which the same is to be said share one.
    pub(super) fn remark(&mut self, kind: RemarkKind, setting: &str, text: &str) {
        let is_same = |remark: &&mut MigrationRemark| remark.kind == kind && remark.text == text;
        match self.remarks.iter_mut().find(is_same) {
            Some(remark) if remark.settings.iter().any(|known| known == setting) => {}
            Some(remark) => remark.settings.push(setting.to_owned()),
            None => self.remarks.push(MigrationRemark {
                kind,
                settings: vec![setting.to_owned()],
                text: text.to_owned(),
            }),
        }
    }

    /// The remarks of one kind, in the order in which they came.
    pub(super) fn remarks(&self, kind: RemarkKind) -> impl Iterator<Item = &MigrationRemark> {
        self.remarks.iter().filter(move |it| it.kind == kind)
    }

    /// Adds what was made of a further connector.
    ///
    /// # Errors
    /// Where one configuration cannot do what the two did: in words that follow the name of its file.
    pub(super) fn absorb(&mut self, other: ConfigDraft) -> Result<(), String> {
        let both_have = |section: &str| {
            let switch = format!("{section}.enabled");
            self.has(&switch) && other.has(&switch)
        };
        let shared = ["source", "sink"].map(|section| (section, both_have(section)));
        let is_for_all = |entry: &&DraftEntry| !entry.path.contains('[');
        let all = self.entries.iter().chain(&other.entries).filter(is_for_all);
        let mut of_one = Vec::new();
        for entry in all {
            let path = entry.path.as_str();
            let is_of_both = self.has(path) && other.has(path);
            let section = path.split('.').next().unwrap_or_default();
            if is_of_both && self.value(path) != other.value(path)
                || !is_of_both && shared.contains(&(section, true))
            {
                return Err(format!(
                    "`{path}` is not as for the connector before it, and a bridge has one for all: \
                     migrate it by itself"
                ));
            }
            if !is_of_both && !["source", "sink", "kafka"].contains(&section) {
                of_one.push(path.to_owned());
            }
        }
        for (name, variable) in other.variables {
            let known = self
                .variables
                .entry(name)
                .or_insert_with(|| variable.clone());
            if known.held != variable.held {
                return Err(format!(
                    "the secret for {} is another than that of the connector before it: migrate it by \
                     itself",
                    variable.meaning
                ));
            }
        }
        for path in of_one {
            let words = "one of the connectors has it, and it holds for all here";
            self.remark(RemarkKind::Differs, &path, words);
        }
        for remark in other.remarks {
            for setting in &remark.settings {
                self.remark(remark.kind, setting, &remark.text);
            }
        }
        for entry in other.entries {
            self.set(&entry.path, entry.value, &entry.origin);
        }
        self.starts.extend(other.starts);
        Ok(())
    }

    fn value(&self, path: &str) -> Option<&DraftValue> {
        let entry = self.entries.iter().find(|entry| entry.path == path)?;
        Some(&entry.value)
    }

    /// The table at a place; a stand-in for a name that cannot be one, as it goes into commands to be copied.
    fn table(&self, place: &str) -> &str {
        let name = self.text(&format!("{place}.name")).unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match name.chars().all(is_plain) && !name.is_empty() {
            true => name,
            false => "TABLE",
        }
    }

    /// Says where a table began while its connector had read nothing of it.
    pub(super) fn note_since(&mut self, start: &TableStart) {
        if EpochSeconds::parse(&start.since).is_err() {
            return;
        }
        let words = format!(
            "has no key here; to leave out rows before it, before the first start: \
             servicenow-kafka-bridge checkpoint set {} --timestamp '{}'",
            self.table(&start.place),
            start.since
        );
        self.remark(RemarkKind::Differs, &start.setting, &words);
    }

    /// Asks where a table without a position is to begin.
    pub(super) fn decide_start(&mut self, place: &str) {
        let from = match self.has("source.initial_query_hours_ago") {
            true => "as far back as `source.initial_query_hours_ago` says",
            false => "from its oldest row on",
        };
        let words = format!(
            "is read {from}, with all that the connector had sent already: give its offsets with \
             `--offsets`, or say before the first start where it goes on: servicenow-kafka-bridge \
             checkpoint set TABLE --timestamp TIME"
        );
        let table = self.table(place).to_owned();
        self.remark(RemarkKind::Decide, &table, &words);
    }
}

/// A text as it stands in `config.yaml`, where `${` begins a variable.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}
