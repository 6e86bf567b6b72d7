//! An answer that was read whole: whether it is a result, and the rows in it.
//!
//! Nothing is built but what was asked for. An answer of some kilobytes can stand for gigabytes when it
//! becomes a tree: `{"result":[{"":0},{"":0},...`. So its size is bounded ([`ReadRequest`]), columns
//! that were not asked for are passed over, and so are rows beyond the limit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::InstanceFailure;
use super::request::ReadRequest;
use super::response::ResponseHead;
use crate::http::error_body::error_words;
use crate::json_text::JsonText;

/// An answer that was read whole and has a result.
#[derive(Debug)]
pub struct WholeAnswer {
    /// From the head.
    pub head: ResponseHead,
    /// The text of `result`.
    pub(super) result: String,
}

/// The rows of an answer.
#[derive(Debug, Default)]
pub struct AnswerRows {
    /// The rows; of an answer about a single row that one.
    pub rows: Vec<AnswerRow>,
    /// `result` is an array.
    pub is_list: bool,
}

/// The columns of a row that were asked for, as far as the answer has them: a text, a number or a boolean
/// as text, or the `value` of an object of forms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerRow(Vec<(String, Option<String>)>);

impl WholeAnswer {
    /// The rows that `request` asked for.
    ///
    /// # Errors
    /// `result` is neither an array nor an object.
    pub fn rows(&self, request: &ReadRequest<'_>) -> Result<AnswerRows, InstanceFailure> {
        let param = |wanted: &str| {
            let found = request.params.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let fields = param("sysparm_fields");
        let wanted = WantedRows {
            columns: fields.map(|fields| fields.split(',').collect()),
            limit: param("sysparm_limit").and_then(|limit| limit.parse().ok()),
        };
        let mut deserializer = serde_json::Deserializer::from_str(&self.result);
        let rows = wanted.deserialize(&mut deserializer);
        // serde's words could quote the answer here.
        rows.map_err(|why| InstanceFailure::Body(format!("no rows (column {})", why.column())))
    }

    /// The count in an answer of the Aggregate API: `{"stats":{"count":"12"}}`.
    pub fn count(&self) -> Option<u64> {
        let stats: StatsResult = serde_json::from_str(&self.result).ok()?;
        stats.stats.count.0?.parse().ok()
    }

    /// The sum of a column in an answer of the Aggregate API: `{"stats":{"sum":{"reassignment_count":"12"}}}`.
    pub fn sum(&self, column: &str) -> Option<u64> {
        let stats: StatsResult = serde_json::from_str(&self.result).ok()?;
        let sum = stats.stats.sum.get(column)?.0.as_deref()?;
        // A sum may be written with decimals.
        sum.split('.').next()?.parse().ok()
    }
}

impl AnswerRow {
    /// A column's stored value as text.
    pub fn text(&self, column: &str) -> Option<&str> {
        let (_, text) = self.0.iter().find(|(name, _)| name == column)?;
        text.as_deref()
    }

    /// Whether the row has this column, with a value or without.
    pub fn has(&self, column: &str) -> bool {
        self.0.iter().any(|(name, _)| name == column)
    }

    /// The names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, &'static str)> for AnswerRow {
    fn from_iter<I: IntoIterator<Item = (&'static str, &'static str)>>(columns: I) -> AnswerRow {
        let owned = |(name, text): (&str, &str)| (name.to_owned(), Some(text.to_owned()));
        AnswerRow(columns.into_iter().map(owned).collect())
    }
}

#[derive(Deserialize)]
struct StatsResult {
    stats: StatsCount,
}

#[derive(Deserialize)]
struct StatsCount {
    #[serde(default)]
    count: JsonText,
    #[serde(default)]
    sum: BTreeMap<String, JsonText>,
}

/// What stands around a result.
#[derive(Deserialize)]
struct AnswerEnvelope<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

impl AnswerEnvelope<'_> {
    /// The answer says of itself that it is an error.
    fn is_failure(&self) -> bool {
        self.error.is_some()
            || self
                .status
                .is_some_and(|status| status.get() == r#""failure""#)
    }
}

/// The text of `result` in an answer that was read whole; `None`: it has none. A status of 200 alone
/// proves nothing: an instance that runs out of time answers 200 with an error inside (KB0778443).
pub(super) fn result_of(bytes: &[u8]) -> Result<Option<&str>, InstanceFailure> {
    let no_object = || InstanceFailure::Body("the answer is no JSON object".to_owned());
    let envelope = serde_json::from_slice(bytes);
    let answer: AnswerEnvelope<'_> = envelope.map_err(|why: serde_json::Error| {
        if why.is_data() {
            no_object()
        } else {
            InstanceFailure::Body(format!("no JSON: {why}"))
        }
    })?;
    // A list would be taken for the members of an object, one by one.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(no_object());
    }
    if answer.is_failure() {
        let words = error_words(bytes);
        return Err(InstanceFailure::Failed { words });
    }
    Ok(answer.result.map(RawValue::get))
}

/// The `columns` of a row in the text of a `result`; what cannot be read has none.
pub(super) fn row_of(result: &str, columns: &[&str]) -> AnswerRow {
    let wanted = WantedRows {
        columns: Some(columns.to_vec()),
        limit: None,
    };
    let mut deserializer = serde_json::Deserializer::from_str(result);
    let row = RowColumns(&wanted).deserialize(&mut deserializer);
    row.unwrap_or_default()
}

/// Columns that are kept of one row, where all are wanted.
const MAX_KEPT_COLUMNS: usize = 4096;

/// The rows and the columns that are kept of an answer.
struct WantedRows<'a> {
    /// `None`: all.
    columns: Option<Vec<&'a str>>,
    /// `None`: all.
    limit: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for &WantedRows<'_> {
    type Value = AnswerRows;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AnswerRows, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &WantedRows<'_> {
    type Value = AnswerRows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnswerRows, A::Error> {
        let mut rows = Vec::new();
        while self.limit.is_none_or(|limit| rows.len() < limit) {
            let Some(row) = items.next_element_seed(RowColumns(self))? else {
                break;
            };
            rows.push(row);
        }
        while let Some(IgnoredAny) = items.next_element()? {}
        Ok(AnswerRows {
            rows,
            is_list: true,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<AnswerRows, A::Error> {
        Ok(AnswerRows {
            rows: vec![RowColumns(self).visit_map(members)?],
            is_list: false,
        })
    }
}

/// Reads one row. What is no object is a row without columns.
struct RowColumns<'a, 'b>(&'a WantedRows<'b>);

impl<'de> DeserializeSeed<'de> for RowColumns<'_, '_> {
    type Value = AnswerRow;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AnswerRow, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowColumns<'_, '_> {
    type Value = AnswerRow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<AnswerRow, A::Error> {
        let mut row = Vec::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let is_wanted = match self.0.columns.as_deref() {
                Some(columns) => columns.contains(&name.as_ref()),
                None => row.len() < MAX_KEPT_COLUMNS,
            };
            if is_wanted {
                let JsonText(text) = members.next_value()?;
                // Parsers take the last of several values of one name.
                match row.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = text,
                    None => row.push((name.into_owned(), text)),
                }
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(AnswerRow(row))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnswerRow, A::Error> {
        while let Some(IgnoredAny) = items.next_element()? {}
        Ok(AnswerRow::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }

    fn visit_unit<E>(self) -> Result<AnswerRow, E> {
        Ok(AnswerRow::default())
    }
}

#[cfg(test)]
mod tests;
