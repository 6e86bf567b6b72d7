//! From the schema that is registered to the one that the columns ask for.

use std::fmt;

use super::model::{FieldType, RecordSchema, SchemaField};
use super::names::FieldNamer;

/// One difference between a registered schema and the columns of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChange {
    /// A column that the schema did not have: a new field at the end.
    Added {
        /// The column.
        column: String,
        /// Its type.
        kind: FieldType,
    },
    /// A column that is gone: its field stays, and is null from now on.
    Gone {
        /// The column.
        column: String,
    },
    /// A column whose type is another now. Its field keeps its type: what does not fit is counted.
    Retyped {
        /// The column.
        column: String,
        /// The type that stays.
        kept: FieldType,
        /// The type that the column would have now.
        wanted: FieldType,
    },
}

impl fmt::Display for ColumnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnChange::Added { column, kind } => {
                write!(f, "column `{column}` is new, as {kind}")
            }
            ColumnChange::Gone { column } => {
                write!(f, "column `{column}` is gone; its field stays and is null")
            }
            ColumnChange::Retyped {
                column,
                kept: FieldType::String,
                wanted,
            } => write!(
                f,
                "column `{column}` would be {wanted} in a new subject; its field stays string"
            ),
            ColumnChange::Retyped {
                column,
                kept,
                wanted,
            } => write!(
                f,
                "column `{column}` would be {wanted} now; its field stays {kept}, and values that \
                 do not fit are counted"
            ),
        }
    }
}

/// What [`RecordSchema::evolve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaEvolution {
    /// The schema to register; `None`: what is registered serves.
    pub schema: Option<RecordSchema>,
    /// All differences, also those that need no new schema.
    pub changes: Vec<ColumnChange>,
}

impl RecordSchema {
    /// This registered schema, grown so that it has every column of `wanted`.
    ///
    /// Readers of the old schema read what is written with the new one and the other way round, so
    /// any compatibility setting of the registry takes it: fields only come, at the end and with
    /// null as their default, none goes, and no type changes. Avro would let an `int` become a
    /// `long`, but then readers with the old schema stop. Other labels or choices alone are no
    /// reason for a new schema; when there is one it has the labels and choices of today.
    pub fn evolve(&self, wanted: &RecordSchema) -> SchemaEvolution {
        let mut changes = Vec::new();
        let mut fields = self.fields.clone();
        for field in &mut fields {
            match wanted.same_column(field) {
                Some(now) if now.kind == field.kind => field.describe(now),
                Some(now) => changes.push(ColumnChange::Retyped {
                    column: field.column.clone(),
                    kept: field.kind,
                    wanted: now.kind,
                }),
                None if field.kind == FieldType::TextMap => {}
                None => changes.push(ColumnChange::Gone {
                    column: field.column.clone(),
                }),
            }
        }
        let mut namer = FieldNamer::new(self.fields.iter().map(|field| field.name.as_str()));
        let new = wanted.fields.iter();
        let new = new.filter(|field| self.same_column(field).is_none());
        let before = fields.len();
        for field in new {
            let mut field = field.clone();
            field.name = namer.name(&field.name);
            changes.push(ColumnChange::Added {
                column: field.column.clone(),
                kind: field.kind,
            });
            fields.push(field);
        }
        let grown = fields.len() > before;
        SchemaEvolution {
            schema: grown.then(|| self.with_fields(fields)),
            changes,
        }
    }

    /// Whether this has every field of `other`, and with its type.
    pub fn has_all_of(&self, other: &RecordSchema) -> bool {
        let mut fields = other.fields.iter();
        fields.all(|field| {
            let known = self.same_column(field);
            known.is_some_and(|known| known.kind == field.kind && known.name == field.name)
        })
    }

    /// The field of the same column. A column may be called like the field of misfits.
    fn same_column(&self, field: &SchemaField) -> Option<&SchemaField> {
        let texts = |field: &SchemaField| field.kind == FieldType::TextMap;
        let mut fields = self.fields.iter();
        fields.find(|other| other.column == field.column && texts(other) == texts(field))
    }
}

impl SchemaField {
    /// Takes over what only describes.
    fn describe(&mut self, now: &SchemaField) {
        self.doc.clone_from(&now.doc);
        self.internal_type.clone_from(&now.internal_type);
        self.reference.clone_from(&now.reference);
        self.choices.clone_from(&now.choices);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::{TableColumn, TableColumns, TypingOptions};
    use super::*;

    /// A table's schema with columns of these names and types.
    pub(crate) fn typed(columns: &[(&str, &str)]) -> RecordSchema {
        let mut list = TableColumns::named("t", [] as [&str; 0]);
        let column = |(name, kind): &(&str, &str)| TableColumn::typed(*name, *kind);
        list.list = columns.iter().map(column).collect();
        RecordSchema::typed(&list, &TypingOptions::default())
    }

    #[test]
    fn columns_come_and_go() {
        let old = typed(&[("a", "string"), ("b", "integer"), ("x.y", "string")]);
        let same = old.evolve(&typed(&[
            ("x.y", "string"),
            ("b", "integer"),
            ("a", "string"),
        ]));
        assert_eq!((same.schema, same.changes), (None, Vec::new()));

        let wanted = typed(&[("x_y", "date"), ("b", "decimal"), ("a", "string")]);
        let grown = old.evolve(&wanted);
        let words: Vec<String> = grown.changes.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "column `b` would be decimal(15, 2) now; its field stays long, and values that do \
                 not fit are counted",
                "column `x.y` is gone; its field stays and is null",
                "column `x_y` is new, as date",
            ]
        );
        let grown = grown.schema.unwrap();
        let names: Vec<_> = grown
            .fields()
            .iter()
            .map(|f| (&*f.name, &*f.column))
            .collect();
        assert_eq!(
            names,
            [("a", "a"), ("b", "b"), ("x_y", "x.y"), ("x_y_2", "x_y")]
        );
        assert_eq!(RecordSchema::parse(grown.json()).unwrap(), grown);
        assert_eq!(grown.evolve(&wanted).schema, None);
        assert_eq!(grown.evolve(&old).schema, None);
    }

    #[test]
    fn labels_alone_make_no_schema() {
        let old = typed(&[("a", "string")]);
        let mut columns = TableColumns::named("t", [] as [&str; 0]);
        columns.list.push(TableColumn::typed("a", "string"));
        columns.list[0].label = "Letter".to_owned();
        let labelled = RecordSchema::typed(&columns, &TypingOptions::default());
        assert_eq!(old.evolve(&labelled).schema, None);
        columns.list.push(TableColumn::named("b"));
        let grown = old.evolve(&RecordSchema::typed(&columns, &TypingOptions::default()));
        assert_eq!(grown.schema.unwrap().fields()[0].doc, "Letter");
    }

    #[test]
    fn the_field_of_misfits_comes_late() {
        let raw = |names: &[&str]| {
            let typing = TypingOptions {
                raw: true,
                ..TypingOptions::default()
            };
            RecordSchema::typed(&TableColumns::named("t", names.iter().copied()), &typing)
        };
        let grown = typed(&[("a", "string")]).evolve(&raw(&["a", "_raw"]));
        let grown = grown.schema.unwrap();
        let names: Vec<_> = grown
            .fields()
            .iter()
            .map(|f| (&*f.name, &*f.column))
            .collect();
        assert_eq!(names, [("a", "a"), ("_raw_2", "_raw"), ("_raw", "_raw")]);
        assert_eq!(
            grown.evolve(&raw(&["a", "_raw"])),
            SchemaEvolution {
                schema: None,
                changes: vec![]
            }
        );
    }
}
