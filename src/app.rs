//! The supervisor: starts everything, owns every thread, stops everything inside a deadline.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, select, tick};

use crate::admin;
use crate::checkpoint;
use crate::config::{self, Config};
use crate::control;
use crate::daemon::{self, Signal};
use crate::health::Health;
use crate::kafka::{self, Producer};
use crate::metrics::Metrics;
use crate::own_writes::OwnWrites;
use crate::retry::Backoff;
use crate::servicenow::{self, Client};
use crate::sink;
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
    /// Stopped before everything that was begun had an end.
    Undelivered {
        /// Rows read but not acknowledged, at least.
        rows: u64,
        /// Records whose writing was begun and has no answer.
        records: u64,
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
            Error::Undelivered { rows, records } => write!(
                f,
                "stopped with {rows} rows read but not acknowledged and {records} records written \
                 without an answer; they are repeated at the next start"
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
    // Nobody takes commands yet: who asks is told so.
    let (control, _) = control::pair();
    let shown = admin::Shown {
        metrics: Arc::clone(metrics),
        health: Arc::clone(&health),
        control,
        config: Arc::new(config::Current::new(config.clone())),
    };
    let server = admin::Server::start(&config.observability.addr, shown).map_err(Error::Admin)?;
    for addr in server.local_addrs() {
        log::info!(addr:% = addr; "health and metrics are served");
    }
    let result = Bridge::start(config, metrics, &health, &store)
        .and_then(|bridge| bridge.supervise(&signals, config.shutdown_timeout));
    server.stop();
    result
}

/// A memory of the sink's writes for each table that leaves them out.
fn own_writes(config: &Config) -> BTreeMap<String, Arc<OwnWrites>> {
    let both = config.sink.enabled && config.source.enabled;
    let tables = config.source.tables.iter();
    let skipping = tables.filter(|table| both && table.skip_own_writes);
    skipping
        .map(|table| (table.name.clone(), Arc::default()))
        .collect()
}

/// Everything that runs. Fields are in the order in which they are stopped.
struct Bridge {
    read: Trigger,
    deliver: Trigger,
    flush: Trigger,
    pipelines: Vec<Pipeline>,
    sink: Option<sink::Pipeline>,
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
            own_writes: own_writes(config),
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
            sink: None,
            prepared,
            helpers: Vec::new(),
            health: Arc::clone(health),
            client,
            config: config.clone(),
            stops: (reading.clone(), delivering),
            context,
        };
        bridge.spawn_flusher(flushing)?;
        bridge.spawn_topics(prepared_in, reading.clone())?;
        bridge.spawn_probe(reading)?;
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
        let topics = self.config.topics();
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

    /// Asks the instance for the sink's tables, so that a bridge that only writes knows whether it
    /// could before the first record comes.
    fn spawn_probe(&mut self, stop: Stop) -> Result<(), Error> {
        if !self.config.sink.enabled {
            return Ok(());
        }
        let probe = sink::Probe::new(&self.client, &self.config, &self.health);
        let handle = thread::Builder::new()
            .name("sink-probe".to_owned())
            .spawn(move || probe.run(&stop))
            .map_err(Error::System)?;
        self.helpers.push(handle);
        Ok(())
    }

    fn start_pipelines(&mut self) -> Result<(), Error> {
        let (read, deliver) = &self.stops;
        let source = &self.config.source;
        for table in source.tables.iter().filter(|_| source.enabled) {
            let pipeline = Pipeline::start(&self.context, source, table, read, deliver)
                .map_err(Error::Source)?;
            self.pipelines.push(pipeline);
        }
        let topics = self.start_sink()?;
        log::info!(tables = self.pipelines.len(), topics = topics; "all pipelines are started");
        Ok(())
    }

    fn start_sink(&mut self) -> Result<usize, Error> {
        if !self.config.sink.enabled {
            return Ok(0);
        }
        let context = sink::Context {
            client: Arc::clone(&self.client),
            producer: Arc::clone(&self.context.producer),
            metrics: Arc::clone(&self.context.metrics),
            health: Arc::clone(&self.health),
        };
        let (read, deliver) = &self.stops;
        let guard = |table: &str| self.context.own_writes.get(table).cloned();
        let sink = sink::Pipeline::start(&context, &self.config, &guard, read, deliver)
            .map_err(Error::System)?;
        self.sink = Some(sink);
        Ok(self.config.sink.topics.len())
    }

    /// A pipeline that has ended by itself.
    fn dead(&self) -> Option<String> {
        let table = self.pipelines.iter().find(|pipeline| pipeline.has_died());
        let sink = self.sink.as_ref().filter(|sink| sink.has_died());
        table
            .map(|table| table.name().to_owned())
            .or_else(|| sink.map(|_| "sink".to_owned()))
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
                    if let Some(dead) = self.dead() {
                        failure = Err(Error::Died(dead));
                        break;
                    }
                },
            }
        }
        drop(heartbeat);
        let stopped = self.stop(signals, timeout);
        failure.and(stopped)
    }

    /// Stops reading and consuming, waits until what was begun has its end, writes the checkpoint.
    fn stop(mut self, signals: &Receiver<Signal>, timeout: Duration) -> Result<(), Error> {
        let started = Instant::now();
        log::info!(timeout:? = timeout; "stopping: nothing more is asked for");
        self.health.set_stopping();
        let (read, _) = stop::pair();
        drop(std::mem::replace(&mut self.read, read));
        self.wait_for_pipelines(signals, timeout);
        let Bridge {
            deliver,
            flush,
            pipelines,
            sink,
            helpers,
            context,
            client,
            ..
        } = self;
        client.abort();
        drop(deliver);
        let records = sink.map_or(0, sink::Pipeline::join);
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
        log::info!(undelivered = rows, unanswered = records,
            seconds = started.elapsed().as_secs_f64(); "stopped");
        if rows > 0 || records > 0 {
            Err(Error::Undelivered { rows, records })
        } else {
            Ok(())
        }
    }

    /// Waits until all pipelines have ended, or until the time of the stop is nearly over.
    fn wait_for_pipelines(&self, signals: &Receiver<Signal>, timeout: Duration) {
        let grace = after(timeout / GRACE);
        let deadline = after(timeout.saturating_sub(Duration::from_secs(1)));
        let ticks = tick(Duration::from_millis(50));
        let mut grace_over = false;
        let written = || self.sink.as_ref().is_none_or(sink::Pipeline::is_finished);
        while !(written() && self.pipelines.iter().all(Pipeline::is_finished)) {
            select! {
                recv(ticks) -> _ => {},
                recv(grace) -> _ => grace_over = true,
                recv(deadline) -> _ => break,
                recv(signals) -> signal => if signal.is_ok_and(|signal| signal == Signal::Terminate) {
                    log::warn!("second signal: stopping at once");
                    break;
                },
            }
            // A page is read again; a write that is ended may have to be looked up.
            if grace_over && written() {
                self.client.abort();
                grace_over = false;
            }
        }
    }
}
