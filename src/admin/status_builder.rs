//! Puts the status together from the metrics, the conditions of health and the states that the
//! supervisor set.

use std::time::{Instant, SystemTime};

use jiff::Timestamp;

use super::history::{HistorySample, MAX_CHART_POINTS, PipelineHistory, SAMPLE_INTERVAL};
use super::services::AdminServices;
use super::status::{
    BridgeStatus, CheckpointStatus, ContentStatus, DeletesStatus, ErrorStatus, HistoryTotals,
    InstanceStatus, KafkaStatus, LateRowsStatus, OutageStatus, PipelineState, PipelineStatus,
    ReloadStatus, SinkMemberStatus, SnapshotStatus, VerifyStatus,
};
use crate::config::{Config, ServiceNowAuth, SinkTopicConfig, TableConfig};
use crate::control::{PipelineKind, PipelinePhase, PlaceOutage, ReloadOutcome, SinkMember};
use crate::health::{ConditionKey, ConditionReport, ConditionState};
use crate::metrics::{Gauge, GaugeVec, ProcessFigures};

/// Pipelines whose history is in the answer, so that it stays below some 100 kB.
const MAX_PIPELINES_WITH_HISTORY: usize = 40;

/// The status at `now`.
pub(super) fn status(
    services: &AdminServices,
    history: &PipelineHistory,
    now: Instant,
) -> BridgeStatus {
    let AdminServices {
        metrics,
        health,
        control,
        config,
    } = services;
    let config = config.get();
    let readiness = health.readiness();
    let view = StatusBuilder {
        services,
        history,
        now,
        conditions: health.conditions(),
        phases: control.pipelines(),
    };
    let mut build = (String::new(), String::new());
    metrics.build_info.visit(|labels, _| {
        if let [version, revision, ..] = labels {
            build = (version.clone(), revision.clone());
        }
    });
    let mut status = BridgeStatus {
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
        outages: control
            .outages()
            .into_iter()
            .map(|it| outage(it, now))
            .collect(),
        sink_member: control.sink_member().map(sink_member),
        checkpoint: CheckpointStatus {
            fsync_mean: metrics.checkpoint_sync.mean(),
        },
        process: ProcessFigures::read(),
        tables: config
            .active_tables()
            .iter()
            .map(|table| view.table(table))
            .collect(),
        topics: config
            .active_topics()
            .iter()
            .map(|topic| view.topic(topic))
            .collect(),
        reloads: control.reloads().into_iter().map(reload).collect(),
        history: HistoryTotals {
            every: SAMPLE_INTERVAL.as_secs_f64(),
            points: MAX_CHART_POINTS,
            end: seconds(SystemTime::now()),
            tables: history.total(PipelineKind::Table),
            topics: history.total(PipelineKind::Topic),
        },
    };
    if let Some(ago) = history
        .last()
        .map(|last| now.saturating_duration_since(last))
    {
        status.history.end -= ago.as_secs_f64();
    }
    let all = status.tables.iter_mut().chain(&mut status.topics);
    all.skip(MAX_PIPELINES_WITH_HISTORY)
        .for_each(|pipeline| pipeline.history = None);
    status
}

/// One sample of every pipeline for the history.
pub(super) fn readings(services: &AdminServices) -> Vec<HistorySample> {
    let config = services.config.get();
    let tables = config.active_tables().iter().map(|table| HistorySample {
        kind: PipelineKind::Table,
        name: table.name.clone(),
        count: rows_of_table(services, table),
        lag: lag_of_table(services, table),
    });
    let topics = config.active_topics().iter().map(|topic| HistorySample {
        kind: PipelineKind::Topic,
        name: topic.topic.clone(),
        count: services.metrics.sink_records.sum_for(&topic.table),
        lag: lag_of_topic(services, topic),
    });
    tables.chain(topics).collect()
}

fn rows_of_table(services: &AdminServices, table: &TableConfig) -> u64 {
    let labels = [table.name.as_str(), table.topic.as_str()];
    let produced = services.metrics.source_produced.find(&labels);
    produced.map_or(0, |produced| produced.get())
}

fn lag_of_table(services: &AdminServices, table: &TableConfig) -> Option<f64> {
    gauge(&services.metrics.offset_lag, &table.name)
}

fn lag_of_topic(services: &AdminServices, topic: &SinkTopicConfig) -> Option<f64> {
    let mut sum: Option<f64> = None;
    services.metrics.sink_lag.visit(|labels, lag| {
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
    Timestamp::try_from(time).map_or(0.0, |time| time.as_duration().as_secs_f64())
}

fn outage(outage: PlaceOutage, now: Instant) -> OutageStatus {
    let lasts = now.saturating_duration_since(outage.since);
    OutageStatus {
        place: outage.place.to_owned(),
        since: seconds(SystemTime::now()) - lasts.as_secs_f64(),
        words: outage.error,
    }
}

fn sink_member(member: SinkMember) -> SinkMemberStatus {
    SinkMemberStatus {
        group_id: member.group_id,
        instance_id: member.instance_id,
    }
}

fn reload(reload: crate::control::ReloadRecord) -> ReloadStatus {
    let outcome = match reload.outcome {
        ReloadOutcome::Applied => "applied",
        ReloadOutcome::Refused => "refused",
        ReloadOutcome::RolledBack => "rolled_back",
    };
    ReloadStatus {
        at: seconds(reload.at),
        outcome: outcome.to_owned(),
        words: reload.words,
    }
}

/// Everything that one status is made of, read at one moment.
struct StatusBuilder<'a> {
    services: &'a AdminServices,
    history: &'a PipelineHistory,
    now: Instant,
    conditions: Vec<ConditionReport>,
    phases: Vec<crate::control::SupervisedPipeline>,
}

impl StatusBuilder<'_> {
    fn instance(&self, config: &Config) -> InstanceStatus {
        let metrics = &self.services.metrics;
        let words = self.reason(&ConditionKey::Instance);
        let auth = match &config.servicenow.auth {
            ServiceNowAuth::OAuth(_) => "oauth",
            ServiceNowAuth::Basic { .. } => "basic",
            ServiceNowAuth::ApiKey { .. } => "api_key",
        };
        InstanceStatus {
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

    fn kafka(&self, config: &Config) -> KafkaStatus {
        let metrics = &self.services.metrics;
        let words = self.reason(&ConditionKey::Kafka);
        KafkaStatus {
            brokers: config.kafka.brokers.clone(),
            ok: words.is_none() && metrics.kafka_connected.get() > 0.0,
            words,
            queue: metrics.produce_queue.get(),
            errors: metrics.produce_errors.sum(),
        }
    }

    fn table(&self, table: &TableConfig) -> PipelineStatus {
        let metrics = &self.services.metrics;
        let name = &table.name;
        let own = self.conditions(|key| match key {
            ConditionKey::Table(of) | ConditionKey::Delivery(of) | ConditionKey::Schema(of) => {
                of == name
            }
            _ => false,
        });
        let held = gauge(&metrics.source_held, name).is_some_and(|held| held > 0.0);
        let (state, words) = self.state(PipelineKind::Table, name, held, &own, &[]);
        let rows = rows_of_table(self.services, table);
        PipelineStatus {
            name: name.clone(),
            to: table.topic.clone(),
            state,
            words,
            rows,
            rate: self.rate(PipelineKind::Table, name, rows),
            lag: lag_of_table(self.services, table),
            remaining: gauge(&metrics.source_remaining_rows, name).filter(|left| *left > 0.0),
            last_success: gauge(&metrics.source_last_success, name).filter(|at| *at > 0.0),
            next_poll: gauge(&metrics.source_next_poll, name)
                .filter(|at| *at > 0.0 && state != PipelineState::Paused),
            verify: self.verify(name),
            deletes: self.deletes(table),
            late: self.late(name),
            content: self.content(table),
            snapshot: self.snapshot(name),
            errors: metrics.source_errors.sum_for(name),
            last_error: last(&own),
            history: self.history.series(PipelineKind::Table, name),
            ..PipelineStatus::default()
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gauge of rows"
    )]
    fn verify(&self, table: &str) -> Option<VerifyStatus> {
        const DIFFERENCES: [&str; 4] = ["missing", "stale", "extra", "wrong_partition"];
        let metrics = &self.services.metrics;
        let mut status = VerifyStatus {
            age: gauge(&metrics.verify_age, table)?,
            ..VerifyStatus::default()
        };
        metrics.verify_rows.visit(|labels, rows| {
            if let [of, state] = labels
                && of == table
            {
                let rows = rows.get() as u64;
                if DIFFERENCES.contains(&&**state) {
                    status.differences += rows;
                }
                status.rows.insert(state.clone(), rows);
            }
        });
        Some(status)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gauge of rows"
    )]
    fn deletes(&self, table: &TableConfig) -> Option<DeletesStatus> {
        let (metrics, name) = (&self.services.metrics, &table.name);
        let is_on = table.deletes.is_on();
        is_on.then(|| DeletesStatus {
            mode: table.deletes.detection.name().to_owned(),
            compared: gauge(&metrics.source_deletes_compared, name).filter(|at| *at > 0.0),
            held: gauge(&metrics.source_deletes_held, name).unwrap_or(0.0) as u64,
            sent: metrics.source_deletes.sum_for(name),
            words: self.reason(&ConditionKey::Deletes(name.clone())),
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a gauge of rows"
    )]
    fn late(&self, table: &str) -> Option<LateRowsStatus> {
        let metrics = &self.services.metrics;
        Some(LateRowsStatus {
            longest: gauge(&metrics.source_lateness_max, table)?,
            rows: metrics.source_late_rows.sum_for(table),
            unsettled: gauge(&metrics.source_unsettled_rows, table).unwrap_or(0.0) as u64,
        })
    }

    fn content(&self, table: &TableConfig) -> Option<ContentStatus> {
        let (metrics, name) = (&self.services.metrics, &table.name);
        let rows = |state: &str| {
            let rows = metrics.content_rows.find(&[name, state]);
            rows.map_or(0, |rows| rows.get())
        };
        table.has_content_cycle().then(|| ContentStatus {
            age: gauge(&metrics.content_age, name),
            progress: gauge(&metrics.content_progress, name).unwrap_or(0.0),
            changed: rows("changed"),
            missed: rows("missed"),
        })
    }

    fn snapshot(&self, table: &str) -> Option<SnapshotStatus> {
        let mut phases = self.phases.iter();
        let found = phases.find(|it| it.kind == PipelineKind::Table && it.name == table)?;
        let progress = found.snapshot?;
        Some(SnapshotStatus {
            rows: progress.rows,
            remaining: progress.remaining,
            left: progress.seconds_left,
            paused: progress.is_paused,
        })
    }

    fn topic(&self, topic: &SinkTopicConfig) -> PipelineStatus {
        let metrics = &self.services.metrics;
        let (name, table) = (&topic.topic, &topic.table);
        let own = self.conditions(|key| match key {
            ConditionKey::SinkTopic(of) | ConditionKey::SinkPartition { topic: of, .. } => {
                of == name
            }
            ConditionKey::SinkTable(of) => of == table,
            _ => false,
        });
        let common =
            self.conditions(|key| matches!(key, ConditionKey::Sink | ConditionKey::SinkCommits));
        let held = gauge(&metrics.sink_held, name).is_some_and(|held| held > 0.0);
        let (state, words) = self.state(PipelineKind::Topic, name, held, &own, &common);
        let rows = metrics.sink_records.sum_for(table);
        PipelineStatus {
            name: name.clone(),
            to: table.clone(),
            state,
            words,
            rows,
            rate: self.rate(PipelineKind::Topic, name, rows),
            lag: lag_of_topic(self.services, topic),
            in_flight: gauge(&metrics.sink_in_flight, name),
            waiting: gauge(&metrics.sink_waiting, name),
            skipped: Some(metrics.sink_skipped.sum_for(table)),
            dead_letters: Some(metrics.sink_dead_letters.sum_for(table)),
            errors: metrics.sink_errors.sum_for(table),
            last_error: last(&own),
            history: self.history.series(PipelineKind::Topic, name),
            ..PipelineStatus::default()
        }
    }

    /// The state of a pipeline and the reason for it. The supervisor's state comes first, as a pipeline
    /// that does not run has no conditions; then the first condition that fails.
    fn state(
        &self,
        kind: PipelineKind,
        name: &str,
        held: bool,
        own: &[&ConditionReport],
        common: &[&ConditionReport],
    ) -> (PipelineState, Option<String>) {
        let mut phases = self.phases.iter();
        let found = phases.find(|it| it.kind == kind && it.name == name);
        match found.map(|it| &it.phase) {
            Some(PipelinePhase::Paused) => return (PipelineState::Paused, None),
            Some(PipelinePhase::Restarting { why }) => {
                return (PipelineState::Restarting, Some(why.clone()));
            }
            Some(PipelinePhase::Stopped { why }) => {
                return (PipelineState::Stopped, Some(why.clone()));
            }
            Some(PipelinePhase::Running) | None => {}
        }
        if own.is_empty() {
            return (PipelineState::Starting, None);
        }
        let mut all = own.iter().chain(common);
        let Some(failing) = all.find(|it| it.state != ConditionState::Ok) else {
            return (PipelineState::Running, None);
        };
        let held = held || matches!(failing.state, ConditionState::Held(_));
        let state = match failing.last_error {
            _ if held => PipelineState::Held,
            // It fails since it was registered: nothing has gone wrong, it has only just begun.
            None => PipelineState::Starting,
            Some(_) => PipelineState::Error,
        };
        let reason = match &failing.state {
            // The state says already that it is held.
            ConditionState::Held(reason) if held => Some(reason.clone()),
            other => other.reason(),
        };
        (state, reason)
    }

    fn rate(&self, kind: PipelineKind, name: &str, rows: u64) -> Option<f64> {
        let rate = self.history.rate(kind, name, rows, self.now)?;
        Some((rate * 100.0).round() / 100.0)
    }

    fn conditions(&self, wanted: impl Fn(&ConditionKey) -> bool) -> Vec<&ConditionReport> {
        let conditions = self.conditions.iter();
        conditions.filter(|it| wanted(&it.key)).collect()
    }

    fn reason(&self, key: &ConditionKey) -> Option<String> {
        let mut conditions = self.conditions.iter();
        conditions.find(|it| it.key == *key)?.state.reason()
    }
}

/// The newest error of these conditions.
fn last(own: &[&ConditionReport]) -> Option<ErrorStatus> {
    let troubles = own.iter().filter_map(|it| it.last_error.as_ref());
    let last = troubles.max_by_key(|trouble| trouble.at)?;
    Some(ErrorStatus {
        at: seconds(last.at),
        words: last.message.clone(),
    })
}
