//! What is known of one connector, and what its translation notes.

use super::draft::{RemarkKind, TableStart};
use super::foreign::ConnectorConfig;
use super::rules::{SettingRule, Translation};

/// A connector as its documentation or its code describes it.
pub(super) struct Connector {
    /// Whose it is, in words.
    pub(super) title: &'static str,
    /// What `connector.class` is.
    pub(super) classes: &'static [&'static str],
    /// A setting that only this connector has, for a class that is given by its last part alone.
    pub(super) marker: &'static str,
    /// Settings of the connector as a whole; an earlier list has precedence.
    pub(super) rules: &'static [&'static [SettingRule]],
    /// Settings of one table, by their names behind what names the table.
    pub(super) table_rules: &'static [SettingRule],
    /// What names the table in a setting, and the rest.
    pub(super) table_setting: fn(&str) -> Option<(&str, &str)>,
    /// Which tables are read, by what names them in settings; of a sink its topics.
    pub(super) places: fn(&ConnectorConfig) -> Vec<String>,
    /// Where these go: `source.tables` or `sink.topics`.
    pub(super) list: &'static str,
    /// What follows from several settings, or from one that is left out.
    pub(super) finish: fn(&mut Translation<'_>),
    /// How its offsets look; `None`: it has none that lead to a checkpoint.
    pub(super) offsets: Option<OffsetForm>,
}

/// How a connector writes its offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetForm {
    /// `{"partition": NAME}` to `{"timestamp": SECONDS, "last_identifier": ID}`
    /// (`TableQueryPartition`, `TimestampSourceOffset`).
    Ibm,
    /// `{"instance", "table", "query_fingerprint", "timestamp_field"}` to `{"version": "1", "timestamp":
    /// "2026-01-31 08:15:00", "sys_id", ...}` in UTC ("Offsets and recovery").
    Oso,
    /// Not documented but for this: the partition names the table, the offset holds a time.
    Confluent,
}

/// A connector that was translated.
pub(super) struct TranslatedConnector {
    pub(super) connector: &'static Connector,
    pub(super) name: Option<String>,
    /// Of each table what names it in settings, and its place in the configuration.
    pub(super) tables: Vec<(String, String)>,
}

/// No setting names a table.
pub(super) fn no_table(_: &str) -> Option<(&str, &str)> {
    None
}

/// `incident.fields` behind a prefix: what is before the first dot, and what is behind it.
pub(super) fn behind<'k>(key: &'k str, prefix: &str) -> Option<(&'k str, &'k str)> {
    key.strip_prefix(prefix)?.split_once('.')
}

impl Translation<'_> {
    /// Notes where the only table of a connector began, or one of several.
    pub(super) fn note_start(&mut self, place: &str, setting: &str, since: Option<&str>) {
        let since = match since {
            Some(day) if day.len() == "2026-01-31".len() => format!("{day} 00:00:00"),
            Some(time) => time.to_owned(),
            None => String::new(),
        };
        self.draft.starts.push(TableStart {
            place: place.to_owned(),
            setting: setting.to_owned(),
            since,
        });
    }

    /// Leaves the sink off until it is decided what a setting means.
    pub(super) fn undecided_sink(&mut self, setting: &str, words: &str) {
        self.draft.set_text("sink.enabled", "false");
        self.remark(RemarkKind::Decide, setting, words);
    }

    /// Switches the sink on, unless it is to stay off. Where it is to be decided which row a record is meant for, no row is made
    /// meanwhile: a record that names none holds its partition.
    pub(super) fn enable_sink(&mut self, undecided: Option<(&str, &str)>) {
        self.draft.set_text("sink.enabled", "true");
        if let Some((setting, words)) = undecided {
            self.set_text("@.operation", "update", "");
            self.draft
                .set_text("sink.commit_on_partial_failure", "false");
            let words = format!(
                "{words}. Until then a record that names no row holds its partition, by `operation: \
                 update` and `commit_on_partial_failure: false`: take both away when it is decided"
            );
            self.remark(RemarkKind::Decide, setting, &words);
        }
    }
}
