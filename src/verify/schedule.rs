//! Comparisons while the bridge runs (`verify_interval`): one table after the other, on the thread `verify`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compare::{Surroundings, Wish, compare};
use super::error::Error;
use super::judge::DeliveredTo;
use super::proof_topic;
use super::report::{KnownFrom, Report, Thoroughness};
use super::row_identifier::RowIdentifier;
use super::slices::IdSlice;
use crate::checkpoint::CheckpointStore;
use crate::config::{Config, TableConfig};
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::source::SourceInstance;
use crate::stop::Stop;

/// How long a difference must stay the same: longer than the stream takes for a row that is committed late.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(120);
/// The first comparison comes after this part of the interval, and so does the next try after one that failed.
const FIRST_PART: u32 = 10;
/// How often the ages are shown.
const AGE_INTERVAL: Duration = Duration::from_secs(5);

/// What the comparisons of a running bridge share.
pub struct VerifySchedule {
    /// The configuration of the bridge.
    pub config: Config,
    /// The instance, as the tables see it.
    pub instance: Arc<SourceInstance>,
    /// For certificates.
    pub producer: Arc<Producer>,
    /// How far the tables are delivered.
    pub checkpoints: Arc<CheckpointStore>,
    /// Where results are shown.
    pub metrics: Arc<Metrics>,
}

/// When a table is compared.
struct Due {
    next: Instant,
    /// The end of the last comparison.
    last: Option<Instant>,
}

impl VerifySchedule {
    /// Whether `config` asks for comparisons at all.
    pub fn is_wanted(config: &Config) -> bool {
        let mut tables = config.active_tables().iter();
        tables.any(|table| !table.verify_interval.is_zero())
    }

    /// Compares the tables when they are due, until stopped.
    pub fn run(&self, stop: &Stop) {
        let begin = Instant::now();
        let tables = self.config.active_tables().iter();
        let mut dues: BTreeMap<&str, (&TableConfig, Due)> = tables
            .filter(|table| !table.verify_interval.is_zero())
            .map(|table| {
                let next = begin + table.verify_interval / FIRST_PART;
                (&*table.name, (table, Due { next, last: None }))
            })
            .collect();
        while !stop.is_stopped() {
            let now = Instant::now();
            for (name, (_, due)) in &dues {
                self.show_age(name, due, now);
            }
            let first = dues.values_mut().min_by_key(|(_, due)| due.next);
            let Some((table, due)) = first else { return };
            if due.next > now {
                stop.wait(AGE_INTERVAL.min(due.next - now));
                continue;
            }
            let done = self.compare(table, stop);
            let now = Instant::now();
            due.next = now + table.verify_interval;
            match done {
                Ok(report) => {
                    due.last = Some(now);
                    self.show(&report);
                }
                Err(Error::Stopped) => {}
                Err(error) => {
                    due.next = now + table.verify_interval / FIRST_PART;
                    log::warn!(table = table.name, error:% = error;
                        "the comparison of the table with its topic came to no end; it is tried again");
                }
            }
        }
    }

    fn compare(&self, table: &TableConfig, stop: &Stop) -> Result<Report, Error> {
        let has_proofs = table.proof_topic.is_some();
        let wish = Wish {
            thoroughness: if has_proofs {
                Thoroughness::Full
            } else {
                Thoroughness::Sums
            },
            known_from: KnownFrom::Topic,
            slice: IdSlice::ALL,
            wait: DEFAULT_WAIT.min(table.verify_interval / 4),
            certificate: has_proofs,
        };
        let delivered = || {
            let position = self.checkpoints.durable_position(&table.name)?;
            Some(DeliveredTo {
                seconds: position.timestamp,
                id: RowIdentifier::new(&position.last_identifier),
            })
        };
        let around = Surroundings {
            config: &self.config,
            instance: &self.instance,
            stop,
            delivered: &delivered,
            progress: &mut |words| log::debug!(table = table.name; "comparing: {words}"),
        };
        let report = compare(table, wish, around)?;
        if let Some(certificate) = &report.certificate {
            proof_topic::publish(&self.producer, table, certificate, stop)?;
        }
        Ok(report)
    }

    #[expect(clippy::cast_precision_loss, reason = "rows are far below 2^53")]
    fn show(&self, report: &Report) {
        let table = report.table.as_str();
        for (state, rows) in report.counts() {
            self.metrics
                .verify_rows
                .with(&[table, state])
                .set(rows as f64);
        }
        let (result, requests) = (report.result(), report.requests);
        if report.differs() {
            let rows = report.count_proven();
            log::warn!(table, topic = report.topic, result, rows, requests;
                "the topic does not hold what the table holds; `verify` names the rows");
        } else {
            log::info!(table, topic = report.topic, result, requests; "the table was compared with its topic");
        }
    }

    fn show_age(&self, table: &str, due: &Due, now: Instant) {
        if let Some(last) = due.last {
            let age = now.saturating_duration_since(last).as_secs_f64();
            self.metrics.verify_age.with(&[table]).set(age);
        }
    }
}
