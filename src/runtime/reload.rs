//! Prepares a reload while everything goes on: reads the file, compares it with the configuration that
//! runs, and tries new clients out.
//!
//! It runs on a thread of its own, as the instance may take its time to answer. Nothing is switched here:
//! the supervisor gets clients that are ready to be used, or the reasons why the edit is refused.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::helper_threads;
use crate::config::{self, Config, ConfigDiff, ConfigFiles, ConfigProblems, LoadedConfig};
use crate::control::ReloadOutcome;
use crate::health::Health;
use crate::kafka::Producer;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::{Error, InstanceClient, table_api};
use crate::stop::Stop;

/// Attempts of the probe when its failure may be over in a moment, and the pause between them.
const PROBE_ATTEMPTS: usize = 3;
const PROBE_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a new producer may take to reach a broker before it takes over.
const PRODUCER_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A reload that is to be prepared.
pub(super) struct ReloadTask {
    pub(super) path: PathBuf,
    /// The configuration that runs.
    pub(super) running: LoadedConfig,
    pub(super) metrics: Arc<Metrics>,
    /// The contents that the reload before this one has tried, when this one was asked for while that
    /// one was under way.
    pub(super) tried: Option<ConfigFiles>,
    pub(super) stop: Stop,
}

/// A prepared reload.
pub(super) struct PreparedReload {
    /// The files to watch from now on.
    pub(super) files: ConfigFiles,
    /// When they were read, or a little before.
    pub(super) read_at: SystemTime,
    pub(super) result: PreparedResult,
}

/// What came of preparing a reload.
pub(super) enum PreparedResult {
    /// It can be put to use.
    Ready(Box<ReloadReady>),
    /// It is not used.
    Refused(ReloadRefusal),
    /// The contents are those that the reload before has tried: its outcome is this one's.
    Tried,
}

/// A valid edit, and the new clients that it needs.
pub(super) struct ReloadReady {
    pub(super) plan: ConfigDiff,
    pub(super) loaded_files: ConfigFiles,
    pub(super) warnings: Vec<String>,
    pub(super) client: Option<Candidate<InstanceClient>>,
    pub(super) producer: Option<Candidate<Producer>>,
    /// The new client of the schema registry, or that there is none any more.
    pub(super) registry: Option<Option<Registry>>,
    /// Topics that the new producer has found.
    pub(super) topics: BTreeSet<String>,
}

/// A new client that works, with a health of its own, which is attached when the client takes over.
pub(super) struct Candidate<T> {
    pub(super) it: T,
    pub(super) health: Arc<Health>,
}

/// The reason why an edit is not used.
pub(super) struct ReloadRefusal {
    pub(super) outcome: ReloadOutcome,
    pub(super) words: Vec<String>,
    /// The same edit may work later, for example when the instance is back.
    pub(super) retry: bool,
}

impl ReloadRefusal {
    fn new(outcome: ReloadOutcome, words: &dyn ToString) -> ReloadRefusal {
        ReloadRefusal {
            outcome,
            words: vec![words.to_string()],
            retry: false,
        }
    }
}

impl ReloadTask {
    pub(super) fn run(self) -> PreparedReload {
        let read_at = SystemTime::now();
        let (loaded, files) = config::load_with_files(&self.path);
        if self.tried.as_ref() == Some(&files) {
            return PreparedReload {
                files,
                read_at,
                result: PreparedResult::Tried,
            };
        }
        let result =
            loaded
                .map_err(|problems| invalid(&problems))
                .and_then(|(config, warnings)| {
                    let file = self.path.display().to_string();
                    let warnings = warnings.iter().map(|it| it.in_file(&file)).collect();
                    let files = files.clone();
                    self.prepare(LoadedConfig { config, files }, warnings)
                });
        PreparedReload {
            files,
            read_at,
            result: match result {
                Ok(ready) => PreparedResult::Ready(Box::new(ready)),
                Err(refused) => PreparedResult::Refused(refused),
            },
        }
    }

    fn prepare(
        &self,
        new: LoadedConfig,
        warnings: Vec<String>,
    ) -> Result<ReloadReady, ReloadRefusal> {
        let plan = ConfigDiff::between(&self.running, &new);
        let tried_out = [
            (plan.servicenow, "the connection to the instance"),
            (plan.kafka, "the connection to Kafka"),
            (plan.registry, "the connection to the schema registry"),
        ];
        let is_tried = |changes: bool| changes && plan.config.reload_rollback;
        for (_, what) in tried_out.iter().filter(|(changes, _)| is_tried(*changes)) {
            log::info!(what = what; "trying the edited configuration before it is used");
        }
        let client = plan.servicenow.then(|| self.client(&plan.config));
        let client = client.transpose()?;
        let mut topics = BTreeSet::new();
        let producer = plan.kafka.then(|| self.producer(&plan.config, &mut topics));
        let producer = producer.transpose()?;
        let registry = plan.registry.then(|| self.registry(&plan.config));
        let registry = registry.transpose()?;
        Ok(ReloadReady {
            plan,
            loaded_files: new.files,
            warnings,
            client,
            producer,
            registry,
            topics,
        })
    }

    /// A client that has got an answer, or has not been asked to.
    fn client(&self, config: &Config) -> Result<Candidate<InstanceClient>, ReloadRefusal> {
        let health = Arc::new(Health::new());
        let client = InstanceClient::start(&config.servicenow, &self.metrics, &health)
            .map_err(|error| ReloadRefusal::new(ReloadOutcome::Refused, &error))?;
        if config.reload_rollback {
            self.try_out(&client, config)
                .map_err(|error| ReloadRefusal {
                    retry: error.is_retryable(),
                    ..ReloadRefusal::new(ReloadOutcome::RolledBack, &error)
                })?;
        }
        Ok(Candidate { it: client, health })
    }

    /// One cheap request with the new credentials and under the new path. What the instance says about the
    /// table is not about them.
    fn try_out(&self, client: &InstanceClient, config: &Config) -> Result<(), Error> {
        let tables = config.source.tables.iter().map(|table| &table.name);
        let written = config.sink.topics.iter().map(|topic| &topic.table);
        let table = tables.chain(written).next();
        let table = table.map_or("sys_user", String::as_str);
        let request = table_api::one_row(&config.servicenow.table_api_path, table);
        let mut left = PROBE_ATTEMPTS;
        loop {
            left -= 1;
            let Err(error) = client.get(&request, &self.stop) else {
                return Ok(());
            };
            if error.is_api_verdict() {
                return Ok(());
            }
            if left == 0 || !error.is_retryable() || self.stop.wait(PROBE_RETRY_PAUSE) {
                return Err(error);
            }
        }
    }

    /// A client that the registry has answered, or that has not been asked to.
    fn registry(&self, config: &Config) -> Result<Option<Registry>, ReloadRefusal> {
        let registry = Registry::configured(&config.schema_registry, &self.metrics)
            .map_err(|error| ReloadRefusal::new(ReloadOutcome::Refused, &error))?;
        if config.reload_rollback
            && let Some(registry) = &registry
        {
            registry
                .probe_mode(&self.stop)
                .map_err(|error| ReloadRefusal {
                    retry: error.is_retryable(),
                    ..ReloadRefusal::new(ReloadOutcome::RolledBack, &error)
                })?;
        }
        Ok(registry)
    }

    /// A producer that has reached a broker, or has not been asked to.
    fn producer(
        &self,
        config: &Config,
        topics: &mut BTreeSet<String>,
    ) -> Result<Candidate<Producer>, ReloadRefusal> {
        let health = Arc::new(Health::new());
        let producer = Producer::start(&config.kafka, &self.metrics, &health)
            .map_err(|error| ReloadRefusal::new(ReloadOutcome::Refused, &error))?;
        if config.reload_rollback {
            let wanted = config.topics().into_iter().collect();
            let (found, troubles) = helper_threads::look(&producer, &wanted);
            let deadline = Instant::now() + PRODUCER_CONNECT_TIMEOUT;
            while !health.readiness().ok {
                if deadline <= Instant::now() || self.stop.wait(PROBE_RETRY_PAUSE / 10) {
                    let lines = health.readiness().lines.into_iter();
                    return Err(ReloadRefusal {
                        outcome: ReloadOutcome::RolledBack,
                        words: lines.chain(troubles).collect(),
                        retry: true,
                    });
                }
            }
            *topics = found;
        }
        let it = producer;
        Ok(Candidate { it, health })
    }
}

fn invalid(problems: &ConfigProblems) -> ReloadRefusal {
    let lines = problems.to_string();
    ReloadRefusal {
        outcome: ReloadOutcome::Refused,
        words: lines.lines().map(str::to_owned).collect(),
        retry: false,
    }
}
