//! Reloads, one after the other: the requests that wait for one, and its outcome.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::reload::{PreparedReload, PreparedResult, ReloadRefusal, ReloadTask};
use super::services::Services;
use crate::backoff::Backoff;
use crate::config::{ConfigFiles, LoadedConfig};
use crate::control::{CommandRequest, ReloadOutcome, ReloadRecord};
use crate::health::{Condition, ConditionKey, Health};
use crate::metrics::Metrics;
use crate::stop::{self, StopTrigger};

/// First and longest pause between attempts with an edit that may work later, say as the instance was
/// down.
const RELOAD_RETRY_BACKOFF: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_secs(900));
/// Requests that wait for one reload.
const MAX_WAITING_RELOAD_REQUESTS: usize = 20;

/// The reload under way, and what is to follow it.
pub(super) struct ReloadQueue {
    path: PathBuf,
    results: Sender<PreparedReload>,
    pending: Receiver<PreparedReload>,
    thread: Option<(StopTrigger, JoinHandle<()>)>,
    /// A file changed after the reload under way had read it, so another one follows.
    again: bool,
    /// What the reload before has tried, for the one that was asked for meanwhile.
    tried: Option<ConfigFiles>,
    /// The outcome of the last reload that tried something.
    last: Option<ReloadConclusion>,
    asked: Vec<CommandRequest>,
    asked_next: Vec<CommandRequest>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    note: Condition,
}

/// How a reload has ended.
struct ReloadConclusion {
    outcome: ReloadOutcome,
    words: Vec<String>,
    /// What those are told who have asked for it.
    answer: Result<String, String>,
}

impl ReloadQueue {
    pub(super) fn new(
        path: PathBuf,
        health: &Arc<Health>,
    ) -> (ReloadQueue, Receiver<PreparedReload>) {
        let (results, prepared) = bounded(1);
        let reloads = ReloadQueue {
            path,
            results,
            pending: prepared.clone(),
            thread: None,
            again: false,
            tried: None,
            last: None,
            asked: Vec::new(),
            asked_next: Vec::new(),
            backoff: Backoff::new(RELOAD_RETRY_BACKOFF.0, RELOAD_RETRY_BACKOFF.1),
            retry_at: None,
            note: health.note(ConditionKey::Configuration),
        };
        (reloads, prepared)
    }

    /// Starts a reload; false if one is under way, which this one then follows. However many are
    /// asked for meanwhile, one follows.
    pub(super) fn begin(
        &mut self,
        request: Option<CommandRequest>,
        running: &LoadedConfig,
        metrics: &Arc<Metrics>,
    ) -> bool {
        if self.thread.is_some() {
            self.again = true;
            match request {
                Some(request) if self.asked_next.len() >= MAX_WAITING_RELOAD_REQUESTS => {
                    request.answer(Err("too many reloads at once".to_owned()));
                }
                request => self.asked_next.extend(request),
            }
            return false;
        }
        self.asked.append(&mut self.asked_next);
        self.asked.extend(request);
        let (trigger, stop) = stop::pair();
        let task = ReloadTask {
            path: self.path.clone(),
            running: running.clone(),
            metrics: Arc::clone(metrics),
            tried: self.tried.take(),
            stop,
        };
        let results = self.results.clone();
        let thread = thread::Builder::new().name("reload".to_owned());
        let started = thread.spawn(move || {
            // There is room for the one result.
            results.try_send(task.run()).ok();
        });
        match started {
            Ok(handle) => self.thread = Some((trigger, handle)),
            Err(error) => log::error!(error:% = error; "cannot start a thread to reload"),
        }
        self.thread.is_some()
    }

    /// The result of a thread that ended without one.
    pub(super) fn lost(&mut self) -> Option<PreparedReload> {
        let ended = self.thread.as_ref().is_some_and(|(_, it)| it.is_finished());
        (ended && self.pending.is_empty()).then(|| PreparedReload {
            files: ConfigFiles::default(),
            read_at: SystemTime::now(),
            result: PreparedResult::Refused(ReloadRefusal {
                outcome: ReloadOutcome::Refused,
                words: vec!["the reload ended by a panic; this is a bug".to_owned()],
                retry: false,
            }),
        })
    }

    /// The time has come to try an edit again that did not work.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.thread.is_none() && self.retry_at.is_some_and(|at| at <= now)
    }

    /// A reload has ended that read `files` at `read_at`; whether another one is to follow. `result`:
    /// what it changed or why it is refused, `None` where it was the reload before that tried these
    /// contents.
    pub(super) fn end(
        &mut self,
        (files, read_at): (ConfigFiles, SystemTime),
        result: Option<Result<Vec<String>, ReloadRefusal>>,
        services: &Services,
    ) -> bool {
        if let Some((_, thread)) = self.thread.take() {
            // It has sent its result, which was the last it did.
            thread.join().ok();
        }
        let is_new = result.is_some();
        let conclusion = match result {
            Some(Ok(words)) => self.used(words),
            Some(Err(refused)) => self.refused(refused),
            None => self.last.take().unwrap_or_else(|| self.used(Vec::new())),
        };
        services
            .metrics
            .record_reload(conclusion.answer.is_ok(), read_at);
        for request in self.asked.drain(..) {
            request.answer(conclusion.answer.clone());
        }
        if is_new {
            services.control.add_reload(ReloadRecord {
                at: SystemTime::now(),
                outcome: conclusion.outcome.clone(),
                words: conclusion.words.clone(),
            });
        }
        self.last = Some(conclusion);
        let follows = std::mem::take(&mut self.again);
        self.tried = follows.then_some(files);
        follows
    }

    fn used(&mut self, words: Vec<String>) -> ReloadConclusion {
        self.note.ok();
        self.backoff.reset();
        self.retry_at = None;
        log::info!(changes = words.len(); "the configuration is reloaded");
        let said = if words.is_empty() {
            "nothing has changed".to_owned()
        } else {
            words.join("; ")
        };
        ReloadConclusion {
            outcome: ReloadOutcome::Applied,
            words,
            answer: Ok(said),
        }
    }

    fn refused(&mut self, refused: ReloadRefusal) -> ReloadConclusion {
        let ReloadRefusal {
            outcome,
            words,
            retry,
        } = refused;
        let why = match outcome {
            ReloadOutcome::RolledBack => "what is new in it does not work",
            ReloadOutcome::Refused | ReloadOutcome::Applied => "it is not valid",
        };
        let text = words.join("; ");
        self.retry_at = retry.then(|| {
            let pause = self.backoff.next_ceiling();
            Instant::now() + pause
        });
        log::error!(reason = why, problems = text, tried_again = retry;
            "the edited configuration is not used; what ran before goes on");
        self.note
            .fail(format!("the last edit is not used: {why}: {text}"));
        let answer = Err(format!("not used, as {why}: {text}"));
        ReloadConclusion {
            outcome,
            words,
            answer,
        }
    }

    /// Ends the waiting of a reload under way. It is not joined: it may be in a request.
    pub(super) fn abandon(&mut self) {
        self.thread = None;
        self.retry_at = None;
    }
}
