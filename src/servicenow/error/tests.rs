//! Messages and words.

use expect_test::{Expect, expect};

use super::*;
use crate::http::error_body::error_words;

fn check(cause: InstanceFailure, expected: &Expect) {
    let asked = AttemptedRequest {
        method: "GET",
        url: "https://dev1.service-now.com/api/now/table/incident".into(),
        what: "table `incident`".into(),
        query: Some("active=true^ORDERBYsys_id".into()),
        login: false,
    };
    expected.assert_eq(&Error::request(&asked, cause).to_string());
}

#[test]
fn messages_say_what_to_do() {
    check(
        InstanceFailure::BadRequest {
            status: 400,
            words: "Invalid table incidnt".into(),
        },
        &expect![
            "400 bad request: Invalid table incidnt (GET https://dev1.service-now.com/api/now/table/incident, table `incident`); check the table name"
        ],
    );
    check(
        InstanceFailure::Redirect {
            host: "login.example.com".into(),
        },
        &expect![
            "redirected to login.example.com, which is not followed (GET https://dev1.service-now.com/api/now/table/incident, table `incident`); base_url is wrong, or single sign-on stands before the API: use a local user"
        ],
    );
}

#[test]
fn words_of_each_shape() {
    let check = |body: &str, words: &str| assert_eq!(error_words(body.as_bytes()), words);
    check(
        r#"{"error":{"detail":"Required to provide Auth information","message":"User Not Authenticated"},"status":"failure"}"#,
        "User Not Authenticated: Required to provide Auth information",
    );
    check(
        r#"{"message":"Invalid table X","detail":null}"#,
        "Invalid table X",
    );
    check(
        r#"{"error_description":"access_denied","error":"server_error"}"#,
        "server_error: access_denied",
    );
    check("<html>secret</html>", "no reason given");
    check(r#"{"result":[{"message":"a record"}]}"#, "no reason given");
    check("", "no reason given");
}

#[test]
fn the_amount_matters_only_after_connecting() {
    let asked = AttemptedRequest::default();
    let timeout = |connecting| {
        Error::request(
            &asked,
            InstanceFailure::Timeout {
                limit: String::new(),
                connecting,
            },
        )
        .is_timeout()
    };
    assert!(timeout(false));
    assert!(!timeout(true));
    let words = "Transaction cancelled: maximum execution time exceeded".to_owned();
    assert!(Error::request(&asked, InstanceFailure::Failed { words }).is_timeout());
}
