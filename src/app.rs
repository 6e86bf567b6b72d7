//! The supervisor: starts everything, owns every thread, stops everything inside a deadline.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, select, tick};

use crate::admin;
use crate::checkpoint;
use crate::config::Config;
use crate::daemon::{self, Signal};
use crate::health::Health;
use crate::kafka::{self, Producer};
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::servicenow::{self, Client};
use crate::source::{self, Context, Instance, Pipeline};
use crate::stop::{self, Stop, Trigger};

/// How often the supervisor looks after its threads.
const TICK: Duration = Duration::from_secs(1);
/// Share of a stop's time that a page under way may take before its request is ended.
const GRACE: u32 = 4;

/// Why the bridge does not run, or did not end well. Decides the exit code.
#[derive(Debug)]
pub enum Error {
    /// The checkpoint file.
    Checkpoint(checkpoint::Error),
    /// The ServiceNow client.
    ServiceNow(servicenow::Error),
    /// The Kafka producer.
    Kafka(kafka::Error),
    /// A table.
    Source(source::Error),
    /// The port for health and metrics.
    Admin(admin::Error),
    /// Threads or signals of the operating system.
    System(io::Error),
    /// A thread ended although nothing stopped it.
    Died(String),
    /// Stopped before all rows that were read were acknowledged.
    Undelivered {
        /// Rows read but not acknowledged, at least.
        rows: u64,
    },
}

impl Error {
    /// Exit code: 70 is a bug, 75 safe to start again, 78 a wrong configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            // The lock is free again when the other process ends; a full disk may be emptied.
            Error::Checkpoint(error)
                if error.is_retryable() || matches!(error, checkpoint::Error::Locked { .. }) =>
            {
                75
            }
            Error::Checkpoint(_) | Error::ServiceNow(_) | Error::Kafka(_) => 78,
            Error::Source(source::Error::OtherQuery { .. } | source::Error::NoTime { .. })
            | Error::Admin(_) => 78,
            Error::Source(source::Error::Thread { .. }) | Error::System(_) => 75,
            Error::Died(_) => 70,
            Error::Undelivered { .. } => 75,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Checkpoint(error) => error.fmt(f),
            Error::ServiceNow(error) => error.fmt(f),
            Error::Kafka(error) => error.fmt(f),
            Error::Source(error) => error.fmt(f),
            Error::Admin(error) => error.fmt(f),
            Error::System(error) => write!(f, "the operating system refuses: {error}"),
            Error::Died(thread) => write!(f, "thread `{thread}` ended by itself; this is a bug"),
            Error::Undelivered { rows } => write!(
                f,
                "stopped with {rows} rows read but not acknowledged; they are read again at the \
                 next start"
            ),
        }
    }
}

/// Runs the bridge until a signal stops it.
///
/// # Errors
/// What kept it from starting, or what was left undone.
pub fn run(config: &Config, metrics: &Arc<Metrics>) -> Result<(), Error> {
    let health = Arc::new(Health::new());
    let store = checkpoint::Store::open(&config.offset.file_path, metrics);
    let store = Arc::new(store.map_err(Error::Checkpoint)?);
    let (_signals, signals) = daemon::signals().map_err(Error::System)?;
    let server = admin::Server::start(
        &config.observability.addr,
        Arc::clone(metrics),
        Arc::clone(&health),
    )
    .map_err(Error::Admin)?;
    for addr in server.local_addrs() {
        log::info!(addr:% = addr; "health and metrics are served");
    }
    let result = Bridge::start(config, metrics, &health, &store)
        .and_then(|bridge| bridge.supervise(&signals, config.shutdown_timeout));
    server.stop();
    result
}

/// Everything that runs. Fields are in the order in which they are stopped.
struct Bridge {
    read: Trigger,
    deliver: Trigger,
    flush: Trigger,
    pipelines: Vec<Pipeline>,
    prepared: Receiver<()>,
    helpers: Vec<JoinHandle<()>>,
    health: Arc<Health>,
    context: Context,
    client: Arc<Client>,
    config: Config,
    stops: (Stop, Stop),
}

impl Bridge {
    fn start(
        config: &Config,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
        store: &Arc<checkpoint::Store>,
    ) -> Result<Bridge, Error> {
        let client =
            Client::start(&config.servicenow, metrics, health).map_err(Error::ServiceNow)?;
        let client = Arc::new(client);
        let producer = Producer::start(&config.kafka, metrics, health).map_err(Error::Kafka)?;
        let instance = Instance::new(
            Arc::clone(&client),
            &config.servicenow.table_api_path,
            config.servicenow.query_time_zone.clone(),
        );
        let context = Context {
            instance: Arc::new(instance),
            producer: Arc::new(producer),
            checkpoints: Arc::clone(store),
            metrics: Arc::clone(metrics),
            health: Arc::clone(health),
        };
        let (read, reading) = stop::pair();
        let (deliver, delivering) = stop::pair();
        let (flush, flushing) = stop::pair();
        let (prepared_in, prepared) = bounded(1);
        let mut bridge = Bridge {
            read,
            deliver,
            flush,
            pipelines: Vec::new(),
            prepared,
            helpers: Vec::new(),
            health: Arc::clone(health),
            client,
            config: config.clone(),
            stops: (reading.clone(), delivering),
            context,
        };
        bridge.spawn_flusher(flushing)?;
        bridge.spawn_topics(prepared_in, reading)?;
        Ok(bridge)
    }

    /// Writes checkpoints while the pipelines run.
    fn spawn_flusher(&mut self, stop: Stop) -> Result<(), Error> {
        let store = Arc::clone(&self.context.checkpoints);
        let condition = self.health.condition("checkpoint", "");
        condition.ok();
        let interval = self.config.offset.flush_interval;
        let handle = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || {
                let mut backoff = Backoff::new(Duration::from_secs(1), interval.max(TICK * 30));
                loop {
                    let stopped = store.wait_due(interval, &stop);
                    match store.flush() {
                        Ok(()) => {
                            backoff.reset();
                            condition.ok();
                        }
                        Err(error) => {
                            log::error!(error:% = error; "the checkpoint cannot be written");
                            condition.fail(error.to_string());
                            stop.wait(backoff.next(1.0));
                        }
                    }
                    if stopped {
                        return;
                    }
                }
            })
            .map_err(Error::System)?;
        self.helpers.push(handle);
        Ok(())
    }

    /// Looks for the topics, makes missing ones where that is wanted, then lets the tables start.
    fn spawn_topics(&mut self, done: Sender<()>, stop: Stop) -> Result<(), Error> {
        let producer = Arc::clone(&self.context.producer);
        let topics = self.config.source.topics();
        let condition = self.health.condition("topics", "not looked up yet");
        let handle = thread::Builder::new()
            .name("topics".to_owned())
            .spawn(move || {
                let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
                while let Err(error) = producer.topics(&topics) {
                    condition.fail(error.to_string());
                    let pause = backoff.next(fastrand::f64());
                    log::warn!(error:% = error; "topics are not ready");
                    if stop.wait(pause) {
                        return;
                    }
                }
                condition.ok();
                // One place in the channel, one message.
                done.try_send(()).ok();
                // The condition lives as long as the topics matter.
                while !stop.wait(TICK * 3600) {}
            })
            .map_err(Error::System)?;
        self.helpers.push(handle);
        Ok(())
    }

    fn start_pipelines(&mut self) -> Result<(), Error> {
        let (read, deliver) = &self.stops;
        let source = &self.config.source;
        for table in &source.tables {
            let pipeline = Pipeline::start(&self.context, source, table, read, deliver)
                .map_err(Error::Source)?;
            self.pipelines.push(pipeline);
        }
        log::info!(tables = self.pipelines.len(); "all tables are started");
        Ok(())
    }

    fn supervise(mut self, signals: &Receiver<Signal>, timeout: Duration) -> Result<(), Error> {
        let ticks = tick(TICK);
        let heartbeat = self.health.thread("supervisor");
        let mut failure = Ok(());
        let mut prepared = self.prepared.clone();
        loop {
            heartbeat.beat(TICK * 30);
            select! {
                recv(signals) -> signal => match signal {
                    Ok(Signal::Reload) => {
                        log::warn!("reloading is not part of this version; restart to apply changes");
                    }
                    Ok(Signal::Terminate) | Err(_) => break,
                },
                recv(prepared) -> done => {
                    prepared = crossbeam_channel::never();
                    if done.is_ok() && let Err(error) = self.start_pipelines() {
                        failure = Err(error);
                        break;
                    }
                },
                recv(ticks) -> _ => {
                    if let Some(dead) = self.pipelines.iter().find(|pipeline| pipeline.has_died()) {
                        failure = Err(Error::Died(dead.name().to_owned()));
                        break;
                    }
                },
            }
        }
        drop(heartbeat);
        let stopped = self.stop(signals, timeout);
        failure.and(stopped)
    }

    /// Stops reading, waits until what was read is acknowledged, writes the checkpoint.
    fn stop(self, signals: &Receiver<Signal>, timeout: Duration) -> Result<(), Error> {
        let Bridge {
            read,
            deliver,
            flush,
            pipelines,
            helpers,
            health,
            context,
            client,
            ..
        } = self;
        let started = Instant::now();
        log::info!(timeout:? = timeout; "stopping: no more rows are asked for");
        health.set_stopping();
        drop(read);
        let grace = after(timeout / GRACE);
        let deadline = after(timeout.saturating_sub(Duration::from_secs(1)));
        let ticks = tick(Duration::from_millis(50));
        let mut grace_over = false;
        while !pipelines.iter().all(Pipeline::is_finished) {
            select! {
                recv(ticks) -> _ => {},
                recv(grace) -> _ => grace_over = true,
                recv(deadline) -> _ => break,
                recv(signals) -> signal => if signal.is_ok_and(|signal| signal == Signal::Terminate) {
                    log::warn!("second signal: stopping at once");
                    break;
                },
            }
            if grace_over {
                client.abort();
                grace_over = false;
            }
        }
        client.abort();
        drop(deliver);
        let rows = pipelines.into_iter().map(Pipeline::join).sum::<u64>();
        client.shutdown();
        let left = context.producer.shutdown(started + timeout);
        drop(flush);
        for helper in helpers {
            if helper.join().is_err() {
                log::error!("a helper thread ended by a panic");
            }
        }
        // The helper has written already; this catches an error that it could only log.
        context.checkpoints.flush().map_err(Error::Checkpoint)?;
        let rows = rows.max(left as u64);
        log::info!(undelivered = rows, seconds = started.elapsed().as_secs_f64(); "stopped");
        if rows > 0 {
            Err(Error::Undelivered { rows })
        } else {
            Ok(())
        }
    }
}
