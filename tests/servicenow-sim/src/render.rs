//! Row shapes (servicenow_api.md section 2.3).
//!
//! [`Shape`] copies stored text and needs nothing else; [`Renderer`] knows display values, links and
//! dot-walks and reads the store.

use std::io;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::clock::display_stamp;
use crate::query::evaluate::{Evaluator, Path};
use crate::row::{Stored, push_json};
use crate::schema::{Column, Kind};
use crate::store::TableData;

/// How to copy rows as they are stored.
#[derive(Debug)]
pub(crate) enum Shape {
    /// The first columns, which are all columns of the queried table.
    All(usize),
    /// Some columns, each with its text `"key":"`.
    Some(Vec<(String, usize)>),
}

impl Shape {
    /// Writes `{"result":[...]}` part by part.
    pub(crate) fn write_page(
        &self,
        rows: &[Arc<Stored>],
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        put(b"{\"result\":[")?;
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                put(b",")?;
            }
            match self {
                Shape::All(columns) => {
                    put(row.prefix(*columns).as_bytes())?;
                    put(b"}")?;
                }
                Shape::Some(columns) => {
                    put(b"{")?;
                    for (nth, (key, column)) in columns.iter().enumerate() {
                        if nth > 0 {
                            put(b",")?;
                        }
                        put(key.as_bytes())?;
                        put(row.raw(*column).as_bytes())?;
                        put(b"\"")?;
                    }
                    put(b"}")?;
                }
            }
        }
        put(b"]}")
    }
}

/// `sysparm_display_value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// Stored values.
    False,
    /// Display values.
    True,
    /// Both.
    All,
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Key in the answer; dotted for a dot-walk.
    pub(crate) key: String,
    pub(crate) path: Path,
}

/// Renders rows in any mode.
pub(crate) struct Renderer<'a> {
    pub(crate) evaluator: Evaluator<'a>,
    pub(crate) table: &'a TableData,
    pub(crate) display: Display,
    /// `sysparm_exclude_reference_link`.
    pub(crate) exclude_link: bool,
    pub(crate) fields: Vec<Field>,
    /// `https://host/api/now/` or `https://host/api/now/v2/`: links echo the version of the request
    /// (section 2.1, line 95).
    pub(crate) api: String,
    pub(crate) zone: &'a TimeZone,
}

impl Renderer<'_> {
    /// Whether copying stored text gives the same answer.
    pub(crate) fn shape(&self) -> Option<Shape> {
        let plain = self.display == Display::False
            && self.exclude_link
            && self.table.field_rules.is_empty()
            && self.fields.iter().all(|field| field.path.steps.is_empty());
        if !plain {
            return None;
        }
        let all = self.table.schema.columns.len();
        let in_order = self
            .fields
            .iter()
            .enumerate()
            .all(|(at, field)| field.path.is(at));
        if self.fields.len() == all && in_order {
            return Some(Shape::All(all));
        }
        let text = |field: &Field| {
            let mut key = String::new();
            push_json(&mut key, &field.key);
            key.push_str(":\"");
            (key, field.path.column)
        };
        Some(Shape::Some(self.fields.iter().map(text).collect()))
    }

    /// Appends one row as a JSON object.
    pub(crate) fn row(&self, out: &mut String, row: &Stored) {
        out.push('{');
        let mut first = true;
        for field in &self.fields {
            // Fields that the caller may not read are left out of this row (section 2.3, line 145).
            let at = field.path.first();
            if self
                .table
                .field_rules
                .iter()
                .any(|rule| rule.column == at && rule.hides(row))
            {
                continue;
            }
            if !first {
                out.push(',');
            }
            first = false;
            push_json(out, &field.key);
            out.push(':');
            self.value(out, row, &field.path);
        }
        out.push('}');
    }

    fn value(&self, out: &mut String, row: &Stored, path: &Path) {
        let value = self.evaluator.value(path, row);
        let target = if value.is_empty() {
            None
        } else {
            path.reference.as_deref()
        };
        let link = if self.exclude_link {
            None
        } else {
            target.map(|target| format!("{}table/{target}/{value}", self.api))
        };
        if self.display == Display::False {
            match link {
                Some(link) => pairs(out, &[("link", Some(&link)), ("value", Some(&value))]),
                None => push_json(out, &value),
            }
            return;
        }
        let shown = self.shown(row, path, &value);
        match (self.display, link) {
            (Display::All, link) => {
                let mut list = vec![
                    ("display_value", shown.as_deref()),
                    ("value", Some(&*value)),
                ];
                list.extend(link.as_deref().map(|link| ("link", Some(link))));
                pairs(out, &list);
            }
            (_, Some(link)) => {
                pairs(
                    out,
                    &[("display_value", shown.as_deref()), ("link", Some(&link))],
                );
            }
            (_, None) => push_json(out, shown.as_deref().unwrap_or_default()),
        }
    }

    /// The display value; `None` is the JSON null of an empty choice (section 2.3, line 143).
    fn shown(&self, row: &Stored, path: &Path, value: &str) -> Option<String> {
        let column = self.column(path)?;
        if value.is_empty() && column.kind != Kind::Journal {
            return if column.choices.is_empty() {
                Some(String::new())
            } else {
                None
            };
        }
        if let Some((_, label)) = column.choices.iter().find(|(stored, _)| stored == value) {
            return Some(label.clone());
        }
        Some(match column.kind {
            Kind::Reference => {
                let table = column.reference.as_deref().unwrap_or_default();
                // A dangling reference shows its id.
                self.evaluator
                    .reference_name(table, value)
                    .unwrap_or_else(|| value.to_owned())
            }
            Kind::DateTime => {
                let format = &self.evaluator.options.user_date_format;
                display_stamp(value, self.zone, format).unwrap_or_else(|| value.to_owned())
            }
            Kind::Journal => self.journal(row.sys_id(), &column.name),
            Kind::Text | Kind::Integer | Kind::Decimal | Kind::Boolean | Kind::Date => {
                value.to_owned()
            }
        })
    }

    fn column(&self, path: &Path) -> Option<&Column> {
        let table = match path.steps.last() {
            Some((_, table)) => self.evaluator.store.table(table).ok()?,
            None => self.table,
        };
        table.schema.column(path.column)
    }

    /// A journal's display value is its formatted history, newest first (section 4, line 250).
    fn journal(&self, id: &str, element: &str) -> String {
        let Ok(table) = self.evaluator.store.table("sys_journal_field") else {
            return String::new();
        };
        let schema = &table.schema;
        let get = |row: &Stored, name: &str| {
            schema
                .find(name)
                .map(|at| row.value(at).into_owned())
                .unwrap_or_default()
        };
        let mut entries: Vec<(String, String)> = Vec::new();
        for row in table.by_id().rows() {
            if get(row, "element_id") == id && get(row, "element") == element {
                let stamp = get(row, "sys_created_on");
                let format = &self.evaluator.options.user_date_format;
                let shown = display_stamp(&stamp, self.zone, format).unwrap_or_default();
                let (user, text) = (get(row, "sys_created_by"), get(row, "value"));
                entries.push((stamp, format!("{shown} - {user} ({element})\n{text}\n\n")));
            }
        }
        entries.sort_by(|a, b| b.0.cmp(&a.0));
        entries.into_iter().map(|(_, text)| text).collect()
    }
}

/// Appends an object of strings and nulls.
fn pairs(out: &mut String, list: &[(&str, Option<&str>)]) {
    for (at, (key, value)) in list.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        push_json(out, key);
        out.push(':');
        match value {
            Some(value) => push_json(out, value),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}
