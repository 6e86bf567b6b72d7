//! Lines 1 to 6: authentication and sessions.

use std::time::Duration;

use serde_json::Value;
use servicenow_sim::{Fault, Options, Sim, Target};

use crate::client::{Answer, BASIC, connect, get, request, send, start};

const LIST: &str = "/api/now/table/incident";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const CLIENT: &str = "client_id=client-id&client_secret=client-secret";

fn token(sim: &Sim, form: &str) -> Answer {
    send(sim, "POST", "/oauth_token.do", FORM, form)
}

fn password(sim: &Sim) -> Value {
    let form = format!("grant_type=password&{CLIENT}&username=bridge&password=secret");
    let answer = token(sim, &form);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn with_token(sim: &Sim, token: &Value) -> Answer {
    let header = format!("Authorization: Bearer {}\r\n", token.as_str().unwrap());
    send(sim, "GET", LIST, &header, "")
}

fn assert_unauthorized(answer: &Answer) {
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.header("WWW-Authenticate"),
        Some("BASIC realm=\"Service-now\"")
    );
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/json;charset=UTF-8")
    );
    let error = &answer.json()["error"];
    assert_eq!(error["message"], "User Not Authenticated");
    assert_eq!(error["detail"], "Required to provide Auth information");
    assert_eq!(answer.json()["status"], "failure");
}

fn assert_denied(answer: &Answer) {
    assert_eq!(answer.status, 401);
    let expected = serde_json::json!({
        "error_description": "access_denied", "error": "server_error"
    });
    assert_eq!(answer.json(), expected);
}

#[test]
fn line_1_no_or_wrong_basic_is_401() {
    let sim = start();
    assert_unauthorized(&send(&sim, "GET", LIST, "", ""));
    let wrong = "Authorization: Basic YnJpZGdlOndyb25n\r\n";
    assert_unauthorized(&send(&sim, "GET", LIST, wrong, ""));
    assert_unauthorized(&send(
        &sim,
        "GET",
        LIST,
        "Authorization: Bearer nonsense\r\n",
        "",
    ));
    assert_eq!(get(&sim, LIST).status, 200);
}

#[test]
fn line_1_a_locked_user_is_401() {
    let mut options = Options::default();
    options.users[0].locked = true;
    let sim = Sim::start(options).unwrap();
    assert_unauthorized(&get(&sim, LIST));
}

#[test]
fn line_2_every_grant_gives_a_token() {
    let sim = start();
    let first = password(&sim);
    assert!(first["expires_in"].is_u64());
    assert_eq!(first["expires_in"], 1799);
    assert_eq!(first["token_type"], "Bearer");
    assert_eq!(first["scope"], "useraccount");
    assert_eq!(with_token(&sim, &first["access_token"]).status, 200);

    let credentials = token(&sim, &format!("grant_type=client_credentials&{CLIENT}")).json();
    assert_eq!(with_token(&sim, &credentials["access_token"]).status, 200);
    assert!(credentials.get("refresh_token").is_none());

    // {"alg":"RS256"} . {"iss":"i","aud":"client-id","sub":"bridge","exp":9999999999,"jti":"1"}
    let claims = "eyJpc3MiOiJpIiwiYXVkIjoiY2xpZW50LWlkIiwic3ViIjoiYnJpZGdlIiwiZXhwIjo5OTk5OTk5OTk5LCJqdGkiOiIxIn0";
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id=client-id\
         &assertion=eyJhbGciOiJSUzI1NiJ9.{claims}.c2ln"
    );
    let jwt = token(&sim, &form).json();
    assert_eq!(with_token(&sim, &jwt["access_token"]).status, 200);
    assert_denied(&token(&sim, &form)); // the jti was used
}

#[test]
fn line_2_json_body_and_url_credentials_fail() {
    let sim = start();
    let form = format!("grant_type=password&{CLIENT}&username=bridge&password=secret");
    assert_denied(&send(
        &sim,
        "POST",
        &format!("/oauth_token.do?{form}"),
        FORM,
        "",
    ));
    let json = "Content-Type: application/json\r\n";
    assert_denied(&send(
        &sim,
        "POST",
        "/oauth_token.do",
        json,
        "{\"grant_type\":\"password\"}",
    ));
}

#[test]
fn line_3_a_living_token_is_given_again() {
    let sim = start();
    let first = password(&sim);
    std::thread::park_timeout(Duration::from_millis(1100));
    let second = password(&sim);
    assert_eq!(first["access_token"], second["access_token"]);
    assert!(second["expires_in"].as_u64() < first["expires_in"].as_u64());

    let refresh = first["refresh_token"].as_str().unwrap();
    let third = token(
        &sim,
        &format!("grant_type=refresh_token&{CLIENT}&refresh_token={refresh}"),
    );
    assert_eq!(third.json()["refresh_token"], first["refresh_token"]);
    assert_ne!(third.json()["access_token"], first["access_token"]);
    assert_eq!(with_token(&sim, &third.json()["access_token"]).status, 200);
}

#[test]
fn line_4_failures_are_generic_and_tokens_expire() {
    let options = Options {
        token_life: Duration::from_secs(1),
        ..Options::default()
    };
    let sim = Sim::start(options).unwrap();
    for form in [
        "grant_type=password&client_id=client-id&client_secret=x&username=bridge&password=secret",
        "grant_type=password&client_id=client-id&client_secret=client-secret&username=bridge&password=x",
        "grant_type=refresh_token&client_id=client-id&client_secret=client-secret&refresh_token=x",
        "grant_type=magic&client_id=client-id&client_secret=client-secret",
        "",
    ] {
        assert_denied(&token(&sim, form));
    }
    let first = password(&sim);
    assert_eq!(with_token(&sim, &first["access_token"]).status, 200);
    std::thread::park_timeout(Duration::from_millis(1100));
    assert_unauthorized(&with_token(&sim, &first["access_token"]));
    let second = password(&sim);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_eq!(with_token(&sim, &second["access_token"]).status, 200);
    sim.revoke_tokens();
    assert_unauthorized(&with_token(&sim, &second["access_token"]));
    assert_eq!(sim.token_requests(), 7);
}

#[test]
fn line_5_api_keys_work_when_mapped() {
    let key = "x-sn-apikey: abc\r\n";
    assert_unauthorized(&send(&start(), "GET", LIST, key, ""));
    let options = Options {
        api_key: Some("abc".to_owned()),
        ..Options::default()
    };
    let sim = Sim::start(options).unwrap();
    assert_eq!(send(&sim, "GET", LIST, key, "").status, 200);
    assert_unauthorized(&send(&sim, "GET", LIST, "x-sn-apikey: abd\r\n", ""));
}

#[test]
fn line_6_sessions_serialize_and_the_surplus_is_not_executed() {
    let sim = start();
    let answer = get(&sim, LIST);
    let cookies: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "Set-Cookie")
        .map(|(_, value)| value.split(';').next().unwrap())
        .collect();
    for name in [
        "JSESSIONID",
        "glide_user_route",
        "glide_session_store",
        "BIGipServerpool_sim",
    ] {
        assert!(
            cookies.iter().any(|it| it.starts_with(name)),
            "{name} in {cookies:?}"
        );
    }
    let slow = Fault::Slow {
        per_row: Duration::from_millis(500),
        per_offset: Duration::ZERO,
        limit: Duration::from_secs(60),
        malformed: false,
    };
    sim.insert("incident", [("number", "1")]).unwrap();
    sim.faults().on(Target::table("incident"), slow);
    let statuses = |headers: &str| -> Vec<u16> {
        let sim = &sim;
        std::thread::scope(|scope| {
            let run = || send(sim, "GET", LIST, headers, "").status;
            let threads: Vec<_> = (0..15).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    };
    let with_cookies = statuses(&format!("{BASIC}Cookie: {}\r\n", cookies.join("; ")));
    // One runs, ten wait, the rest is refused.
    assert_eq!(
        with_cookies.iter().filter(|status| **status == 200).count(),
        11
    );
    assert_eq!(
        with_cookies.iter().filter(|status| **status == 202).count(),
        4
    );
    let begin = std::time::Instant::now();
    assert!(statuses(BASIC).iter().all(|status| *status == 200));
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "without cookies all run at once"
    );
}

#[test]
fn connections_stay_open_and_are_numbered() {
    let sim = start();
    let mut stream = connect(&sim);
    for _ in 0..3 {
        assert_eq!(request(&mut stream, "GET", LIST, BASIC, "").status, 200);
    }
    get(&sim, LIST);
    let connections: Vec<u64> = sim
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [1, 1, 1, 2]);
}
