//! Every way to log in: what tokens cost, what happens when they end, and that secrets stay secret.

mod echo;
mod gateway;

use std::time::Duration;

use servicenow_sim::{
    Fault, Generator, LoggedRequest, OAuthClient, Options, Rule, Sim, Target, User,
};

use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::rig::{Rig, TABLES, TOPIC, topic_of, wait_rows};
use crate::support::wait_for;

const PASSWORD: &str = "pass-4e1b";
const CLIENT_SECRET: &str = "client-9c2d";
const API_KEY: &str = "key-77aa";

fn instance() -> Options {
    Options {
        users: vec![User::new("bridge", PASSWORD)],
        oauth_clients: vec![OAuthClient::new("client-id", CLIENT_SECRET)],
        ..Options::default()
    }
}

/// The configuration with these lines of `servicenow.auth`.
fn auth(rig: &Rig, lines: &str) -> Config {
    let mut config = rig.config();
    config.servicenow = format!("base_url: {}\nauth: {{{lines}}}", rig.sim.url());
    config
}

fn oauth(rig: &Rig, lines: &str) -> Config {
    let client = format!("client_id: client-id, client_secret: {CLIENT_SECRET}");
    auth(rig, &format!("type: oauth, oauth: {{{client}, {lines}}}"))
}

fn password(rig: &Rig) -> Config {
    oauth(rig, &format!("username: bridge, password: {PASSWORD}"))
}

fn form(request: &LoggedRequest) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

fn token_requests(rig: &Rig) -> Vec<LoggedRequest> {
    let requests = rig.sim.requests();
    requests
        .into_iter()
        .filter(LoggedRequest::is_token)
        .collect()
}

/// Data requests that were refused.
fn refusals(rig: &Rig) -> usize {
    rig.sim
        .count_requests(|request| !request.is_token() && request.status == 401)
}

/// No secret, and no token that the instance gave, is in the log or on a page.
fn nothing_leaks(rig: &Rig, bridge: &Bridge) {
    let pages = ["/readyz", "/status.json", "/metrics"].map(|page| bridge.get(page).1);
    let text = bridge.log() + &pages.concat();
    for secret in secrets(&rig.sim) {
        assert!(!text.contains(&secret), "{secret} is in: {text}");
    }
}

/// What the instance was asked with, as it was sent.
fn secrets(sim: &Sim) -> Vec<String> {
    let mut secrets = vec![PASSWORD.to_owned(), CLIENT_SECRET.into(), API_KEY.into()];
    for request in sim.requests() {
        let header = request.header("authorization").unwrap_or_default();
        secrets.extend(header.split_once(' ').map(|(_, secret)| secret.to_owned()));
        let body = form(&request);
        let token = body
            .split('&')
            .find_map(|p| p.strip_prefix("refresh_token="));
        secrets.extend(token.map(str::to_owned));
    }
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// Loads a table and follows a change.
fn works(rig: &Rig, config: &Config) {
    rig.fill("incident", 120);
    let mut bridge = rig.start(config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    nothing_leaks(rig, &bridge);
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn basic() {
    let rig = Rig::with(instance());
    let user = format!("username: bridge, password: {PASSWORD}");
    works(
        &rig,
        &auth(&rig, &format!("type: basic, basic: {{{user}}}")),
    );
    assert_eq!(rig.sim.token_requests(), 0);
}

#[test]
fn an_api_key() {
    let rig = Rig::with(Options {
        api_key: Some(API_KEY.to_owned()),
        ..instance()
    });
    works(
        &rig,
        &auth(&rig, &format!("type: api_key, api_key: {{key: {API_KEY}}}")),
    );
    for request in rig.sim.requests() {
        assert_eq!(request.header("x-sn-apikey"), Some(API_KEY));
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn oauth_with_a_password() {
    let rig = Rig::with(instance());
    works(&rig, &password(&rig));
    let tokens = token_requests(&rig);
    assert_eq!(tokens.len(), 1);
    assert!(form(&tokens[0]).starts_with("grant_type=password&"));
    assert_eq!(tokens[0].params, [], "a URL is logged on its way");
    assert_eq!(refusals(&rig), 0);
}

#[test]
fn oauth_with_client_credentials() {
    let rig = Rig::with(instance());
    works(&rig, &oauth(&rig, "grant_type: client_credentials"));
    let tokens = token_requests(&rig);
    assert_eq!(tokens.len(), 1);
    assert!(form(&tokens[0]).starts_with("grant_type=client_credentials&"));
}

#[test]
fn oauth_with_a_refresh_token() {
    let rig = Rig::with(instance());
    // As an administrator does it once by hand.
    let answer = ureq::post(format!("{}/oauth_token.do", rig.sim.url()))
        .content_type("application/x-www-form-urlencoded")
        .send(format!(
            "grant_type=password&client_id=client-id&client_secret={CLIENT_SECRET}\
             &username=bridge&password={PASSWORD}"
        ));
    let text = answer.unwrap().into_body().read_to_string().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let token = answer["refresh_token"].as_str().unwrap();
    rig.sim.clear_requests();
    let lines = format!("grant_type: refresh_token, refresh_token: {token}");
    works(&rig, &oauth(&rig, &lines));
    let tokens = token_requests(&rig);
    assert_eq!(tokens.len(), 1);
    assert!(form(&tokens[0]).starts_with("grant_type=refresh_token&"));
}

#[test]
fn tokens_of_five_seconds() {
    let rig = Rig::with(Options {
        token_life: Duration::from_secs(5),
        ..instance()
    });
    rig.fill("incident", 100);
    let mut bridge = rig.start(&password(&rig));
    bridge.wait_ready();
    let end = rig.sim.now() + 13;
    let mut rows = Generator::new(9, 0, 0);
    wait_for("some lives of tokens", || {
        rig.sim.insert("incident", rows.content()).unwrap();
        (end <= rig.sim.now()).then_some(())
    });
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    nothing_leaks(&rig, &bridge);
    rig.finish(bridge, &rig.rows("incident"), 0);
    let tokens = token_requests(&rig);
    assert!((3..=8).contains(&tokens.len()), "{} tokens", tokens.len());
    assert!(form(&tokens[1]).starts_with("grant_type=refresh_token&"));
    assert_eq!(refusals(&rig), 0, "renewed before their end");
}

#[test]
fn all_tokens_revoked_at_once() {
    let rig = Rig::with(instance());
    let mut config = password(&rig).source("batch_size: 20");
    config.tables.clear();
    for table in TABLES {
        rig.fill(table, 100);
        config.tables.push(format!("name: {table}"));
    }
    let mut bridge = rig.start(&config);
    bridge.wait_ready();
    for _ in 0..2 {
        rig.sim.revoke_tokens();
        for table in TABLES {
            rig.wait_polls(table, 2);
        }
    }
    bridge.wait_ready();
    for table in TABLES {
        rig.insert(table);
        let topic = topic_of(table);
        let rows = rig.rows(table);
        wait_rows(&rig.kafka.reader(), &mut bridge, (table, &topic), &rows);
    }
    let tokens = token_requests(&rig);
    assert_eq!(tokens.len(), 3, "one at the start, one for all after each");
    let span = tokens[2].at.duration_since(tokens[0].at);
    assert!(span > Duration::from_secs(1), "three tokens in {span:?}");
    // One refusal for a request that was under way, and none for its replay.
    assert!(refusals(&rig) <= 2 * TABLES.len(), "{}", refusals(&rig));
    nothing_leaks(&rig, &bridge);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_refusal_that_passes_costs_one_token() {
    let rig = Rig::with(instance());
    rig.fill("incident", 400);
    let rule = Rule::new(Target::table("incident"), Fault::RevokeTokens);
    rig.sim.faults().add(rule.skip(3).times(1));
    let bridge = rig.start(&password(&rig).source("batch_size: 50"));
    rig.finish(bridge, &rig.rows("incident"), 0);
    assert_eq!((token_requests(&rig).len(), refusals(&rig)), (2, 1));
}

#[test]
fn a_wrong_password_is_tried_seldom_and_told_without_it() {
    let rig = Rig::with(instance());
    rig.fill("incident", 30);
    let mut config = oauth(&rig, "username: bridge, password: wrong-5f5f");
    for table in ["problem", "change_request", "cmdb_ci"] {
        config.tables.push(format!("name: {table}"));
    }
    let bridge = rig.start(&config);
    bridge.wait_not_ready("401 unauthorized");
    let (_, body) = bridge.get("/readyz");
    for words in ["servicenow: ", "check client_id, client_secret"] {
        assert!(body.contains(words), "`{words}` is not in: {body}");
    }
    let end = rig.sim.now() + 6;
    wait_for("six seconds", || (end <= rig.sim.now()).then_some(()));
    let attempts = rig.sim.token_requests();
    assert!((1..=3).contains(&attempts), "{attempts} attempts");
    let text = bridge.log() + &body;
    assert!(!text.contains("wrong-5f5f"), "{text}");
    // A table's own first pause is a second at most; the next log-in comes after five.
    let told = |line: &&str| line.contains("\"the table cannot be read\"");
    let log = bridge.log();
    assert_eq!(log.lines().filter(told).count(), 4, "one for each: {log}");
    let waits = log.lines().filter(told).filter_map(|line| {
        let (_, wait) = line.split_once("\"retry_in\":\"")?;
        wait.split_once("s\"")?.0.parse::<f64>().ok()
    });
    let longest = waits.fold(0.0, f64::max);
    assert!(longest > 1.0, "{longest}: {log}");
    assert_eq!(rig.kafka.reader().count(TOPIC).unwrap(), 0);
    assert_eq!(bridge.terminate(), 0);
}

#[test]
fn a_wrong_basic_password_is_tried_seldom() {
    let rig = Rig::with(instance());
    let mut config = rig.config();
    config.servicenow = config.servicenow.replace("secret", "wrong-5f5f");
    config.tables.push("name: problem".to_owned());
    let bridge = rig.start(&config);
    bridge.wait_not_ready("401 unauthorized");
    let end = rig.sim.now() + 5;
    wait_for("five seconds", || (end <= rig.sim.now()).then_some(()));
    // One after 0, 1, 3 and 7 seconds, whatever the number of tables.
    let attempts = rig.sim.requests().len();
    assert!((1..=4).contains(&attempts), "{attempts} attempts");
    assert!(!bridge.log().contains("wrong-5f5f"));
    assert_eq!(bridge.terminate(), 0);
}
