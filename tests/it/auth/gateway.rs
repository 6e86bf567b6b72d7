//! A gateway before the instance that wants a header of its own with each request.

use std::fs;

use servicenow_sim::{Fault, LoggedRequest, Options, Target};

use super::{instance, oauth, password};
use crate::support::bridge::{run, texts};
use crate::support::rig::Rig;
use crate::support::sink::{SinkRig, create};

const HEADER: &str = "X-Gateway-Key";
const KEY: &str = "gate-51c8-77aa";

fn behind_gateway() -> Options {
    Options {
        gateway_header: Some((HEADER.to_owned(), KEY.to_owned())),
        ..instance()
    }
}

fn carries_key(request: &LoggedRequest) -> bool {
    request.header(HEADER) == Some(KEY)
}

/// A log-in, pages, counts, and what doctor asks: all with the header, which comes with an edit and from a
/// file. It is shown nowhere.
#[test]
fn nothing_comes_without_its_header_and_all_rows_with_it() {
    let rig = Rig::with(behind_gateway());
    rig.fill("incident", 120);
    let without = password(&rig);
    let mut bridge = rig.start(&without);
    bridge.wait_not_ready("Forbidden");
    assert!(rig.sim.count_requests(|it| it.status != 403) == 0);

    let file = rig.folder.path().join("gateway-key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let header = format!("headers: {{{HEADER}: {{file: '{}'}}}}", file.display());
    let with = without.clone().servicenow(&header);
    rig.sim
        .faults()
        .on(Target::table("incident"), Fault::NoTotalCount);
    rig.sim.clear_requests();
    with.write(rig.folder.path());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    rig.sim.faults().clear();
    let requests = rig.sim.requests();
    let counts = requests
        .iter()
        .filter(|it| it.path.starts_with("/api/now/stats/"));
    assert!(requests.iter().any(LoggedRequest::is_token) && counts.count() > 0);
    assert!(
        requests
            .iter()
            .filter(|it| it.status != 403)
            .all(carries_key)
    );

    let pages = ["/readyz", "/status.json", "/metrics"].map(|page| bridge.get(page).1);
    let text = bridge.log() + &pages.concat();
    assert!(!text.contains(KEY), "{text}");
    for command in [&["show-config"][..], &["check", "--connect"]] {
        let (output, errors, _) = texts(&run(rig.folder.path(), command));
        assert!(!(output + &errors).contains(KEY), "{command:?}");
    }
    let (shown, _, _) = texts(&run(rig.folder.path(), &["show-config"]));
    assert!(shown.contains("X-Gateway-Key: '[redacted]'"), "{shown}");
}

/// What a gateway keeps back is told before a start, with what to set.
#[test]
fn a_check_tells_what_is_not_counted() {
    let rig = Rig::new();
    rig.fill("incident", 3);
    rig.config().write(rig.folder.path());
    let faults = rig.sim.faults();
    faults.on(Target::table("incident"), Fault::NoTotalCount);
    let check = || {
        let (output, errors, code) = texts(&run(rig.folder.path(), &["doctor"]));
        assert_eq!(code, 1, "{output}{errors}");
        output + &errors
    };
    let told = check();
    assert!(
        told.contains("carry no X-Total-Count; the Aggregate API counts"),
        "{told}"
    );
    faults.on(Target::Path("/api/now/stats".to_owned()), Fault::ApiAcl);
    let told = check();
    for words in [
        "nothing counts its rows",
        "stats_api_path",
        "servicenow.headers",
    ] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
}

/// A write that a gateway refuses is not the record's fault: it waits, and no letter is written.
#[test]
fn records_wait_for_the_header() {
    let rig = SinkRig::with(Options {
        users: Options::default().users,
        ..behind_gateway()
    });
    let without = rig.config();
    let mut bridge = rig.start(&without);
    rig.produce([create(1)]);
    bridge.wait_not_ready("Forbidden");
    assert_eq!(rig.letters().len(), 0);
    without
        .clone()
        .servicenow(&format!("headers: {{{HEADER}: {KEY}}}"))
        .write(rig.folder.path());
    rig.wait_done(&mut bridge);
    assert_eq!((rig.letters().len(), rig.applied().len()), (0, 1));
    rig.finish(bridge);
}

/// An answer that leads elsewhere is not followed, and a registry is another party: neither gets the header.
#[test]
fn it_goes_to_the_instance_alone() {
    let (rig, elsewhere) = (Rig::with(instance()), Rig::with(instance()));
    rig.fill("incident", 3);
    let client = oauth(&rig, "grant_type: client_credentials");
    let mut config = client.servicenow(&format!("headers: {{{HEADER}: {KEY}}}"));
    config.top.push_str(&format!(
        "\nschema_registry: {{url: '{}/registry'}}\n",
        elsewhere.sim.url()
    ));
    config.tables[0].push_str("\nformat: avro");
    rig.sim
        .faults()
        .on(Target::table("incident"), Fault::RedirectToLogin);
    let bridge = rig.start(&config);
    bridge.wait_not_ready("which is not followed");
    rig.sim.faults().clear();
    bridge.wait_not_ready("registry");
    let requests = [rig.sim.requests(), elsewhere.sim.requests()];
    let [own, of_registry] = requests;
    assert!(own.iter().all(carries_key) && !own.iter().any(|it| it.path == "/login.do"));
    assert!(!of_registry.is_empty() && !of_registry.iter().any(carries_key));
}
