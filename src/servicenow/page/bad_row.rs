//! Rows that cannot be handed on, and what is known of them.

use std::fmt;

/// A row that cannot be handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its place on the page, from 1.
    pub number: u64,
    /// Its identifier, as far as it can be read.
    pub id: Option<String>,
    /// What is wrong with it.
    pub fault: RowFault,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// It is no valid JSON; says where.
    NotJson(String),
    /// A column that makes the cursor is missing or cannot be used; says which.
    Column(String),
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of the page", self.number)?;
        if let Some(id) = &self.id {
            write!(f, " (`{id}`)")?;
        }
        write!(f, " {}", self.fault)
    }
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowFault::NotJson(where_) => write!(f, "is not valid JSON ({where_})"),
            RowFault::Column(what) => f.write_str(what),
        }
    }
}
