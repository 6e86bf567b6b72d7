//! Puts the status together from the metrics, the conditions and what the supervisor says.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Shown;
use super::history::{EVERY, History, POINTS, Reading};
use super::status::{Instance, Kafka, Pipeline, Reload, State, Status, Totals, Trouble};
use crate::config::{Auth, Config, SinkTopic, Table};
use crate::control::{Kind, Outcome, Phase};
use crate::health::Standing;
use crate::metrics::{Gauge, GaugeVec, Process};

/// Pipelines whose history is in the answer, so that it stays below some 100 kB.
const MAX_SERIES: usize = 40;

/// Everything that is known now.
pub(super) fn status(shown: &Shown, history: &History, now: Instant) -> Status {
    let Shown {
        metrics,
        health,
        control,
        config,
    } = shown;
    let config = config.get();
    let readiness = health.readiness();
    let view = View {
        shown,
        history,
        now,
        standings: health.standings(),
        phases: control.states(),
    };
    let mut build = (String::new(), String::new());
    metrics.build_info.visit(|labels, _| {
        if let [version, revision, ..] = labels {
            build = (version.clone(), revision.clone());
        }
    });
    let mut status = Status {
        version: build.0,
        revision: build.1,
        time: seconds(SystemTime::now()),
        started: metrics.start_seconds(),
        ready: readiness.ok,
        reasons: readiness.lines,
        notes: readiness.notes,
        unhealthy: health.liveness(now).lines,
        servicenow: view.instance(&config),
        kafka: view.kafka(&config),
        process: Process::read(),
        tables: tables(&config).map(|table| view.table(table)).collect(),
        topics: topics(&config).map(|topic| view.topic(topic)).collect(),
        reloads: control.reloads().into_iter().map(reload).collect(),
        history: Totals {
            every: EVERY.as_secs_f64(),
            points: POINTS,
            end: seconds(SystemTime::now()),
            tables: history.total(Kind::Table),
            topics: history.total(Kind::Topic),
        },
    };
    if let Some(ago) = history
        .last()
        .map(|last| now.saturating_duration_since(last))
    {
        status.history.end -= ago.as_secs_f64();
    }
    let all = status.tables.iter_mut().chain(&mut status.topics);
    all.skip(MAX_SERIES)
        .for_each(|pipeline| pipeline.history = None);
    status
}

/// What one sample of the history takes.
pub(super) fn readings(shown: &Shown) -> Vec<Reading> {
    let config = shown.config.get();
    let tables = tables(&config).map(|table| Reading {
        kind: Kind::Table,
        name: table.name.clone(),
        count: rows_of_table(shown, table),
        lag: lag_of_table(shown, table),
    });
    let topics = topics(&config).map(|topic| Reading {
        kind: Kind::Topic,
        name: topic.topic.clone(),
        count: shown.metrics.sink_records.sum_of(&topic.table),
        lag: lag_of_topic(shown, topic),
    });
    tables.chain(topics).collect()
}

/// Tables that are read.
fn tables(config: &Config) -> impl Iterator<Item = &Table> {
    let source = &config.source;
    source.tables.iter().filter(|_| source.enabled)
}

/// Topics that are written.
fn topics(config: &Config) -> impl Iterator<Item = &SinkTopic> {
    let sink = &config.sink;
    sink.topics.iter().filter(|_| sink.enabled)
}

fn rows_of_table(shown: &Shown, table: &Table) -> u64 {
    let labels = [table.name.as_str(), table.topic.as_str()];
    let produced = shown.metrics.source_produced.find(&labels);
    produced.map_or(0, |produced| produced.get())
}

fn lag_of_table(shown: &Shown, table: &Table) -> Option<f64> {
    gauge(&shown.metrics.offset_lag, &table.name)
}

fn lag_of_topic(shown: &Shown, topic: &SinkTopic) -> Option<f64> {
    let mut sum: Option<f64> = None;
    shown.metrics.sink_lag.visit(|labels, lag| {
        if labels.first() == Some(&topic.topic) && lag.get().is_finite() {
            sum = Some(sum.unwrap_or(0.0) + lag.get());
        }
    });
    sum
}

fn gauge(family: &GaugeVec, label: &str) -> Option<f64> {
    let value = family.find(&[label]).as_ref().map(Gauge::get);
    value.filter(|value| value.is_finite())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}

fn reload(reload: crate::control::Reload) -> Reload {
    let outcome = match reload.outcome {
        Outcome::Applied => "applied",
        Outcome::Refused => "refused",
        Outcome::RolledBack => "rolled_back",
    };
    Reload {
        at: seconds(reload.at),
        outcome: outcome.to_owned(),
        words: reload.words,
    }
}

/// One look at everything.
struct View<'a> {
    shown: &'a Shown,
    history: &'a History,
    now: Instant,
    standings: Vec<Standing>,
    phases: Vec<crate::control::State>,
}

impl View<'_> {
    fn instance(&self, config: &Config) -> Instance {
        let metrics = &self.shown.metrics;
        let words = self.failing("servicenow");
        let auth = match &config.servicenow.auth {
            Auth::OAuth(_) => "oauth",
            Auth::Basic { .. } => "basic",
            Auth::ApiKey { .. } => "api_key",
        };
        Instance {
            url: config.servicenow.base_url.clone(),
            ok: words.is_none(),
            words,
            auth: auth.to_owned(),
            token_expires: Some(metrics.token_expiry.get()).filter(|at| at.is_finite()),
            requests: metrics.api_requests.sum(),
            errors: metrics.api_errors.sum(),
            limit_wait: metrics.rate_limit_wait.get().as_secs_f64(),
        }
    }

    fn kafka(&self, config: &Config) -> Kafka {
        let metrics = &self.shown.metrics;
        let words = self.failing("kafka");
        Kafka {
            brokers: config.kafka.brokers.clone(),
            ok: words.is_none() && metrics.kafka_connected.get() > 0.0,
            words,
            queue: metrics.produce_queue.get(),
            errors: metrics.produce_errors.sum(),
        }
    }

    fn table(&self, table: &Table) -> Pipeline {
        let metrics = &self.shown.metrics;
        let name = &table.name;
        let conditions = [
            format!("delivery of {name}"),
            format!("schema of {name}"),
            format!("table {name}"),
        ];
        let own = self.own(|it| conditions.iter().any(|name| it == name));
        let held = gauge(&metrics.source_held, name).is_some_and(|held| held > 0.0);
        let (state, words) = self.state(Kind::Table, name, held, &own, &[]);
        let rows = rows_of_table(self.shown, table);
        Pipeline {
            name: name.clone(),
            to: table.topic.clone(),
            state,
            words,
            rows,
            rate: self.rate(Kind::Table, name, rows),
            lag: lag_of_table(self.shown, table),
            remaining: gauge(&metrics.source_remaining_rows, name).filter(|left| *left > 0.0),
            last_success: gauge(&metrics.source_last_success, name).filter(|at| *at > 0.0),
            next_poll: gauge(&metrics.source_next_poll, name)
                .filter(|at| *at > 0.0 && state != State::Paused),
            errors: metrics.source_errors.sum_of(name),
            last_error: last(&own),
            history: self.history.series(Kind::Table, name),
            ..Pipeline::default()
        }
    }

    fn topic(&self, topic: &SinkTopic) -> Pipeline {
        let metrics = &self.shown.metrics;
        let (name, table) = (&topic.topic, &topic.table);
        let condition = format!("sink {name}");
        let partitions = format!("sink {name}/");
        let asked = format!("sink table {table}");
        let own = self.own(|it| it == condition || it.starts_with(&partitions) || it == asked);
        let common = self.own(|it| it == "sink" || it == "sink commits");
        let held = gauge(&metrics.sink_held, name).is_some_and(|held| held > 0.0);
        let (state, words) = self.state(Kind::Topic, name, held, &own, &common);
        let rows = metrics.sink_records.sum_of(table);
        Pipeline {
            name: name.clone(),
            to: table.clone(),
            state,
            words,
            rows,
            rate: self.rate(Kind::Topic, name, rows),
            lag: lag_of_topic(self.shown, topic),
            in_flight: gauge(&metrics.sink_in_flight, name),
            skipped: Some(metrics.sink_skipped.sum_of(table)),
            dead_letters: Some(metrics.sink_dead_letters.sum_of(table)),
            errors: metrics.sink_errors.sum_of(table),
            last_error: last(&own),
            history: self.history.series(Kind::Topic, name),
            ..Pipeline::default()
        }
    }

    /// What a pipeline is doing: what the supervisor says, then what its conditions say.
    fn state(
        &self,
        kind: Kind,
        name: &str,
        held: bool,
        own: &[&Standing],
        common: &[&Standing],
    ) -> (State, Option<String>) {
        let mut phases = self.phases.iter();
        let found = phases.find(|it| it.kind == kind && it.name == name);
        match found.map(|it| &it.phase) {
            Some(Phase::Paused) => return (State::Paused, None),
            Some(Phase::Restarting { why }) => return (State::Restarting, Some(why.clone())),
            Some(Phase::Stopped { why }) => return (State::Stopped, Some(why.clone())),
            Some(Phase::Running) | None => {}
        }
        if own.is_empty() {
            return (State::Starting, None);
        }
        let mut all = own.iter().chain(common);
        let Some(failing) = all.find(|it| it.failing.is_some()) else {
            return (State::Running, None);
        };
        let state = match failing.trouble {
            _ if held => State::Held,
            // What it began with.
            None => State::Starting,
            Some(_) => State::Error,
        };
        let words = failing.failing.clone().map(|words| {
            let bare = words.strip_prefix("held: ").filter(|_| held);
            bare.map(str::to_owned).unwrap_or(words)
        });
        (state, words)
    }

    fn rate(&self, kind: Kind, name: &str, rows: u64) -> Option<f64> {
        let rate = self.history.rate(kind, name, rows, self.now)?;
        Some((rate * 100.0).round() / 100.0)
    }

    fn own(&self, wanted: impl Fn(&str) -> bool) -> Vec<&Standing> {
        let standings = self.standings.iter();
        standings.filter(|it| wanted(&it.name)).collect()
    }

    fn failing(&self, name: &str) -> Option<String> {
        let mut standings = self.standings.iter();
        standings.find(|it| it.name == name)?.failing.clone()
    }
}

/// The newest trouble.
fn last(own: &[&Standing]) -> Option<Trouble> {
    let troubles = own.iter().filter_map(|it| it.trouble.as_ref());
    let last = troubles.max_by_key(|trouble| trouble.at)?;
    Some(Trouble {
        at: seconds(last.at),
        words: last.words.clone(),
    })
}
