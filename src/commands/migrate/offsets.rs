//! Offsets of source connectors, as Kafka Connect keeps them, and the checkpoints that they become.
//!
//! Every position is taken back to the begin of its second. A first start reads again from `source.settle`
//! before it, as for each checkpoint of another program, so nothing is missed that was committed late.

use std::collections::BTreeMap;

use serde_json::{Deserializer, Map, Value};

use super::connector::{OffsetForm, TranslatedConnector};
use super::draft::ConfigDraft;
use crate::cli::EpochSeconds;
use crate::terminal_text::clean;

/// One offset of a connector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConnectOffset {
    /// The connector, where the file says it.
    pub(super) connector: Option<String>,
    partition: Map<String, Value>,
    offset: Map<String, Value>,
}

/// Where a table goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MigratedPosition {
    pub(super) table: String,
    /// Seconds since 1970, UTC; the whole second is read.
    pub(super) second: i64,
    /// The table's place in the configuration.
    pub(super) place: String,
}

/// Earlier than this ServiceNow had no rows: such a number counts something else than seconds.
const OLDEST_SECOND: i64 = 946_684_800;

/// Reads offsets: the answer of `GET /connectors/NAME/offsets`, or records of the offsets topic, one a
/// line, each with its key `["NAME", {partition}]` and its value behind any blanks.
///
/// # Errors
/// What the file is not.
pub(super) fn read(text: &str) -> Result<Vec<ConnectOffset>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.starts_with('{') {
        return from_rest(text);
    }
    let mut newest: BTreeMap<String, ConnectOffset> = BTreeMap::new();
    let lines = text.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let why = |why: &str| format!("line {}: {why}", number + 1);
        let mut values = Deserializer::from_str(line).into_iter::<Value>();
        let key = values.next().and_then(Result::ok);
        let Some(Value::Array(key)) = key else {
            return Err(why(
                "is no record of the offsets topic: it does not begin with `[\"NAME\", {...}]`; print \
                 keys too, as `kafka-console-consumer --property print.key=true` does",
            ));
        };
        let place = Value::Array(key.clone()).to_string();
        let rest = line.get(values.byte_offset()..).unwrap_or_default().trim();
        match (key.as_slice(), serde_json::from_str(rest)) {
            ([Value::String(name), Value::Object(partition)], Ok(Value::Object(offset))) => {
                let offset = ConnectOffset {
                    connector: Some(name.clone()),
                    partition: partition.clone(),
                    offset,
                };
                newest.insert(place, offset);
            }
            // A record without a value takes the offset away.
            (_, Ok(Value::Null)) => {
                newest.remove(&place);
            }
            _ if rest.is_empty() => {
                newest.remove(&place);
            }
            _ => return Err(why("the value behind the key is no JSON object")),
        }
    }
    if newest.is_empty() {
        return Err("holds no offsets".to_owned());
    }
    Ok(newest.into_values().collect())
}

fn from_rest(text: &str) -> Result<Vec<ConnectOffset>, String> {
    let whole: Value =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let list = whole.get("offsets").and_then(Value::as_array);
    let list =
        list.ok_or("is no answer of `GET /connectors/NAME/offsets`: it has no list `offsets`")?;
    let name = whole.get("name").and_then(Value::as_str);
    let object = |item: &Value, key: &str| item.get(key).and_then(Value::as_object).cloned();
    let found = list.iter().filter_map(|item| {
        Some(ConnectOffset {
            connector: name.map(str::to_owned),
            partition: object(item, "partition")?,
            offset: object(item, "offset")?,
        })
    });
    let found: Vec<ConnectOffset> = found.collect();
    if found.is_empty() {
        return Err("holds no offsets".to_owned());
    }
    Ok(found)
}

/// The positions of a connector's tables, and what was assumed or could not be used, in words. `now` is in
/// seconds since 1970: a time behind it was not read from an offset, but into it.
pub(super) fn positions(
    offsets: &[ConnectOffset],
    translated: &TranslatedConnector,
    draft: &ConfigDraft,
    now: i64,
) -> (Vec<MigratedPosition>, Vec<String>) {
    let (mut positions, mut notes) = (Vec::new(), Vec::new());
    let Some(form) = translated.connector.offsets else {
        return (positions, notes);
    };
    let is_of = |offset: &&ConnectOffset| match (&offset.connector, &translated.name) {
        (Some(of), Some(name)) => of == name,
        _ => true,
    };
    let own: Vec<&ConnectOffset> = offsets.iter().filter(is_of).collect();
    for (alias, place) in &translated.tables {
        let Some(table) = draft.text(&format!("{place}.name")) else {
            continue;
        };
        let scope = TableScope {
            alias,
            table,
            instance: draft.text("servicenow.base_url").unwrap_or_default(),
            timestamp_field: draft.text(&format!("{place}.timestamp_field")),
        };
        let seconds = own
            .iter()
            .filter(|offset| scope.is_of(form, &offset.partition));
        let seconds = seconds.map(|it| second(form, &it.offset).filter(|second| *second <= now));
        let seconds: Vec<Option<i64>> = seconds.collect();
        let table = clean(table);
        match seconds.iter().copied().collect::<Option<Vec<i64>>>() {
            Some(known) => match known.iter().min() {
                Some(earliest) => {
                    positions.push(MigratedPosition {
                        table: table.to_string(),
                        second: *earliest,
                        place: place.clone(),
                    });
                    notes.extend(assumption(form, &table, known.len()));
                }
                None => notes.push(format!("{table}: has no offset, and begins anew")),
            },
            None => notes.push(format!(
                "{table}: its offset is of a form that is not known, or in the future, and was not used; the table \
                 begins anew"
            )),
        }
    }
    (positions, notes)
}

/// What was taken for granted.
fn assumption(form: OffsetForm, table: &str, count: usize) -> Option<String> {
    match form {
        OffsetForm::Confluent => Some(format!(
            "{table}: the form of these offsets is not documented; the earliest time in them was taken, \
             in UTC"
        )),
        OffsetForm::Ibm | OffsetForm::Oso if count > 1 => Some(format!(
            "{table}: has {count} offsets, as after a change of its query; the earliest was taken"
        )),
        OffsetForm::Ibm | OffsetForm::Oso => None,
    }
}

/// What an offset has to be about.
struct TableScope<'a> {
    alias: &'a str,
    table: &'a str,
    instance: &'a str,
    timestamp_field: Option<&'a str>,
}

impl TableScope<'_> {
    fn is_of(&self, form: OffsetForm, partition: &Map<String, Value>) -> bool {
        let text = |key: &str| partition.get(key).and_then(Value::as_str);
        match form {
            OffsetForm::Ibm => text("partition") == Some(self.alias),
            OffsetForm::Oso => {
                let host = self.instance.split("://").last().unwrap_or_default();
                let host = host.split('/').next().unwrap_or_default();
                let is_here = |it: &str| host.starts_with("${") || it.eq_ignore_ascii_case(host);
                let field = self.timestamp_field.unwrap_or("sys_updated_on");
                text("table") == Some(self.table)
                    && text("timestamp_field").is_none_or(|it| it == field)
                    && text("instance").is_none_or(is_here)
            }
            OffsetForm::Confluent => {
                let path = format!("/table/{}", self.table);
                let names_it = |text: &str| {
                    let path_alone = text.split('?').next().unwrap_or_default();
                    text == self.table || path_alone.trim_end_matches('/').ends_with(&path)
                };
                partition.values().filter_map(Value::as_str).any(names_it)
            }
        }
    }
}

/// The second of an offset, where its form is known.
fn second(form: OffsetForm, offset: &Map<String, Value>) -> Option<i64> {
    match form {
        OffsetForm::Ibm => offset.get("timestamp")?.as_i64().filter(|it| *it >= 0),
        OffsetForm::Oso => {
            let version = offset.get("version")?;
            let is_known = version.as_str() == Some("1") || version.as_i64() == Some(1);
            let time = offset.get("timestamp")?.as_str()?;
            parse_time(time).filter(|_| is_known)
        }
        OffsetForm::Confluent => {
            let mut times = Vec::new();
            offset
                .values()
                .for_each(|value| times_in(value, &mut times));
            // One that cannot be read might be the earliest.
            times
                .into_iter()
                .collect::<Option<Vec<i64>>>()?
                .into_iter()
                .min()
        }
    }
}

/// Every time in a value: texts that are one, and numbers that can only be seconds or milliseconds. `None`:
/// what looks like a time and cannot be read.
fn times_in(value: &Value, times: &mut Vec<Option<i64>>) {
    match value {
        Value::String(text) => match (text.parse::<i64>(), parse_time(text)) {
            (Ok(number), _) => times.extend(epoch(number).map(Some)),
            (Err(_), Some(time)) => times.push(Some(time)),
            (Err(_), None) => times.extend(times_within(text)),
        },
        Value::Number(number) => times.extend(number.as_i64().and_then(epoch).map(Some)),
        Value::Array(items) => items.iter().for_each(|item| times_in(item, times)),
        Value::Object(object) => object.values().for_each(|item| times_in(item, times)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Times inside of a text, as in the query of a URL: a day, up to three other characters, and a time of day.
/// What could be a zone or more digits must not follow.
fn times_within(text: &str) -> Vec<Option<i64>> {
    const DAY: usize = "2026-01-31".len();
    const TIME: usize = "08:15:00".len();
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    let starts = text.char_indices().map(|(at, _)| at);
    let found = starts.filter_map(|at| {
        let day = text.get(at..at + DAY)?;
        let rest = text.get(at + DAY..)?;
        let gap = rest
            .find(|c: char| c.is_ascii_digit())
            .filter(|gap| *gap <= 3)?;
        let time = parse_time(&format!("{day} {}", rest.get(gap..gap + TIME)?));
        // A piece of a time, as `024-01-31`, reads as one of long ago.
        let time = time.filter(|time| *time >= OLDEST_SECOND)?;
        let behind = rest.get(gap + TIME..).unwrap_or_default();
        let behind = behind.strip_prefix('.').map_or(behind, |fraction| {
            fraction.trim_start_matches(|c: char| c.is_ascii_digit())
        });
        let is_ended = |c: char| !c.is_ascii_alphanumeric() && !"+- ".contains(c);
        Some(behind.chars().next().is_none_or(is_ended).then_some(time))
    });
    found.collect()
}

fn epoch(number: i64) -> Option<i64> {
    const FIRST_MILLISECOND: i64 = OLDEST_SECOND * 1000;
    match number {
        FIRST_MILLISECOND.. => Some(number / 1000),
        OLDEST_SECOND.. => Some(number),
        _ => None,
    }
}

/// A time as ServiceNow writes it, in UTC and perhaps with a fraction, or as RFC 3339. Never in a zone that
/// is not said.
fn parse_time(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) | None => text,
    };
    let time = EpochSeconds::parse(whole).ok()?;
    whole.contains('-').then_some(time.0)
}

#[cfg(test)]
mod tests;
