//! Counters, gauges and histograms, and families of them with labels.
//!
//! A value is a shared atomic: [`MetricFamily::with`] takes a lock to find or make the series, so keep
//! the handle where it is used often. The number of series per family is bounded.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::exposition::ExpositionText;

use crate::sync::Mutex;

/// Series a family may have. Labels come from the configuration and from closed lists, so only a
/// fault would pass it; the memory stays bounded even then.
pub const MAX_SERIES_PER_FAMILY: usize = 2000;

/// A metric's entry in the catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetricAbout {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets, rising; empty for the other kinds.
    pub(super) buckets: &'static [f64],
}

/// A number that only grows.
#[derive(Debug, Clone)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Time that adds up; kept in microseconds, shown in seconds.
#[derive(Debug, Clone)]
pub struct SecondsCounter(Arc<AtomicU64>);

impl SecondsCounter {
    /// Adds a time.
    pub fn add(&self, time: Duration) {
        self.0
            .fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

/// A number that goes up and down. NaN means "not known": such a series is not shown.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Sets it to the time `ahead` from now, in seconds since the epoch.
    pub fn set_time(&self, ahead: Duration) {
        self.set(epoch_seconds() + ahead.as_secs_f64());
    }

    /// The value now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Counts of observations by size.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Observations>);

#[derive(Debug)]
struct Observations {
    bounds: &'static [f64],
    /// One per bound and one for what is larger than all of them; not cumulative.
    counts: Vec<AtomicU64>,
    /// Bits of an f64.
    sum: AtomicU64,
}

impl Histogram {
    /// Counts one observation. NaN is ignored, as it would spoil the sum for ever.
    pub fn observe(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let place = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // The closure never refuses, so there is no error to look at.
        self.0.sum.fetch_update(Relaxed, Relaxed, add).ok();
    }

    /// The mean of all observations; `None` before the first.
    #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| f64::from_bits(self.0.sum.load(Relaxed)) / count as f64)
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

/// A value that a family can hold.
pub trait MetricValue: Clone {
    /// The word on the `# TYPE` line.
    const KIND: &'static str;

    /// A value at its start; only histograms look at `buckets`.
    fn start(buckets: &'static [f64]) -> Self;

    /// Writes the samples of one series.
    fn write(&self, out: &mut ExpositionText, labels: &[(&str, &str)]);
}

impl MetricValue for Counter {
    const KIND: &'static str = "counter";

    fn start(_: &'static [f64]) -> Counter {
        Counter(Arc::default())
    }

    fn write(&self, out: &mut ExpositionText, labels: &[(&str, &str)]) {
        out.integer("", labels, self.get());
    }
}

impl MetricValue for SecondsCounter {
    const KIND: &'static str = "counter";

    fn start(_: &'static [f64]) -> SecondsCounter {
        SecondsCounter(Arc::default())
    }

    fn write(&self, out: &mut ExpositionText, labels: &[(&str, &str)]) {
        out.number("", labels, self.get().as_secs_f64());
    }
}

impl MetricValue for Gauge {
    const KIND: &'static str = "gauge";

    fn start(_: &'static [f64]) -> Gauge {
        Gauge(Arc::default())
    }

    fn write(&self, out: &mut ExpositionText, labels: &[(&str, &str)]) {
        let value = self.get();
        if !value.is_nan() {
            out.number("", labels, value);
        }
    }
}

impl MetricValue for Histogram {
    const KIND: &'static str = "histogram";

    fn start(bounds: &'static [f64]) -> Histogram {
        let counts = std::iter::repeat_with(AtomicU64::default)
            .take(bounds.len() + 1)
            .collect();
        Histogram(Arc::new(Observations {
            bounds,
            counts,
            sum: AtomicU64::default(),
        }))
    }

    fn write(&self, out: &mut ExpositionText, labels: &[(&str, &str)]) {
        // The count is the sum of the buckets read here, so that `+Inf` and `_count` agree even
        // while another thread observes.
        let mut seen = 0;
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&self.0.counts) {
            seen += count.load(Relaxed);
            let bound = super::exposition::format(bound);
            out.integer(
                "_bucket",
                &[labels, &[("le", bound.as_str())]].concat(),
                seen,
            );
        }
        out.number("_sum", labels, f64::from_bits(self.0.sum.load(Relaxed)));
        out.integer("_count", labels, seen);
    }
}

/// All series of one name. See [`CounterVec`], [`GaugeVec`], [`HistogramVec`]. A clone is the same
/// family.
#[derive(Debug, Clone)]
pub struct MetricFamily<T> {
    about: MetricAbout,
    series: Arc<Mutex<BTreeMap<Vec<String>, T>>>,
}

/// Counters told apart by labels.
pub type CounterVec = MetricFamily<Counter>;
/// Sums of times told apart by labels.
pub type SecondsCounterVec = MetricFamily<SecondsCounter>;
/// Gauges told apart by labels.
pub type GaugeVec = MetricFamily<Gauge>;
/// Histograms told apart by labels.
pub type HistogramVec = MetricFamily<Histogram>;

impl<T: MetricValue> MetricFamily<T> {
    pub(super) fn new(about: MetricAbout) -> MetricFamily<T> {
        MetricFamily {
            about,
            series: Arc::default(),
        }
    }

    /// The series with these label values, in the order of the family's labels; it starts at 0.
    ///
    /// Beyond [`MAX_SERIES_PER_FAMILY`] all further ones share the series whose labels are all `other`.
    pub fn with(&self, values: &[&str]) -> T {
        let labels = self.about.labels.len();
        debug_assert_eq!(values.len(), labels, "labels of {}", self.about.name);
        let fit = |of: &dyn Fn(usize) -> String| (0..labels).map(of).collect::<Vec<_>>();
        let mut key = fit(&|at| (*values.get(at).unwrap_or(&"")).to_owned());
        let mut series = self.series.lock();
        if series.len() >= MAX_SERIES_PER_FAMILY && !series.contains_key(&key) {
            key = fit(&|_| "other".to_owned());
        }
        series
            .entry(key)
            .or_insert_with(|| T::start(self.about.buckets))
            .clone()
    }
}

impl<T> MetricFamily<T> {
    /// Removes all series whose label `label` is `value`. A handle of one goes on counting, but is no
    /// longer shown.
    pub fn remove(&self, label: &str, value: &str) {
        self.remove_all(&[(label, value)]);
    }

    /// Removes all series that have all these labels.
    pub fn remove_all(&self, labels: &[(&str, &str)]) {
        let mut series = self.series.lock();
        series.retain(|values, _| {
            let has = |(label, value): &(&str, &str)| {
                let mut pairs = self.about.labels.iter().zip(values);
                pairs.any(|(name, is)| name == label && is == value)
            };
            !labels.iter().all(has)
        });
    }
}

impl<T: MetricValue> MetricFamily<T> {
    /// Calls `see` with each series: its label values in the order of the family's labels, and its
    /// value. No series is made.
    pub fn visit(&self, mut see: impl FnMut(&[String], &T)) {
        let series = self.series.lock();
        for (labels, value) in series.iter() {
            see(labels, value);
        }
    }

    /// The series with these label values, if it is there.
    pub fn find(&self, values: &[&str]) -> Option<T> {
        let key: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let series = self.series.lock();
        series.get(&key).cloned()
    }
}

impl MetricFamily<Counter> {
    /// The sum over all series whose first label has this value.
    pub fn sum_for(&self, first: &str) -> u64 {
        let mut sum = 0_u64;
        self.visit(|labels, counter| {
            if labels.first().is_some_and(|label| label == first) {
                sum = sum.saturating_add(counter.get());
            }
        });
        sum
    }

    /// All series together.
    pub fn sum(&self) -> u64 {
        let series = self.series.lock();
        series.values().map(Counter::get).sum()
    }
}

impl MetricFamily<Gauge> {
    /// The values that are known.
    pub fn values(&self) -> Vec<f64> {
        let series = self.series.lock();
        let values = series.values().map(Gauge::get);
        values.filter(|value| !value.is_nan()).collect()
    }
}

/// The one value of a name without labels; used like the value itself.
#[derive(Debug)]
pub struct SingleMetric<T> {
    about: MetricAbout,
    value: T,
}

impl<T: MetricValue> SingleMetric<T> {
    pub(super) fn new(about: MetricAbout) -> SingleMetric<T> {
        SingleMetric {
            about,
            value: T::start(about.buckets),
        }
    }
}

impl<T> Deref for SingleMetric<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A metric of any kind, as the catalogue lists them.
pub(super) trait AnyMetric {
    /// Writes all its series.
    fn show(&self, out: &mut ExpositionText);

    /// Removes the series whose label `label` is `value`.
    fn forget(&self, label: &str, value: &str);

    /// Makes a series whose labels all have this value.
    #[cfg(test)]
    fn touch(&self, value: &str);
}

impl<T: MetricValue> AnyMetric for MetricFamily<T> {
    fn show(&self, out: &mut ExpositionText) {
        out.family(self.about.name, self.about.help, T::KIND);
        let series = self.series.lock();
        for (values, value) in series.iter() {
            let values = values.iter().map(String::as_str);
            let labels: Vec<_> = self.about.labels.iter().copied().zip(values).collect();
            value.write(out, &labels);
        }
    }

    fn forget(&self, label: &str, value: &str) {
        self.remove(label, value);
    }

    #[cfg(test)]
    fn touch(&self, value: &str) {
        self.with(&vec![value; self.about.labels.len()]);
    }
}

impl<T: MetricValue> AnyMetric for SingleMetric<T> {
    fn show(&self, out: &mut ExpositionText) {
        out.family(self.about.name, self.about.help, T::KIND);
        self.value.write(out, &[]);
    }

    /// It has no labels, so it belongs to the process and stays.
    fn forget(&self, _: &str, _: &str) {}

    #[cfg(test)]
    fn touch(&self, _: &str) {}
}

/// Seconds since the epoch by this host's clock.
pub(super) fn epoch_seconds() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
