//! Holds the rows of a page back until the page is known to be good.

use std::collections::VecDeque;

use crate::servicenow::page::RowBlock;

/// Bytes of rows that are held back at most. The rows of a larger page are sent while it arrives,
/// so that memory stays flat whatever an instance answers.
const MAX_HELD_BACK_BYTES: usize = 4 * 1024 * 1024;

/// Rows that arrived and may not be produced yet, oldest first.
#[derive(Default)]
pub(super) struct PageBuffer {
    blocks: VecDeque<RowBlock>,
    bytes: usize,
}

impl PageBuffer {
    /// Holds a block back. When that is too much, gives the oldest one, which then has to be
    /// produced before the page is known to be good.
    pub(super) fn hold_back(&mut self, block: RowBlock) -> Option<RowBlock> {
        self.bytes += block.bytes.len();
        self.blocks.push_back(block);
        if self.bytes > MAX_HELD_BACK_BYTES {
            self.release_oldest()
        } else {
            None
        }
    }

    /// The oldest block; all of them may go once the page is good.
    pub(super) fn release_oldest(&mut self) -> Option<RowBlock> {
        let block = self.blocks.pop_front()?;
        self.bytes -= block.bytes.len();
        Some(block)
    }
}
