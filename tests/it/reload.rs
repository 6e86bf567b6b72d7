//! Edits of the configuration while the bridge runs.

mod edits;
mod sink;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use real_kafka::java::free_port;
use servicenow_sim::{Fault, Target};

use crate::support::bridge::{self, Bridge};
use crate::support::config::Config;
use crate::support::rig::{self, Rig};
use crate::support::wait_for;

const TIMESTAMP: &str = "bridge_config_last_reload_timestamp_seconds";
const SUCCESSFUL: &str = "bridge_config_last_reload_successful";
const PROBLEM: &str = "problem";

/// Threads by id with their names.
fn threads(bridge: &Bridge) -> BTreeMap<u32, String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", bridge.pid())).unwrap();
    let names = tasks.filter_map(|task| {
        let task = task.ok()?;
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((
            task.file_name().to_str()?.parse().ok()?,
            name.trim().to_owned(),
        ))
    });
    names.collect()
}

fn ids_of(bridge: &Bridge, table: &str) -> Vec<u32> {
    let threads = threads(bridge).into_iter();
    let wanted = [format!("read:{table}"), format!("send:{table}")];
    let own = threads.filter(|(_, name)| wanted.contains(name));
    own.map(|(id, _)| id).collect()
}

/// Waits until `words` are in the log more than `before` times.
fn wait_log(bridge: &Bridge, words: &str, before: usize) {
    wait_for(words, || {
        (bridge.log().matches(words).count() > before).then_some(())
    });
}

/// Does something that makes the bridge reload, and waits until it has.
fn reloaded(bridge: &Bridge, edit: impl FnOnce()) {
    let before = bridge.metric(TIMESTAMP);
    edit();
    wait_for("the reload", || {
        (bridge.metric(TIMESTAMP) > before).then_some(())
    });
}

/// Writes beside the file and renames, as most editors do.
fn rename_over(folder: &Path, text: &str) {
    fs::write(folder.join("config.new"), text).unwrap();
    fs::rename(folder.join("config.new"), folder.join("config.yaml")).unwrap();
}

/// Each row of the second table is in its topic once.
fn assert_problems(rig: &Rig) {
    let (reader, topic) = (rig.kafka.reader(), rig::topic_of(PROBLEM));
    rig::check(&reader, &topic, &rig.rows(PROBLEM), 0);
}

/// The count of acknowledged records of a table.
fn produced(table: &str) -> String {
    rig::produced(table, &rig::topic_of(table))
}

/// The longest time between two polls of a table since `since`.
fn longest_gap(rig: &Rig, table: &str, since: Instant) -> Duration {
    let asked = rig.asked(table);
    let times: Vec<Instant> = asked
        .iter()
        .map(|it| it.at)
        .filter(|at| since < *at)
        .collect();
    assert!(times.len() > 2, "{} polls", times.len());
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap()
}

/// Polls come every 100 ms; a new start of the table, or a wait for another one, would show. Generous,
/// as the machine may be busy.
const NO_GAP: Duration = Duration::from_secs(5);

#[test]
fn tables_come_change_and_go_and_the_others_do_not_notice() {
    let rig = Rig::new();
    rig.fill("incident", 500);
    rig.fill("problem", 300);
    let config = rig.config();
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    let (began, untouched) = (Instant::now(), ids_of(&bridge, "incident"));
    assert_eq!(untouched.len(), 2);
    // Added.
    let mut edited = config.clone();
    edited.tables.push("name: problem".to_owned());
    edited.write(rig.folder.path());
    bridge.wait_metric(&produced(PROBLEM), 300.0);
    bridge.wait_ready();
    assert!(
        bridge
            .log()
            .contains("table problem: added, to topic servicenow.problem")
    );
    // Edited: it goes on at its checkpoint.
    let before = ids_of(&bridge, "problem");
    edited.tables[1].push_str("\nbatch_size: 7");
    edited.write(rig.folder.path());
    wait_for("other threads", || {
        let now = ids_of(&bridge, "problem");
        (now.len() == 2 && now.iter().all(|id| !before.contains(id))).then_some(())
    });
    rig.insert("problem");
    bridge.wait_metric(&produced(PROBLEM), 301.0);
    let last = rig.asked("problem").pop().unwrap();
    assert!(
        last.params
            .contains(&("sysparm_limit".to_owned(), "7".to_owned()))
    );
    assert_problems(&rig);
    // Removed, with all that is told of it.
    config.write(rig.folder.path());
    wait_for("its figures to go", || {
        let (_, page) = bridge.get("/metrics");
        (!page.contains("problem")).then_some(())
    });
    assert!(ids_of(&bridge, "problem").is_empty());
    let asked = rig.asked("problem").len();
    bridge.wait_ready();
    assert_eq!(ids_of(&bridge, "incident"), untouched, "the same threads");
    let gap = longest_gap(&rig, "incident", began);
    assert!(gap < NO_GAP, "{gap:?}");
    rig.wait_polls("incident", 3);
    assert_eq!(rig.asked("problem").len(), asked);
    // And back again: its checkpoint was kept.
    edited.write(rig.folder.path());
    rig.insert("problem");
    bridge.wait_metric(&produced(PROBLEM), 1.0);
    assert_problems(&rig);
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_broken_edit_and_a_wrong_one_keep_what_runs_until_a_good_one_comes() {
    let rig = Rig::new();
    rig.fill("incident", 100);
    rig.fill("problem", 100);
    let mut config = rig.config();
    config.tables.push("name: problem".to_owned());
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(PROBLEM), 100.0);
    bridge.wait_ready();
    assert!((bridge.metric(SUCCESSFUL) - 1.0).abs() < 0.1);
    let (began, untouched, pid) = (Instant::now(), ids_of(&bridge, "incident"), bridge.pid());
    let text = config.text();
    for (bad, words) in [
        ("servicenow: [\n".to_owned(), "config.yaml"),
        (
            text.replace("source:\n", "source:\n  batch_size: many\n  slow: 1s\n"),
            "source.batch_size: `many` is not a whole number",
        ),
    ] {
        reloaded(&bridge, || rename_over(rig.folder.path(), &bad));
        assert!(bridge.metric(SUCCESSFUL) < 0.5);
        let (status, body) = bridge.get("/readyz");
        assert_eq!(status, 200, "it works: {body}");
        assert!(body.contains("the last edit is not used"), "{body}");
        assert!(body.contains(words), "{body}");
        assert!(bridge.log().contains(words));
    }
    assert!(
        bridge.log().contains("source.slow: unknown key"),
        "all problems at once"
    );
    config.tables[1].push_str("\nbatch_size: 50");
    rename_over(rig.folder.path(), &config.text());
    // A busy machine may tell of the edit before it twice.
    wait_for("the good edit", || {
        (bridge.metric(SUCCESSFUL) > 0.5).then_some(())
    });
    assert!(!bridge.get("/readyz").1.contains("notes"));
    rig.insert("problem");
    bridge.wait_metric(&produced(PROBLEM), 101.0);
    assert_problems(&rig);
    assert_eq!(
        (ids_of(&bridge, "incident"), bridge.pid()),
        (untouched, pid)
    );
    rig.wait_polls("incident", 3);
    assert!(longest_gap(&rig, "incident", began) < NO_GAP);
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_link_swapped_as_kubernetes_does_it_is_an_edit() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let config = rig.config();
    let put = |version: &str, config: &Config| {
        let (folder, data) = (rig.folder.path(), rig.folder.path().join(version));
        fs::create_dir(&data).unwrap();
        config.write(&data);
        symlink(version, folder.join("..tmp")).unwrap();
        fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
    };
    put("..1", &config);
    symlink("..data/config.yaml", rig.folder.path().join("config.yaml")).unwrap();
    let mut bridge = Bridge::start(rig.folder.path());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let mut edited = config.clone();
    for (version, size) in [("..2", 11), ("..3", 12)] {
        edited.tables[0] = format!("name: incident\nbatch_size: {size}");
        reloaded(&bridge, || put(version, &edited));
        bridge.wait_metric(
            "bridge_source_page_size_rows{table=\"incident\"}",
            f64::from(size),
        );
    }
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_password_file_is_read_again_and_a_wrong_one_is_rolled_back() {
    let rig = Rig::new();
    rig.fill("incident", 20);
    let file = rig.folder.path().join("password");
    fs::write(&file, "outdated\n").unwrap();
    let mut config = rig.config();
    config.servicenow = format!(
        "base_url: {}\nauth:\n  type: basic\n  basic: {{username: bridge, password_file: {}}}",
        rig.sim.url(),
        file.display()
    );
    let mut bridge = rig.start(&config);
    bridge.wait_not_ready("401");
    fs::write(&file, "secret\n").unwrap();
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    assert!(
        bridge
            .log()
            .contains("servicenow: auth: every pipeline moves")
    );
    let running = ids_of(&bridge, "incident");
    reloaded(&bridge, || fs::write(&file, "wrong-one\n").unwrap());
    wait_log(&bridge, "the edited configuration is not used", 0);
    assert!(bridge.metric(SUCCESSFUL) < 0.5);
    let (status, body) = bridge.get("/readyz");
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("what is new in it does not work") && body.contains("401"),
        "{body}"
    );
    assert_eq!(ids_of(&bridge, "incident"), running);
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    // Without the net it is used, as it was asked for.
    config.top.push_str("\nreload_rollback: false");
    config.write(rig.folder.path());
    bridge.wait_not_ready("401");
    fs::write(&file, "secret").unwrap();
    bridge.wait_ready();
    let log = bridge.log();
    assert!(
        !log.contains("outdated") && !log.contains("wrong-one"),
        "{log}"
    );
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_storm_of_signals_is_a_few_reloads() {
    let rig = Rig::new();
    rig.fill("incident", 50);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    let running = ids_of(&bridge, "incident");
    for _ in 0..100 {
        bridge.signal("HUP");
    }
    wait_log(&bridge, "the configuration is reloaded", 0);
    rig.wait_polls("incident", 3);
    assert_eq!(ids_of(&bridge, "incident"), running);
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn edits_during_a_first_load_lose_nothing_and_repeat_nothing() {
    const ROWS: usize = 6_000;
    let rig = Rig::new();
    rig.fill("incident", ROWS);
    let delay = Fault::Delay(Duration::from_millis(60));
    rig.sim.faults().on(Target::table("incident"), delay);
    let mut config = rig.config();
    config.tables[0].push_str("\nbatch_size: 100");
    let mut bridge = rig.start(&config);
    let series = produced("incident");
    for (part, size) in [(1_u32, 101), (2, 102), (3, 103)] {
        bridge.wait_metric(&series, f64::from(part) * 1_000.0);
        assert!(
            bridge.metric(&series) < ROWS as f64,
            "the load is over too soon"
        );
        config.tables[0] = format!("name: incident\nbatch_size: {size}");
        if part == 2 {
            // All pipelines move to another client.
            config = config.servicenow("timeout_seconds: 29");
        }
        reloaded(&bridge, || config.write(rig.folder.path()));
    }
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn a_new_query_stops_its_table_with_words_and_no_other() {
    let rig = Rig::new();
    rig.fill("incident", 30);
    rig.fill("problem", 30);
    let mut config = rig.config();
    config.tables.push("name: problem".to_owned());
    let mut bridge = rig.start(&config);
    bridge.wait_metric(&produced(PROBLEM), 30.0);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.wait_checkpoint("problem", rig.newest("problem"));
    let mut edited = config.clone();
    edited.tables[1].push_str("\nquery: active=true");
    edited.write(rig.folder.path());
    bridge.wait_not_ready("checkpoint reset problem");
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    assert_eq!(bridge.get("/healthz").0, 200);
    // Taken back, it goes on.
    config.write(rig.folder.path());
    bridge.wait_ready();
    rig.insert("problem");
    bridge.wait_metric(&produced(PROBLEM), 31.0);
    assert_problems(&rig);
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn kafka_settings_the_log_and_what_waits_for_a_restart() {
    let rig = Rig::new();
    rig.fill("incident", 30);
    let mut config = rig.config();
    config.top = "log_level: info".to_owned();
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    bridge.wait_ready();
    let running = ids_of(&bridge, "incident");
    config.top = "log_level: debug".to_owned();
    reloaded(&bridge, || config.write(rig.folder.path()));
    wait_log(&bridge, "log_level: info becomes debug", 0);
    assert_eq!(ids_of(&bridge, "incident"), running, "nothing starts again");
    config.offset.push_str("\nfile_path: other.json");
    reloaded(&bridge, || config.write(rig.folder.path()));
    wait_log(
        &bridge,
        "offset.file_path cannot change while the bridge runs",
        0,
    );
    assert_eq!(ids_of(&bridge, "incident"), running);
    let mut config = config.kafka("linger: 1ms");
    config.offset = rig.config().offset;
    reloaded(&bridge, || config.write(rig.folder.path()));
    wait_for("the move to another producer", || {
        let now = ids_of(&bridge, "incident");
        (now.len() == 2 && now != running).then_some(())
    });
    rig.insert("incident");
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    wait_for("the old producer to be gone", || {
        let names = threads(&bridge).into_values();
        (names.filter(|name| name == "kafka-poll").count() == 1).then_some(())
    });
    wait_for("the gauge of the new one", || {
        (bridge.metric("bridge_kafka_connected") > 0.5).then_some(())
    });
    bridge.wait_ready();
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn the_reload_command_tells_what_became_of_it() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    let config = rig.config();
    // The command asks the port that the file names.
    let addr = format!("127.0.0.1:{}", free_port().unwrap());
    config.write(rig.folder.path());
    let with_port = |config: &Config| config.text().replace("127.0.0.1:0", &addr);
    fs::write(rig.folder.path().join("config.yaml"), with_port(&config)).unwrap();
    let call = || bridge::texts(&bridge::run(rig.folder.path(), &["reload"]));
    let (_, errors, code) = call();
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("no bridge runs with the checkpoint"),
        "{errors}"
    );
    let mut bridge = Bridge::start(rig.folder.path());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let (output, errors, code) = call();
    assert_eq!((errors.as_str(), code), ("", 0), "{output}");
    assert!(
        output.contains("it runs with this configuration now"),
        "{output}"
    );
    let bad = with_port(&config).replace("password: secret", "password: wrong-one");
    rename_over(rig.folder.path(), &bad);
    let (_, errors, code) = call();
    assert_eq!(code, 75, "{errors}");
    assert!(
        errors.contains("does not use this configuration"),
        "{errors}"
    );
    rename_over(rig.folder.path(), "source: [");
    let (_, errors, code) = call();
    assert_eq!(code, 78, "{errors}");
    rig.finish(bridge, &rig.rows("incident"), 0);
}

/// Threads, descriptors and resident KiB.
fn footprint(bridge: &Bridge) -> (usize, usize, u64) {
    let folder = format!("/proc/{}", bridge.pid());
    let fds = fs::read_dir(format!("{folder}/fd")).unwrap().count();
    (threads(bridge).len(), fds, bridge.memory_kib("VmRSS"))
}

#[test]
fn nothing_grows_over_200_reloads() {
    let rig = Rig::new();
    rig.fill("incident", 10);
    rig.fill("problem", 10);
    let config = rig.config();
    let mut bridge = rig.start(&config);
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let edit = |number: usize| {
        let mut edited = config.clone();
        edited
            .tables
            .push(format!("name: problem\nbatch_size: {}", 10 + number));
        if number.is_multiple_of(3) {
            edited.tables.pop();
        }
        let edited = edited.servicenow(&format!("timeout_seconds: {}", 30 + number / 10));
        reloaded(&bridge, || {
            rename_over(rig.folder.path(), &edited.text());
            bridge.signal("HUP");
        });
    };
    // What is allocated once is allocated now.
    (1..=40).for_each(&edit);
    let settle = |bridge: &Bridge| {
        let mut last = footprint(bridge);
        wait_for("a steady number of threads", || {
            let before = std::mem::replace(&mut last, footprint(bridge));
            crossbeam_channel::after(Duration::from_millis(500))
                .recv()
                .unwrap();
            (before.0 == last.0 && before.1 == last.1).then_some(last)
        })
    };
    let before = settle(&bridge);
    (41..=240).for_each(&edit);
    let after = settle(&bridge);
    // Straight to the terminal: what a test prints is shown only when it fails.
    let words = "threads, descriptors, resident KiB";
    writeln!(
        std::io::stderr(),
        "{words}: {before:?} before, {after:?} after 200 reloads"
    )
    .unwrap();
    // One that is left behind by each reload would make 200; a busy machine is late with a few.
    assert!(
        after.0 <= before.0 + 20 && after.1 <= before.1 + 40,
        "{before:?} {after:?}"
    );
    assert!(after.2 < before.2 + 16 * 1024, "{before:?} {after:?}");
    rig.finish(bridge, &rig.rows("incident"), 0);
}
