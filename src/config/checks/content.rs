//! Checks of `content_cycle`: how a record is found again that belongs to a row.

use crate::config::keys::{Partitioner, SourceConfig, TableConfig};
use crate::config::reader::Section;

/// What was delivered of a row is known by the key of its records.
pub(super) fn check_table(section: &Section<'_>, table: &TableConfig) {
    if table.has_content_cycle() && table.partitioner != Partitioner::Default {
        let message = "must be default with `content_cycle`: only by a key that is the row's identifier \
                       is known what was delivered of a row";
        section.problem("partitioner", message);
    }
}

/// Tables of one hierarchy share their rows: in one topic a compaction would leave the record of one table, so
/// that the row of the other would look as if it had never come.
pub(super) fn check_topics(section: &Section<'_>, source: &SourceConfig) {
    for (index, table) in source.tables.iter().enumerate() {
        let mut before = source.tables.iter().take(index);
        let twin = before.find(|other| {
            other.topic == table.topic && (other.has_content_cycle() || table.has_content_cycle())
        });
        if let Some(twin) = twin
            && twin.name != table.name
            && !table.topic.is_empty()
        {
            let message = format!(
                "is the topic of `{}` too; with `content_cycle` a table needs a topic of its own, as \
                 compaction could leave the record of the other table alone",
                twin.name
            );
            section.item_problem("tables", index, "topic", message);
        }
    }
}
