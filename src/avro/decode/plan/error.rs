//! Why a writer's schema cannot be read.

use std::fmt;

/// Why a writer's schema cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterSchemaError {
    /// Which of the schemas it refers to is meant, counted from 1, and how many there are.
    reference: Option<(usize, usize)>,
    /// The field, and its record.
    field: Option<String>,
    why: String,
}

impl WriterSchemaError {
    pub(super) fn new(why: impl Into<String>) -> WriterSchemaError {
        WriterSchemaError {
            reference: None,
            field: None,
            why: why.into(),
        }
    }

    /// The error is in the reference at index `at` of `all`.
    pub(super) fn of_reference(self, at: usize, all: usize) -> WriterSchemaError {
        WriterSchemaError {
            reference: Some((at + 1, all)),
            ..self
        }
    }

    /// The error is in a field, unless it is known to be in a field further inside, which says more.
    pub(super) fn or_in_field(self, field: impl FnOnce() -> String) -> WriterSchemaError {
        WriterSchemaError {
            field: self.field.or_else(|| Some(field())),
            ..self
        }
    }
}

impl fmt::Display for WriterSchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the writer's schema cannot be read: ")?;
        if let Some((at, all)) = self.reference {
            write!(f, "schema {at} of the {all} it refers to: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "field {field}: ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for WriterSchemaError {}
