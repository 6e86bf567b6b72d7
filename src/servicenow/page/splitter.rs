//! Cuts the rows out of a list answer while it arrives, without parsing them.
//!
//! A page is `{"result":[{..},{..}],..}`. Where a row ends is known from braces and quotes alone, so
//! the text is searched for braces and backslashes with vector instructions, and the quotes between
//! two finds are only counted: an odd number means that the find is inside a string. A row of the same
//! columns as one before is not searched: `shape` finds its end, and with it that it is valid. Separators
//! between rows are checked here; what stands inside another row is checked later. Anything unexpected is
//! an error, never data.

use std::fmt;
use std::ops::Range;

use memchr::{memchr_iter, memchr3};

use super::shape::{CursorPlaces, RowShape};

/// Deepest nesting inside a row. Rows of the Table API nest at most twice.
const MAX_ROW_NESTING: u32 = 64;

/// Why the text is not an array of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MalformedRows {
    /// Something else than `,` between two rows, or a row that is no object.
    Separator,
    /// More nesting than a row can have.
    Depth,
}

impl fmt::Display for MalformedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedRows::Separator => "something other than rows stands in the `result` array",
            MalformedRows::Depth => "a row is nested too deeply",
        })
    }
}

/// A row found in the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSpan {
    /// Its bytes, braces included.
    pub(crate) bytes: Range<usize>,
    /// It holds no nested object.
    pub(crate) flat: bool,
    /// Where the values of its cursor columns are in it. With these it is valid JSON, as far as it is UTF-8;
    /// without them that is not known.
    pub(super) cursor: Option<CursorPlaces>,
}

/// How far a call to [`RowSplitter::scan`] came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SplitProgress {
    /// All bytes so far are seen; the array goes on.
    More,
    /// The array ended; the position behind its `]`.
    End(usize),
}

/// The scanner's memory between two calls; positions refer to the caller's buffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowSplitter {
    /// The next byte to look at.
    position: usize,
    /// Open braces: 0 between rows, 1 in a row.
    depth: u32,
    /// `position` is inside a string.
    in_string: bool,
    /// Where the open row begins.
    row_start: usize,
    /// The open row has no nested object so far.
    flat: bool,
    /// A row was seen, so that a comma must stand before the next one.
    any: bool,
    /// That comma was seen.
    comma: bool,
}

impl RowSplitter {
    /// Starts right behind the `[` of the `result` array, at `position` of the buffer.
    pub(crate) fn new(position: usize) -> RowSplitter {
        RowSplitter {
            position,
            ..RowSplitter::default()
        }
    }

    /// The first byte that a later call still needs.
    pub(crate) fn keep_from(&self) -> usize {
        if self.depth > 0 {
            self.row_start
        } else {
            self.position
        }
    }

    /// The buffer dropped its first `n` bytes (at most [`RowSplitter::keep_from`]).
    pub(crate) fn rebase(&mut self, n: usize) {
        self.position = self.position.saturating_sub(n);
        self.row_start = self.row_start.saturating_sub(n);
    }

    /// Scans what was added to `buffer`, appending the rows that end there. `shape` is that of the rows
    /// before.
    pub(super) fn scan(
        &mut self,
        buffer: &[u8],
        shape: &RowShape,
        rows: &mut Vec<RowSpan>,
    ) -> Result<SplitProgress, MalformedRows> {
        loop {
            if self.depth == 0 {
                if let Some(progress) = self.between_rows(buffer)? {
                    return Ok(progress);
                }
                self.known_row(buffer, shape, rows);
            } else if !self.in_row(buffer, rows)? {
                return Ok(SplitProgress::More);
            }
        }
    }

    /// Passes white space and the comma; `None` when a row begins.
    fn between_rows(&mut self, buffer: &[u8]) -> Result<Option<SplitProgress>, MalformedRows> {
        while let Some(&byte) = buffer.get(self.position) {
            let at = self.position;
            self.position += 1;
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b',' if self.any && !self.comma => self.comma = true,
                b']' if !self.comma => return Ok(Some(SplitProgress::End(self.position))),
                b'{' if self.comma == self.any => {
                    self.row_start = at;
                    self.depth = 1;
                    self.flat = true;
                    self.comma = false;
                    return Ok(None);
                }
                _ => return Err(MalformedRows::Separator),
            }
        }
        Ok(Some(SplitProgress::More))
    }

    /// Passes the row that begins here, if it is whole and of this shape.
    fn known_row(&mut self, buffer: &[u8], shape: &RowShape, rows: &mut Vec<RowSpan>) {
        let row = buffer.get(self.row_start..).unwrap_or_default();
        if let Some(known) = shape.recognize(row) {
            self.position = self.row_start + known.length;
            self.row_ends(Some(known.cursor), rows);
        }
    }

    fn row_ends(&mut self, cursor: Option<CursorPlaces>, rows: &mut Vec<RowSpan>) {
        rows.push(RowSpan {
            bytes: self.row_start..self.position,
            flat: self.flat,
            cursor,
        });
        self.depth = 0;
        self.any = true;
    }

    /// Goes to the next brace or backslash; false when the buffer is used up.
    fn in_row(&mut self, buffer: &[u8], rows: &mut Vec<RowSpan>) -> Result<bool, MalformedRows> {
        let rest = buffer.get(self.position..).unwrap_or_default();
        let found = memchr3(b'}', b'{', b'\\', rest);
        let (before, after) = rest.split_at(found.unwrap_or(rest.len()));
        if memchr_iter(b'"', before).count() % 2 == 1 {
            self.in_string = !self.in_string;
        }
        self.position += before.len();
        match after {
            [] | [b'\\'] => return Ok(false),
            [b'\\', ..] => {
                self.position += 2;
                return Ok(true);
            }
            [brace, ..] => {
                self.position += 1;
                if !self.in_string {
                    self.brace(*brace, rows)?;
                }
            }
        }
        Ok(true)
    }

    fn brace(&mut self, brace: u8, rows: &mut Vec<RowSpan>) -> Result<(), MalformedRows> {
        if brace == b'{' {
            self.flat = false;
            self.depth += 1;
            return if self.depth > MAX_ROW_NESTING {
                Err(MalformedRows::Depth)
            } else {
                Ok(())
            };
        }
        self.depth -= 1;
        if self.depth == 0 {
            self.row_ends(None, rows);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Scans `text` (what follows the opening `[`) fed in pieces of `step` bytes, after a row of this shape.
    /// Gives the rows, and where the array ends.
    fn scan_in_pieces(
        shape: &RowShape,
        text: &[u8],
        step: usize,
    ) -> Result<(Vec<Range<usize>>, Option<usize>), MalformedRows> {
        let mut splitter = RowSplitter::new(0);
        let mut spans = Vec::new();
        let (mut have, mut end) = (0, None);
        while end.is_none() && have < text.len() {
            have = (have + step).min(text.len());
            if let SplitProgress::End(at) = splitter.scan(&text[..have], shape, &mut spans)? {
                end = Some(at);
            }
        }
        Ok((spans.into_iter().map(|span| span.bytes).collect(), end))
    }

    fn rows_of(text: &[u8], step: usize) -> Result<(Vec<Vec<u8>>, usize), MalformedRows> {
        let (spans, end) = scan_in_pieces(&RowShape::default(), text, step)?;
        let rows = spans.into_iter().map(|span| text[span].to_vec()).collect();
        Ok((rows, end.expect("the array did not end")))
    }

    fn rows(text: &str) -> Result<Vec<String>, MalformedRows> {
        rows_of(text.as_bytes(), 64).map(|(rows, _)| {
            rows.into_iter()
                .map(|row| String::from_utf8(row).unwrap())
                .collect()
        })
    }

    #[test]
    fn brackets_and_quotes_inside_strings_do_not_count() {
        let text = r#"{"a":"}]{[\"\\"},{"b":{"c":["\\\"]"]}}]"#;
        assert_eq!(
            rows(text).unwrap(),
            [r#"{"a":"}]{[\"\\"}"#, r#"{"b":{"c":["\\\"]"]}}"#]
        );
    }

    #[test]
    fn an_empty_array_has_no_rows() {
        assert!(rows(" \n ]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        for (text, error) in [
            (r#"{},"error":{"message":"x"}}]"#, MalformedRows::Separator),
            (r#"{}{}]"#, MalformedRows::Separator),
            (r#"{},]"#, MalformedRows::Separator),
            (r#"1,{}]"#, MalformedRows::Separator),
            (r#"[]]"#, MalformedRows::Separator),
            (r#",{}]"#, MalformedRows::Separator),
            (r#"}"#, MalformedRows::Separator),
        ] {
            assert_eq!(rows(text), Err(error), "{text}");
        }
        let deep = "{\"a\":".repeat(80);
        assert_eq!(rows(&format!("{deep}]")), Err(MalformedRows::Depth));
    }

    fn row() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            "\\PC{0,40}".prop_map(Value::from),
            "[\"\\\\{}\\[\\],: ]{0,90}".prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(Value::Null),
        ];
        let value = scalar.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\]{1,4}", inner), 0..3).prop_map(|fields| json!(
                    fields.into_iter().collect::<serde_json::Map<_, _>>()
                )),
            ]
        });
        prop::collection::vec(("[a-z_]{1,8}", value), 0..6)
            .prop_map(|fields| json!(fields.into_iter().collect::<serde_json::Map<_, _>>()))
    }

    proptest! {
        #[test]
        fn agrees_with_a_json_parser(values in prop::collection::vec(row(), 0..8), step in 1_usize..300) {
            let expected: Vec<String> = values.iter().map(ToString::to_string).collect();
            let text = format!("{}] tail", expected.join(" ,\n"));
            let (rows, end) = rows_of(text.as_bytes(), step).unwrap();
            let rows: Vec<String> = rows.into_iter().map(|r| String::from_utf8(r).unwrap()).collect();
            prop_assert_eq!(rows, expected);
            prop_assert_eq!(end, text.len() - 5);
        }

        /// A row that the shape ends is the one that the braces end.
        #[test]
        fn a_shape_finds_the_same_rows(
            values in prop::collection::vec(prop::collection::vec(r#"[a\\"u0-9,:{}\[\]ü\n]{0,20}"#, 2), 1..5),
            cut in 0_usize..90,
            put in r#"[",:{}\[\]\\a1]{0,2}"#,
            step in 1_usize..100,
        ) {
            let rows: Vec<String> = values
                .iter()
                .map(|row| format!(r#"{{"a":"{}","b":"{}"}}"#, row[0], row[1]))
                .collect();
            let whole = rows.join(",");
            let (start, end) = whole.split_at_checked(cut).unwrap_or((&whole, ""));
            let text = format!("{start}{put}{end}]");
            let mut shape = RowShape::default();
            shape.learn(br#"{"a":"","b":""}"#, "a", "b");
            let plain = scan_in_pieces(&RowShape::default(), text.as_bytes(), step);
            prop_assert_eq!(scan_in_pieces(&shape, text.as_bytes(), step), plain);
        }

        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..300), step in 1_usize..100) {
            if let Ok((spans, end)) = scan_in_pieces(&RowShape::default(), &text, step) {
                prop_assert!(spans.iter().all(|span| span.end <= text.len()));
                prop_assert!(end.is_none_or(|end| end <= text.len()));
            }
        }
    }
}
