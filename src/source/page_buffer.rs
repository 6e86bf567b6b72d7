//! A page while it arrives: its rows are checked, and held back until the page is known to be good.

use std::collections::VecDeque;

use super::row_order::{RowOrderCheck, RowVerdict};
use super::window::PageSummary;
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;

/// Rows are held back until their page is known to be good, up to this many bytes; the rows of a
/// larger page are sent while it arrives, so that memory stays flat.
const MAX_HELD_BACK_BYTES: usize = 4 * 1024 * 1024;

/// A page while it arrives.
pub(super) struct PageBuffer {
    order: RowOrderCheck,
    limit: u32,
    /// Rows that arrived.
    rows: u32,
    /// Rows to produce.
    kept: u64,
    last: Option<Cursor>,
    overshot: bool,
    held: VecDeque<RowBlock>,
    held_bytes: usize,
}

impl PageBuffer {
    pub(super) fn new(order: RowOrderCheck, limit: u32) -> PageBuffer {
        PageBuffer {
            order,
            limit,
            rows: 0,
            kept: 0,
            last: None,
            overshot: false,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Checks the rows of a block and leaves only those to produce.
    pub(super) fn take(&mut self, block: &mut RowBlock) -> Result<(), String> {
        let mut verdicts = Ok(());
        let mut rows = std::mem::take(&mut block.rows);
        rows.retain(|row| {
            if verdicts.is_err() {
                return false;
            }
            self.rows += 1;
            match self.order.check(row.seconds, block.slice(&row.id)) {
                Ok(RowVerdict::Keep) => true,
                Ok(RowVerdict::AlreadyRead) => false,
                Ok(RowVerdict::BeyondSlice) => {
                    self.overshot = true;
                    false
                }
                Err(what) => {
                    verdicts = Err(what);
                    false
                }
            }
        });
        block.rows = rows;
        verdicts?;
        if self.rows > self.limit {
            return Err("more rows than were asked for".to_owned());
        }
        if let Some(row) = block.rows.last() {
            let id = String::from_utf8_lossy(block.slice(&row.id)).into_owned();
            self.last = Some(Cursor {
                seconds: row.seconds,
                id: Some(id),
            });
        }
        self.kept += block.rows.len() as u64;
        Ok(())
    }

    /// Holds a block back; gives one that must go before the page is known to be good.
    pub(super) fn hold(&mut self, block: RowBlock) -> Option<RowBlock> {
        self.held_bytes += block.bytes.len();
        self.held.push_back(block);
        if self.held_bytes > MAX_HELD_BACK_BYTES {
            self.release()
        } else {
            None
        }
    }

    /// The oldest block held back; all of them may go once the page is good.
    pub(super) fn release(&mut self) -> Option<RowBlock> {
        let block = self.held.pop_front()?;
        self.held_bytes -= block.bytes.len();
        Some(block)
    }

    /// Rows to produce.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Whether the page tells by itself how many rows the slice has: it is full, or went past it.
    pub(super) fn needs_no_count(&self) -> bool {
        self.overshot || self.rows >= self.limit
    }

    /// What the window must know.
    pub(super) fn answer(self, total: Option<u64>) -> PageSummary {
        PageSummary {
            rows: self.rows,
            last: self.last,
            total,
            overshot: self.overshot,
        }
    }
}
