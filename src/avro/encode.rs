//! Writes a row as an Avro record, from its JSON text straight to Avro's bytes.
//!
//! No tree of values is built in between, because this runs for every row. One pass over the text
//! notes where each column's value stands, then the fields are written in the order of the schema. A
//! record begins with the id of its schema (Confluent, "Wire format").

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

/// The schema of keys, for tables whose keys are Avro as well.
pub const KEY_SCHEMA: &str = r#""string""#;
/// The branch of a field's union `["null", type]` for null: 0, zig-zag encoded.
const NULL_BRANCH: u8 = 0;
/// The branch for a value: 1, zig-zag encoded.
const VALUE_BRANCH: u8 = 2;

/// How a row fitted the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodeReport {
    /// How many columns of the row the schema has no field for; see [`RecordEncoder::unknown`].
    pub unknown: u32,
    /// How many values did not fit the type of their field; see [`RecordEncoder::misfits`].
    pub misfits: u32,
}

/// Why a row could not be written. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// The row is not valid JSON.
    Malformed(MalformedRow),
    /// A value does not fit the type of its field, and the configuration says that this holds the
    /// table (`on_type_error: hold`).
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

/// One field of the schema, in its order.
#[derive(Debug)]
struct FieldSlot {
    kind: FieldType,
    column: String,
    /// How many values did not fit so far.
    misfits: u64,
}

/// How a value fitted the type of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueFit {
    Well,
    /// It was written, but half a surrogate pair in it became U+FFFD.
    Torn,
    /// It did not fit, and null was written instead.
    Not,
}

impl FieldSlot {
    /// Appends the field: null, or the value with this form and text.
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
            if is_string {
                out.extend_from_slice(&[VALUE_BRANCH, 0]);
            } else {
                out.push(NULL_BRANCH);
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

/// Writes the rows of one table with one schema. Use one encoder for all of them: it learns the order
/// of the columns, and its memory is used again.
#[derive(Debug)]
pub struct RecordEncoder {
    prefix: [u8; WIRE_PREFIX_BYTES],
    on_type_error: OnTypeError,
    order: KeyOrder,
    slots: Vec<FieldSlot>,
    /// Where the value of each slot stands in this row.
    values: Vec<ScannedValue>,
    /// Texts of this row that had escapes, without them.
    scratch: Vec<u8>,
    /// The slots of this row whose values do not fit.
    unfit: Vec<usize>,
}

impl RecordEncoder {
    /// For a schema and the id that the registry gave it.
    pub fn new(schema: &RecordSchema, id: u32, on_type_error: OnTypeError) -> RecordEncoder {
        let fields = schema.fields();
        let columns = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.kind != FieldType::TextMap);
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
    /// - A value is a JSON text, number or boolean. An object with a member `value` has that value,
    ///   whatever else is in it: so the Table API gives references and display values. Other objects
    ///   and arrays are their JSON text.
    /// - Null and an absent column are null. An empty text is an empty text in a `string` and null in
    ///   any other type, because the instance writes an empty number or date that way.
    /// - Where a key repeats, its last value counts.
    /// - Half a surrogate pair, which the instance makes when it cuts a text off, becomes U+FFFD and
    ///   counts as a misfit.
    ///
    /// # Errors
    /// The row is not valid JSON, or a value holds the table. `out` is then as it was before.
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

    /// Names of columns that rows had so far and the schema has no field for; at most 64.
    pub fn unknown(&self) -> &[String] {
        self.order.unknown()
    }

    /// Columns with values that did not fit so far, and how many values that were.
    pub fn misfits(&self) -> impl Iterator<Item = (&str, u64)> {
        let slots = self.slots.iter().filter(|slot| slot.misfits > 0);
        slots.map(|slot| (slot.column.as_str(), slot.misfits))
    }

    /// Notes where the value of each slot stands; gives the number of unknown columns.
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

    /// Replaces the null of the field `_raw`, which is the byte at `place`, by a map of the texts that
    /// did not fit: one block, and the empty block that ends a map (Avro 1.12, "Maps").
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
/// The key is not UTF-8. `out` is then as it was before.
pub fn encode_key(id: u32, key: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    std::str::from_utf8(key).map_err(|_| EncodeError::Key)?;
    out.extend_from_slice(&prefix(id));
    put_bytes(key, out);
    Ok(())
}

#[cfg(test)]
mod tests;
