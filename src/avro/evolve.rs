//! Lets a registered schema grow to the columns of today (docs/decisions/0009).

use std::fmt;

use super::model::{FieldType, RecordSchema, SchemaField};
use super::names::FieldNamer;

/// One difference between a registered schema and the columns of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChange {
    /// The schema lacks a column: it gets a new field at the end.
    Added {
        /// The column.
        column: String,
        /// Its type.
        kind: FieldType,
    },
    /// The table lost a column: its field stays and is null from now on.
    Gone {
        /// The column.
        column: String,
    },
    /// A column has another type now. Its field keeps the old type, and values that do not fit are
    /// counted.
    Retyped {
        /// The column.
        column: String,
        /// The type of the field, which stays.
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

/// The result of [`RecordSchema::evolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaEvolution {
    /// The schema to register; `None`: the registered one has all columns.
    pub schema: Option<RecordSchema>,
    /// All differences, also those for which no new schema is needed.
    pub changes: Vec<ColumnChange>,
}

impl RecordSchema {
    /// This registered schema, grown so that it has every column of `wanted`.
    ///
    /// Readers with the old schema read records of the new one and the other way round, so every
    /// compatibility level of the registry accepts it: fields are only added, at the end and with null
    /// as their default; none is removed, and no type changes. Avro would let an `int` become a `long`,
    /// but readers with the old schema would fail on it. Other labels or choices alone are no reason
    /// for a new schema; a schema that is needed anyway has the labels and choices of today.
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
        let before = fields.len();
        for field in &wanted.fields {
            if self.same_column(field).is_some() {
                continue;
            }
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

    /// The field of the same column. A column may have the name of the field for misfits, `_raw`, so
    /// that field is told apart by its type.
    fn same_column(&self, field: &SchemaField) -> Option<&SchemaField> {
        let texts = |field: &SchemaField| field.kind == FieldType::TextMap;
        let mut fields = self.fields.iter();
        fields.find(|other| other.column == field.column && texts(other) == texts(field))
    }
}

impl SchemaField {
    /// Takes over the label, the dictionary's type, the reference and the choices of `now`.
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
    fn labels_alone_need_no_new_schema() {
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
    fn the_field_for_misfits_can_be_added_later() {
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
