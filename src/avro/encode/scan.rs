//! Goes over the JSON text of a row once, without building anything from it.
//!
//! The text must be strict JSON (RFC 8259). Each value comes out as its form and its place in the text.

use std::fmt;

use memchr::{memchr, memchr2};

/// Deepest nesting inside a value. The Table API nests values one level deep at most.
const MAX_ROW_DEPTH: u32 = 64;

/// A row is not JSON; the number is the offset of the byte where that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedRow(usize);

impl fmt::Display for MalformedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row is not valid JSON (byte {})", self.0)
    }
}

/// The form of a column's value in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ValueForm {
    /// Nothing: the row has no such column.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// `""`.
    Empty,
    /// A string without escapes: its text is in the row.
    Text,
    /// A string with escapes: its text without them is in the scratch buffer.
    Unescaped,
    /// A string with escapes of which one is half a surrogate pair; U+FFFD stands for it in the scratch
    /// buffer.
    Torn,
    /// A number, `true` or `false`.
    Word,
    /// An array, or an object without a member `value`.
    Json,
}

/// A value: its form, and the place of its text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScannedValue {
    pub(super) form: ValueForm,
    start: u32,
    end: u32,
}

impl ScannedValue {
    /// The empty text.
    pub(super) const EMPTY: ScannedValue = ScannedValue {
        form: ValueForm::Empty,
        start: 0,
        end: 0,
    };

    /// Its text, from the row or the scratch buffer.
    pub(super) fn text<'a>(&self, row: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let from = match self.form {
            ValueForm::Absent | ValueForm::Null | ValueForm::Empty => return &[],
            ValueForm::Unescaped | ValueForm::Torn => scratch,
            ValueForm::Text | ValueForm::Word | ValueForm::Json => row,
        };
        from.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A position in the text of one row.
pub(super) struct RowScanner<'a> {
    row: &'a [u8],
    at: usize,
    /// Whether the row has control characters anywhere. Strings must not have any, so if not, no string
    /// has to be looked at for them.
    controls: bool,
    /// Takes the texts of strings that have escapes.
    scratch: &'a mut Vec<u8>,
}

impl<'a> RowScanner<'a> {
    /// Begins at the start of `row` and empties `scratch`.
    ///
    /// # Errors
    /// The row is not UTF-8 or larger than 4 GiB.
    pub(super) fn new(
        row: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<RowScanner<'a>, MalformedRow> {
        std::str::from_utf8(row).map_err(|error| MalformedRow(error.valid_up_to()))?;
        // Offsets are kept in 32 bits. Unescaped text is shorter, so one check is enough for both.
        u32::try_from(row.len()).map_err(|_| MalformedRow(row.len()))?;
        scratch.clear();
        Ok(RowScanner {
            row,
            at: 0,
            controls: has_controls(row),
            scratch,
        })
    }

    /// The rest of the row, which was not looked at yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.row.get(self.at..).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The text of a value that was passed.
    pub(super) fn text(&self, raw: ScannedValue) -> &[u8] {
        raw.text(self.row, self.scratch)
    }

    pub(super) fn malformed(&self) -> MalformedRow {
        MalformedRow(self.at)
    }

    /// Passes over white space and one byte; gives the byte.
    pub(super) fn token(&mut self) -> Option<u8> {
        self.space();
        let byte = self.row.get(self.at).copied();
        self.at += 1;
        byte
    }

    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), MalformedRow> {
        if self.token() == Some(wanted) {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.row.get(self.at) {
            self.at += 1;
        }
    }

    /// The rest of a string whose opening quote was passed.
    #[inline]
    pub(super) fn string(&mut self) -> Result<ScannedValue, MalformedRow> {
        let start = self.at;
        let rest = self.rest();
        let found = memchr2(b'"', b'\\', rest).ok_or_else(|| self.malformed())?;
        if rest.get(found) == Some(&b'\\') {
            return self.escaped();
        }
        self.at += found + 1;
        self.raw(ValueForm::Text, start, start + found)
    }

    #[inline]
    fn raw(&self, form: ValueForm, start: usize, end: usize) -> Result<ScannedValue, MalformedRow> {
        if self.controls && form == ValueForm::Text {
            let text = self.row.get(start..end).unwrap_or_default();
            if has_controls(text) {
                return Err(MalformedRow(start));
            }
        }
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(ScannedValue { form, start, end }),
            _ => Err(MalformedRow(start)),
        }
    }

    /// Puts a string with escapes into the scratch buffer, without them.
    fn escaped(&mut self) -> Result<ScannedValue, MalformedRow> {
        let start = self.scratch.len();
        let mut form = ValueForm::Unescaped;
        loop {
            let rest = self.rest();
            let found = memchr2(b'"', b'\\', rest).ok_or_else(|| self.malformed())?;
            let (plain, after) = rest.split_at(found);
            if self.controls && has_controls(plain) {
                return Err(self.malformed());
            }
            self.scratch.extend_from_slice(plain);
            self.at += found + 1;
            if after.first() == Some(&b'"') {
                return self.raw(form, start, self.scratch.len());
            }
            if !self.escape()? {
                form = ValueForm::Torn;
            }
        }
    }

    /// Reads one escape whose backslash was passed. False: it is half a surrogate pair.
    fn escape(&mut self) -> Result<bool, MalformedRow> {
        let letter = self.row.get(self.at).copied();
        self.at += 1;
        let byte = match letter {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => return self.unicode(),
            _ => return Err(self.malformed()),
        };
        self.scratch.push(byte);
        Ok(true)
    }

    /// Reads the digits of a `\u` escape, and of the escape that is its other half, if there is one.
    fn unicode(&mut self) -> Result<bool, MalformedRow> {
        let first = self.hex4()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            } else {
                // The second escape is no other half: it is read on its own.
                self.at = before;
            }
        }
        let letter = char::from_u32(code);
        let mut utf8 = [0; 4];
        let text = letter
            .unwrap_or(char::REPLACEMENT_CHARACTER)
            .encode_utf8(&mut utf8);
        self.scratch.extend_from_slice(text.as_bytes());
        Ok(letter.is_some())
    }

    fn hex4(&mut self) -> Result<u32, MalformedRow> {
        let digits = self.rest().get(..4).ok_or_else(|| self.malformed())?;
        let code = digits.iter().try_fold(0, |code, digit| {
            Some(code << 4 | char::from(*digit).to_digit(16)?)
        });
        self.at += 4;
        code.ok_or_else(|| self.malformed())
    }

    /// Reads a value. An object that has a member `value` has the value of that member.
    pub(super) fn value(&mut self) -> Result<ScannedValue, MalformedRow> {
        // Texts are read here and not behind a call, because nearly all values are texts.
        if self.rest().starts_with(b"\"") {
            self.at += 1;
            return self.string();
        }
        self.nested(0)
    }

    fn nested(&mut self, depth: u32) -> Result<ScannedValue, MalformedRow> {
        match self.token() {
            Some(b'"') => self.string(),
            Some(open @ (b'{' | b'[')) if depth < MAX_ROW_DEPTH => {
                let start = self.at - 1;
                let value = if open == b'{' {
                    self.object(depth + 1)?
                } else {
                    self.array(depth + 1)?;
                    None
                };
                match value {
                    Some(value) => Ok(value),
                    None => self.raw(ValueForm::Json, start, self.at),
                }
            }
            Some(_) => self.word(),
            None => Err(self.malformed()),
        }
    }

    /// The rest of an object whose brace was passed; gives its last member `value`.
    fn object(&mut self, depth: u32) -> Result<Option<ScannedValue>, MalformedRow> {
        let mut value = None;
        self.space();
        if self.rest().first() == Some(&b'}') {
            self.at += 1;
            return Ok(None);
        }
        loop {
            self.expect(b'"')?;
            let key = self.string()?;
            let is_value = self.text(key) == b"value";
            self.expect(b':')?;
            let member = self.nested(depth)?;
            if is_value {
                value = Some(member);
            }
            match self.token() {
                Some(b',') => {}
                Some(b'}') => return Ok(value),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// The rest of an array whose bracket was passed.
    fn array(&mut self, depth: u32) -> Result<(), MalformedRow> {
        self.space();
        if self.rest().first() == Some(&b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.nested(depth)?;
            match self.token() {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// A number, `true`, `false` or `null` whose first byte was passed.
    fn word(&mut self) -> Result<ScannedValue, MalformedRow> {
        let start = self.at - 1;
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let rest = self.row.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let word = rest.get(..length).unwrap_or_default();
        let form = match word {
            b"null" => ValueForm::Null,
            b"true" | b"false" => ValueForm::Word,
            number if is_number(number) => ValueForm::Word,
            _ => return Err(self.malformed()),
        };
        self.at = start + length;
        self.raw(form, start, self.at)
    }
}

/// Whether a text is a JSON number.
pub(super) fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (text, exponent) = match memchr2(b'e', b'E', text) {
        Some(at) => (text.get(..at), text.get(at + 1..)),
        None => (Some(text), None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let sign = |sign: &[u8]| exponent.strip_prefix(sign);
        digits(sign(b"+").or_else(|| sign(b"-")).unwrap_or(exponent))
    });
    let text = text.unwrap_or_default();
    let (whole, part_fits) = match memchr(b'.', text) {
        Some(at) => (text.get(..at), text.get(at + 1..).is_some_and(digits)),
        None => (Some(text), true),
    };
    let whole = whole.unwrap_or_default();
    exponent_fits && part_fits && digits(whole) && (whole == b"0" || !whole.starts_with(b"0"))
}

/// Whether there is a byte below the space. It looks at all bytes instead of stopping at the first one,
/// so that the compiler can use vector instructions.
fn has_controls(text: &[u8]) -> bool {
    text.iter()
        .fold(false, |found, byte| found | (*byte < b' '))
}
