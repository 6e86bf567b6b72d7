//! What a comparison has found out about a row: pure.

/// What was found out about a row that the table did not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteCandidate {
    /// It is to be followed by a tombstone.
    Vanished,
    /// An operator has decided that its record stays.
    Kept,
}

impl DeleteCandidate {
    /// As it stands in the index.
    pub(super) fn code(self) -> u8 {
        match self {
            DeleteCandidate::Vanished => 1,
            DeleteCandidate::Kept => 2,
        }
    }
}
