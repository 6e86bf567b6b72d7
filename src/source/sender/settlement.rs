//! Batches that are acknowledged: the position moves behind them, and what they were is remembered.

use crossbeam_channel::Sender;

use super::batches::BatchQueue;
use super::delivered_position::DeliveredPosition;
use crate::config::TableConfig;
use crate::kafka::DeliveryError;
use crate::metrics::Counter;
use crate::servicenow::query::Cursor;
use crate::source::channels::BatchMark;
use crate::source::context::SourceContext;
use crate::source::own_rows::OwnRowFilter;
use crate::source::position::StartOfTable;

/// The batches of a table on their way, and how far it is delivered.
pub(super) struct Settlement {
    pub(super) batches: BatchQueue,
    pub(super) position: DeliveredPosition,
    /// Finds the rows that the sink wrote itself, where they are left out.
    own_rows: Option<OwnRowFilter>,
    /// The position of the newest mark.
    last_mark: Option<Cursor>,
    produced: Counter,
    left_out: Counter,
}

impl Settlement {
    pub(super) fn new(
        context: &SourceContext,
        table: &TableConfig,
        start: &StartOfTable,
    ) -> Settlement {
        let own_rows = context.own_writes.get(&table.name).cloned();
        let metrics = &context.metrics;
        Settlement {
            batches: BatchQueue::new(),
            position: DeliveredPosition::new(context, table, start),
            own_rows: own_rows.map(OwnRowFilter::new),
            last_mark: start.cursor.clone(),
            produced: metrics.source_produced.with(&[&table.name, &table.topic]),
            left_out: metrics.source_own_writes.with(&[&table.name]),
        }
    }

    /// Whether this row is the sink's own write, which is left out.
    pub(super) fn is_own(&self, id: &[u8], text: &[u8]) -> bool {
        let filter = self.own_rows.as_ref();
        filter.is_some_and(|own| own.is_own(id, text))
    }

    /// The position of the newest mark.
    pub(super) fn last_mark(&self) -> Option<Cursor> {
        self.last_mark.clone()
    }

    /// Ends the open batch at `mark`.
    pub(super) fn close(&mut self, mark: BatchMark) {
        self.last_mark.clone_from(&mark.cursor);
        let own_rows = self.batches.close(mark);
        self.left_out.add(own_rows);
    }

    /// Ends the open batch for rows of the capture thread, with the position where it is. `acknowledged`: who
    /// waits for its rows.
    pub(super) fn close_here(&mut self, acknowledged: Option<Sender<()>>) {
        let rows = self.batches.rows_since_mark();
        let mut mark = BatchMark::new(self.last_mark(), rows, None);
        mark.is_captured = true;
        mark.acknowledged = acknowledged;
        self.close(mark);
    }

    /// Moves the position over the oldest batch, if it is acknowledged. True when something was delivered, or
    /// all is read: a row that held the table is delivered then, or has left the table.
    pub(super) fn next(&mut self) -> Option<Result<bool, DeliveryError>> {
        let settled = self.batches.next_settled()?;
        Some(settled.map(|mark| self.advance(mark)))
    }

    fn advance(&mut self, mark: BatchMark) -> bool {
        self.produced.add(mark.produced);
        let goes_on = (mark.rows > 0 || mark.caught_up.is_some()) && !mark.is_captured;
        let complete_to = mark.complete_to();
        let acknowledged = mark.acknowledged.clone();
        self.position.advance(mark);
        if let (Some(own), Some(seconds)) = (&self.own_rows, complete_to) {
            own.record_read_to(seconds);
        }
        if let Some(acknowledged) = acknowledged {
            // There is room for the one message.
            acknowledged.try_send(()).ok();
        }
        goes_on
    }

    /// Rows that were read and are not acknowledged at the end; of the closed batches none are when
    /// `is_drained`.
    pub(super) fn rows_left(&self, is_drained: bool) -> u64 {
        if is_drained {
            self.batches.open_rows()
        } else {
            self.batches.unacknowledged_rows()
        }
    }

    /// Forgets what is on its way: it is read again.
    pub(super) fn discard(&mut self) {
        self.batches.discard();
        self.last_mark = self.position.acknowledged().cloned();
    }
}
