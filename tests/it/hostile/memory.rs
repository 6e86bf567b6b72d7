//! Answers that are short on the wire and large in memory, to each question whose answer is read whole.

use std::sync::{Arc, LazyLock};

use servicenow_sim::{Fault, Rule, RuleId, Sim, Target, gzipped};

use crate::avro::with_registry;
use crate::support::bridge::Bridge;
use crate::support::config::Config;
use crate::support::registry::FakeRegistry;
use crate::support::rig::Rig;
use crate::support::sink::SinkRig;
use crate::support::wait_for;

/// A list of nine million rows, of which each becomes hundreds of bytes when a tree is made of it.
static ROWS: LazyLock<Arc<[u8]>> = LazyLock::new(|| bomb(r#"{"result":["#, r#"{"":0}]}"#));
/// An error with as many members.
static ERROR: LazyLock<Arc<[u8]>> =
    LazyLock::new(|| bomb(r#"{"error":{"message":["#, r#"{"":0}]}}"#));

/// Far more than a bridge needs, far less than such a tree.
const MAX_PEAK_MIB: u64 = 250;

fn bomb(before: &str, after: &str) -> Arc<[u8]> {
    gzipped(before, r#"{"":0},"#, 9_000_000, after)
        .unwrap()
        .into()
}

fn answer(status: u16, body: &LazyLock<Arc<[u8]>>) -> Fault {
    let body = Arc::clone(body);
    Fault::Answer { status, body }
}

/// Waits until readiness says all these words and the question was asked again, so that its first answer
/// is behind the bridge, and looks at the memory.
fn check(bridge: &Bridge, sim: &Sim, rule: RuleId, words: &[&str]) {
    let last = std::cell::RefCell::default();
    wait_for(&format!("{words:?}"), || {
        let (status, body) = bridge.get("/readyz");
        let says_all = status == 503 && words.iter().all(|words| body.contains(words));
        last.replace(body);
        says_all.then_some(())
    });
    wait_for("the second question", || {
        (sim.faults().fired(rule) >= 2).then_some(())
    });
    let peak = bridge.peak_memory_mib();
    assert!(peak < MAX_PEAK_MIB, "{peak} MiB at {words:?}");
}

#[test]
fn questions_of_the_source() {
    let registry = FakeRegistry::start();
    type Change<'a> = &'a dyn Fn(Config, &Rig) -> Config;
    let plain: Change<'_> = &|config, _| config;
    let avro: Change<'_> = &|config, _| with_registry(config, &registry.url(), "style: typed");
    let own_registry: Change<'_> =
        &|config, rig| with_registry(config, &format!("{}/api", rig.sim.url()), "");
    let oauth: Change<'_> = &|config, rig| Config {
        servicenow: format!(
            "base_url: {}\nauth: {{type: oauth, oauth: {{client_id: a, client_secret: bcde, \
             username: bridge, password: secret}}}}",
            rig.sim.url()
        ),
        ..config
    };
    let lookup = "longer than 65536 bytes";
    let cases: [(Change<'_>, Target, Fault, &[&str]); 6] = [
        (
            plain,
            Target::table("sys_user"),
            answer(200, &ROWS),
            &["table `sys_user`", lookup],
        ),
        (
            avro,
            Target::table("sys_db_object"),
            answer(200, &ROWS),
            &["table `sys_db_object`", "longer than 8388608 bytes"],
        ),
        (
            own_registry,
            Target::Path("/api/subjects".to_owned()),
            answer(200, &ROWS),
            &["schema registry", "larger than 2097152 bytes"],
        ),
        (
            oauth,
            Target::Token,
            answer(200, &ROWS),
            &["no access_token in the answer"],
        ),
        (
            plain,
            Target::table("incident"),
            answer(500, &ERROR),
            &["500 server error"],
        ),
        (
            plain,
            Target::table("incident"),
            answer(200, &ROWS),
            &["table incident", "row 1 of the page"],
        ),
    ];
    for (change, target, fault, words) in cases {
        let rig = Rig::new();
        rig.fill("incident", 5);
        let rule = rig.sim.faults().on(target, fault);
        let bridge = rig.start(&change(rig.config(), &rig));
        check(&bridge, &rig.sim, rule, words);
    }
}

#[test]
fn look_ups_of_the_sink() {
    let rig = SinkRig::new();
    let reads = Rule::new(Target::table("incident"), answer(200, &ROWS)).method("GET");
    let rule = rig.sim.faults().add(reads);
    let config = rig.config_alone();
    let bridge = rig.start(&config.sink_topic("operation: upsert\nkey_field: correlation_id"));
    rig.produce([crate::support::sink::create(1)]);
    let words = ["table `incident`", "longer than 65536 bytes"];
    check(&bridge, &rig.sim, rule, &words);
}
