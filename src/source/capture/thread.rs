//! The capture thread of a table: the steps of its tasks, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::content::ContentCycle;
use super::deletes::DeleteSearch;
use super::delivered_topic::DeliveredTopic;
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

/// A task and its pauses after failures, which hold up no other task.
struct TaskSlot {
    task: Box<dyn CaptureTask + Send>,
    backoff: Backoff,
    /// It has failed and is not tried again before this.
    not_before: Option<Instant>,
}

impl TaskSlot {
    /// When its next step is due; `None`: there is nothing to do for now.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        let due = self.task.due(now)?;
        Some(self.not_before.map_or(due, |pause| due.max(pause)))
    }
}

/// Reads beside the poller of one table.
pub(in crate::source) struct CaptureThread {
    table: String,
    /// The most urgent ones first.
    slots: Vec<TaskSlot>,
    delivery: CaptureDelivery,
    delivered: DeliveredTopic,
    commands: Receiver<TableRequest>,
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
        let slot_of = |task| TaskSlot {
            task,
            backoff: context.instance.client().backoff(),
            not_before: None,
        };
        let tasks = tasks(context, table, shared, fingerprint, stop);
        CaptureThread {
            table: table.name.clone(),
            slots: tasks.into_iter().map(slot_of).collect(),
            delivery: CaptureDelivery::new(shared, fetch, channels.messages, stop),
            delivered: DeliveredTopic::new(context, table, fingerprint, stop),
            commands: channels.commands,
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
        let mut slots = self.slots.iter_mut();
        let delivered = &mut self.delivered;
        let left = slots.try_fold(request, |request, slot| slot.task.take(request, delivered));
        if let Some(request) = left {
            // All other commands have their task.
            let words = format!("table {} has `deletes: none`", self.table);
            request.answer(Err(words));
        }
    }

    /// Does one step, where one is due; gives the pause before the next look.
    fn step(&mut self) -> Duration {
        let now = Instant::now();
        let mut pause = LOOK_INTERVAL;
        for slot in &mut self.slots {
            match slot.due(now) {
                None => {}
                Some(due) if due > now => pause = pause.min(due - now),
                Some(_) => {
                    self.heartbeat.beat(STEP_HEARTBEAT_DEADLINE);
                    let mut context = StepContext {
                        delivery: &mut self.delivery,
                        delivered: &mut self.delivered,
                        heartbeat: &self.heartbeat,
                    };
                    match slot.task.step(&mut context) {
                        Ok(()) => slot.backoff.reset(),
                        Err(error) => failed(&self.table, slot, &error, &self.metrics),
                    }
                    return Duration::ZERO;
                }
            }
        }
        pause
    }
}

/// A step has failed: it is tried again after a pause, in which the other tasks go on.
fn failed(table: &str, slot: &mut TaskSlot, error: &PollError, metrics: &Metrics) {
    if matches!(error, PollError::Stopped) || error.is_waited_out_by_client() {
        return;
    }
    let errors = &metrics.source_errors;
    errors.with(&[table, error.metric_label()]).inc();
    let pause = slot.backoff.next(fastrand::f64());
    slot.not_before = Some(Instant::now() + pause);
    // The poller, which asks for the same table, tells what is wrong with it.
    log::warn!(table, error:% = error, retry_in:? = pause; "{} is tried again", slot.task.name());
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
    if table.has_content_cycle() {
        tasks.push(Box::new(ContentCycle::new(
            context,
            table,
            shared,
            fingerprint,
        )));
    }
    tasks
}
