//! The instance is away for three seconds in the middle of everything: a first load, a table that is
//! polled, a backlog of the sink. Nothing is lost or repeated, little is asked meanwhile, and all go on
//! at once afterwards. `soak` has the same for minutes.

use std::time::{Duration, Instant};

use servicenow_sim::{Fault, Generator, LoggedRequest, OAuthClient, Options, RuleId, Target};

use crate::support::bridge::Bridge;
use crate::support::rig::{self, produced, rows_of, topic_of};
use crate::support::sink::{SinkRig, create, update};
use crate::support::wire::{self, Wire};
use crate::support::{wait_at_most, wait_for};

/// The table of the first load.
const LOAD: &str = "problem";
/// The table in which rows appear all the time.
const LIVE: &str = "change_request";
/// Records of the sink's backlog that make a row. Each is looked up first, as it may have been tried before.
const CREATES: usize = 100;
/// Records that change a row.
const CHANGES: usize = 1_500;
/// Rows that are changed.
const CHANGED_ROWS: usize = 10;
/// Rows of the first load.
const LOADED_ROWS: usize = 4_000;
/// The secret of the bridge's OAuth client.
const CLIENT_SECRET: &str = "s3cret";
/// How long a token lives where the log-in is to be part of the outage.
pub(crate) const SHORT_TOKEN: Duration = Duration::from_secs(20);
/// By when all must be at work again: five times what is promised, as the machine may be busy.
pub(crate) const BACK_AT_WORK: Duration = Duration::from_secs(25);

/// How the instance is away.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outage {
    /// 503 with a load balancer's HTML.
    Unavailable,
    /// Connections are refused.
    Refused,
    /// Packets are dropped without a word.
    BlackHole,
    /// Answers come after the time-out.
    Slow,
}

/// An instance behind a path that can be cut, with everything under way.
pub(crate) struct Trial {
    pub(crate) rig: SinkRig,
    wire: Wire,
    pub(crate) bridge: Bridge,
    rule: Option<RuleId>,
    /// The rows that records of the backlog change, each through all of its states.
    changed: Vec<String>,
}

impl Trial {
    /// `token_life`: how long a token of the instance is good.
    pub(crate) fn start(token_life: Duration) -> Trial {
        let rig = SinkRig::with(Options {
            write_latency: Duration::from_millis(20),
            oauth_clients: vec![OAuthClient::new("bridge", CLIENT_SECRET)],
            token_life,
            ..Options::default()
        });
        let wire = Wire::to(rig.sim.url());
        for table in [LOAD, LIVE] {
            rig.create_topic(&topic_of(table), 4);
        }
        let rows = Generator::new(7, 0, rig.sim.now() - 7_200);
        rig.sim.insert_many(LOAD, rows.take(LOADED_ROWS)).unwrap();
        // So that the load lasts.
        let slow = Fault::Delay(Duration::from_millis(25));
        rig.sim.faults().on(Target::table(LOAD), slow);
        let changed: Vec<String> = (0..CHANGED_ROWS).map(|number| rig.row(number)).collect();
        let changes = (0..CHANGES).map(|number| {
            let id = &changed[number % CHANGED_ROWS];
            update(id, "state", number / CHANGED_ROWS)
        });
        rig.produce((0..CREATES).map(create));
        rig.produce(changes);
        let mut config = rig.config().sink("concurrency: 3\ntransaction_time: 4s");
        config.servicenow = format!(
            "base_url: {}\nauth: {{type: oauth, oauth: {{grant_type: client_credentials, client_id: bridge, \
             client_secret: {CLIENT_SECRET}}}}}",
            wire.url()
        );
        let mut config = config
            .servicenow("read_timeout_seconds: 1")
            .source("batch_size: 20");
        config.reads = true;
        config.tables = vec![format!("name: {LOAD}"), format!("name: {LIVE}")];
        let bridge = rig.start(&config);
        let mut trial = Trial {
            rig,
            wire,
            bridge,
            rule: None,
            changed,
        };
        rig::insert(&trial.rig.sim, LIVE);
        trial.wait_under_way();
        trial
    }

    /// Each of the three has begun and is not at its end.
    fn wait_under_way(&mut self) {
        let [live, load] = [LIVE, LOAD].map(|table| produced(table, &topic_of(table)));
        self.bridge.wait_metric(&live, 1.0);
        self.bridge.wait_metric(&load, 100.0);
        wait_for("the first writes", || {
            (self.rig.applied().len() > CREATES + 50).then_some(())
        });
        assert!(self.bridge.metric(&load) < LOADED_ROWS as f64);
        assert!(self.rig.applied().len() < CREATES + CHANGES);
    }

    pub(crate) fn begin(&mut self, outage: Outage) {
        let faults = self.rig.sim.faults();
        match outage {
            Outage::Unavailable => {
                self.rule = Some(faults.add_first(Target::Any, Fault::Unavailable));
            }
            Outage::Slow => {
                let late = Fault::Delay(Duration::from_millis(2_500));
                self.rule = Some(faults.add_first(Target::Any, late));
            }
            Outage::Refused => self.wire.refuse(),
            Outage::BlackHole => self.wire.drop_packets(),
        }
    }

    pub(crate) fn end(&mut self) {
        if let Some(rule) = self.rule.take() {
            self.rig.sim.faults().remove(rule);
        }
        self.wire.pass();
    }

    /// Lets the outage last, while rows appear and records come. Gives the number of requests.
    pub(crate) fn last(&mut self, time: Duration) -> f64 {
        let before = self.requests();
        let tick = crossbeam_channel::tick(Duration::from_millis(250));
        let end = Instant::now() + time;
        while Instant::now() < end {
            tick.recv().unwrap();
            rig::insert(&self.rig.sim, LIVE);
        }
        self.requests() - before
    }

    /// Requests that the bridge made.
    fn requests(&self) -> f64 {
        let (_, text) = self.bridge.get("/metrics");
        let series = text
            .lines()
            .filter(|line| line.starts_with("bridge_sn_api_requests_total{"));
        let values = series.map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }

    /// Waits until each of them is at work again, and gives the time that each took. None goes on without a
    /// token: where the last one ended in the outage, its successor is the first that came back.
    pub(crate) fn wait_back(&self) -> [(&'static str, Duration); 3] {
        let back = Instant::now();
        let good = |what: &'static str, wanted: &dyn Fn(&LoggedRequest) -> bool| {
            let at = wait_at_most(BACK_AT_WORK, what, || {
                let requests = self.rig.sim.requests();
                let mut good = requests.iter().filter(|request| {
                    request.at > back && request.status < 300 && request.status > 0
                });
                good.find(|request| wanted(request))
                    .map(|request| request.at)
            });
            (what, at.duration_since(back))
        };
        let of = |table: &'static str| {
            move |request: &LoggedRequest| {
                request.table() == Some(table) && request.operation().is_none()
            }
        };
        [
            good("the load", &of(LOAD)),
            good("the live table", &of(LIVE)),
            good("the sink", &|request| request.operation().is_some()),
        ]
    }

    /// When the instance gave out tokens.
    pub(crate) fn log_ins(&self) -> Vec<Instant> {
        let requests = self.rig.sim.requests();
        let good = requests
            .iter()
            .filter(|request| request.is_token() && request.status == 200);
        good.map(|request| request.at).collect()
    }

    /// Everything arrives, once, and nothing is a dead letter.
    pub(crate) fn finish(mut self) {
        for table in [LOAD, LIVE] {
            let topic = topic_of(table);
            let rows = rows_of(&self.rig.sim, table);
            let reader = self.rig.reader();
            rig::wait_rows(&reader, &mut self.bridge, (table, &topic), &rows);
        }
        self.rig.wait_done(&mut self.bridge);
        self.bridge.wait_ready();
        let log = self.bridge.log();
        assert_eq!(self.bridge.terminate(), 0);
        for table in [LOAD, LIVE] {
            let rows = rows_of(&self.rig.sim, table);
            rig::check(&self.rig.reader(), &topic_of(table), &rows, 0);
        }
        self.rig.assert_created_once(CREATES + self.changed.len());
        self.rig
            .assert_states_in_order(&self.changed, CHANGES / CHANGED_ROWS);
        assert_eq!(self.rig.letters().len(), 0);
        assert!(log.contains("\"a request\"") && log.contains("\"a page\""));
        let told = |words: &str, place: &str| {
            let lines = log.lines().filter(|line| {
                line.contains(words) && line.contains(place) && !line.contains("\"DEBUG\"")
            });
            lines.count()
        };
        for place in ["servicenow_read", "servicenow_write"] {
            let (begins, ends) = (
                told("it does not answer", place),
                told("it answers again", place),
            );
            // One for all tables and records; a busy machine adds an outage of its own, as answers have a
            // second here, and the log tells of one in ten seconds at most.
            assert!(
                (1..=5).contains(&begins) && begins == ends,
                "{place}: {begins}, {ends}"
            );
        }
    }
}

fn three_seconds_of(outage: Outage) {
    if !wire::require_or_skip() {
        return;
    }
    let mut trial = Trial::start(Duration::from_secs(1_800));
    trial.begin(outage);
    let requests = trial.last(Duration::from_secs(3));
    trial.end();
    trial.wait_back();
    // What was under way, the probes of two kinds, and one look-up for each write that was lost.
    assert!(requests <= 40.0, "{requests} requests in three seconds");
    trial.finish();
}

#[test]
fn three_seconds_of_503() {
    three_seconds_of(Outage::Unavailable);
}

#[test]
fn three_seconds_of_refused_connections() {
    three_seconds_of(Outage::Refused);
}

#[test]
fn three_seconds_in_a_black_hole() {
    three_seconds_of(Outage::BlackHole);
}

#[test]
fn three_seconds_of_answers_that_come_too_late() {
    three_seconds_of(Outage::Slow);
}
