use super::*;
use crate::servicenow::LimitHeaders;

/// A request for some columns of some rows.
fn asking(fields: Option<&'static str>, limit: &str) -> ReadRequest<'static> {
    let mut params = vec![("sysparm_limit", limit.to_owned())];
    params.extend(fields.map(|fields| ("sysparm_fields", fields.to_owned())));
    ReadRequest {
        path: String::new(),
        params,
        endpoint: "",
        what: String::new(),
        max_answer_bytes: 0,
        private: false,
        optional: false,
    }
}

fn answer(result: &str) -> WholeAnswer {
    let now = std::time::Instant::now();
    WholeAnswer {
        head: ResponseHead {
            date: None,
            sent: now,
            received: now,
            status: 200,
            location: None,
            total_count: None,
            limits: LimitHeaders::default(),
        },
        result: result.to_owned(),
    }
}

fn rows(result: &str, request: &ReadRequest<'_>) -> AnswerRows {
    answer(result).rows(request).unwrap()
}

#[test]
fn only_what_was_asked_for_is_kept() {
    let result =
        r#"[{"a":"1","":0,"b":{"value":"2","display_value":[]}},{"a":"3","a":"4"},{"a":5}]"#;
    let found = rows(result, &asking(Some("a,b"), "2"));
    assert!(found.is_list);
    let texts = |row: &AnswerRow| {
        (
            row.text("a").map(str::to_owned),
            row.text("b").map(str::to_owned),
        )
    };
    let texts: Vec<_> = found.rows.iter().map(texts).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(texts, [(text("1"), text("2")), (text("4"), None)]);
    assert!(!found.rows[0].has("") && !found.rows[1].has("b"));

    let all = rows(result, &asking(None, "9"));
    assert_eq!(all.rows.len(), 3);
    assert_eq!(all.rows[0].names().collect::<Vec<_>>(), ["a", "", "b"]);
    let one = rows(r#"{"a":null,"b":"x"}"#, &asking(Some("a"), "1"));
    assert!(!one.is_list && one.rows[0].has("a") && !one.rows[0].has("b"));
    let odd = rows(r#"[7,"x",null,[{}],true,-1.5]"#, &asking(None, "9"));
    assert_eq!(odd.rows, vec![AnswerRow::default(); 6]);
}

#[test]
fn a_result_is_told_from_an_error() {
    for (answer, result) in [
        (r#"{"result":[{"":0}]}"#, Some(r#"[{"":0}]"#)),
        (
            r#" {"result":"x","error":null,"status":"success"}"#,
            Some(r#""x""#),
        ),
        ("{}", None),
    ] {
        assert_eq!(result_of(answer.as_bytes()).unwrap(), result, "{answer}");
    }
    for answer in [
        r#"{"result":[],"error":{"message":"m"}}"#,
        r#"{"result":[],"status":"failure"}"#,
    ] {
        let failure = result_of(answer.as_bytes()).unwrap_err();
        assert!(
            matches!(failure, InstanceFailure::Failed { .. }),
            "{answer}"
        );
    }
    for answer in [
        "",
        "null",
        "[[],null,null]",
        r#"{"result":[}"#,
        r#"{"result":[]} x"#,
    ] {
        let failure = result_of(answer.as_bytes()).unwrap_err();
        assert!(matches!(failure, InstanceFailure::Body(_)), "{answer}");
    }
}

#[test]
fn counts_in_both_forms() {
    for (result, count) in [
        (r#"{"stats":{"count":"12"}}"#, Some(12)),
        (r#"{"stats":{"count":12}}"#, Some(12)),
        (r#"{"stats":{}}"#, None),
        ("[]", None),
    ] {
        assert_eq!(answer(result).count(), count, "{result}");
    }
}
