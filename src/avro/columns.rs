//! The columns of a table, as the dictionary describes them or as rows show them.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// One entry of a choice list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceEntry {
    /// The value that is stored.
    pub value: String,
    /// The label that users see.
    pub label: String,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableColumn {
    /// Its name in a row. The name of a dot-walked column has dots in it.
    pub name: String,
    /// The dictionary's type, for instance `string`, `integer` or `glide_date_time`. Empty: the type is
    /// not known, and the column is taken as text.
    pub internal_type: String,
    /// The label that users see; empty when not known.
    pub label: String,
    /// The table that a reference points to.
    pub reference: Option<String>,
    /// The dictionary's `max_length`: letters of a text, digits of a number.
    pub max_length: Option<u32>,
    /// Digits behind the point, where the dictionary has the attribute `scale`.
    pub scale: Option<u32>,
    /// The choice list, in its order; empty for a column without one.
    pub choices: Vec<ChoiceEntry>,
}

/// The columns of a table, in the same order every time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableColumns {
    /// Name of the table.
    pub table: String,
    /// The table's label; empty when not known.
    pub label: String,
    /// The columns.
    pub list: Vec<TableColumn>,
}

impl TableColumn {
    /// A column of which only the name is known.
    pub fn named(name: impl Into<String>) -> TableColumn {
        TableColumn {
            name: name.into(),
            ..TableColumn::default()
        }
    }

    /// A column with a type of the dictionary.
    pub fn typed(name: impl Into<String>, internal_type: impl Into<String>) -> TableColumn {
        TableColumn {
            name: name.into(),
            internal_type: internal_type.into(),
            ..TableColumn::default()
        }
    }
}

impl TableColumns {
    /// Columns of which only the names are known, each name once, in the order given.
    pub fn named<N: Into<String>>(table: &str, names: impl IntoIterator<Item = N>) -> TableColumns {
        let mut known = HashSet::new();
        let names = names.into_iter().map(Into::into);
        let new = names.filter(|name: &String| known.insert(name.clone()));
        let list = new.map(TableColumn::named).collect();
        TableColumns {
            table: table.to_owned(),
            label: String::new(),
            list,
        }
    }

    /// The columns of a row, sorted by name, because an instance gives them in no stable order. `None`:
    /// `row` is no JSON object.
    ///
    /// Rows of one page can differ: a column that the user may not read in a row is left out of it
    /// (ServiceNow documentation "Table API"). So take the columns of several rows together, with
    /// [`TableColumns::add`].
    pub fn of_row(table: &str, row: &[u8]) -> Option<TableColumns> {
        let ObjectKeys(mut names) = serde_json::from_slice(row).ok()?;
        names.sort();
        Some(TableColumns::named(table, names))
    }

    /// Adds those columns of `other` that are missing here, at the end.
    pub fn add(&mut self, other: TableColumns) {
        for column in other.list {
            if self.find(&column.name).is_none() {
                self.list.push(column);
            }
        }
    }

    /// The columns named in `fields`, in that order. A name that is no column here becomes a text column,
    /// because the configuration asks for it; dot-walked columns are never here. `fields` should have
    /// the cursor columns too, which the bridge always fetches.
    #[must_use]
    pub fn select(&self, fields: &[String]) -> TableColumns {
        let mut chosen = TableColumns::named(&self.table, fields.iter().map(String::as_str));
        chosen.label.clone_from(&self.label);
        for column in &mut chosen.list {
            if let Some(known) = self.find(&column.name) {
                column.clone_from(known);
            }
        }
        chosen
    }

    /// The column of this name.
    pub fn find(&self, name: &str) -> Option<&TableColumn> {
        self.list.iter().find(|column| column.name == name)
    }
}

/// The keys of an object.
struct ObjectKeys(Vec<String>);

impl<'de> Deserialize<'de> for ObjectKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ObjectKeys, D::Error> {
        deserializer.deserialize_map(ObjectKeysVisitor)
    }
}

struct ObjectKeysVisitor;

impl<'de> Visitor<'de> for ObjectKeysVisitor {
    type Value = ObjectKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectKeys, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(ObjectKeys(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_from_a_row_and_are_chosen() {
        let mut columns =
            TableColumns::of_row("incident", br#"{"b":"","a":{"value":"x"}}"#).unwrap();
        assert_eq!(columns, TableColumns::named("incident", ["a", "b"]));
        assert_eq!(TableColumns::of_row("incident", b"[]"), None);
        columns.add(TableColumns::named("incident", ["b", "c"]));
        columns.list[0].internal_type = "integer".to_owned();
        let fields = ["c".to_owned(), "a".to_owned(), "a.b".to_owned()];
        let chosen = columns.select(&fields);
        let names: Vec<&str> = chosen.list.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["c", "a", "a.b"]);
        assert_eq!(chosen.list[1].internal_type, "integer");
    }
}
