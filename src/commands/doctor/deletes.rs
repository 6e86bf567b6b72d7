//! Whether deletes of a table can be seen in the instance's lists.

use std::time::Instant;

use super::asker::InstanceAsker;
use super::finding::Finding;
use super::judge;
use super::judge::deletes::{SeenList, SeenLists};
use crate::config::{Config, TableConfig};
use crate::servicenow::query::TimeLiterals;
use crate::servicenow::table_api;

/// Entries that are looked at for one that may be read.
const ENTRY_SAMPLE: u32 = 100;
/// How far the bridge reads the lists back when it starts, in seconds.
const LIST_LOOK_BACK_SECONDS: i64 = 600;

/// Of which tables deletes are sent; and the lists, for each table that follows them.
pub(super) fn examine(
    config: &Config,
    asker: &mut InstanceAsker<'_>,
    literals: &TimeLiterals,
) -> Vec<Finding> {
    let path = config.servicenow.table_api_path.as_str();
    let tables = config.active_tables();
    let sent = tables.iter().filter(|table| table.deletes.is_on());
    let sent: Vec<&str> = sent.map(|table| table.name.as_str()).collect();
    let mut findings = vec![judge::deletes::sent(&sent)];
    let followed = tables.iter().filter(|table| table.deletes.follows_audit());
    findings.extend(followed.map(|table| {
        let seen = look(path, table, asker, literals);
        judge::deletes::lists(table, &seen)
    }));
    findings
}

fn look(
    path: &str,
    table: &TableConfig,
    asker: &mut InstanceAsker<'_>,
    literals: &TimeLiterals,
) -> SeenLists {
    let since = jiff::Timestamp::now().as_second() - LIST_LOOK_BACK_SECONDS;
    let since = format!("^sys_created_on>={}", literals.text_of(since));
    let of_table = format!("tablename={}", table.name);
    let marks = format!("{of_table}^fieldnameINDELETED,RECOVERED{since}");
    let dictionary = params(
        format!("name={}^internal_type=collection", table.name),
        "attributes",
    );
    let dictionary = table_api::look_up(path, "sys_dictionary", dictionary);
    let attributes = asker.rows(&dictionary).ok().and_then(|(rows, _)| {
        let text = rows.first()?.text("attributes")?;
        Some(text.to_owned())
    });
    let hierarchy = params(format!("name={}", table.name), "name");
    let hierarchy = table_api::look_up(path, "sys_db_object", hierarchy);
    SeenLists {
        deletes: list(path, "sys_audit_delete", of_table, asker),
        history: list(path, "sys_audit", marks, asker),
        is_left_out: attributes.is_some_and(|it| it.contains("no_audit_delete=true")),
        shows_hierarchy: asker
            .rows(&hierarchy)
            .is_ok_and(|(rows, _)| !rows.is_empty()),
    }
}

fn list(path: &str, name: &str, query: String, asker: &mut InstanceAsker<'_>) -> SeenList {
    let began = Instant::now();
    match asker.rows(&table_api::look_up(path, name, params(query, "sys_id"))) {
        Err(why) => SeenList::Refused(why),
        Ok((rows, head)) if rows.is_empty() && head.total_count.is_some_and(|total| total > 0) => {
            SeenList::Hidden
        }
        Ok((_, head)) => SeenList::Readable {
            entries: head.total_count,
            took: began.elapsed(),
        },
    }
}

fn params(query: String, fields: &str) -> Vec<(&'static str, String)> {
    vec![
        ("sysparm_query", query),
        ("sysparm_fields", fields.to_owned()),
        ("sysparm_limit", ENTRY_SAMPLE.to_string()),
    ]
}
