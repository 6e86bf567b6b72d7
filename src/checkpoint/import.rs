//! Which positions of a file are taken over into a place that has positions already (pure).

use std::collections::BTreeMap;

use super::stored_entry::{StoredEntry, StoredTables};

/// What becomes of the positions of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ImportPlan {
    /// Those that the other place lacks.
    pub(super) taken: StoredTables,
    /// Tables with another position there: which of the two is right, only an operator knows.
    pub(super) differing: Vec<String>,
}

/// Compares the entries of a file with those of the place that they are to be taken into; tables in
/// `refused` have something there that cannot be read.
pub(super) fn plan_import(
    file: &StoredTables,
    there: &StoredTables,
    refused: &BTreeMap<String, String>,
) -> ImportPlan {
    let mut plan = ImportPlan::default();
    for (table, stored) in file {
        let Some(entry) = stored.entry() else {
            continue;
        };
        match there.get(table).and_then(StoredEntry::entry) {
            Some(known) if known == entry => {}
            Some(_) => plan.differing.push(table.clone()),
            None if refused.contains_key(table) => {}
            None => {
                plan.taken.insert(table.clone(), stored.clone());
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::stored_entry::parse;

    fn tables(text: &str) -> StoredTables {
        parse(text).unwrap()
    }

    #[test]
    fn what_the_other_place_lacks_is_taken_and_nothing_is_written_over() {
        let file = tables(
            r#"{"a": {"timestamp": 1, "last_identifier": "x", "lane": 7},
                "same": {"timestamp": 2, "last_identifier": "y"},
                "moved": {"timestamp": 9, "last_identifier": ""},
                "unreadable": {"timestamp": 9, "last_identifier": ""},
                "never": {"timestamp": 0, "last_identifier": ""}}"#,
        );
        let there = tables(
            r#"{"same": {"timestamp": 2, "last_identifier": "y"},
                "moved": {"timestamp": 10, "last_identifier": ""},
                "other": {"timestamp": 1, "last_identifier": ""}}"#,
        );
        let refused = BTreeMap::from([("unreadable".to_owned(), String::new())]);
        let plan = plan_import(&file, &there, &refused);
        assert_eq!(plan.differing, ["moved"]);
        let taken = tables(r#"{"a": {"timestamp": 1, "last_identifier": "x", "lane": 7}}"#);
        assert_eq!(plan.taken, taken);
    }
}
