//! What a client could have read, to compare with what it delivered.

use std::borrow::Cow;
use std::time::Instant;

use crate::row::{Row, Stored};
use crate::store::{End, Store, TableData};

/// One table as the integration user could read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The table that was asked for.
    pub table: String,
    /// The rows that can be read now, in the order of their ids.
    pub rows: Vec<Version>,
    /// Versions that ever could be read, living ones too, in the order in which they became visible;
    /// empty without [`crate::Options::history`].
    pub history: Vec<Lifetime>,
    /// Versions of all tables that the history no longer has.
    pub forgotten: usize,
}

/// One version of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `sys_id`.
    pub sys_id: String,
    /// The row's class.
    pub class: String,
    /// `sys_updated_on`; empty where the table has none.
    pub sys_updated_on: String,
    /// `sys_mod_count`; empty where the table has none.
    pub sys_mod_count: String,
    /// The table's columns that can be read in this row, as stored.
    pub values: Row,
}

/// A version and the time in which it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// The version. Rules about fields are those of now.
    pub version: Version,
    /// When it became visible: its commit.
    pub from: Instant,
    /// When it went, and why; `None` while it is there.
    pub until: Option<(Instant, End)>,
}

impl Truth {
    /// The readable row with this id.
    pub fn row(&self, sys_id: &str) -> Option<&Version> {
        self.rows.iter().find(|row| row.sys_id == sys_id)
    }

    /// Ids of the rows that were deleted and are not back, in the order of their deletes.
    pub fn deleted(&self) -> Vec<&str> {
        let mut ends: Vec<(Instant, &str)> = Vec::new();
        for lifetime in &self.history {
            let id = lifetime.version.sys_id.as_str();
            ends.retain(|(_, known)| *known != id);
            if let Some((at, End::Deleted)) = lifetime.until {
                ends.push((at, id));
            }
        }
        ends.sort();
        ends.into_iter().map(|(_, id)| id).collect()
    }
}

impl Truth {
    /// Reads a table; rows that access rules hide are left out.
    pub(crate) fn read(store: &Store, table: &str, data: &TableData) -> Truth {
        let rows = data.by_id().rows().iter();
        let readable = rows.filter(|row| !row.is_hidden());
        let versions = store.history().versions().filter(|kept| {
            let class = &kept.row.class;
            class.chain.iter().any(|name| name == table) && !kept.row.is_hidden()
        });
        let history = versions.map(|kept| Lifetime {
            version: Version::of(&kept.row, data),
            from: kept.from,
            until: kept.until,
        });
        Truth {
            table: table.to_owned(),
            rows: readable.map(|row| Version::of(row, data)).collect(),
            history: history.collect(),
            forgotten: store.history().forgotten,
        }
    }
}

impl Version {
    fn of(row: &Stored, data: &TableData) -> Version {
        let schema = &data.schema;
        let text = |name: &str| {
            let at = schema.find(name);
            at.map(|at| row.value(at).into_owned()).unwrap_or_default()
        };
        let readable = |at: usize| {
            let mut rules = data.field_rules.iter();
            !rules.any(|rule| rule.column == at && rule.hides(row))
        };
        let columns = schema.columns.iter().enumerate();
        let values = columns
            .filter(|(at, _)| readable(*at))
            .map(|(at, column)| (Cow::Owned(column.name.clone()), row.value(at).into_owned()));
        Version {
            sys_id: row.sys_id().to_owned(),
            class: row.class.name.clone(),
            sys_updated_on: text("sys_updated_on"),
            sys_mod_count: text("sys_mod_count"),
            values: Row(values.collect()),
        }
    }
}
