use std::io::{self, Read};

use super::*;
use crate::config::DisplayValue;

/// Gives its bytes in pieces of a fixed size, then an error if there is one.
struct SlowReader<'a>(&'a [u8], usize, Option<io::ErrorKind>);

impl Read for SlowReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        if n == 0
            && let Some(kind) = self.2
        {
            return Err(kind.into());
        }
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn read(
    text: &str,
    step: usize,
    display: DisplayValue,
) -> Result<Vec<(String, String, i64)>, PageError> {
    let locator = CursorColumns::new("sys_updated_on", "sys_id", display);
    let mut reader = PageReader::new(SlowReader(text.as_bytes(), step, None), locator);
    let mut rows = Vec::new();
    let mut spare = None;
    loop {
        match reader.next(spare.take())? {
            PageChunk::End => return Ok(rows),
            PageChunk::Rows(block) => {
                for row in &block.rows {
                    let text = |range| String::from_utf8(block.slice(range).to_vec()).unwrap();
                    rows.push((text(&row.text), text(&row.id), row.seconds));
                }
                spare = Some(block);
            }
        }
    }
}

fn row(n: usize, filler: usize) -> String {
    format!(
        r#"{{"number":"INC{n}","text":"{}","sys_id":"{n:032x}","sys_updated_on":"1970-01-01 00:00:{:02}"}}"#,
        "x".repeat(filler),
        n % 60
    )
}

#[test]
fn rows_come_byte_for_byte_at_any_read_size() {
    let rows: Vec<String> = (0..700).map(|n| row(n, 1500)).collect();
    let page = format!("{{ \"result\" : [{}] }}\n", rows.join(","));
    for step in [1000, 64 * 1024, usize::MAX] {
        let got = read(&page, step, DisplayValue::False).unwrap();
        assert_eq!(got.len(), 700);
        for (n, (text, id, seconds)) in got.into_iter().enumerate() {
            assert_eq!(text, rows[n]);
            assert_eq!(id, format!("{n:032x}"));
            assert_eq!(seconds, n as i64 % 60);
        }
    }
}

#[test]
fn a_row_larger_than_the_buffer_comes_whole() {
    let (small, large) = (row(1, 10), row(2, 3 * READ_BUFFER_BYTES));
    let page = format!("{{\"result\":[{small},{large},{small}]}}");
    let got = read(&page, 10_000, DisplayValue::False).unwrap();
    assert_eq!(got.len(), 3);
    assert_eq!(got[1].0, large);
}

#[test]
fn display_forms_keep_the_stored_cursor() {
    let row = r#"{"sys_id":{"display_value":"ab","value":"ab"},"state":{"display_value":"New","value":"1"},"sys_updated_on":{"display_value":"01/01/1970 09:00","value":"1970-01-01 00:00:07"}}"#;
    let page = format!("{{\"result\":[{row}]}}");
    let all = read(&page, 7, DisplayValue::All).unwrap();
    assert_eq!(all, [(row.to_owned(), "ab".to_owned(), 7)]);
    let display = r#"{"sys_id":"ab","state":"New","sys_updated_on":"01/01/1970 09:00"}"#;
    let shown = read(&page, 7, DisplayValue::True).unwrap();
    assert_eq!(shown, [(display.to_owned(), "ab".to_owned(), 7)]);
}

#[test]
fn other_orders_and_spaces_are_understood() {
    let row = r#"{ "sys_updated_on" : "1970-01-01 00:00:07", "sys_id" : "a\u0062" }"#;
    for page in [
        format!("{{\"session\":{{}},\"result\":[{row}]}}"),
        format!("\n{{\t\"result\":\n[ {row} ],\"session\":{{}}}}"),
    ] {
        let got = read(&page, 5, DisplayValue::False).unwrap();
        assert_eq!(got, [(row.to_owned(), "ab".to_owned(), 7)]);
    }
    assert!(
        read(r#"{"result":[]}"#, 1, DisplayValue::False)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_no_good_page_is_refused() {
    let row = row(1, 5);
    for (page, words) in [
        (String::new(), "it is empty"),
        ("null".into(), "not a complete list"),
        ("<html>".into(), "not a complete list"),
        ("{}".into(), "no `result` list"),
        (r#"{"result":{}}"#.into(), "no `result` list"),
        (r#"{"result":[{"a":"#.into(), "ends inside the rows"),
        (format!("{{\"result\":[{row}"), "ends inside the rows"),
        (format!("{{\"result\":[{row}]"), "behind the rows"),
        (format!("{{\"result\":[{row}]}}{{"), "behind the rows"),
        (
            format!(
                "{{\"result\":[{row}],\"error\":{{\"message\":\"Transaction cancelled\",\"detail\":null}},\"status\":\"failure\"}}"
            ),
            "Transaction cancelled",
        ),
        (
            format!("{{\"result\":[{row}],\"status\":\"failure\"}}"),
            "status: failure",
        ),
        (
            format!("{{\"result\":[{row},\"error\":{{}}}}"),
            "something other than rows",
        ),
        (
            r#"{"error":{"message":"Invalid table x","detail":null},"status":"failure"}"#.into(),
            "Invalid table x",
        ),
        (
            r#"{"result":[{"sys_id":"a"}]}"#.into(),
            "no value in `sys_updated_on`",
        ),
        (
            r#"{"result":[{"sys_id":"a","sys_updated_on":"today"}]}"#.into(),
            "something else than a date and time",
        ),
        (
            r#"{"result":[{"sys_id":"","sys_updated_on":"1970-01-01 00:00:00"}]}"#.into(),
            "`sys_id`",
        ),
    ] {
        for step in [1, 1000] {
            let error = read(&page, step, DisplayValue::False)
                .expect_err(&page)
                .to_string();
            assert!(error.contains(words), "{page}: {error}");
        }
    }
}

/// ServiceNow cuts texts by UTF-16 units.
#[test]
fn half_a_letter_in_a_row_is_no_damage() {
    let half = row(1, 5).replace('{', r#"{"text":"cut \ud83d","#);
    let later = row(2, 6).replace('{', r#"{"text":"\ud83d","#);
    let page = format!("{{\"result\":[{half},{later},{half}]}}");
    let rows = read(&page, 1000, DisplayValue::False).unwrap();
    assert_eq!(rows.len(), 3);
}

/// The identifier inside of another object is not the row's.
#[test]
fn a_damaged_row_with_an_object_in_it_has_no_place() {
    let object = r#"{"sys_id":"other","sys_updated_on":"1970-01-01 00:00:01"}"#;
    let flat = row(1, 5).replace("xxxxx", "\\q");
    let nested = flat.replace('{', &format!("{{\"caller\":{object},"));
    let locator = CursorColumns::new("sys_updated_on", "sys_id", DisplayValue::False);
    for (bad, id) in [(flat, Some(format!("{:032x}", 1))), (nested, None)] {
        let page = format!("{{\"result\":[{bad}]}}");
        let mut reader =
            PageReader::new(page.as_bytes(), locator.clone()).on_bad_row(OnBadRow::Skip);
        let PageChunk::Rows(block) = reader.next(None).unwrap() else {
            panic!("no rows");
        };
        assert_eq!(block.bad[0].id, id);
        assert_eq!(block.rows.len(), usize::from(id.is_some()));
    }
}

#[test]
fn blanks_before_the_rows_are_looked_at_once() {
    let page = format!("{}{{\"result\":[{}]}}", " ".repeat(8 << 20), row(1, 5));
    let rows = read(&page, 100, DisplayValue::False).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn a_reset_and_a_broken_encoding_are_errors() {
    let locator = CursorColumns::new("sys_updated_on", "sys_id", DisplayValue::False);
    let text = format!("{{\"result\":[{}", row(1, 5));
    let reset = SlowReader(text.as_bytes(), 10, Some(io::ErrorKind::ConnectionReset));
    let mut reader = PageReader::new(reset, locator.clone());
    assert!(matches!(reader.next(None), Err(PageError::Read(_))));

    let text = b"{\"result\":[{\"sys_id\":\"\xff\",\"sys_updated_on\":\"1970-01-01 00:00:00\"}]}";
    let mut reader = PageReader::new(SlowReader(text, 10, None), locator);
    assert!(matches!(reader.next(None), Err(PageError::Malformed(_))));
}

/// The counts of changes of the rows of a page.
fn mod_counts(page: &str, display: DisplayValue) -> Vec<Option<u32>> {
    let locator = CursorColumns::new("sys_updated_on", "sys_id", display);
    let mut reader = PageReader::new(page.as_bytes(), locator);
    let PageChunk::Rows(block) = reader.next(None).unwrap() else {
        panic!("no rows");
    };
    block.rows.iter().map(|row| row.mod_count).collect()
}

#[test]
fn the_stored_count_of_changes_comes_in_every_form() {
    let plain = |n: usize, count: &str| {
        row(n, 5).replace('{', &format!("{{\"sys_mod_count\":\"{count}\","))
    };
    let counts = ["4", "4294967295", "4294967296", "x", "", "1,2"];
    let rows: Vec<String> = counts.iter().map(|count| plain(1, count)).collect();
    let page = format!("{{\"result\":[{},{}]}}", rows.join(","), row(2, 5));
    let found = [Some(4), Some(u32::MAX), None, None, None, None, None];
    assert_eq!(mod_counts(&page, DisplayValue::False), found);

    let both = r#"{"sys_id":{"display_value":"ab","value":"ab"},"sys_mod_count":{"display_value":"1,234","value":"1234"},"sys_updated_on":{"display_value":"01/01/1970 09:00","value":"1970-01-01 00:00:07"}}"#;
    let page = format!("{{\"result\":[{both}]}}");
    for display in [DisplayValue::All, DisplayValue::True] {
        assert_eq!(mod_counts(&page, display), [Some(1234)]);
    }
    let number = row(1, 5).replace('{', r#"{"sys_mod_count": 7,"#);
    let page = format!("{{\"result\":[{number}]}}");
    assert_eq!(mod_counts(&page, DisplayValue::False), [Some(7)]);
}
