//! Single values: numbers as YAML writes them, encoded queries.

use crate::config::reader::parse_integer;
use crate::config::values::source::encoded_query;

#[test]
fn whole_numbers() {
    for (text, expected) in [
        ("20", 20),
        ("-1", -1),
        ("+5", 5),
        ("1_000", 1000),
        ("0x10", 16),
        ("0o17", 15),
        ("0b11", 3),
        ("1e3", 1000),
        ("20.0", 20),
        ("0", 0),
    ] {
        assert_eq!(parse_integer(text), Ok(expected), "{text}");
    }
    for bad in [
        "",
        "abc",
        "1.5",
        "010",
        "99999999999999999999",
        "--1",
        "0x",
        "inf",
        "1e30",
        "_1",
        "-0x-8000000000000000",
    ] {
        assert!(parse_integer(bad).is_err(), "{bad}");
    }
}

#[test]
fn queries() {
    for (text, expected) in [
        ("active=true", "active=true"),
        ("^active=true^EQ", "active=true"),
        ("a=1^ORb=2", "a=1^ORb=2"),
        ("a=1^NQb=2", "a=1^NQb=2"),
        ("a=ORDERBYx", "a=ORDERBYx"),
    ] {
        assert_eq!(encoded_query(text), Ok(expected.to_owned()), "{text}");
    }
    for bad in [
        "ORDERBYnumber",
        "a=1^ORDERBYDESCnumber",
        "^ORa=1",
        "^NQa=1",
        "ORa=1",
        "a=1^NQORb=2",
        "a=1\nb=2",
        "^EQ",
        "^",
        "a=1^GROUPBYb",
    ] {
        assert!(encoded_query(bad).is_err(), "{bad}");
    }
}
