//! Errors that quote the request: what of it is secret is shown nowhere.

use servicenow_sim::{Fault, Options, Rule, Target};

use super::{API_KEY, PASSWORD, auth, instance, nothing_leaks, password, secrets};
use crate::support::config::Config;
use crate::support::rig::Rig;
use crate::support::sink::{SinkRig, create};

/// Where the echo comes from, and the words of it that are shown.
fn hides(rig: &Rig, config: &Config, target: Target, words: &str) {
    rig.fill("incident", 3);
    rig.sim.faults().on(target, Fault::Echo { status: 400 });
    let bridge = rig.start(config);
    bridge.wait_not_ready(words);
    for shown in [bridge.get("/status.json").1, bridge.log()] {
        assert!(shown.contains(words), "{shown}");
    }
    nothing_leaks(rig, &bridge);
}

#[test]
fn of_the_instance() {
    let table = || Target::table("incident");
    let rig = Rig::with(instance());
    let user = format!("username: bridge, password: {PASSWORD}");
    let basic = auth(&rig, &format!("type: basic, basic: {{{user}}}"));
    hides(&rig, &basic, table(), "authorization: Basic [redacted]");

    let rig = Rig::with(instance());
    let gateway = auth(&rig, &format!("type: basic, basic: {{{user}}}"))
        .servicenow(&format!("headers: {{X-Gateway-Key: {API_KEY}}}"));
    hides(&rig, &gateway, table(), "x-gateway-key: [redacted]");

    let rig = Rig::with(Options {
        api_key: Some(API_KEY.to_owned()),
        ..instance()
    });
    let key = auth(&rig, &format!("type: api_key, api_key: {{key: {API_KEY}}}"));
    hides(&rig, &key, table(), "x-sn-apikey: [redacted]");

    let rig = Rig::with(instance());
    hides(
        &rig,
        &password(&rig),
        table(),
        "authorization: Bearer [redacted]",
    );
}

#[test]
fn of_the_token_endpoint() {
    let rig = Rig::with(instance());
    hides(
        &rig,
        &password(&rig),
        Target::Token,
        "client_secret=[redacted]&username=bridge&password=[redacted]",
    );
}

#[test]
fn of_the_registry() {
    for (login, words) in [
        (
            format!("type: basic, username: someone, password: {PASSWORD}"),
            "authorization: Basic [redacted]",
        ),
        (
            format!("type: bearer, token: {API_KEY}"),
            "authorization: Bearer [redacted]",
        ),
    ] {
        let rig = Rig::new();
        let mut config = rig.config();
        config.top.push_str(&format!(
            "\nschema_registry: {{url: '{}/registry', auth: {{{login}}}}}\n",
            rig.sim.url()
        ));
        config.tables[0].push_str("\nformat: avro");
        let target = Target::Path("/registry".to_owned());
        hides(&rig, &config, target, words);
    }
}

#[test]
fn of_a_write_in_its_dead_letter() {
    let rig = SinkRig::with(instance());
    let mut config = rig.config();
    config.servicenow = format!(
        "base_url: {}\nauth: {{type: basic, basic: {{username: bridge, password: {PASSWORD}}}}}",
        rig.sim.url()
    );
    let echo = Rule::new(Target::writes("incident"), Fault::Echo { status: 400 });
    rig.sim.faults().add(echo);
    let mut bridge = rig.start(&config);
    rig.produce([create(1)]);
    rig.wait_done(&mut bridge);
    let (_, letter) = &rig.letters()[0];
    let error = letter["error"].as_str().unwrap();
    assert!(error.contains("authorization: Basic [redacted]"), "{error}");
    let shown = bridge.log() + error;
    for secret in secrets(&rig.sim) {
        assert!(!shown.contains(&secret), "{secret} is in: {shown}");
    }
}
