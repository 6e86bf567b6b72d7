//! Tests of the whole module: texts in, trees and messages out.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

mod bad;
mod bad_access;
mod bad_rest;
mod bad_schema;
mod bad_sink;
mod content;
mod deletes;
mod diff;
mod example;
mod good;
mod hostile;
mod reference;
mod syntax;
mod values;
mod warn;

/// The variables of all tests.
fn env(name: &str) -> Option<String> {
    match name {
        "SN_URL" => Some("https://dev1.service-now.com/".to_owned()),
        "SN_ID" => Some("id".to_owned()),
        "SN_SECRET" => Some("topsecret".to_owned()),
        "ROWS" => Some("250".to_owned()),
        "ENABLED" => Some("yes".to_owned()),
        "BROKERS" => Some("a:9092, b:9092".to_owned()),
        "NUMBER" => Some("0123".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// The least that starts.
const LEAST: &str = "\
servicenow:
  base_url: https://dev1.service-now.com
  auth:
    type: basic
    basic: {username: u, password: p}
kafka:
  brokers: [localhost:9092]
source:
  enabled: true
  topic_prefix: sn
  tables:
    - name: incident
";

fn good(text: &str) -> Config {
    parse(text, &env)
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
        .0
}

/// `LEAST` with one piece replaced.
fn least_with(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    LEAST.replace(from, to)
}
