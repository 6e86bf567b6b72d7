//! Which tables extend a table, and which one is at the root: `sys_db_object`, whose `super_class` is
//! the table that is extended.

use super::asker::RowAsker;
use crate::source::poll_error::PollError;

/// Where the instance describes its tables.
const TABLES_TABLE: &str = "sys_db_object";
/// Tables extend each other over some levels; more are a circle.
const MAX_LEVELS: usize = 20;
/// Tables of one answer.
const MAX_TABLES: usize = 5_000;
/// Names of one question.
const NAMES_OF_A_QUESTION: usize = 100;

/// A table and its relatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// The table itself, and all that extend it.
    pub(super) names: Vec<String>,
    /// The table at the root, where that is another one.
    pub(super) root: Option<String>,
    /// Whether the instance has told it; otherwise the table stands for itself.
    pub(super) is_known: bool,
}

/// Asks for the relatives of `table`.
///
/// # Errors
/// The instance could not be asked. That it does not let the tables be read is none.
pub(super) fn look_up(asker: &RowAsker, table: &str) -> Result<Hierarchy, PollError> {
    let mut names = vec![table.to_owned()];
    let mut level = names.clone();
    let mut is_known = true;
    for _ in 0..MAX_LEVELS {
        let mut below = Vec::new();
        for names in level.chunks(NAMES_OF_A_QUESTION) {
            let query = format!("super_class.nameIN{}^ORDERBYname", names.join(","));
            match asker.rows_if_allowed(TABLES_TABLE, query, "name", MAX_TABLES)? {
                Some(found) => {
                    let found = found.rows.iter().filter_map(|row| row.text("name"));
                    below.extend(found.map(str::to_owned));
                }
                None => is_known = false,
            }
        }
        below.retain(|name| !names.contains(name));
        if below.is_empty() {
            break;
        }
        names.extend(below.iter().cloned());
        level = below;
    }
    let (root, is_told) = root_of(asker, table)?;
    Ok(Hierarchy {
        names,
        root: (root != table).then_some(root),
        is_known: is_known && is_told,
    })
}

/// The table at the root, and whether the instance has told it.
fn root_of(asker: &RowAsker, table: &str) -> Result<(String, bool), PollError> {
    let mut root = table.to_owned();
    for _ in 0..MAX_LEVELS {
        let query = format!("name={root}");
        let columns = "name,super_class.name";
        let Some(found) = asker.rows_if_allowed(TABLES_TABLE, query, columns, 1)? else {
            return Ok((root, false));
        };
        let Some(row) = found.rows.first() else {
            return Ok((root, false));
        };
        match row.text("super_class.name") {
            Some(above) if !above.is_empty() => above.clone_into(&mut root),
            _ => break,
        }
    }
    Ok((root, true))
}
