//! The instance describes its own tables (servicenow_api.md section 5, checklist 38): a row of
//! `sys_db_object` for each table, one of `sys_dictionary` for each of its own columns, one of
//! `sys_choice` for each choice.

use crate::error::Error;
use crate::row::Row;
use crate::schema::{Column, Kind};
use crate::store::{Actor, Store};

/// Where tables, columns and choices are described.
const TABLES: [&str; 3] = ["sys_db_object", "sys_dictionary", "sys_choice"];

/// Descriptions come with the instance.
const ACTOR: Actor<'_> = Actor {
    now: 0,
    user: "system",
};

impl Store {
    /// Describes a table that was created, in place of an earlier one of its name. The tables that
    /// describe are described when the last of them is there.
    pub(super) fn describe(&mut self, table: &str) -> Result<(), Error> {
        if TABLES.iter().any(|name| !self.tables.contains_key(*name)) {
            return Ok(());
        }
        if TABLES.last() == Some(&table) {
            return TABLES.iter().try_for_each(|table| self.describe_one(table));
        }
        self.describe_one(table)
    }

    fn describe_one(&mut self, table: &str) -> Result<(), Error> {
        for description in TABLES {
            let data = self.table_mut(description)?;
            let name = data.schema.find("name").unwrap_or_default();
            let old = data.by_id().rows().to_vec();
            for row in old.iter().filter(|row| row.value(name) == table) {
                for index in &mut data.indexes {
                    index.remove(row);
                }
            }
        }
        let (class, columns, choices) = self.description(table)?;
        for (description, rows) in TABLES.into_iter().zip([vec![class], columns, choices]) {
            let built = self.build(description, rows.into_iter(), ACTOR)?;
            self.add(description, built, ACTOR)?;
        }
        Ok(())
    }

    fn description(&self, table: &str) -> Result<(Row, Vec<Row>, Vec<Row>), Error> {
        let schema = &self.table(table)?.schema;
        let parent = schema.chain.get(1);
        let classes = self.table("sys_db_object")?;
        let name = classes.schema.find("name").unwrap_or_default();
        let super_class = classes
            .by_id()
            .rows()
            .iter()
            .find(|row| parent.is_some_and(|parent| row.value(name) == parent.as_str()))
            .map(|row| row.sys_id().to_owned());
        let class = Row::new()
            .set("name", table)
            .set("label", schema.label.as_str())
            .set("super_class", super_class.unwrap_or_default());
        let inherited = match parent {
            Some(parent) => self.table(parent)?.schema.columns.len(),
            None => 0,
        };
        let own = schema.columns.iter().skip(inherited);
        // The table itself is a row without an element.
        let mut columns = vec![entry(table, "", &schema.label, "collection")];
        let mut choices = Vec::new();
        for column in own {
            let label = column.label.as_str();
            let row = entry(table, &column.name, label, internal_type(column));
            columns.push(row.set("reference", column.reference.clone().unwrap_or_default()));
            choices.extend(
                column
                    .choices
                    .iter()
                    .enumerate()
                    .map(|(at, (value, label))| {
                        Row::new()
                            .set("name", table)
                            .set("element", column.name.as_str())
                            .set("value", value.as_str())
                            .set("label", label.as_str())
                            .set("language", "en")
                            .set("inactive", "false")
                            .set("sequence", at.to_string())
                    }),
            );
        }
        Ok((class, columns, choices))
    }
}

fn entry(table: &str, element: &str, label: &str, internal_type: &'static str) -> Row {
    Row::new()
        .set("name", table.to_owned())
        .set("element", element)
        .set("column_label", label)
        .set("internal_type", internal_type)
        .set("max_length", "40")
        .set("active", "true")
}

fn internal_type(column: &Column) -> &'static str {
    match column.kind {
        Kind::Text if column.name == "sys_id" => "GUID",
        Kind::Text => "string",
        Kind::Integer => "integer",
        Kind::Decimal => "decimal",
        Kind::Boolean => "boolean",
        Kind::DateTime => "glide_date_time",
        Kind::Date => "glide_date",
        Kind::Reference => "reference",
        Kind::Journal => "journal_input",
    }
}
