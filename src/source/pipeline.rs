//! Starts and joins the threads of a table.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};

use super::capture::{CaptureChannels, CaptureShared, CaptureThread};
use super::channels;
use super::context::SourceContext;
use super::error::Error;
use super::poller::TablePoller;
use super::position::{StartOfTable, is_in_future};
use super::sender::TableSender;
use crate::config::{SourceConfig, TableConfig, TableFormat};
use crate::control::{SnapshotProgress, TableRequest};
use crate::servicenow::query::Cursor;
use crate::stop::StopSignals;

/// Commands that may wait for the capture thread.
const MAX_QUEUED_TABLE_COMMANDS: usize = 4;

/// A running table.
#[derive(Debug)]
pub struct TablePipeline {
    name: String,
    poller: JoinHandle<()>,
    /// Reads beside the poller.
    capture: JoinHandle<()>,
    /// Ends with the number of rows that were read but not acknowledged.
    sender: JoinHandle<u64>,
    wake_poller: Sender<()>,
    shared: Arc<CaptureShared>,
    /// To the capture thread.
    commands: Sender<TableRequest>,
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
        let (commands, capture_commands) = bounded(MAX_QUEUED_TABLE_COMMANDS);
        let capture = CaptureThread::new(
            context,
            table,
            &start.capture,
            &start.fingerprint,
            CaptureChannels {
                messages: poller_channels.messages.clone(),
                commands: capture_commands,
            },
            &signals.stop,
        );
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
            wake_poller,
            commands,
            sender: thread::Builder::new()
                .name(format!("send:{}", table.name))
                .spawn(move || sender.run())
                .map_err(no_thread)?,
            poller: thread::Builder::new()
                .name(format!("read:{}", table.name))
                .spawn(move || poller.run())
                .map_err(no_thread)?,
            capture: thread::Builder::new()
                .name(format!("capture:{}", table.name))
                .spawn(move || capture.run())
                .map_err(no_thread)?,
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

    /// How far its snapshot is; `None`: none is under way.
    pub fn snapshot(&self) -> Option<SnapshotProgress> {
        *self.shared.snapshot.lock()
    }

    /// Hands a command to the capture thread, which answers it.
    pub fn command(&self, request: TableRequest) {
        if let Err(refused) = self.commands.try_send(request) {
            let words = format!(
                "table {} has {MAX_QUEUED_TABLE_COMMANDS} commands waiting; try again when they are done",
                self.name
            );
            refused.into_inner().answer(Err(words));
        }
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let name = |thread: &thread::Thread| thread.name().unwrap_or_default().to_owned();
        let readers = [&self.poller, &self.capture].map(|it| name(it.thread()));
        let sender = name(self.sender.thread());
        readers.into_iter().chain([sender]).collect()
    }

    /// Whether all threads have ended.
    pub fn is_finished(&self) -> bool {
        self.poller.is_finished() && self.sender.is_finished() && self.capture.is_finished()
    }

    /// Whether one of the threads has ended. While nothing stops the pipeline, that is a fault.
    pub fn has_died(&self) -> bool {
        self.poller.is_finished() || self.sender.is_finished() || self.capture.is_finished()
    }

    /// Waits for the threads; gives the number of rows that were read but not acknowledged, at least
    /// one where a thread has panicked.
    pub fn join(self) -> u64 {
        let poller_died = self.poller.join().is_err();
        let capture_died = self.capture.join().is_err();
        let unacknowledged = self.sender.join().unwrap_or(1);
        unacknowledged.max(u64::from(poller_died || capture_died))
    }
}
