//! The loop of the main thread: waits for the next event, acts on it, lets every slot take a step.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use super::activity_log::ActivityLog;
use super::connections::Connections;
use super::error::Error;
use super::pipelines::Pipelines;
use super::reload::{PreparedReload, PreparedResult};
use super::reload_queue::ReloadQueue;
use super::services::Services;
use super::systemd::Systemd;
use crate::config::{ConfigWatcher, LoadedConfig, SystemdEnvironment};
use crate::control::{AdminCommand, AdminCommandResult, CommandRequest, SinkMember, TableRequest};
use crate::daemon::{LogControl, Signal, SystemdNotifier};
use crate::health::Heartbeat;
use crate::kafka::Producer;
use crate::registry::Registry;
use crate::servicenow::InstanceClient;
use crate::source::TablePipeline;

/// Pause between two steps while nothing happens, and while a slot is on its way to another state.
const SUPERVISOR_TICK: Duration = Duration::from_secs(1);
const SUPERVISOR_BUSY_TICK: Duration = Duration::from_millis(20);
/// Within what time the supervisor sends its next heartbeat.
const SUPERVISOR_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(30);

/// An event that the supervisor acts on.
pub(super) enum SupervisorEvent {
    Signal(Signal),
    /// A file of the configuration has changed.
    Changed,
    Asked(CommandRequest),
    /// A reload is ready to be used, or refused.
    Prepared(Box<PreparedReload>),
    /// Topics are there.
    Found(BTreeSet<String>),
    /// Nothing happened; time passed.
    Tick,
}

/// Where events come from.
pub(super) struct SupervisorInputs {
    pub(super) signals: Receiver<Signal>,
    pub(super) changed: Receiver<()>,
    pub(super) requests: Receiver<CommandRequest>,
    pub(super) prepared: Receiver<PreparedReload>,
    pub(super) found: Receiver<BTreeSet<String>>,
    /// The positions are read.
    pub(super) positions: Receiver<()>,
}

impl SupervisorInputs {
    /// The next event, after `pause` at most.
    pub(super) fn next(&mut self, pause: Duration) -> SupervisorEvent {
        select! {
            // Without the thread of the signals the bridge could not be stopped any more, so it stops now.
            recv(self.signals) -> signal => SupervisorEvent::Signal(signal.unwrap_or(Signal::Terminate)),
            recv(self.changed) -> changed => match changed {
                Ok(()) => SupervisorEvent::Changed,
                Err(_) => {
                    log::error!("the configuration's files are no longer watched; SIGHUP reloads");
                    self.changed = never();
                    SupervisorEvent::Tick
                }
            },
            recv(self.requests) -> request => request.map_or(SupervisorEvent::Tick, SupervisorEvent::Asked),
            recv(self.prepared) -> it => it.map_or(SupervisorEvent::Tick, |it| SupervisorEvent::Prepared(Box::new(it))),
            recv(self.positions) -> _ => SupervisorEvent::Tick,
            recv(self.found) -> found => found.map_or(SupervisorEvent::Tick, SupervisorEvent::Found),
            default(pause) => SupervisorEvent::Tick,
        }
    }
}

/// Everything that runs.
pub(super) struct Supervisor {
    pub(super) services: Services,
    pub(super) running: LoadedConfig,
    pub(super) logging: LogControl,
    pub(super) connections: Connections,
    pub(super) pipelines: Pipelines,
    pub(super) reloads: ReloadQueue,
    pub(super) watch: ConfigWatcher,
    pub(super) systemd: Systemd,
    pub(super) activity: ActivityLog,
    pub(super) heartbeat: Heartbeat,
}

impl Supervisor {
    /// Makes the connections and all slots; the first step starts their threads. Nothing here waits for
    /// the network.
    pub(super) fn start(
        path: PathBuf,
        loaded: LoadedConfig,
        services: Services,
        logging: LogControl,
        (signals, requests): (Receiver<Signal>, Receiver<CommandRequest>),
    ) -> Result<(Supervisor, SupervisorInputs), Error> {
        let config = &loaded.config;
        let (metrics, health) = (&services.metrics, &services.health);
        let client = InstanceClient::start(&config.servicenow, metrics, health)
            .map_err(Error::ServiceNow)?;
        let producer = Producer::start(&config.kafka, metrics, health).map_err(Error::Kafka)?;
        let registry = Registry::configured(&config.schema_registry, metrics);
        let registry = registry.map_err(Error::Registry)?;
        let (pipelines, found) = Pipelines::new(&services, config);
        let positions = services.store.when_read();
        let (watch, changed) = ConfigWatcher::start(loaded.files.clone()).map_err(Error::System)?;
        let (reloads, prepared) = ReloadQueue::new(path, health);
        let supervisor = Supervisor {
            connections: Connections::new(
                client,
                producer,
                registry,
                &config.servicenow,
                &services.health,
            ),
            heartbeat: health.thread("supervisor"),
            systemd: Systemd::new(SystemdNotifier::new(&SystemdEnvironment::read())),
            activity: ActivityLog::new(Instant::now()),
            running: loaded,
            services,
            logging,
            pipelines,
            reloads,
            watch,
        };
        let inputs = SupervisorInputs {
            signals,
            changed,
            requests,
            prepared,
            found,
            positions,
        };
        Ok((supervisor, inputs))
    }

    /// Runs until a signal says stop, and then until everything has stopped.
    pub(super) fn run(mut self, mut inputs: SupervisorInputs) -> Result<(), Error> {
        let mut failure = self.step(Instant::now());
        while failure.is_ok() {
            self.heartbeat.beat(SUPERVISOR_HEARTBEAT_DEADLINE);
            let pause = if self.is_busy() {
                SUPERVISOR_BUSY_TICK
            } else {
                SUPERVISOR_TICK
            };
            match inputs.next(pause) {
                SupervisorEvent::Signal(Signal::Terminate) => break,
                SupervisorEvent::Signal(Signal::Reload) => {
                    log::info!("SIGHUP: reading the configuration again");
                    self.reload(None);
                }
                SupervisorEvent::Changed => {
                    log::info!("a file of the configuration has changed");
                    self.reload(None);
                }
                SupervisorEvent::Asked(request) => self.obey(request),
                SupervisorEvent::Prepared(prepared) => self.take(*prepared),
                SupervisorEvent::Found(topics) => self.pipelines.found(topics),
                SupervisorEvent::Tick => {}
            }
            failure = self.step(Instant::now());
        }
        let stopped = self.stop(&inputs);
        failure.and(stopped)
    }

    /// Lets every slot take a step.
    fn step(&mut self, now: Instant) -> Result<(), Error> {
        let config = &self.running.config;
        let before = self.systemd.is_ready();
        self.pipelines
            .step(now, config, &self.connections, &self.services);
        self.connections.retire_unused();
        let control = &self.services.control;
        control.set_pipelines(self.pipelines.states(config));
        let outages = self.connections.outages();
        self.services.metrics.outage.visit(|place, gauge| {
            let is_away = outages.iter().any(|outage| place == [outage.place]);
            gauge.set(f64::from(u8::from(is_away)));
        });
        control.set_outages(outages);
        let sink = self.pipelines.sink.work();
        control.set_sink_member(sink.map(|sink| SinkMember {
            group_id: sink.membership().group_id.clone(),
            instance_id: sink.membership().instance_id.clone(),
        }));
        if !before && let Some(why) = self.pipelines.refusals(config) {
            return Err(Error::Refused(why));
        }
        if self.pipelines.sink.work().is_some_and(|it| it.is_fenced()) {
            return Err(Error::Fenced);
        }
        if let Some(error) = self.services.store.taken_over() {
            return Err(Error::Checkpoint(error));
        }
        if self.reloads.is_due(now) {
            log::info!("trying the edited configuration again");
            self.reload(None);
        }
        if let Some(prepared) = self.reloads.lost() {
            self.take(prepared);
        }
        self.activity.step(now, &self.services.metrics);
        let config = &self.running.config;
        self.systemd
            .step(now, &self.services, self.pipelines.some_run());
        if !before && self.systemd.is_ready() {
            log::info!(tables = self.pipelines.tables.len(),
                topics = config.sink.topics.len(); "all pipelines are started");
        }
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.pipelines.is_busy() || self.connections.is_busy()
    }

    fn obey(&mut self, request: CommandRequest) {
        let answer = match request.command.clone() {
            AdminCommand::Reload => return self.reload(Some(request)),
            AdminCommand::ForTable { table, command } => {
                return self.ask_table(&table, TableRequest::new(command, request));
            }
            AdminCommand::Pause(name) => self.pause(&name, true),
            AdminCommand::Resume(name) => self.pause(&name, false),
            AdminCommand::PollNow(name) => self.poll_now(&name),
            AdminCommand::RefreshToken => {
                if self.connections.client.renew_token() {
                    Ok("a new access token is being asked for".to_owned())
                } else {
                    Err("the configured credentials are no tokens".to_owned())
                }
            }
            AdminCommand::LogLevel(level) => {
                self.logging.set_level(level);
                Ok(format!("logging from {level} on").to_lowercase())
            }
        };
        let command = request.command.to_string();
        match &answer {
            Ok(done) => log::info!(command = command, answer = done; "asked by an operator"),
            Err(why) => log::warn!(command = command, answer = why; "refused to an operator"),
        }
        request.answer(answer);
    }

    fn pause(&mut self, name: &str, paused: bool) -> AdminCommandResult {
        let word = if paused { "is paused" } else { "goes on" };
        if let Some(slot) = self.pipelines.tables.get_mut(name) {
            slot.pause(paused);
            return Ok(format!("table {name} {word}"));
        }
        let config = &self.running.config;
        let known = config.active_topics().iter().any(|it| it.topic == name);
        if !known {
            return Err(format!(
                "`{name}` is no table of the source and no topic of the sink"
            ));
        }
        self.pipelines
            .pause_topic(name, paused, config, &self.services.health);
        Ok(format!(
            "topic {name} {word}; the sink joins its group again"
        ))
    }

    fn poll_now(&self, name: &str) -> AdminCommandResult {
        self.running_table(name)?.poll_now();
        Ok(format!("table {name} is polled"))
    }

    /// Hands a command to the thread that does it, which answers.
    fn ask_table(&self, name: &str, request: TableRequest) {
        match self.running_table(name) {
            Ok(table) => table.command(request),
            Err(why) => request.answer(Err(why)),
        }
    }

    fn running_table(&self, name: &str) -> Result<&TablePipeline, String> {
        let Some(slot) = self.pipelines.tables.get(name) else {
            return Err(format!("`{name}` is no table of the source"));
        };
        let work = slot.work();
        work.ok_or_else(|| format!("table {name} does not run now"))
    }

    /// Begins a reload, or lets one follow the one that is under way.
    fn reload(&mut self, request: Option<CommandRequest>) {
        if self
            .reloads
            .begin(request, &self.running, &self.services.metrics)
        {
            self.systemd.reloading();
        }
    }

    /// A reload was prepared: puts it to use, or reports why it is refused.
    fn take(&mut self, prepared: PreparedReload) {
        let PreparedReload {
            mut files,
            read_at,
            result,
        } = prepared;
        let tried = (files.clone(), read_at);
        files.extend(&self.running.files);
        let words = match result {
            PreparedResult::Ready(ready) => Some(Ok(self.apply(*ready, &mut files))),
            PreparedResult::Refused(refused) => Some(Err(refused)),
            PreparedResult::Tried => None,
        };
        self.watch.follow(files);
        if self.reloads.end(tried, words, &self.services) {
            self.reload(None);
        } else {
            self.systemd.reloaded();
        }
    }

    /// Puts a prepared reload to use; what has changed, in words.
    fn apply(
        &mut self,
        ready: super::reload::ReloadReady,
        files: &mut crate::config::ConfigFiles,
    ) -> Vec<String> {
        let super::reload::ReloadReady {
            plan,
            loaded_files,
            warnings,
            client,
            producer,
            registry,
            topics,
        } = ready;
        for warning in warnings {
            log::warn!(warning = warning; "configuration");
        }
        *files = loaded_files;
        if let Some(new) = client {
            self.services.health.attach(&new.health);
            self.connections
                .switch_client(new.it, &plan.config.servicenow, &self.services.health);
        }
        if let Some(new) = producer {
            self.services.health.attach(&new.health);
            self.connections.switch_producer(new.it);
        }
        if let Some(new) = registry {
            self.connections.switch_registry(new);
        }
        if plan.log {
            self.logging.set_level(plan.config.log_level);
            self.logging.set_format(plan.config.log_format);
        }
        for change in &plan.summary {
            log::info!(change = change; "the configuration changes");
        }
        for kept in &plan.needs_restart {
            log::warn!(reason = kept; "an edit waits for a restart");
        }
        self.pipelines.apply(&plan, topics, &self.services);
        let words = plan
            .summary
            .iter()
            .chain(&plan.needs_restart)
            .cloned()
            .collect();
        self.services.current.set(plan.config.clone());
        self.running = LoadedConfig {
            config: plan.config,
            files: files.clone(),
        };
        words
    }
}
