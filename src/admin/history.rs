//! The last quarter of an hour of every pipeline, one sample in five seconds, in bounded memory.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::status::HistorySeries;
use crate::control::PipelineKind;

/// Between two samples.
pub(super) const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Points that are shown: a quarter of an hour.
pub(super) const MAX_CHART_POINTS: usize = 180;
/// A rate needs two samples.
const MAX_SAMPLES: usize = MAX_CHART_POINTS + 1;
/// Pipelines whose samples are kept: half a megabyte when all are full.
const MAX_SAMPLED_PIPELINES: usize = 256;
/// The time over which a rate is an average.
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// A pause this long was a sleep of the machine; what was before is not joined to what comes.
const MAX_SAMPLE_GAP: Duration = Duration::from_secs(30);

/// One sample of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistorySample {
    pub(super) kind: PipelineKind,
    pub(super) name: String,
    /// Records so far.
    pub(super) count: u64,
    /// Seconds or records behind.
    pub(super) lag: Option<f64>,
}

/// The samples.
#[derive(Debug, Default)]
pub(super) struct PipelineHistory {
    times: VecDeque<Instant>,
    tracks: BTreeMap<(PipelineKind, String), SampleTrack>,
}

/// Samples of one pipeline. They end where `times` ends, and may begin later.
#[derive(Debug, Default)]
struct SampleTrack {
    counts: VecDeque<u64>,
    /// NaN is not known.
    lags: VecDeque<f32>,
}

impl PipelineHistory {
    /// When the next sample is due.
    pub(super) fn due(&self, now: Instant) -> Instant {
        self.times
            .back()
            .map_or(now, |last| *last + SAMPLE_INTERVAL)
    }

    /// When the last sample was taken.
    pub(super) fn last(&self) -> Option<Instant> {
        self.times.back().copied()
    }

    /// Takes a sample. Pipelines that are not in it are forgotten.
    pub(super) fn sample(&mut self, now: Instant, readings: Vec<HistorySample>) {
        if self
            .times
            .back()
            .is_some_and(|last| now.saturating_duration_since(*last) > MAX_SAMPLE_GAP)
        {
            *self = PipelineHistory::default();
        }
        push(&mut self.times, now);
        let mut old = std::mem::take(&mut self.tracks);
        for reading in readings.into_iter().take(MAX_SAMPLED_PIPELINES) {
            let key = (reading.kind, reading.name);
            let mut track = old.remove(&key).unwrap_or_default();
            push(&mut track.counts, reading.count);
            #[expect(clippy::cast_possible_truncation, reason = "for a chart")]
            let lag = reading.lag.map_or(f32::NAN, |lag| lag as f32);
            push(&mut track.lags, lag);
            self.tracks.insert(key, track);
        }
    }

    /// Records per second over the last minute, with `count` by now.
    pub(super) fn rate(
        &self,
        kind: PipelineKind,
        name: &str,
        count: u64,
        now: Instant,
    ) -> Option<f64> {
        let track = self.tracks.get(&(kind, name.to_owned()))?;
        let samples = self.times.iter().rev().zip(track.counts.iter().rev());
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let (at, before) = samples
            .take_while(|(at, _)| age(at) <= RATE_WINDOW + SAMPLE_INTERVAL)
            .last()?;
        // Shorter than a sample says little.
        let time = age(at);
        (Duration::from_secs(1) <= time).then(|| per_second(*before, count, time))
    }

    /// The points of one pipeline.
    pub(super) fn series(&self, kind: PipelineKind, name: &str) -> Option<HistorySeries> {
        let track = self.tracks.get(&(kind, name.to_owned()))?;
        Some(HistorySeries {
            rate: self.rates(track),
            lag: track
                .lags
                .iter()
                .skip(1)
                .map(|lag| rounded(f64::from(*lag)))
                .collect(),
        })
    }

    /// All pipelines of a kind together: the sum of their rates and the longest lag.
    pub(super) fn total(&self, kind: PipelineKind) -> HistorySeries {
        let points = self.times.len().saturating_sub(1);
        let mut total = HistorySeries {
            rate: vec![None; points],
            lag: vec![None; points],
        };
        for ((_, name), _) in self.tracks.iter().filter(|((of, _), _)| *of == kind) {
            let Some(series) = self.series(kind, name) else {
                continue;
            };
            // Both end together.
            for (sum, rate) in total.rate.iter_mut().rev().zip(series.rate.iter().rev()) {
                if let Some(rate) = rate {
                    *sum = Some(sum.unwrap_or(0.0) + rate);
                }
            }
            for (most, lag) in total.lag.iter_mut().rev().zip(series.lag.iter().rev()) {
                if let Some(lag) = lag {
                    *most = Some(most.unwrap_or(0.0).max(*lag));
                }
            }
        }
        total
    }

    fn rates(&self, track: &SampleTrack) -> Vec<Option<f64>> {
        let skipped = self.times.len().saturating_sub(track.counts.len());
        let times = self.times.iter().skip(skipped);
        let samples: Vec<(&Instant, &u64)> = times.zip(&track.counts).collect();
        samples
            .windows(2)
            .map(|pair| match pair {
                [(from, before), (to, after)] => {
                    let time = to.saturating_duration_since(**from);
                    rounded(per_second(**before, **after, time))
                }
                _ => None,
            })
            .collect()
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T) {
    if ring.len() >= MAX_SAMPLES {
        ring.pop_front();
    }
    ring.push_back(value);
}

/// A table that was given another topic counts from 0 again.
fn per_second(before: u64, after: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let records = after.saturating_sub(before) as f64;
    records / time.as_secs_f64().max(0.001)
}

/// Short in JSON: hundredths are enough.
fn rounded(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name: &str, count: u64) -> HistorySample {
        HistorySample {
            kind: PipelineKind::Table,
            name: name.to_owned(),
            count,
            lag: Some(1.234),
        }
    }

    #[test]
    fn rates_come_from_differences() {
        let mut history = PipelineHistory::default();
        let start = Instant::now();
        assert_eq!(history.due(start), start);
        for number in 0..4_u32 {
            let now = start + SAMPLE_INTERVAL * number;
            history.sample(now, vec![reading("a", u64::from(number) * 50)]);
        }
        let now = start + SAMPLE_INTERVAL * 3;
        assert_eq!(history.due(now), now + SAMPLE_INTERVAL);
        let series = history.series(PipelineKind::Table, "a").unwrap();
        assert_eq!(series.rate, [Some(10.0); 3]);
        assert_eq!(series.lag, [Some(1.23); 3]);
        let rate = history.rate(PipelineKind::Table, "a", 250, now + SAMPLE_INTERVAL);
        assert_eq!(rate, Some(12.5));
        assert_eq!(history.rate(PipelineKind::Topic, "a", 250, now), None);
    }

    #[test]
    fn one_that_came_later_ends_with_the_others() {
        let mut history = PipelineHistory::default();
        let start = Instant::now();
        history.sample(start, vec![reading("a", 0)]);
        history.sample(
            start + SAMPLE_INTERVAL,
            vec![reading("a", 5), reading("b", 0)],
        );
        history.sample(
            start + SAMPLE_INTERVAL * 2,
            vec![reading("a", 10), reading("b", 10)],
        );
        let total = history.total(PipelineKind::Table);
        assert_eq!(total.rate, [Some(1.0), Some(3.0)]);
        assert_eq!(
            history.series(PipelineKind::Table, "b").unwrap().rate,
            [Some(2.0)]
        );
        history.sample(start + SAMPLE_INTERVAL * 3, vec![reading("b", 10)]);
        assert_eq!(history.series(PipelineKind::Table, "a"), None, "it is gone");
        assert_eq!(history.total(PipelineKind::Topic).rate, [None; 3]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = PipelineHistory::default();
        let start = Instant::now();
        for number in 0..400 {
            let names = (0..MAX_SAMPLED_PIPELINES + 10).map(|name| reading(&name.to_string(), 1));
            history.sample(start + SAMPLE_INTERVAL * number, names.collect());
        }
        assert_eq!(history.tracks.len(), MAX_SAMPLED_PIPELINES);
        assert!(
            history
                .tracks
                .values()
                .all(|it| it.counts.len() == MAX_SAMPLES)
        );
        assert_eq!(
            history.series(PipelineKind::Table, "7").unwrap().rate.len(),
            MAX_CHART_POINTS
        );
        // After a sleep the rest is not joined.
        history.sample(start + SAMPLE_INTERVAL * 4000, vec![reading("7", 9)]);
        assert_eq!(history.total(PipelineKind::Table).rate, []);
    }
}
