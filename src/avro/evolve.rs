//! From the schema that is registered to the one that the columns ask for.

use std::fmt;

use super::model::{Field, Kind, Schema};
use super::names::Namer;

/// One difference between a registered schema and the columns of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A column that the schema did not have: a new field at the end.
    Added {
        /// The column.
        column: String,
        /// Its type.
        kind: Kind,
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
        kept: Kind,
        /// The type that the column would have now.
        wanted: Kind,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added { column, kind } => write!(f, "column `{column}` is new, as {kind}"),
            Change::Gone { column } => {
                write!(f, "column `{column}` is gone; its field stays and is null")
            }
            Change::Retyped {
                column,
                kept: Kind::String,
                wanted,
            } => write!(
                f,
                "column `{column}` would be {wanted} in a new subject; its field stays string"
            ),
            Change::Retyped {
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

/// What [`Schema::evolve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolution {
    /// The schema to register; `None`: what is registered serves.
    pub schema: Option<Schema>,
    /// All differences, also those that need no new schema.
    pub changes: Vec<Change>,
}

impl Schema {
    /// This registered schema, grown so that it has every column of `wanted`.
    ///
    /// Readers of the old schema read what is written with the new one and the other way round, so
    /// any compatibility setting of the registry takes it: fields only come, at the end and with
    /// null as their default, none goes, and no type changes. Avro would let an `int` become a
    /// `long`, but then readers with the old schema stop. Other labels or choices alone are no
    /// reason for a new schema; when there is one it has the labels and choices of today.
    pub fn evolve(&self, wanted: &Schema) -> Evolution {
        let mut changes = Vec::new();
        let mut fields = self.fields.clone();
        for field in &mut fields {
            match wanted.same_column(field) {
                Some(now) if now.kind == field.kind => field.describe(now),
                Some(now) => changes.push(Change::Retyped {
                    column: field.column.clone(),
                    kept: field.kind,
                    wanted: now.kind,
                }),
                None if field.kind == Kind::Texts => {}
                None => changes.push(Change::Gone {
                    column: field.column.clone(),
                }),
            }
        }
        let mut namer = Namer::new(self.fields.iter().map(|field| field.name.as_str()));
        let new = wanted.fields.iter();
        let new = new.filter(|field| self.same_column(field).is_none());
        let before = fields.len();
        for field in new {
            let mut field = field.clone();
            field.name = namer.name(&field.name);
            changes.push(Change::Added {
                column: field.column.clone(),
                kind: field.kind,
            });
            fields.push(field);
        }
        let grown = fields.len() > before;
        Evolution {
            schema: grown.then(|| self.with_fields(fields)),
            changes,
        }
    }

    /// Whether this has every field of `other`, and with its type.
    pub(super) fn has_all_of(&self, other: &Schema) -> bool {
        let mut fields = other.fields.iter();
        fields.all(|field| {
            let known = self.same_column(field);
            known.is_some_and(|known| known.kind == field.kind && known.name == field.name)
        })
    }

    /// The field of the same column. A column may be called like the field of misfits.
    fn same_column(&self, field: &Field) -> Option<&Field> {
        let texts = |field: &Field| field.kind == Kind::Texts;
        let mut fields = self.fields.iter();
        fields.find(|other| other.column == field.column && texts(other) == texts(field))
    }
}

impl Field {
    /// Takes over what only describes.
    fn describe(&mut self, now: &Field) {
        self.doc.clone_from(&now.doc);
        self.internal_type.clone_from(&now.internal_type);
        self.reference.clone_from(&now.reference);
        self.choices.clone_from(&now.choices);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Column, Columns, Typing};
    use super::*;

    /// A table's schema with columns of these names and types.
    pub(in super::super) fn typed(columns: &[(&str, &str)]) -> Schema {
        let mut list = Columns::named("t", [] as [&str; 0]);
        let column = |(name, kind): &(&str, &str)| Column::typed(*name, *kind);
        list.list = columns.iter().map(column).collect();
        Schema::typed(&list, &Typing::default())
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
        assert_eq!(Schema::parse(grown.json()).unwrap(), grown);
        assert_eq!(grown.evolve(&wanted).schema, None);
        assert_eq!(grown.evolve(&old).schema, None);
    }

    #[test]
    fn labels_alone_make_no_schema() {
        let old = typed(&[("a", "string")]);
        let mut columns = Columns::named("t", [] as [&str; 0]);
        columns.list.push(Column::typed("a", "string"));
        columns.list[0].label = "Letter".to_owned();
        let labelled = Schema::typed(&columns, &Typing::default());
        assert_eq!(old.evolve(&labelled).schema, None);
        columns.list.push(Column::named("b"));
        let grown = old.evolve(&Schema::typed(&columns, &Typing::default()));
        assert_eq!(grown.schema.unwrap().fields()[0].doc, "Letter");
    }

    #[test]
    fn the_field_of_misfits_comes_late() {
        let raw = |names: &[&str]| {
            let typing = Typing {
                raw: true,
                ..Typing::default()
            };
            Schema::typed(&Columns::named("t", names.iter().copied()), &typing)
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
            Evolution {
                schema: None,
                changes: vec![]
            }
        );
    }
}
