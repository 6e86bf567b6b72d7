//! A record of the dead letter topic, and what is known of it.

use jiff::Timestamp;

use crate::cli::DeadLetterPlace;
use crate::kafka::ConsumerRecord;
use crate::sink::DeadLetter;
use crate::sink::dead_letter::InvalidDeadLetter;

/// A record of the dead letter topic.
pub(super) struct FoundLetter {
    pub(super) place: DeadLetterPlace,
    pub(super) record: ConsumerRecord,
    pub(super) letter: Result<DeadLetter, InvalidDeadLetter>,
    /// It was replayed or dropped before.
    pub(super) done: bool,
}

impl FoundLetter {
    /// When the letter was written.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match &self.letter {
            Ok(letter) => Some(letter.time),
            Err(_) => Timestamp::from_millisecond(self.record.timestamp?).ok(),
        }
    }

    /// The key of the record it is about. The letter's record has it as well, and that of the Go
    /// program only that.
    pub(super) fn key(&self) -> Option<&[u8]> {
        let inside = self
            .letter
            .as_ref()
            .ok()
            .and_then(|letter| letter.key.as_deref());
        inside.or(self.record.key.as_deref())
    }
}
