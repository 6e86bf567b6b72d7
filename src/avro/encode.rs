//! Rows to records: the raw JSON text of a row straight to Avro's bytes.
//!
//! Nothing is built in between. One pass over the row finds where each column's value stands, then
//! the fields are written in the order of the schema. The first bytes of a record name its schema
//! (Confluent, "Wire format").

mod key_order;
mod scan;
mod value;

use std::fmt;

pub use self::scan::MalformedRow;

use self::key_order::KeyOrder;
use self::scan::{RowScanner, ScannedValue, ValueForm};
use super::model::{FieldType, RecordSchema};
use super::wire::{WIRE_PREFIX_BYTES, prefix, put_bytes, put_long};
use crate::config::OnTypeError;

/// The schema of keys that are Avro too.
pub const KEY_SCHEMA: &str = r#""string""#;
/// The branch of a field's union that is null.
const NULL_BRANCH: u8 = 0;
/// The branch that is not: 1, in zig-zag.
const VALUE_BRANCH: u8 = 2;

/// What was noticed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeReport {
    /// Columns that the schema has no field for; see [`RecordEncoder::unknown`].
    pub unknown: u32,
    /// Values that did not fit their type; see [`RecordEncoder::misfits`].
    pub misfits: u32,
}

/// Why a row could not be written. Nothing was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// The row is not valid JSON.
    Malformed(MalformedRow),
    /// A value does not fit its type, and the configuration says that this holds the table.
    Misfit {
        /// Its column.
        column: String,
        /// The type of the field.
        kind: FieldType,
    },
    /// The key is not UTF-8, as an Avro string must be.
    Key,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::Malformed(malformed) => malformed.fmt(f),
            EncodeError::Misfit { column, kind } => write!(
                f,
                "the value of `{column}` is no {kind} (see on_type_error)"
            ),
            EncodeError::Key => f.write_str("the key is not UTF-8"),
        }
    }
}

impl std::error::Error for EncodeError {}

impl From<MalformedRow> for EncodeError {
    fn from(malformed: MalformedRow) -> EncodeError {
        EncodeError::Malformed(malformed)
    }
}

/// One field of the plan.
#[derive(Debug)]
struct FieldSlot {
    kind: FieldType,
    column: String,
    /// Values that did not fit, so far.
    misfits: u64,
}

/// How a value fitted its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueFit {
    Well,
    /// Half a letter of it is lost.
    Torn,
    /// Null stands in its place.
    Not,
}

impl FieldSlot {
    /// Appends the value of a form and text.
    fn put(&self, form: ValueForm, text: &[u8], out: &mut Vec<u8>) -> ValueFit {
        let is_string = matches!(self.kind, FieldType::String);
        let may_fit = match form {
            ValueForm::Absent | ValueForm::Null => {
                out.push(NULL_BRANCH);
                return ValueFit::Well;
            }
            ValueForm::Json | ValueForm::Torn => is_string,
            ValueForm::Empty | ValueForm::Text | ValueForm::Unescaped | ValueForm::Word => true,
        };
        if text.is_empty() {
            match is_string {
                true => out.extend_from_slice(&[VALUE_BRANCH, 0]),
                false => out.push(NULL_BRANCH),
            }
            return ValueFit::Well;
        }
        out.push(VALUE_BRANCH);
        if may_fit && value::put(self.kind, text, out) {
            return if form == ValueForm::Torn {
                ValueFit::Torn
            } else {
                ValueFit::Well
            };
        }
        out.pop();
        out.push(NULL_BRANCH);
        ValueFit::Not
    }
}

/// Writes the rows of one table with one schema. Keep it: it learns the order of the columns, and
/// its memory is used again.
#[derive(Debug)]
pub struct RecordEncoder {
    prefix: [u8; WIRE_PREFIX_BYTES],
    on_type_error: OnTypeError,
    order: KeyOrder,
    slots: Vec<FieldSlot>,
    /// The value of each slot in this row.
    values: Vec<ScannedValue>,
    /// Texts that had escapes.
    scratch: Vec<u8>,
    /// Slots whose values do not fit in this row.
    unfit: Vec<usize>,
}

impl RecordEncoder {
    /// For a schema and the id that the registry gave it.
    pub fn new(schema: &RecordSchema, id: u32, on_type_error: OnTypeError) -> RecordEncoder {
        let fields = schema.fields();
        let columns = fields.iter().enumerate();
        let columns = columns.filter(|(_, field)| field.kind != FieldType::TextMap);
        let slots = fields.iter().map(|field| FieldSlot {
            kind: field.kind,
            column: field.column.clone(),
            misfits: 0,
        });
        RecordEncoder {
            prefix: prefix(id),
            on_type_error,
            order: KeyOrder::new(columns.map(|(at, field)| (field.column.as_str(), at))),
            slots: slots.collect(),
            values: vec![ScannedValue::default(); fields.len()],
            scratch: Vec::new(),
            unfit: Vec::new(),
        }
    }

    /// Appends the record of a row to `out`: prefix and body.
    ///
    /// A value is a JSON text, number or boolean; of an object it is the member `value`, whatever
    /// else it has, and other objects and arrays are their JSON text. Null and an absent column are
    /// null. An empty text is an empty text in a `string`, and null in any other type: the instance
    /// has no other word for it. Of a key that repeats the last one counts. Half a surrogate pair,
    /// which the instance makes when it cuts a text, becomes U+FFFD and counts as a misfit.
    ///
    /// # Errors
    /// The row is not valid JSON, or a value holds the table. `out` is then as it was.
    pub fn encode(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<EncodeReport, EncodeError> {
        let unknown = self.scan(row)?;
        let start = out.len();
        out.extend_from_slice(&self.prefix);
        let misfits = match self.write(row, out) {
            Ok(misfits) => misfits,
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        };
        Ok(EncodeReport { unknown, misfits })
    }

    /// Columns that rows had and the schema has not, so far: at most 64 names.
    pub fn unknown(&self) -> &[String] {
        self.order.unknown()
    }

    /// Columns with values that did not fit, and how many, so far.
    pub fn misfits(&self) -> impl Iterator<Item = (&str, u64)> {
        let slots = self.slots.iter().filter(|slot| slot.misfits > 0);
        slots.map(|slot| (slot.column.as_str(), slot.misfits))
    }

    /// Finds the value of each slot; gives the number of unknown columns.
    fn scan(&mut self, row: &[u8]) -> Result<u32, MalformedRow> {
        let mut scanner = RowScanner::new(row, &mut self.scratch)?;
        let mut unknown = 0;
        self.values.fill(ScannedValue::default());
        self.order.begin();
        scanner.expect(b'{')?;
        scanner.space();
        let mut open = !scanner.rest().starts_with(b"}");
        if !open {
            scanner.advance(1);
        }
        while open {
            let field = self.order.key(&mut scanner, |field| {
                match field.and_then(|at| self.values.get_mut(at)) {
                    Some(slot) => *slot = ScannedValue::EMPTY,
                    None => unknown += 1,
                }
            })?;
            let value = scanner.value()?;
            match field.and_then(|at| self.values.get_mut(at)) {
                Some(slot) => *slot = value,
                None => unknown += 1,
            }
            match scanner.token() {
                Some(b',') => {}
                Some(b'}') => open = false,
                _ => return Err(scanner.malformed()),
            }
        }
        scanner.space();
        if scanner.rest().is_empty() {
            Ok(unknown)
        } else {
            Err(scanner.malformed())
        }
    }

    /// Writes the fields; gives the number of misfits.
    fn write(&mut self, row: &[u8], out: &mut Vec<u8>) -> Result<u32, EncodeError> {
        self.unfit.clear();
        let mut misfits = 0;
        let mut texts = None;
        for (at, (slot, raw)) in self.slots.iter_mut().zip(&self.values).enumerate() {
            if matches!(slot.kind, FieldType::TextMap) {
                texts = Some(out.len());
            }
            let text = raw.text(row, &self.scratch);
            let fit = slot.put(raw.form, text, out);
            if fit == ValueFit::Well {
                continue;
            }
            slot.misfits += 1;
            misfits += 1;
            if self.on_type_error == OnTypeError::Hold {
                return Err(EncodeError::Misfit {
                    column: slot.column.clone(),
                    kind: slot.kind,
                });
            }
            if fit == ValueFit::Not {
                self.unfit.push(at);
            }
        }
        if let Some(texts) = texts
            && self.on_type_error == OnTypeError::StringField
            && !self.unfit.is_empty()
        {
            self.write_texts(row, texts, out);
        }
        Ok(misfits)
    }

    /// Puts the texts that did not fit at `place`, where the null of their map stands: one block,
    /// and the empty one that ends the map (Avro 1.12, "Maps").
    fn write_texts(&self, row: &[u8], place: usize, out: &mut Vec<u8>) {
        let mut map = vec![VALUE_BRANCH];
        put_long(
            i64::try_from(self.unfit.len()).unwrap_or(i64::MAX),
            &mut map,
        );
        for at in &self.unfit {
            if let (Some(slot), Some(raw)) = (self.slots.get(*at), self.values.get(*at)) {
                put_bytes(slot.column.as_bytes(), &mut map);
                put_bytes(raw.text(row, &self.scratch), &mut map);
            }
        }
        map.push(0);
        out.splice(place..=place, map);
    }
}

/// Appends a record's key as an Avro `string` with the id of [`KEY_SCHEMA`] in front.
///
/// # Errors
/// It is not UTF-8. `out` is then as it was.
pub fn encode_key(id: u32, key: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    std::str::from_utf8(key).map_err(|_| EncodeError::Key)?;
    out.extend_from_slice(&prefix(id));
    put_bytes(key, out);
    Ok(())
}

#[cfg(test)]
mod tests;
