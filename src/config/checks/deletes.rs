//! Checks of `deletes`: what a tombstone needs of its table and topic.

use crate::config::keys::{Partitioner, SourceConfig, TableConfig};
use crate::config::reader::Section;

/// A tombstone has the key of the row's records, which has to be the row's identifier.
pub(super) fn check_table(section: &Section<'_>, table: &TableConfig) {
    if !table.deletes.is_on() {
        return;
    }
    if table.partitioner != Partitioner::Default {
        let message = "must be default with `deletes`: only a record whose key is the row's \
                       identifier can be followed by a tombstone";
        section.problem("partitioner", message);
    }
    if table.identifier_field != "sys_id" {
        let message = "must be sys_id with `deletes`: the instance names deleted rows by it";
        section.problem("identifier_field", message);
    }
    if section.has("deletes") {
        warn_of_tombstones(section);
    }
}

/// Tables of one hierarchy share their rows: in one topic the delete from one would delete the row of
/// the other, as after a change of class.
pub(super) fn check_topics(section: &Section<'_>, source: &SourceConfig) {
    for (index, table) in source.tables.iter().enumerate() {
        let mut before = source.tables.iter().take(index);
        let twin = before.find(|other| {
            other.topic == table.topic && (other.deletes.is_on() || table.deletes.is_on())
        });
        if let Some(twin) = twin
            && twin.name != table.name
            && !table.topic.is_empty()
        {
            let message = format!(
                "is the topic of `{}` too; with `deletes` a table needs a topic of its own, as a \
                 tombstone of one could delete the row of the other",
                twin.name
            );
            section.item_problem("tables", index, "topic", message);
        }
    }
    if source.deletes.is_on() {
        warn_of_tombstones(section);
    }
}

/// Consumers of the Go program's topics have never seen one.
fn warn_of_tombstones(section: &Section<'_>) {
    let message = "sends records with a null value (tombstones); the consumers of the topic must \
                   know what to do with them";
    section.warning("deletes", message);
}
