use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

const ROW: &str = r#"{"a":"","b":"x","c":"","d":""}"#;

fn fits(row: &str) -> bool {
    let mut shape = RowShape::default();
    shape.learn(ROW.as_bytes(), "a", "b");
    shape.cursor_of(row.as_bytes()).is_some()
}

#[test]
fn rows_of_the_same_columns_fit() {
    for row in [
        ROW,
        r#"{"a":"1","b":"2","c":"3","d":"4"}"#,
        r#"{"a":"\\\"\u00e4\n","b":"","c":"ü","d":"a text of more than eight letters"}"#,
    ] {
        assert!(fits(row), "{row}");
    }
}

#[test]
fn damaged_rows_and_others_do_not() {
    for row in [
        r#"{"a":"","b":tru,"c":"","d":""}"#,
        r#"{"a":"","b":"x",,"c":"","d":""}"#,
        r#"{"a":"","b":"\q","c":"","d":""}"#,
        r#"{"a":"","b":"\u00g0","c":"","d":""}"#,
        r#"{"a":"","b":'x',"c":"","d":""}"#,
        r#"{"a":"","b":01,"c":"","d":""}"#,
        r#"{"a":"","b":["x","c":"","d":""}"#,
        r#"{"a":"","b":"x","c":"","d":""}}"#,
        r#"{"a":"","b":"x","c":"","d":"}"#,
        r#"{"a":"","b":"x","c":"","d":""#,
        r#"{"a":"","b":"x","c":""}"#,
        r#"{"a":"","b":"x","c":"","e":""}"#,
        "",
    ] {
        assert!(!fits(row), "{row}");
    }
}

/// Wherever it stands among the pieces that are compared at once.
#[test]
fn a_control_character_or_a_wrong_escape_is_found_at_each_place() {
    for length in 0..50 {
        for damage in ["\n", "\0", "\u{1f}", "\\q", "\\"] {
            let text = "a".repeat(length);
            let row = |value: String| format!(r#"{{"a":"{value}","b":"","c":"","d":""}}"#);
            assert!(fits(&row(format!("{text} ü{text}"))));
            assert!(!fits(&row(format!("{text}{damage}{text}"))), "{damage:?}");
        }
    }
}

#[test]
fn only_plain_rows_are_learned() {
    for row in [
        r#"{"a":"","a":""}"#,
        r#"{"a":1}"#,
        r#"{"a": ""}"#,
        r#"{"a\n":""}"#,
        r#"{"b":""}"#,
        "{}",
    ] {
        let mut shape = RowShape::default();
        shape.learn(row.as_bytes(), "a", "a");
        assert!(shape.cursor_of(row.as_bytes()).is_none(), "{row}");
    }
}

#[test]
fn the_values_of_the_cursor_columns_are_found() {
    let mut shape = RowShape::default();
    shape.learn(ROW.as_bytes(), "d", "b");
    for (time, id) in [
        ("2024-01-01", "x"),
        ("\\u0032", "\\\\"),
        ("", "x"),
        ("t", ""),
    ] {
        let row = format!(r#"{{"a":"d\":\"","b":"{id}","c":"{id}","d":"{time}"}}"#);
        let found = shape.cursor_of(row.as_bytes()).unwrap();
        assert_eq!(row.get(found.timestamp), Some(time), "{row}");
        assert_eq!(row.get(found.identifier), Some(id), "{row}");
        assert_eq!(found.mod_count, 0..0, "{row}");
    }
}

#[test]
fn the_count_of_changes_is_found_wherever_it_stands() {
    for names in [
        ["sys_mod_count", "t", "i"],
        ["t", "sys_mod_count", "i"],
        ["i", "t", "sys_mod_count"],
    ] {
        let row = |values: [&str; 3]| {
            let field = |(name, value)| format!(r#""{name}":"{value}""#);
            let fields: Vec<String> = names.iter().zip(values).map(field).collect();
            format!("{{{}}}", fields.join(","))
        };
        let mut shape = RowShape::default();
        shape.learn(row(["", "", ""]).as_bytes(), "t", "i");
        let row = row(names);
        let found = shape.cursor_of(row.as_bytes()).unwrap();
        assert_eq!(row.get(found.timestamp), Some("t"), "{row}");
        assert_eq!(row.get(found.identifier), Some("i"), "{row}");
        assert_eq!(row.get(found.mod_count), Some("sys_mod_count"), "{row}");
        // An empty value is passed at once, and what stands behind it is found all the same.
        let row = row.replace(
            "\"sys_mod_count\":\"sys_mod_count\"",
            "\"sys_mod_count\":\"\"",
        );
        let found = shape.cursor_of(row.as_bytes()).unwrap();
        assert_eq!(row.get(found.identifier), Some("i"), "{row}");
        assert_eq!(found.mod_count, 0..0, "{row}");
    }
}

proptest! {
    #[test]
    fn what_fits_is_json(
        values in prop::collection::vec(r#"[a\\"u0-9,:{}\[\]ü]{0,20}"#, 4),
        cut in 0_usize..60,
        put in r#"[",:{}\[\]\\a1]{0,2}"#,
    ) {
        let row = format!(
            r#"{{"a":"{}","b":"{}","c":"{}","d":"{}"}}"#,
            values[0], values[1], values[2], values[3]
        );
        let (start, end) = row.split_at_checked(cut).unwrap_or((&row, ""));
        let mut shape = RowShape::default();
        shape.learn(ROW.as_bytes(), "a", "b");
        for text in [row.clone(), format!("{start}{put}{end}")] {
            let parsed: Result<&RawValue, _> = serde_json::from_str(&text);
            prop_assert!(!fits(&text) || parsed.is_ok(), "{text}");
            // Nor does it matter what follows.
            let more = format!("{text},{ROW}]");
            let end = shape.recognize(more.as_bytes()).map(|row| row.length);
            let json = end.is_none_or(|end| {
                let row = more.get(..end).unwrap_or_default();
                serde_json::from_str::<&RawValue>(row).is_ok()
            });
            prop_assert!(json, "{text}");
        }
    }
}
