//! Starts and joins the threads of a table.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use super::capture::{CaptureShared, CaptureThread};
use super::channels;
use super::context::SourceContext;
use super::error::Error;
use super::poller::TablePoller;
use super::position::{StartOfTable, is_in_future};
use super::sender::TableSender;
use crate::config::{SourceConfig, TableConfig, TableFormat};
use crate::control::DeleteDecision;
use crate::servicenow::query::Cursor;
use crate::stop::StopSignals;

/// A running table.
#[derive(Debug)]
pub struct TablePipeline {
    name: String,
    poller: JoinHandle<()>,
    /// Reads beside the poller, where seconds take time to settle.
    capture: Option<JoinHandle<()>>,
    /// Ends with the number of rows that were read but not acknowledged.
    sender: JoinHandle<u64>,
    wake_poller: Sender<()>,
    shared: Arc<CaptureShared>,
    looks_for_deletes: bool,
}

impl TablePipeline {
    /// Starts the threads of `table`.
    ///
    /// `signals.stop` ends the reading; what was read is still produced and acknowledged, until
    /// `signals.abandon`.
    ///
    /// # Errors
    /// The checkpoint belongs to another query or instance, an Avro table has no registry, or no
    /// thread can be made.
    pub fn start(
        context: &SourceContext,
        source: &SourceConfig,
        table: &TableConfig,
        signals: &StopSignals,
    ) -> Result<TablePipeline, Error> {
        if table.format == TableFormat::Avro && context.registry.is_none() {
            return Err(Error::NoRegistry {
                table: table.name.clone(),
            });
        }
        let start = StartOfTable::of(context, table)?;
        if let Some(Cursor { seconds, .. }) = start.cursor
            && is_in_future(seconds, jiff::Timestamp::now().as_second())
        {
            log::warn!(table = table.name, position = seconds;
                "the checkpoint is in the future: no row that changes before then is sent");
        }
        let (poller_channels, sender_channels, wake_poller) = channels::connect();
        let sender = TableSender::new(context, table, &start, sender_channels, signals);
        let is_captured = start.capture.is_swept() || table.deletes.is_on();
        let capture = is_captured.then(|| {
            let messages = poller_channels.messages.clone();
            let (shared, fingerprint) = (&start.capture, &start.fingerprint);
            CaptureThread::new(context, table, shared, fingerprint, messages, &signals.stop)
        });
        let poller = TablePoller::new(
            context,
            source,
            table,
            &start,
            poller_channels,
            &signals.stop,
        );
        let no_thread = |error| Error::Thread {
            table: table.name.clone(),
            error,
        };
        Ok(TablePipeline {
            name: table.name.clone(),
            shared: Arc::clone(&start.capture),
            looks_for_deletes: table.deletes.is_on(),
            wake_poller,
            sender: thread::Builder::new()
                .name(format!("send:{}", table.name))
                .spawn(move || sender.run())
                .map_err(no_thread)?,
            poller: thread::Builder::new()
                .name(format!("read:{}", table.name))
                .spawn(move || poller.run())
                .map_err(no_thread)?,
            capture: match capture {
                None => None,
                Some(capture) => Some(
                    thread::Builder::new()
                        .name(format!("capture:{}", table.name))
                        .spawn(move || capture.run())
                        .map_err(no_thread)?,
                ),
            },
        })
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the wait for the next poll. While a poll runs, the next one follows it at once.
    pub fn poll_now(&self) {
        // A full channel holds such a wake-up already.
        self.wake_poller.try_send(()).ok();
    }

    /// Hands over an operator's decision about deletes that are held.
    ///
    /// # Errors
    /// The table has no deletes.
    pub fn decide_deletes(&self, decision: DeleteDecision) -> Result<(), String> {
        if !self.looks_for_deletes {
            return Err(format!("table {} has `deletes: none`", self.name));
        }
        *self.shared.decision.lock() = Some(decision);
        Ok(())
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let name = |thread: &thread::Thread| thread.name().unwrap_or_default().to_owned();
        let mut threads = vec![name(self.poller.thread()), name(self.sender.thread())];
        threads.extend(self.capture.iter().map(|it| name(it.thread())));
        threads
    }

    /// Whether all threads have ended.
    pub fn is_finished(&self) -> bool {
        let is_captured = self.capture.as_ref().is_none_or(JoinHandle::is_finished);
        self.poller.is_finished() && self.sender.is_finished() && is_captured
    }

    /// Whether one of the threads has ended. While nothing stops the pipeline, that is a fault.
    pub fn has_died(&self) -> bool {
        let is_captured = self.capture.as_ref().is_some_and(JoinHandle::is_finished);
        self.poller.is_finished() || self.sender.is_finished() || is_captured
    }

    /// Waits for the threads; gives the number of rows that were read but not acknowledged, at least
    /// one where a thread has panicked.
    pub fn join(self) -> u64 {
        let poller_died = self.poller.join().is_err();
        let capture_died = self.capture.is_some_and(|capture| capture.join().is_err());
        let unacknowledged = self.sender.join().unwrap_or(1);
        unacknowledged.max(u64::from(poller_died || capture_died))
    }
}
