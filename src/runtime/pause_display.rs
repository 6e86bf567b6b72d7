//! What metrics show of pipelines that an operator has paused: a pause is easily forgotten.

use std::collections::BTreeMap;
use std::time::Instant;

use super::services::Services;

/// The lag of a table when its threads had ended, and when that was.
#[derive(Debug, Clone, Copy)]
pub(super) struct PausedLag {
    seconds: f64,
    at: Instant,
}

/// Shows whether a table is paused; its lag goes on growing although none of its threads tells it.
/// `paused`: whether its threads have ended, where it is paused.
pub(super) fn show_table(
    lags: &mut BTreeMap<String, PausedLag>,
    name: &str,
    paused: Option<bool>,
    now: Instant,
    services: &Services,
) {
    let metrics = &services.metrics;
    let shown = metrics.source_paused.with(&[name]);
    shown.set(if paused.is_some() { 1.0 } else { 0.0 });
    if paused != Some(true) {
        lags.remove(name);
        return;
    }
    let lag = metrics.offset_lag.with(&[name]);
    let begin = lags.entry(name.to_owned()).or_insert_with(|| PausedLag {
        seconds: lag.get(),
        at: now,
    });
    lag.set(begin.seconds + now.saturating_duration_since(begin.at).as_secs_f64());
}

/// Shows whether a topic of the sink is paused. How far its end has moved is not known meanwhile: no
/// lag is shown rather than the one of before.
pub(super) fn show_topic(topic: &str, paused: bool, services: &Services) {
    let metrics = &services.metrics;
    let shown = metrics.sink_paused.with(&[topic]);
    shown.set(if paused { 1.0 } else { 0.0 });
    if paused {
        metrics.sink_lag.remove("topic", topic);
    }
}
