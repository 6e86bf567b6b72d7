use super::*;

fn columns(filter: Option<&str>) -> QueryColumns {
    QueryColumns {
        timestamp: "sys_updated_on".into(),
        identifier: "sys_id".into(),
        filter: filter.map(str::to_owned),
    }
}

fn cursor(time: &str, id: Option<&str>) -> Option<Cursor> {
    Some(Cursor {
        seconds: parse_time(time.as_bytes()).unwrap(),
        id: id.map(str::to_owned),
    })
}

fn slice(after: Option<Cursor>, to: &str) -> Slice {
    Slice {
        after,
        to: parse_time(to.as_bytes()).unwrap(),
        id_to: None,
    }
}

fn text(filter: Option<&str>, slice: &Slice) -> String {
    columns(filter).encode(slice, &TimeLiterals::Utc).text
}

#[test]
fn a_slice_becomes_a_query() {
    let order = "^ORDERBYsys_updated_on^ORDERBYsys_id";
    let to = "2024-01-31 10:00:00";
    assert_eq!(
        text(None, &slice(None, to)),
        format!("sys_updated_on<=2024-01-31 10:00:00{order}")
    );
    let start = cursor("2024-01-30 00:00:00", None);
    assert_eq!(
        text(None, &slice(start, to)),
        format!("sys_updated_on>=2024-01-30 00:00:00^sys_updated_on<=2024-01-31 10:00:00{order}")
    );
    let behind = cursor("2024-01-30 00:00:00", Some("ab"));
    assert_eq!(
        text(Some("active=true^NQstate=7^ORstate=8"), &slice(behind, to)),
        format!(
            "active=true^sys_updated_on>2024-01-30 00:00:00^sys_updated_on<=2024-01-31 10:00:00\
             ^NQactive=true^sys_updated_on=2024-01-30 00:00:00^sys_id>ab\
             ^NQstate=7^ORstate=8^sys_updated_on>2024-01-30 00:00:00^sys_updated_on<=2024-01-31 10:00:00\
             ^NQstate=7^ORstate=8^sys_updated_on=2024-01-30 00:00:00^sys_id>ab{order}"
        )
    );
}

#[test]
fn a_part_is_read_in_the_order_of_identifiers() {
    let part = IdentifierRange {
        query: Some("state=1^NQstate=2"),
        since: Some(0),
        from: Some("4"),
        to: Some("c"),
    };
    let text = |filter, part, after| {
        let columns = columns(filter);
        columns.by_identifier(part, after, &TimeLiterals::Utc).text
    };
    let range = "sys_updated_on>=1970-01-01 00:00:00^sys_id>ab^sys_id<c";
    assert_eq!(
        text(Some("a=b"), &part, Some("ab")),
        format!("a=b^state=1^{range}^NQa=b^state=2^{range}^ORDERBYsys_id")
    );
    let all = IdentifierRange::default();
    assert_eq!(text(None, &all, None), "ORDERBYsys_id");
    assert_eq!(
        text(Some("a=b"), &all, Some("ab")),
        "a=b^sys_id>ab^ORDERBYsys_id"
    );
}

#[test]
fn inside_one_second_only_identifiers_matter() {
    let mut slice = slice(
        cursor("2024-01-31 10:00:00", Some("ab")),
        "2024-01-31 10:00:00",
    );
    slice.id_to = Some("cd".into());
    assert_eq!(
        text(None, &slice),
        "sys_updated_on=2024-01-31 10:00:00^sys_id>ab^sys_id<=cd\
         ^ORDERBYsys_updated_on^ORDERBYsys_id"
    );
    slice.after.as_mut().unwrap().id = None;
    assert_eq!(
        text(None, &slice),
        "sys_updated_on=2024-01-31 10:00:00^sys_id<=cd^ORDERBYsys_updated_on^ORDERBYsys_id"
    );
}

#[test]
fn literals_follow_the_users_zone() {
    let tokyo = TimeLiterals::User(TimeZone::get("Asia/Tokyo").unwrap());
    let encoded = columns(None).encode(&slice(None, "2024-01-31 20:00:00"), &tokyo);
    assert!(
        encoded
            .text
            .starts_with("sys_updated_on<=2024-02-01 05:00:00^")
    );
    assert!(!encoded.widened);
}

#[test]
fn the_hour_that_repeats_is_asked_for_generously() {
    let new_york = TimeLiterals::User(TimeZone::get("America/New_York").unwrap());
    // Clocks went from 02:00 EDT back to 01:00 EST at 06:00 UTC.
    for inside in ["2024-11-03 05:30:00", "2024-11-03 06:30:00"] {
        let asked = slice(cursor(inside, Some("ab")), inside);
        let encoded = columns(None).encode(&asked, &new_york);
        assert!(encoded.widened);
        assert!(encoded.earliest.unwrap() <= parse_time(b"2024-11-03 04:59:59").unwrap());
        assert!(encoded.latest >= parse_time(b"2024-11-03 07:00:00").unwrap());
        for bound in [encoded.earliest.unwrap(), encoded.latest] {
            assert_eq!(new_york.fold(bound), 0, "the bounds name one instant each");
        }
    }
    for outside in [
        "2024-11-03 04:59:59",
        "2024-11-03 07:00:00",
        "2024-03-10 07:00:00",
    ] {
        let asked = slice(cursor(outside, Some("ab")), outside);
        assert!(
            !columns(None).encode(&asked, &new_york).widened,
            "{outside}"
        );
    }
}

#[test]
fn values_that_the_platform_would_cut_or_run_are_found() {
    for (value, fault) in [
        ("", None),
        ("0a1b", None),
        ("a b-c_d.e, ü 漢", None),
        ("see javascript: there", None),
        ("javascript", None),
        ("a^b", Some(QueryValueFault::Separator)),
        ("^NQsys_idISNOTEMPTY", Some(QueryValueFault::Separator)),
        ("a\nb", Some(QueryValueFault::Control)),
        ("a\u{0}", Some(QueryValueFault::Control)),
        ("a\u{85}b", Some(QueryValueFault::Control)),
        ("a\u{2028}b", Some(QueryValueFault::Control)),
        ("javascript:gs.getUserID()", Some(QueryValueFault::Script)),
        ("JavaScript:x", Some(QueryValueFault::Script)),
        (" \u{a0}\u{200b}javascript:x", Some(QueryValueFault::Script)),
    ] {
        assert_eq!(query_value_fault(value.as_bytes()), fault, "{value:?}");
    }
    assert_eq!(
        query_value_fault(b"\xff^"),
        Some(QueryValueFault::Separator)
    );
}

#[test]
fn times_and_identifiers_are_read_strictly() {
    assert_eq!(parse_time(b"2024-01-24 13:20:00"), Some(1_706_102_400));
    for wrong in [
        "",
        "2024-01-24",
        "2024-01-24 13:20",
        "2024-01-24T13:20:00",
        "24-01-24 13:20:00",
        "2024-13-24 13:20:00",
        "2024-01-24 13:20:00.5",
        "2024-01-24 25:20:00",
        "+024-01-24 13:20:00",
    ] {
        assert_eq!(parse_time(wrong.as_bytes()), None, "{wrong}");
    }
    assert_eq!(hex_id(b"000000000000000000000000000000ff"), Some(255));
    assert_eq!(hex_id(b"000000000000000000000000000000FF"), None);
    assert_eq!(
        hex_id(b"fedcba98765432100123456789abcdef"),
        Some(0xfedc_ba98_7654_3210_0123_4567_89ab_cdef)
    );
    assert_eq!(hex_id(b"glide.maint"), None);
}
