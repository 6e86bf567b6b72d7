//! The unsettled spans of all tables: in memory, shared with the tables' threads, and in their file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::entry::CheckpointPosition;
use super::error::Error;
use super::unsettled::UnsettledSpan;
use super::unsettled_file::{
    PositionText, StoredSpan, UnsettledFile, UnsettledLine, position_text,
};
use crate::sync::Mutex;

/// The span of one table, shared by those who read it and the writer of the file.
pub type SharedSpan = Arc<Mutex<UnsettledSpan>>;

/// The span with which a table starts.
#[derive(Debug, Clone)]
pub struct StartingSpan {
    /// The span.
    pub span: SharedSpan,
    /// Whether it is known what was delivered before. Where it is not, nothing says which rows of the
    /// newest seconds are missing.
    pub is_known: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct UnsettledTables {
    file: UnsettledFile,
    /// Of the tables that are read, or were, in this process.
    open: BTreeMap<String, OpenSpan>,
    /// What the file had of all others.
    stored: BTreeMap<String, StoredSpan>,
}

#[derive(Debug)]
struct OpenSpan {
    span: SharedSpan,
    /// The position of its newest line; `None`: there is no line of this process.
    written: Option<Option<PositionText>>,
}

/// The position of a table: in the checkpoint file, and as it is about to be written there.
pub(super) struct PositionPair {
    pub(super) on_disk: Option<CheckpointPosition>,
    pub(super) next: Option<CheckpointPosition>,
}

impl UnsettledTables {
    /// Beside this checkpoint.
    pub(super) fn open(checkpoint: &Path) -> UnsettledTables {
        let (file, stored) = UnsettledFile::open(checkpoint);
        UnsettledTables {
            file,
            open: BTreeMap::new(),
            stored,
        }
    }

    /// The span of a table that starts at this position.
    pub(super) fn start(
        &mut self,
        table: &str,
        position: Option<&CheckpointPosition>,
    ) -> StartingSpan {
        if let Some(open) = self.open.get(table) {
            open.span.lock().forget_unacknowledged();
            return StartingSpan {
                span: Arc::clone(&open.span),
                is_known: true,
            };
        }
        let stored = self.stored.remove(table);
        let stored = stored.filter(|stored| stored.goes_with(position));
        let is_known = stored.is_some();
        let mut span = match stored {
            Some(stored) => UnsettledSpan::restored(stored.versions, stored.settled),
            None => UnsettledSpan::default(),
        };
        if !is_known {
            // Lines of another process may be in the file.
            span.write_everything();
        }
        let span = SharedSpan::new(Mutex::new(span));
        let open = OpenSpan {
            span: Arc::clone(&span),
            written: None,
        };
        self.open.insert(table.to_owned(), open);
        StartingSpan { span, is_known }
    }

    /// The table begins at another position than it has come to: what was delivered does not count.
    pub(super) fn begin_anew(&mut self, table: &str, settled: Option<i64>) {
        self.stored.remove(table);
        let mut span = UnsettledSpan::restored([], settled);
        span.write_everything();
        let open = OpenSpan {
            span: SharedSpan::new(Mutex::new(span)),
            written: None,
        };
        self.open.insert(table.to_owned(), open);
    }

    /// Whether there is something to write besides positions.
    pub(super) fn has_changes(&self) -> bool {
        let mut open = self.open.values();
        open.any(|open| open.span.lock().has_changes())
    }

    /// Writes what has changed, before the checkpoint gets the positions. `positions` gives those of a table.
    ///
    /// # Errors
    /// The file could not be written. Nothing is lost: the next write has all of it.
    pub(super) fn write(&mut self, positions: impl Fn(&str) -> PositionPair) -> Result<(), Error> {
        let versions: usize = self.open.values().map(|it| it.span.lock().len()).sum();
        let written = if self.file.needs_rewrite(versions) {
            self.rewrite(&positions)
        } else {
            self.append(&positions)
        };
        if written.is_err() {
            self.write_everything_next();
        }
        written
    }

    /// This file, or the checkpoint behind it, could not be written: the next write has all of it, and goes with
    /// the checkpoint that is there as well as with the next one.
    pub(super) fn write_everything_next(&mut self) {
        self.file.rewrite_next();
        for open in self.open.values() {
            open.span.lock().write_everything();
        }
    }

    fn append(&mut self, positions: &impl Fn(&str) -> PositionPair) -> Result<(), Error> {
        let mut lines = Vec::new();
        for (table, open) in &mut self.open {
            let changes = open.span.lock().take_changes();
            let position = positions(table).next.as_ref().map(position_text);
            if changes.is_empty() && open.written.as_ref() == Some(&position) {
                continue;
            }
            let line = UnsettledLine {
                table: table.clone(),
                anew: changes.is_everything,
                position: position.clone(),
                settled: changes.settled,
                ..UnsettledLine::default()
            };
            lines.push(if changes.is_everything {
                let span = open.span.lock();
                let settled = span.settled();
                UnsettledLine { settled, ..line }.with_rows(span.acknowledged())
            } else {
                line.with_rows(changes.acknowledged)
            });
            open.written = Some(position);
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.file.append(&lines)
    }

    fn rewrite(&mut self, positions: &impl Fn(&str) -> PositionPair) -> Result<(), Error> {
        let mut lines = Vec::new();
        for (table, open) in &mut self.open {
            let mut span = open.span.lock();
            span.take_changes();
            let pair = positions(table);
            let line = UnsettledLine {
                table: table.clone(),
                anew: true,
                position: pair.on_disk.as_ref().map(position_text),
                settled: span.settled(),
                ..UnsettledLine::default()
            };
            lines.push(line.with_rows(span.acknowledged()));
            let position = pair.next.as_ref().map(position_text);
            lines.push(UnsettledLine {
                table: table.clone(),
                position: position.clone(),
                ..UnsettledLine::default()
            });
            open.written = Some(position);
        }
        for (table, stored) in &self.stored {
            let positions = stored.positions.iter().map(|position| UnsettledLine {
                table: table.clone(),
                position: position.clone(),
                settled: stored.settled,
                ..UnsettledLine::default()
            });
            lines.extend(positions);
            if let Some(last) = lines.pop() {
                lines.push(last.with_rows(stored.versions.iter().copied()));
            }
        }
        self.file.rewrite(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::unsettled::{UnsettledVersion, VersionMark};

    fn at(seconds: i64) -> Option<CheckpointPosition> {
        Some(CheckpointPosition {
            timestamp: seconds,
            last_identifier: String::new(),
        })
    }

    fn pair(on_disk: i64, next: i64) -> impl Fn(&str) -> PositionPair {
        move |_| PositionPair {
            on_disk: at(on_disk),
            next: at(next),
        }
    }

    fn version(seconds: i64) -> UnsettledVersion {
        UnsettledVersion {
            seconds,
            id: 1,
            mark: VersionMark::Count(0),
        }
    }

    /// What a process that starts at `position` knows.
    fn known(checkpoint: &Path, position: i64) -> Option<usize> {
        let start = UnsettledTables::open(checkpoint).start("incident", at(position).as_ref());
        let known = start.span.lock().len();
        start.is_known.then_some(known)
    }

    #[test]
    fn it_goes_with_the_checkpoint_before_and_after_each_write() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("offsets.json");
        let mut tables = UnsettledTables::open(&checkpoint);
        let start = tables.start("incident", None);
        assert!(!start.is_known);
        for second in 1..=5 {
            start.span.lock().acknowledge(&[version(second)]);
            tables.write(pair(second - 1, second)).unwrap();
            let count = Some(usize::try_from(second).unwrap());
            assert_eq!(known(&checkpoint, second - 1), count);
            assert_eq!(known(&checkpoint, second), count);
            assert_eq!(known(&checkpoint, second + 1), None);
        }
        // The checkpoint could not be written since second 5.
        tables.write_everything_next();
        tables.write(pair(5, 7)).unwrap();
        assert_eq!(known(&checkpoint, 5), Some(5));
        assert_eq!(known(&checkpoint, 7), Some(5));
        // The next process writes all of it anew, with the tables that it does not read.
        let mut other = UnsettledTables::open(&checkpoint);
        other.start("problem", None);
        other.write(pair(0, 0)).unwrap();
        assert_eq!(known(&checkpoint, 7), Some(5));
        other.begin_anew("incident", Some(2));
        other.write(pair(7, 3)).unwrap();
        assert_eq!(known(&checkpoint, 3), Some(0));
    }
}
