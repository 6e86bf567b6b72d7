//! The connectors that are known, and how one is translated.

use super::connect::COMMON_RULES;
use super::connector::{Connector, TranslatedConnector};
use super::draft::{ConfigDraft, RemarkKind};
use super::foreign::ConnectorConfig;
use super::rules::{Translation, find};

mod confluent_sink;
mod confluent_source;
mod confluent_source_v2;
mod ibm_source;
mod oso_sink;
mod oso_source;

/// All connectors. The one whose settings are the most alike to others' comes last.
static CONNECTORS: [&Connector; 6] = [
    &ibm_source::IBM_SOURCE,
    &oso_source::OSO_SOURCE,
    &oso_sink::OSO_SINK,
    &confluent_source_v2::CLOUD_SOURCE_V2,
    &confluent_sink::CONFLUENT_SINK,
    &confluent_source::CONFLUENT_SOURCE,
];

/// Tables or topics of one configuration. The work for them grows with their square.
const MAX_PLACES: usize = 500;

/// Which connector a configuration is for.
///
/// # Errors
/// None that is known.
fn connector_of(config: &ConnectorConfig) -> Result<&'static Connector, String> {
    let class = config.get("connector.class").unwrap_or_default();
    let mut all = CONNECTORS.iter();
    let exact = all.find(|known| known.classes.contains(&class));
    // Kafka Connect takes the last part of a class, with or without its `Connector`.
    let is_last_part = |known: &&&Connector| {
        let mut names = known
            .classes
            .iter()
            .filter_map(|name| name.rsplit('.').next());
        let is_same = |name: &str| name == class || name.strip_suffix("Connector") == Some(class);
        names.any(is_same) && config.get(known.marker).is_some()
    };
    let found = exact.or_else(|| CONNECTORS.iter().find(is_last_part));
    found.copied().ok_or_else(|| {
        let titles: Vec<&str> = CONNECTORS.iter().map(|known| known.title).collect();
        format!(
            "`connector.class` {} is not known; known are {}",
            crate::config::names::quoted(class),
            titles.join(", ")
        )
    })
}

/// Adds what a configuration becomes to the draft.
///
/// # Errors
/// It is for no connector that is known, for too many tables or topics, or for a bridge of its own.
pub(super) fn translate(
    config: &ConnectorConfig,
    all: &mut ConfigDraft,
) -> Result<TranslatedConnector, String> {
    let connector = connector_of(config)?;
    let aliases = (connector.places)(config);
    let first = next_item(all, connector.list);
    if first + aliases.len() > MAX_PLACES {
        let list = connector.list;
        return Err(format!("`{list}` would have more than {MAX_PLACES} items"));
    }
    let draft = &mut ConfigDraft::default();
    let places = aliases.iter().enumerate();
    let places: Vec<String> = places
        .map(|(index, _)| format!("{}[{}]", connector.list, first + index))
        .collect();
    let mut translation = Translation {
        draft,
        config,
        places: places.clone(),
    };
    let tables: Vec<(String, String)> = aliases.into_iter().zip(places).collect();
    for setting in &config.settings {
        let key = setting.key.as_str();
        if let Some((alias, rest)) = (connector.table_setting)(key) {
            let Some((_, place)) = tables.iter().find(|(known, _)| known == alias) else {
                let words =
                    "belongs to a table that is not in the list of tables, and was not read";
                translation.remark(RemarkKind::Unneeded, key, words);
                continue;
            };
            let all = std::mem::replace(&mut translation.places, vec![place.clone()]);
            match find(connector.table_rules, rest) {
                Some(fate) => translation.apply(setting, fate),
                None => unknown(&mut translation, key),
            }
            translation.places = all;
            continue;
        }
        let mut lists = connector.rules.iter().chain([&COMMON_RULES]);
        match lists.find_map(|rules| find(rules, key)) {
            Some(fate) => translation.apply(setting, fate),
            None => unknown(&mut translation, key),
        }
    }
    (connector.finish)(&mut translation);
    let done = std::mem::take(draft);
    if all.entries.is_empty() {
        *all = done;
    } else {
        all.absorb(done)?;
    }
    Ok(TranslatedConnector {
        connector,
        name: config.name.clone(),
        tables,
    })
}

fn unknown(translation: &mut Translation<'_>, key: &str) {
    let words = "is no setting of this connector that is known; nothing was made of it";
    translation.remark(RemarkKind::Decide, key, words);
}

/// The number of the item behind those that a list has.
fn next_item(draft: &ConfigDraft, list: &str) -> usize {
    let numbers = draft.entries.iter().filter_map(|entry| {
        let rest = entry.path.strip_prefix(list)?.strip_prefix('[')?;
        let (number, _) = rest.split_once(']')?;
        number.parse::<usize>().ok()
    });
    numbers.max().map_or(0, |last| last + 1)
}
