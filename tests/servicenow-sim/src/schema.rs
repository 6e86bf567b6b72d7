//! Tables and columns, as tests describe them and as the store keeps them.

use std::collections::HashMap;

/// Logical type of a column (servicenow_api.md section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, compared by the database's collation.
    Text,
    /// Whole number.
    Integer,
    /// Number with a fraction.
    Decimal,
    /// `"true"`, `"false"` or empty (three-valued, section 3.1).
    Boolean,
    /// `YYYY-MM-DD HH:MM:SS`, UTC.
    DateTime,
    /// `YYYY-MM-DD`, no zone.
    Date,
    /// `sys_id` of a row of another table.
    Reference,
    /// Journal input: reads as empty, entries are rows of `sys_journal_field` (section 4).
    Journal,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Column name, for example `short_description`.
    pub name: String,
    /// Label, for example `Short description`.
    pub label: String,
    /// Logical type.
    pub kind: Kind,
    /// Table a reference points to.
    pub reference: Option<String>,
    /// Stored value and label of each choice; empty for a column without choices.
    pub choices: Vec<(String, String)>,
}

impl Column {
    /// A column labelled after its name.
    pub fn new(name: &str, kind: Kind) -> Column {
        let mut label = name.replace('_', " ");
        if let Some(first) = label.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        Column {
            name: name.to_owned(),
            label,
            kind,
            reference: None,
            choices: Vec::new(),
        }
    }

    /// A text column.
    pub fn text(name: &str) -> Column {
        Column::new(name, Kind::Text)
    }

    /// A reference to `table`.
    pub fn reference(name: &str, table: &str) -> Column {
        let mut column = Column::new(name, Kind::Reference);
        column.reference = Some(table.to_owned());
        column
    }

    /// A choice column; `kind` is the type of the stored value.
    pub fn choice(name: &str, kind: Kind, choices: &[(&str, &str)]) -> Column {
        let mut column = Column::new(name, kind);
        column.choices = choices
            .iter()
            .map(|(value, label)| ((*value).into(), (*label).into()))
            .collect();
        column
    }
}

/// Description of a table to create.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) parent: Option<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) display: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) view: bool,
    pub(crate) stamps: bool,
}

impl Table {
    /// A table with the `sys_*` columns only.
    pub fn new(name: &str) -> Table {
        Table {
            name: name.to_owned(),
            label: name.replace('_', " "),
            parent: None,
            columns: Vec::new(),
            display: None,
            prefix: None,
            view: false,
            stamps: true,
        }
    }

    /// Sets the label.
    #[must_use]
    pub fn label(mut self, label: &str) -> Table {
        label.clone_into(&mut self.label);
        self
    }

    /// Inherits the columns of `parent` (checklist 12).
    #[must_use]
    pub fn extends(mut self, parent: &str) -> Table {
        self.parent = Some(parent.to_owned());
        self
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, column: Column) -> Table {
        self.columns.push(column);
        self
    }

    /// Adds text columns.
    #[must_use]
    pub fn texts(mut self, names: &[&str]) -> Table {
        self.columns
            .extend(names.iter().map(|name| Column::text(name)));
        self
    }

    /// Names the column that stands for the row in display values (else `number`, `name`, `sys_id`).
    #[must_use]
    pub fn display(mut self, column: &str) -> Table {
        self.display = Some(column.to_owned());
        self
    }

    /// Numbers new rows: prefix of the generated `number`, for example `INC`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Table {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// A database view: sorting by a missing column is a 500 (section 3.1).
    #[must_use]
    pub fn view(mut self) -> Table {
        self.view = true;
        self
    }

    /// Dictionary attribute `no_update`: no `sys_updated_on`, `sys_updated_by`, `sys_mod_count`
    /// (section 4, line 217).
    #[must_use]
    pub fn no_update(mut self) -> Table {
        self.stamps = false;
        self
    }
}

/// A table's columns, inherited ones first, so that a column has one place along the class chain.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) columns: Vec<Column>,
    /// This table, then its parent, up to the root.
    pub(crate) chain: Vec<String>,
    pub(crate) view: bool,
    pub(crate) prefix: Option<String>,
    /// Column shown for the row.
    pub(crate) display: usize,
    by_name: HashMap<String, usize>,
}

impl Schema {
    /// Builds the columns of `table` on top of its parent's.
    pub(crate) fn new(table: Table, parent: Option<&Schema>) -> Schema {
        let mut columns = match parent {
            Some(parent) => parent.columns.clone(),
            None => base_columns(table.stamps),
        };
        for column in table.columns {
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column);
            }
        }
        let by_name: HashMap<String, usize> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| (column.name.clone(), at))
            .collect();
        let display = table
            .display
            .iter()
            .map(String::as_str)
            .chain(["number", "name", "sys_id"])
            .find_map(|name| by_name.get(name).copied())
            .unwrap_or_default();
        let mut chain = vec![table.name.clone()];
        chain.extend(
            parent
                .iter()
                .flat_map(|parent| parent.chain.iter().cloned()),
        );
        Schema {
            name: table.name,
            label: table.label,
            columns,
            chain,
            view: table.view,
            prefix: table
                .prefix
                .or_else(|| parent.and_then(|parent| parent.prefix.clone())),
            display,
            by_name,
        }
    }

    /// Place of a column.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The column at a place.
    pub(crate) fn column(&self, at: usize) -> Option<&Column> {
        self.columns.get(at)
    }
}

/// `sys_id` is always the first column.
pub(crate) const SYS_ID: usize = 0;

fn base_columns(stamps: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::text("sys_id"),
        Column::text("sys_class_name"),
        Column::new("sys_created_on", Kind::DateTime),
        Column::text("sys_created_by"),
    ];
    if stamps {
        columns.push(Column::new("sys_updated_on", Kind::DateTime));
        columns.push(Column::text("sys_updated_by"));
        columns.push(Column::new("sys_mod_count", Kind::Integer));
    }
    columns
}
