//! Which values of a write body are taken, and how display values are read (section 2.2).

use jiff::tz::TimeZone;

use crate::api::Instance;
use crate::clock::{civil_text, display_to_civil, local_to_stamp};
use crate::options::User;
use crate::row::Row;
use crate::schema::{Column, Kind, Schema};
use crate::store::Store;
use crate::writes::Operation;

/// System columns that a body may set with `sysparm_suppress_auto_sys_field` (section 2.2).
const SETTABLE: [&str; 5] = [
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
];

/// Longest `sys_id` that is honoured: the width of the column.
const ID_LENGTH: usize = 32;

/// How the fields of one write are read.
pub(super) struct Input<'a> {
    pub(super) operation: Operation,
    /// `sysparm_suppress_auto_sys_field`, where it is allowed.
    pub(super) suppress: bool,
    /// `sysparm_input_display_value`.
    pub(super) display: bool,
    pub(super) honour_id: bool,
    pub(super) zone: &'a TimeZone,
    /// Date format of display values.
    pub(super) format: &'a str,
}

impl Instance {
    /// Whether the user may set system columns (section 2.2).
    pub(super) fn may_suppress(&self, user: &User) -> bool {
        user.admin || !self.options.admin_only_sys_fields
    }
}

impl Input<'_> {
    /// The values to set. Unknown columns are ignored silently (section 2.1, line 108).
    pub(super) fn values(
        &self,
        fields: &[(String, String)],
        schema: &Schema,
        store: &Store,
    ) -> Row {
        let mut row = Row::new();
        for (name, value) in fields {
            let column = schema.find(name).and_then(|at| schema.column(at));
            let Some(column) = column else {
                continue;
            };
            if !self.takes(name, value) {
                continue;
            }
            let value = if self.display {
                self.stored(column, value, store)
            } else {
                value.clone()
            };
            row.put(name.clone(), value);
        }
        row
    }

    /// System columns are the platform's (checklist 29). A `sys_class_name` is always the table's.
    fn takes(&self, name: &str, value: &str) -> bool {
        if name == "sys_id" {
            // An id that no instance could have made is not honoured `[infer]`.
            let usable = (1..=ID_LENGTH).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
            return usable && self.honour_id && self.operation == Operation::Insert;
        }
        !name.starts_with("sys_") || (self.suppress && SETTABLE.contains(&name))
    }

    /// A display value as it is stored; what cannot be read is stored as it is.
    fn stored(&self, column: &Column, value: &str, store: &Store) -> String {
        let same = |(_, label): &&(String, String)| label.eq_ignore_ascii_case(value);
        if let Some((stored, _)) = column.choices.iter().find(same) {
            return stored.clone();
        }
        let found = match column.kind {
            Kind::DateTime => display_to_civil(value, self.format)
                .map(civil_text)
                .as_deref()
                .or(Some(value))
                .and_then(|civil| local_to_stamp(civil, self.zone)),
            Kind::Date => {
                display_to_civil(value, self.format).map(|civil| civil.date().to_string())
            }
            Kind::Reference => by_display(column, value, store),
            Kind::Text | Kind::Integer | Kind::Decimal | Kind::Boolean | Kind::Journal => None,
        };
        found.unwrap_or_else(|| value.to_owned())
    }
}

/// The `sys_id` of the row that a reference column shows as `value`.
fn by_display(column: &Column, value: &str, store: &Store) -> Option<String> {
    let table = store.table(column.reference.as_deref()?).ok()?;
    let mut rows = table.by_id().rows().iter();
    rows.find(|row| row.value(row.class.display) == value)
        .map(|row| row.sys_id().to_owned())
}
