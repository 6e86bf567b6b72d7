//! What is kept in the metadata of a committed offset: how the owner of the partition ended.
//!
//! An owner that is killed can say nothing any more. So it is the clean end that is written down, and
//! taken back by the next owner before it hands out a record.

/// Begins the text of each note; other programs that commit for the group write something else or nothing.
const NOTE_PREFIX: &str = "servicenow-kafka-bridge/1";

/// A note beside a committed offset. The default is that of an owner that is at work, or was killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitNote {
    /// The owner has ended, and none of its writes can still run but those before `late_until`. The number
    /// says how many of the next records it may have written already.
    pub ended: Option<usize>,
    /// Seconds since the epoch until which the instance may still execute a write whose answer was lost.
    pub late_until: Option<u64>,
}

impl CommitNote {
    /// The note as the metadata of an offset; empty for the default.
    pub(super) fn to_metadata(self) -> String {
        if self == CommitNote::default() {
            return String::new();
        }
        let mut text = NOTE_PREFIX.to_owned();
        if let Some(repeats) = self.ended {
            text.push_str(&format!(" ended repeats={repeats}"));
        }
        if let Some(late) = self.late_until {
            text.push_str(&format!(" late={late}"));
        }
        text
    }

    /// Reads the metadata of an offset. What this program did not write says nothing.
    pub(super) fn from_metadata(text: &str) -> CommitNote {
        let mut words = text.split(' ');
        let mut note = CommitNote::default();
        if words.next() != Some(NOTE_PREFIX) {
            return note;
        }
        let mut has_ended = false;
        for word in words {
            match word.split_once('=') {
                None => has_ended |= word == "ended",
                Some(("repeats", number)) if has_ended => note.ended = number.parse().ok(),
                Some(("late", number)) => note.late_until = number.parse().ok(),
                Some(_) => {}
            }
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_other_programs_write_is_no_clean_end() {
        for text in [
            "",
            "ended repeats=0",
            "servicenow-kafka-bridge/2 ended repeats=0",
            "servicenow-kafka-bridge/1",
            "servicenow-kafka-bridge/1 ended",
            "servicenow-kafka-bridge/1 repeats=3",
            "servicenow-kafka-bridge/1 ended repeats=-1",
            "servicenow-kafka-bridge/1 ended repeats=99999999999999999999",
        ] {
            assert_eq!(
                CommitNote::from_metadata(text),
                CommitNote::default(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_note_is_read_as_it_was_written(
            ended in prop::option::of(any::<usize>()),
            late_until in prop::option::of(any::<u64>()),
        ) {
            let note = CommitNote { ended, late_until };
            prop_assert_eq!(CommitNote::from_metadata(&note.to_metadata()), note);
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            CommitNote::from_metadata(&text);
        }
    }
}
