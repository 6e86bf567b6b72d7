//! Time zones of the integration user, and clocks that are wrong.

use servicenow_sim::{Generator, LiteralTz, LoggedRequest, Options, Row, parse_stamp};

use crate::support::rig::Rig;
use crate::support::wait_for;

fn zone(name: &str, literal_tz: LiteralTz) -> Options {
    Options {
        user_zone: name.to_owned(),
        literal_tz,
        ..Options::default()
    }
}

/// A user that was created in summer, or in winter.
fn add_user(rig: &Rig, created: &str) {
    let user = [
        ("user_name", "other"),
        ("time_zone", "Europe/London"),
        ("sys_created_on", "x"),
    ];
    let user = Row::from(user).set("sys_created_on", created);
    rig.sim.insert("sys_user", user).unwrap();
}

/// A load over several pages, then a change: everything arrives, and only once.
fn complete(rig: &Rig, reading: &str) {
    rig.fill("incident", 330);
    let mut bridge = rig.start(&rig.config().source("batch_size: 50"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    rig.insert("incident");
    let rows = rig.rows("incident");
    rig.wait_rows(&mut bridge, &rows);
    let log = bridge.log();
    let said = log
        .lines()
        .find(|line| line.contains("measured how the instance reads times"));
    assert!(said.unwrap().contains(reading), "{said:?}");
    rig.finish(bridge, &rows, 0);
}

#[test]
fn a_user_in_new_york_whose_literals_are_local() {
    let rig = Rig::with(zone("America/New_York", LiteralTz::User));
    complete(&rig, "America/New_York");
}

#[test]
fn a_user_in_new_york_whose_literals_are_utc() {
    complete(
        &Rig::with(zone("America/New_York", LiteralTz::Utc)),
        "\"UTC\"",
    );
}

#[test]
fn a_user_in_tokyo_whose_literals_are_local() {
    complete(
        &Rig::with(zone("Asia/Tokyo", LiteralTz::User)),
        "Asia/Tokyo",
    );
}

#[test]
fn a_user_in_tokyo_whose_literals_are_utc() {
    complete(&Rig::with(zone("Asia/Tokyo", LiteralTz::Utc)), "\"UTC\"");
}

#[test]
fn a_user_in_london_is_measured_by_a_user_of_summer() {
    for (literal_tz, reading) in [
        (LiteralTz::User, "Europe/London"),
        (LiteralTz::Utc, "\"UTC\""),
    ] {
        let rig = Rig::with(zone("Europe/London", literal_tz));
        let own = rig.sim.options().users[0].sys_id.clone();
        rig.sim
            .update(
                "sys_user",
                &own,
                [("sys_created_on", "2024-01-15 12:00:00")],
            )
            .unwrap();
        add_user(&rig, "2024-07-15 12:00:00");
        complete(&rig, reading);
    }
}

#[test]
fn a_zone_that_cannot_be_measured_is_asked_for() {
    let rig = Rig::with(zone("Europe/London", LiteralTz::User));
    let own = rig.sim.options().users[0].sys_id.clone();
    rig.sim
        .update(
            "sys_user",
            &own,
            [("sys_created_on", "2024-01-15 12:00:00")],
        )
        .unwrap();
    rig.fill("incident", 120);
    let bridge = rig.start(&rig.config());
    bridge.wait_not_ready("set servicenow.query_time_zone");
    assert_eq!(rig.asked("incident").len(), 0, "nothing is guessed");
    assert_eq!(bridge.terminate(), 0);
    let config = rig.config().servicenow("query_time_zone: Europe/London");
    rig.finish(
        rig.start(&config.source("batch_size: 50")),
        &rig.rows("incident"),
        0,
    );
}

#[test]
fn rows_of_the_hour_that_repeats_in_autumn() {
    let rig = Rig::with(zone("America/New_York", LiteralTz::User));
    // 2024-11-03 06:00 UTC is the second 01:00 in New York.
    let start = parse_stamp("2024-11-03 04:30:00").unwrap();
    let rows = (0..600).map(|n| {
        let mut row = Generator::new(n, 0, start + 15 * n.cast_signed());
        row.row()
    });
    rig.sim.insert_many("incident", rows).unwrap();
    complete(&rig, "America/New_York");
}

/// Latest second that a request asks for.
fn latest(request: &LoggedRequest) -> Option<i64> {
    let query = request.query();
    let stamps = query.match_indices("sys_updated_on").filter_map(|(at, m)| {
        let value = query[at + m.len()..].trim_start_matches(['<', '>', '=']);
        parse_stamp(value.get(..19)?)
    });
    stamps.max()
}

/// Rows come while the bridge reads; all must arrive once, and the checkpoint stays before the second that is
/// open on the instance.
fn read_while_rows_come(rig: &Rig, config: &crate::support::config::Config) {
    let mut bridge = rig.start(config);
    bridge.wait_ready();
    let end = rig.sim.now() + 4;
    // A row every 20 ms.
    wait_for("rows of four seconds", || {
        rig.insert("incident");
        let position = rig.checkpoint()["incident"]["timestamp"].as_i64();
        assert!(position < Some(rig.sim.now()), "{position:?}");
        (end <= rig.sim.now()).then_some(())
    });
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn rows_of_the_open_second_arrive_at_once() {
    let rig = Rig::new();
    rig.fill("incident", 3);
    let mut bridge = rig.start(&rig.config());
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    // Each in the second in which it comes: with a clock that closes it the next row would wait.
    for _ in 0..5 {
        let second = rig.sim.now();
        rig.insert("incident");
        rig.wait_rows(&mut bridge, &rig.rows("incident"));
        let position = rig.checkpoint()["incident"]["timestamp"].as_i64();
        assert!(position <= Some(second), "{position:?}");
    }
    rig.finish(bridge, &rig.rows("incident"), 0);
}

/// More rows than a page come within the seconds that are open, all the time.
#[test]
fn the_checkpoint_follows_a_table_that_changes_all_the_time() {
    let rig = Rig::new();
    rig.fill("incident", 3);
    let mut bridge = rig.start(&rig.config().source("batch_size: 10"));
    rig.wait_rows(&mut bridge, &rig.rows("incident"));
    let later = rig.sim.now() + 3;
    // A row every 20 ms.
    wait_for("the checkpoint to move while rows come", || {
        rig.insert("incident");
        let position = rig.checkpoint()["incident"]["timestamp"].as_i64();
        (position >= Some(later)).then_some(())
    });
    rig.finish(bridge, &rig.rows("incident"), 0);
}

#[test]
fn the_clock_of_the_instance_counts_not_ours() {
    for skew_seconds in [-3_600, 0, 3_600] {
        let options = Options {
            skew_seconds,
            ..Options::default()
        };
        let rig = Rig::with(options);
        read_while_rows_come(&rig, &rig.config());
    }
}

#[test]
fn a_delay_keeps_away_from_the_newest_seconds() {
    let rig = Rig::new();
    read_while_rows_come(&rig, &rig.config().source("timestamp_delay_seconds: 2"));
    let mut compared = 0;
    for request in &rig.asked("incident") {
        if let Some(latest) = latest(request) {
            compared += 1;
            assert!(
                latest <= request.server_time - 3,
                "request {} at {}: {}",
                request.id,
                request.server_time,
                request.query()
            );
        }
    }
    assert!(compared >= 2, "{compared} queries");
}

#[test]
fn nodes_whose_clocks_differ_lose_nothing() {
    for node_skews in [vec![0, 2], vec![2, 0], vec![0, 3, -3]] {
        let options = Options {
            node_skews,
            ..Options::default()
        };
        let rig = Rig::with(options);
        read_while_rows_come(&rig, &rig.config());
    }
}
