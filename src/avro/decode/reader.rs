//! Goes over the bytes of one value and writes its JSON (Avro 1.12, "Binary Encoding").
//!
//! Nothing in the bytes is believed: lengths, counts, nesting and the size of the JSON are bounded,
//! and every read may find that the bytes end early.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plan::{MAX_DECIMAL_SCALE, PlanField, TypeNode, WriterSchema};
use crate::avro::wire::take_long;
use crate::avro::{decimal, times};

/// Deepest nesting of a value.
const MAX_VALUE_DEPTH: u32 = 64;
/// Largest JSON made of a record, in bytes; the instance takes 10 MB. Some values need no bytes in a
/// record, an array of nulls for instance, so the size of the record does not bound the JSON.
const MAX_RECORD_JSON_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of a uuid.
const UUID_BYTES: usize = 16;

const ENDS_EARLY: &str = "the record ends early";

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The field of the outermost record that was being read, if any.
    field: Option<String>,
    why: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "field `{field}`: ")?;
        }
        f.write_str(self.why)
    }
}

impl std::error::Error for DecodeError {}

/// The error says in words what is wrong with the bytes.
type DecodeResult = Result<(), &'static str>;

/// Reads one value and writes its JSON.
pub(super) struct RecordReader<'a> {
    schema: &'a WriterSchema,
    /// The bytes that are not read yet.
    rest: &'a [u8],
    /// The JSON so far.
    out: Vec<u8>,
    /// The field of the outermost record that is being read.
    field: Option<&'a str>,
}

impl<'a> RecordReader<'a> {
    pub(super) fn new(schema: &'a WriterSchema, body: &'a [u8]) -> RecordReader<'a> {
        RecordReader {
            schema,
            rest: body,
            out: Vec::with_capacity(body.len() * 2),
            field: None,
        }
    }

    /// The JSON of a record or a map, which may stand in a union.
    pub(super) fn into_json(mut self) -> Result<Vec<u8>, DecodeError> {
        let result = self.object();
        self.finish(result)
    }

    /// The text of a key.
    pub(super) fn into_text(mut self) -> Result<Vec<u8>, DecodeError> {
        let result = self.key();
        self.finish(result)
    }

    /// Gives what was written, if all bytes are read.
    fn finish(self, result: DecodeResult) -> Result<Vec<u8>, DecodeError> {
        let why = match result {
            Ok(()) if self.rest.is_empty() => return Ok(self.out),
            Ok(()) => "bytes are left behind the record",
            Err(why) => why,
        };
        Err(DecodeError {
            field: self.field.map(str::to_owned),
            why,
        })
    }

    fn object(&mut self) -> DecodeResult {
        match self.root()? {
            TypeNode::Record(members) => self.record(members, 0),
            TypeNode::Map(values) => self.map(*values, 0, true),
            _ => Err("it is neither a record nor a map"),
        }
    }

    fn key(&mut self) -> DecodeResult {
        match self.root()? {
            TypeNode::Record(members) => self.record(members, 0),
            TypeNode::Map(values) => self.map(*values, 0, true),
            TypeNode::Null => Ok(()),
            // At depth 1, below the record itself, numbers are written without quotes.
            node @ (TypeNode::Array(_)
            | TypeNode::Boolean
            | TypeNode::Long
            | TypeNode::Float
            | TypeNode::Double) => self.value(node, 1),
            node => {
                let text = self.text_of(node)?;
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }

    /// The type of the whole value: names are followed, and the branches of unions are read.
    fn root(&mut self) -> Result<&'a TypeNode, &'static str> {
        let mut node = self.schema.root();
        for _ in 0..MAX_VALUE_DEPTH {
            match node {
                TypeNode::Union(branches) => node = self.branch(branches)?,
                TypeNode::Alias(other) => node = self.schema.node(*other),
                other => return Ok(other),
            }
        }
        Err("it is nested too deeply")
    }

    /// Any value. `depth` counts the records, maps and arrays around it; 0 is a value of the outermost
    /// record, which is written as a string.
    fn value(&mut self, node: &'a TypeNode, depth: u32) -> DecodeResult {
        if depth > MAX_VALUE_DEPTH {
            return Err("it is nested too deeply");
        }
        if self.out.len() > MAX_RECORD_JSON_BYTES {
            return Err("it is too large");
        }
        let top = depth == 0;
        match node {
            TypeNode::Null => self.out.extend_from_slice(b"null"),
            TypeNode::Boolean => {
                let word = match self.take(1)? {
                    [0] => "false",
                    [1] => "true",
                    _ => return Err("a boolean is neither 0 nor 1"),
                };
                self.plain(word, top);
            }
            TypeNode::Long => {
                let text = self.long()?.to_string();
                self.plain(&text, top);
            }
            TypeNode::Float => {
                let bits = self.take(4)?.try_into().map_err(|_| ENDS_EARLY)?;
                let value = f32::from_le_bytes(bits);
                self.number(value.is_finite(), &value, top)?;
            }
            TypeNode::Double => {
                let bits = self.take(8)?.try_into().map_err(|_| ENDS_EARLY)?;
                let value = f64::from_le_bytes(bits);
                self.number(value.is_finite(), &value, top)?;
            }
            TypeNode::Union(branches) => {
                let branch = self.branch(branches)?;
                // A union does not nest the JSON, so `depth` does not bound unions in unions.
                return self.inside(branch, depth);
            }
            TypeNode::Alias(other) => return self.inside(self.schema.node(*other), depth),
            TypeNode::Record(members) => self.record(members, depth + 1)?,
            TypeNode::Array(items) => self.array(*items, depth + 1)?,
            TypeNode::Map(values) => self.map(*values, depth + 1, false)?,
            _ => {
                let text = self.text_of(node)?;
                self.string(&text);
            }
        }
        Ok(())
    }

    /// The value that an alias or a union leads to.
    fn inside(&mut self, mut node: &'a TypeNode, depth: u32) -> DecodeResult {
        for _ in 0..MAX_VALUE_DEPTH {
            match node {
                TypeNode::Alias(other) => node = self.schema.node(*other),
                TypeNode::Union(branches) => node = self.branch(branches)?,
                other => return self.value(other, depth),
            }
        }
        Err("it is nested too deeply")
    }

    /// The text of a value that is a string in JSON wherever it stands.
    fn text_of(&mut self, node: &'a TypeNode) -> Result<String, &'static str> {
        let mut text = String::new();
        let unfit = "a time is outside of the years 0 to 9999";
        match node {
            TypeNode::String => {
                let bytes = self.sized()?;
                let string = std::str::from_utf8(bytes).map_err(|_| "a string is not UTF-8")?;
                text.push_str(string);
            }
            TypeNode::Enum(symbols) => {
                let at = usize::try_from(self.long()?).ok();
                let symbol = at.and_then(|at| symbols.get(at));
                text.push_str(symbol.ok_or("an enum has no such symbol")?);
            }
            TypeNode::Bytes(size) => STANDARD.encode_string(self.bytes(*size)?, &mut text),
            TypeNode::Decimal { size, scale } => {
                let value = decimal::from_bytes(self.bytes(*size)?)
                    .ok_or("a decimal has too many digits")?;
                decimal::put_text(value, *scale, &mut text);
            }
            TypeNode::BigDecimal => self.big_decimal(&mut text)?,
            TypeNode::Uuid(size) => put_uuid(self.bytes(*size)?, &mut text),
            TypeNode::Date => times::put_days(self.long()?, &mut text).ok_or(unfit)?,
            TypeNode::Timestamp(per_second) => {
                let seconds = self.long()?.div_euclid(*per_second);
                times::put_seconds(seconds, &mut text).ok_or(unfit)?;
            }
            TypeNode::Time(per_second) => {
                let seconds = self.long()?.div_euclid(*per_second);
                if !(0..times::SECONDS_PER_DAY).contains(&seconds) {
                    return Err("a time of day is longer than a day");
                }
                times::put_time(seconds, &mut text);
            }
            TypeNode::Duration => {
                let seconds = duration(self.take(12)?)?;
                times::put_seconds(seconds, &mut text).ok_or(unfit)?;
            }
            _ => return Err("it is of an unknown type"),
        }
        Ok(text)
    }

    fn record(&mut self, members: &'a [PlanField], depth: u32) -> DecodeResult {
        let mut texts = Vec::new();
        let mut first = true;
        self.out.push(b'{');
        for member in members {
            if depth == 0 {
                self.field = Some(&member.name);
            }
            if member.is_raw && depth == 0 {
                let before = std::mem::take(&mut self.out);
                self.raw_texts(member)?;
                texts = std::mem::replace(&mut self.out, before);
                continue;
            }
            self.comma(&mut first);
            self.string(&member.name);
            self.out.push(b':');
            self.value(self.schema.node(member.node), depth)?;
        }
        // The texts of misfits come last, behind the nulls of the same columns.
        if !texts.is_empty() {
            self.comma(&mut first);
            self.out.append(&mut texts);
        }
        self.out.push(b'}');
        self.field = None;
        Ok(())
    }

    /// The texts of values that did not fit their types, as members of an object.
    fn raw_texts(&mut self, member: &'a PlanField) -> DecodeResult {
        let TypeNode::Union(branches) = self.schema.node(member.node) else {
            return Err("it is of an unknown type");
        };
        match self.branch(branches)? {
            TypeNode::Null => Ok(()),
            TypeNode::Map(values) => self.members(*values, 0, &mut true),
            _ => Err("it is of an unknown type"),
        }
    }

    fn array(&mut self, items: usize, depth: u32) -> DecodeResult {
        self.out.push(b'[');
        let mut first = true;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.comma(&mut first);
                self.value(self.schema.node(items), depth)?;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, values: usize, depth: u32, outermost: bool) -> DecodeResult {
        let depth = if outermost { 0 } else { depth };
        self.out.push(b'{');
        self.members(values, depth, &mut true)?;
        self.out.push(b'}');
        Ok(())
    }

    fn members(&mut self, values: usize, depth: u32, first: &mut bool) -> DecodeResult {
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.comma(first);
                let key = self.text_of(&TypeNode::String)?;
                self.string(&key);
                self.out.push(b':');
                self.value(self.schema.node(values), depth)?;
            }
        }
        Ok(())
    }

    /// The number of items in the next block of an array or a map; `None` ends it. A negative number
    /// counts the same and is followed by the block's size in bytes (Avro 1.12, "Arrays").
    fn block(&mut self) -> Result<Option<i64>, &'static str> {
        let count = self.long()?;
        if count >= 0 {
            return Ok((count > 0).then_some(count));
        }
        self.long()?;
        let count = count.checked_neg();
        count.map(Some).ok_or("a block has too many items")
    }

    fn branch(&mut self, branches: &'a [usize]) -> Result<&'a TypeNode, &'static str> {
        let at = usize::try_from(self.long()?).ok();
        let branch = at
            .and_then(|at| branches.get(at))
            .ok_or("a union has no such branch")?;
        Ok(self.schema.node(*branch))
    }

    fn big_decimal(&mut self, text: &mut String) -> DecodeResult {
        let mut inner = self.sized()?;
        let wrong = "a big-decimal is malformed";
        let length = take_long(&mut inner).and_then(|length| usize::try_from(length).ok());
        let (unscaled, mut scale) = length
            .and_then(|length| inner.split_at_checked(length))
            .ok_or(wrong)?;
        let value = decimal::from_bytes(unscaled).ok_or("a decimal has too many digits")?;
        let scale = take_long(&mut scale)
            .and_then(|scale| usize::try_from(scale).ok())
            .filter(|scale| *scale <= MAX_DECIMAL_SCALE)
            .ok_or(wrong)?;
        decimal::put_text(value, scale, text);
        Ok(())
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }

    fn long(&mut self) -> Result<i64, &'static str> {
        take_long(&mut self.rest).ok_or("a number is cut off or too long")
    }

    fn sized(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    fn bytes(&mut self, size: Option<usize>) -> Result<&'a [u8], &'static str> {
        match size {
            Some(size) => self.take(size),
            None => self.sized(),
        }
    }

    fn number(&mut self, is_finite: bool, value: &dyn fmt::Display, top: bool) -> DecodeResult {
        if !is_finite {
            return Err("a number is infinite or none");
        }
        self.plain(&value.to_string(), top);
        Ok(())
    }

    /// Writes a text that needs no escapes.
    fn plain(&mut self, text: &str, quoted: bool) {
        if quoted {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(text.as_bytes());
        if quoted {
            self.out.push(b'"');
        }
    }

    fn string(&mut self, text: &str) {
        // A text always has a JSON form, and writing to memory does not fail.
        serde_json::to_writer(&mut self.out, text).ok();
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(b',');
        }
    }
}

/// The seconds of a duration, which is three little-endian numbers: months, days, milliseconds (Avro
/// 1.12, "Duration").
fn duration(bytes: &[u8]) -> Result<i64, &'static str> {
    let mut numbers = bytes.chunks_exact(4).map(|chunk| {
        let number = chunk.try_into().map(u32::from_le_bytes);
        i64::from(number.unwrap_or_default())
    });
    let mut next = || numbers.next().unwrap_or_default();
    let (months, days, millis) = (next(), next(), next());
    if months != 0 {
        return Err("a duration has months, which have no fixed length");
    }
    Ok(days * times::SECONDS_PER_DAY + millis / 1000)
}

/// Appends a UUID. Bytes of another length than 16 are none and become Base64.
fn put_uuid(bytes: &[u8], text: &mut String) {
    let mut digits = [0; 2 * UUID_BYTES];
    let digits = match <&[u8; UUID_BYTES]>::try_from(bytes) {
        Ok(uuid) => base16ct::lower::encode_str(uuid, &mut digits).unwrap_or_default(),
        Err(_) => return STANDARD.encode_string(bytes, text),
    };
    for (at, digit) in digits.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
}
