//! The capture thread of a table: the steps of its tasks, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::deletes::DeleteSearch;
use super::delivery::CaptureDelivery;
use super::reread::Reread;
use super::shared::CaptureShared;
use super::snapshot::Snapshot;
use super::sweep::Sweep;
use super::task::{CaptureTask, StepContext};
use crate::backoff::Backoff;
use crate::config::TableConfig;
use crate::control::TableRequest;
use crate::health::Heartbeat;
use crate::metrics::Metrics;
use crate::source::channels::PollerMessage;
use crate::source::context::SourceContext;
use crate::source::page_fetch::PageFetch;
use crate::source::poll_error::PollError;
use crate::stop::Stop;

/// Longest pause before it is looked again whether a task is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long one step may keep the thread from its heartbeat.
const STEP_HEARTBEAT_DEADLINE: Duration = Duration::from_secs(600);

/// The capture thread's ends of channels.
pub(in crate::source) struct CaptureChannels {
    /// To the sender.
    pub(in crate::source) messages: Sender<PollerMessage>,
    /// Commands of an operator.
    pub(in crate::source) commands: Receiver<TableRequest>,
}

/// Reads beside the poller of one table.
pub(in crate::source) struct CaptureThread {
    table: String,
    /// The most urgent ones first.
    tasks: Vec<Box<dyn CaptureTask + Send>>,
    delivery: CaptureDelivery,
    commands: Receiver<TableRequest>,
    backoff: Backoff,
    heartbeat: Heartbeat,
    stop: Stop,
    metrics: Arc<Metrics>,
}

impl CaptureThread {
    pub(in crate::source) fn new(
        context: &SourceContext,
        table: &TableConfig,
        shared: &Arc<CaptureShared>,
        fingerprint: &str,
        channels: CaptureChannels,
        stop: &Stop,
    ) -> CaptureThread {
        let fetch = PageFetch::of_rows(&context.instance, table, stop);
        CaptureThread {
            table: table.name.clone(),
            tasks: tasks(context, table, shared, fingerprint, stop),
            delivery: CaptureDelivery::new(shared, fetch, channels.messages, stop),
            commands: channels.commands,
            backoff: context.instance.client().backoff(),
            heartbeat: context.health.thread(&format!("capture:{}", table.name)),
            stop: stop.clone(),
            metrics: Arc::clone(&context.metrics),
        }
    }

    /// Works until stopped.
    pub(in crate::source) fn run(mut self) {
        while !self.stop.is_stopped() {
            let pause = self.step();
            self.heartbeat.beat(pause + LOOK_INTERVAL * 60);
            select! {
                recv(self.commands) -> request => match request {
                    Ok(request) => self.take(request),
                    // The pipeline has been given up.
                    Err(_) => {
                        self.stop.wait(pause);
                    }
                },
                recv(self.stop.receiver()) -> _ => {}
                default(pause) => {}
            }
        }
    }

    /// Gives a command to the task whose it is.
    fn take(&mut self, request: TableRequest) {
        let mut tasks = self.tasks.iter_mut();
        let left = tasks.try_fold(request, |request, task| task.take(request));
        if let Some(request) = left {
            let words = format!("table {} has no such command", self.table);
            request.answer(Err(words));
        }
    }

    /// Does one step, where one is due; gives the pause before the next look.
    fn step(&mut self) -> Duration {
        let now = Instant::now();
        let mut pause = LOOK_INTERVAL;
        for task in &mut self.tasks {
            match task.due(now) {
                None => {}
                Some(due) if due > now => pause = pause.min(due - now),
                Some(_) => {
                    self.heartbeat.beat(STEP_HEARTBEAT_DEADLINE);
                    let mut context = StepContext {
                        delivery: &mut self.delivery,
                        heartbeat: &self.heartbeat,
                    };
                    let name = task.name();
                    let done = task.step(&mut context);
                    return self.pause_after(name, done);
                }
            }
        }
        pause
    }

    fn pause_after(&mut self, name: &str, done: Result<(), PollError>) -> Duration {
        let error = match done {
            Ok(()) => {
                self.backoff.reset();
                return Duration::ZERO;
            }
            Err(PollError::Stopped) => return Duration::ZERO,
            Err(error) => error,
        };
        if error.is_waited_out_by_client() {
            return Duration::ZERO;
        }
        let errors = &self.metrics.source_errors;
        errors.with(&[&self.table, error.metric_label()]).inc();
        let pause = self.backoff.next(fastrand::f64());
        // The poller, which asks for the same table, tells what is wrong with it.
        log::warn!(table = self.table, error:% = error, retry_in:? = pause; "{name} is tried again");
        pause
    }
}

/// What there is to do for a table, the most urgent first.
fn tasks(
    context: &SourceContext,
    table: &TableConfig,
    shared: &Arc<CaptureShared>,
    fingerprint: &str,
    stop: &Stop,
) -> Vec<Box<dyn CaptureTask + Send>> {
    let mut tasks: Vec<Box<dyn CaptureTask + Send>> = vec![Box::new(Reread::new(table))];
    if shared.is_swept() {
        tasks.push(Box::new(Sweep::new(context, table, shared, stop)));
    }
    if table.deletes.is_on() {
        let search = DeleteSearch::new(context, table, shared, fingerprint, stop);
        tasks.push(Box::new(search));
    }
    tasks.push(Box::new(Snapshot::new(context, table, shared, fingerprint)));
    tasks
}
