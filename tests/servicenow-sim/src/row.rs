//! Rows: as tests give them, and as the store keeps them.
//!
//! A stored row is its own JSON text in the default mode of the benchmarks
//! (`sysparm_display_value=false`, `sysparm_exclude_reference_link=true`, all columns), plus the
//! place of each value in it. A page is then a copy of row texts, and a condition reads its column
//! straight from the text.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::schema::{SYS_ID, Schema};

/// Column values of a row to insert, or changes to apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<(Cow<'static, str>, String)>);

impl Row {
    /// No values.
    pub fn new() -> Row {
        Row::default()
    }

    /// Sets a value, replacing an earlier one.
    #[must_use]
    pub fn set(mut self, column: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Row {
        self.put(column, value);
        self
    }

    /// Sets a value in place.
    pub fn put(&mut self, column: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (column, value) = (column.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == column) {
            Some((_, old)) => *old = value,
            None => self.0.push((column, value)),
        }
    }

    /// A value.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == column)
            .map(|(_, value)| value.as_str())
    }

    /// All values in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()))
    }
}

impl<const N: usize> From<[(&'static str, &str); N]> for Row {
    fn from(values: [(&'static str, &str); N]) -> Row {
        Row(values
            .into_iter()
            .map(|(name, value)| (name.into(), value.to_owned()))
            .collect())
    }
}

/// A row inside the instance, as predicates and tests see it.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a>(pub(crate) &'a Stored);

impl<'a> RowView<'a> {
    /// The stored value of a column; empty when the class has no such column.
    pub fn get(&self, column: &str) -> Cow<'a, str> {
        match self.0.class.find(column) {
            Some(at) => self.0.value(at),
            None => Cow::Borrowed(""),
        }
    }

    /// The row's `sys_id`.
    pub fn sys_id(&self) -> Cow<'a, str> {
        self.0.value(SYS_ID)
    }

    /// Copies all values.
    pub fn to_row(&self) -> Row {
        let names = self
            .0
            .class
            .columns
            .iter()
            .map(|column| Cow::Owned(column.name.clone()));
        Row(names.zip(self.0.values()).collect())
    }
}

/// A row as the store keeps it.
#[derive(Debug)]
pub(crate) struct Stored {
    /// `{"sys_id":"...",...}`
    text: Box<str>,
    /// Start and end of each column's raw (escaped) value in `text`.
    spans: Box<[(u32, u32)]>,
    /// The row's real class.
    pub(crate) class: Arc<Schema>,
    /// Access rules hide it from the integration user.
    hidden: AtomicBool,
}

impl Stored {
    /// Renders `values`, one per column of `class`.
    pub(crate) fn new(class: Arc<Schema>, values: &[String]) -> Stored {
        let size = class
            .columns
            .iter()
            .map(|column| column.name.len() + 6)
            .sum::<usize>();
        let mut text = String::with_capacity(size + values.iter().map(String::len).sum::<usize>());
        let mut spans = Vec::with_capacity(values.len());
        let place = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        for (at, (column, value)) in class.columns.iter().zip(values).enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            push_json(&mut text, &column.name);
            text.push(':');
            let start = place(&text).saturating_add(1);
            push_json(&mut text, value);
            spans.push((start, place(&text).saturating_sub(1)));
        }
        text.push('}');
        Stored {
            text: text.into(),
            spans: spans.into(),
            class,
            hidden: AtomicBool::new(false),
        }
    }

    /// The escaped text of a value, without quotes.
    pub(crate) fn raw(&self, column: usize) -> &str {
        let Some(&(start, end)) = self.spans.get(column) else {
            return "";
        };
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// A value.
    pub(crate) fn value(&self, column: usize) -> Cow<'_, str> {
        let raw = self.raw(column);
        if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
            return Cow::Borrowed(raw);
        }
        Cow::Owned(serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_default())
    }

    /// All values in column order.
    pub(crate) fn values(&self) -> Vec<String> {
        (0..self.spans.len())
            .map(|at| self.value(at).into_owned())
            .collect()
    }

    /// The row's text up to and with its first `columns` columns, without the closing brace.
    pub(crate) fn prefix(&self, columns: usize) -> &str {
        let end = columns.checked_sub(1).and_then(|last| self.spans.get(last));
        end.and_then(|&(_, end)| self.text.get(..=end as usize))
            .unwrap_or("{")
    }

    /// The `sys_id`; ids never need an escape.
    pub(crate) fn sys_id(&self) -> &str {
        self.raw(SYS_ID)
    }

    /// Whether access rules hide the row.
    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }

    /// Hides or shows the row.
    pub(crate) fn set_hidden(&self, hidden: bool) {
        self.hidden.store(hidden, Ordering::Relaxed);
    }
}

/// Appends `value` as a JSON string.
pub(crate) fn push_json(text: &mut String, value: &str) {
    let plain = value
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Table;

    #[test]
    fn values_survive_rendering() {
        let schema = Arc::new(Schema::new(Table::new("t").texts(&["a", "b"]), None));
        let values: Vec<String> = ["id1", "t", "", "", "", "", "0", "x\"\\\n\u{1}é", ""]
            .map(str::to_owned)
            .into_iter()
            .collect();
        let stored = Stored::new(Arc::clone(&schema), &values);
        assert_eq!(stored.values(), values);
        assert_eq!(
            stored.prefix(2),
            "{\"sys_id\":\"id1\",\"sys_class_name\":\"t\""
        );
        let parsed: serde_json::Value = serde_json::from_str(&stored.text).unwrap();
        assert_eq!(parsed["a"], "x\"\\\n\u{1}é");
    }
}
