//! The file beside the checkpoint with what was delivered in the unsettled seconds of each table.
//!
//! Lines of JSON are added to it, one a table and write; now and then it is written anew. A line says what
//! Kafka has acknowledged, which stays true whatever becomes of the checkpoint, so the two files need not
//! be written as one. Each line names the position that goes into the checkpoint with it: a checkpoint that
//! has another one was moved by another program, and what the file says of that table is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::CheckpointPosition;
use super::error::Error;
use super::unsettled::{UnsettledVersion, VersionMark};
use crate::regular_file::{self, Access, FileFault, FileReplacement, Links, sibling};

/// A larger file was not written by this program: it is written anew long before.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// A file of this size is written anew once it is several times as long as what is in it.
const MIN_REWRITE_BYTES: u64 = 1 << 20;
/// So many times.
const REWRITE_FACTOR: u64 = 4;
/// About the length of a version in a line.
const VERSION_BYTES: u64 = 60;

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UnsettledLine {
    pub(super) table: String,
    /// What earlier lines say of this table does not count any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) anew: bool,
    /// The position that the checkpoint has with this line; `None`: it has none of this table.
    #[serde(default)]
    pub(super) position: Option<PositionText>,
    /// The last settled second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) settled: Option<i64>,
    /// Versions that were acknowledged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rows: Vec<RowText>,
}

/// A position as seconds and identifier.
pub(super) type PositionText = (i64, String);

/// A version: seconds, identifier in hex, and its count or its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RowText(i64, String, Option<u32>, #[serde(default)] u32);

impl UnsettledLine {
    pub(super) fn with_rows(
        self,
        rows: impl IntoIterator<Item = UnsettledVersion>,
    ) -> UnsettledLine {
        let rows = rows.into_iter().map(|version| {
            let (count, hash) = match version.mark {
                VersionMark::Count(count) => (Some(count), 0),
                VersionMark::Hash(hash) => (None, hash),
            };
            RowText(version.seconds, format!("{:x}", version.id), count, hash)
        });
        UnsettledLine {
            rows: rows.collect(),
            ..self
        }
    }

    fn versions(&self) -> Option<Vec<UnsettledVersion>> {
        let version = |RowText(seconds, id, count, hash): &RowText| {
            Some(UnsettledVersion {
                seconds: *seconds,
                id: u128::from_str_radix(id, 16).ok()?,
                mark: count.map_or(VersionMark::Hash(*hash), VersionMark::Count),
            })
        };
        self.rows.iter().map(version).collect()
    }
}

/// What the file says of one table.
#[derive(Debug, Default, PartialEq)]
pub(super) struct StoredSpan {
    pub(super) versions: BTreeSet<UnsettledVersion>,
    pub(super) settled: Option<i64>,
    /// The position of the newest line, and before it the last one that differs: the process may have died
    /// between the two files.
    pub(super) positions: Vec<Option<PositionText>>,
}

impl StoredSpan {
    /// Whether it goes with a checkpoint that has this position.
    pub(super) fn goes_with(&self, position: Option<&CheckpointPosition>) -> bool {
        let position = position.map(position_text);
        self.positions.contains(&position)
    }

    fn take_in(&mut self, line: &UnsettledLine) -> Option<()> {
        let versions = line.versions()?;
        if line.anew {
            *self = StoredSpan::default();
        }
        self.versions.extend(versions);
        if let Some(settled) = line.settled {
            self.settled = Some(settled);
            self.versions.retain(|version| version.seconds > settled);
        }
        if self.positions.last() != Some(&line.position) {
            if self.positions.len() > 1 {
                self.positions.remove(0);
            }
            self.positions.push(line.position.clone());
        }
        Some(())
    }
}

/// A position as it stands in a line.
pub(super) fn position_text(position: &CheckpointPosition) -> PositionText {
    (position.timestamp, position.last_identifier.clone())
}

/// What the lines of a file say; `None` where one of them, other than the last, is none of ours.
fn parse(text: &[u8]) -> Option<BTreeMap<String, StoredSpan>> {
    let mut tables: BTreeMap<String, StoredSpan> = BTreeMap::new();
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // Behind the last line break stands nothing, or a line of which the process saw no end.
        if lines.peek().is_none() {
            break;
        }
        let line: UnsettledLine = serde_json::from_slice(line).ok()?;
        tables
            .entry(line.table.clone())
            .or_default()
            .take_in(&line)?;
    }
    Some(tables)
}

/// The file on disk. The lock of the checkpoint is that of this file, too.
#[derive(Debug)]
pub(super) struct UnsettledFile {
    path: PathBuf,
    /// Open at its end, once something was added.
    file: Option<File>,
    bytes: u64,
}

impl UnsettledFile {
    /// Beside this checkpoint. Gives what is in it; a file that cannot be used says so in the log and is
    /// as none: what it would have told is delivered once more.
    pub(super) fn open(checkpoint: &Path) -> (UnsettledFile, BTreeMap<String, StoredSpan>) {
        let file = UnsettledFile {
            path: sibling(checkpoint, "", ".unsettled"),
            file: None,
            bytes: 0,
        };
        let opened = regular_file::open(&file.path, Access::Read, Links::Refuse);
        let bytes = opened.and_then(|file| regular_file::read_up_to(&file, MAX_FILE_BYTES));
        let why = match bytes {
            Ok(bytes) => match parse(&bytes) {
                Some(tables) => return (file, tables),
                None => "it is damaged".to_owned(),
            },
            Err(fault) if fault.is_missing() => return (file, BTreeMap::new()),
            Err(fault) => fault.to_string(),
        };
        log::warn!(path:% = file.path.display(), error = why;
            "the file of the newest deliveries cannot be used; the rows of source.settle come once more");
        (file, BTreeMap::new())
    }

    /// Whether the file is to be written anew with all that counts: it was not written by this process yet, or
    /// is much longer than `versions` need.
    pub(super) fn needs_rewrite(&self, versions: usize) -> bool {
        let needed = MIN_REWRITE_BYTES + versions as u64 * VERSION_BYTES;
        self.file.is_none() || self.bytes > needed * REWRITE_FACTOR
    }

    /// The next write replaces the file.
    pub(super) fn rewrite_next(&mut self) {
        self.file = None;
    }

    /// Adds lines, and waits until they are on the disk.
    pub(super) fn append(&mut self, lines: &[UnsettledLine]) -> Result<(), Error> {
        let text = render(lines);
        let Some(file) = &mut self.file else {
            return self.rewrite(lines);
        };
        let added = file.write_all(&text).and_then(|()| file.sync_data());
        if let Err(source) = added {
            // Half a line may be there: the next write replaces the file.
            self.file = None;
            return Err(Error::write(&self.path, source));
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Replaces the file by these lines.
    pub(super) fn rewrite(&mut self, lines: &[UnsettledLine]) -> Result<(), Error> {
        self.file = None;
        let text = render(lines);
        let failed = |source| Error::write(&self.path, source);
        FileReplacement::of(self.path.clone())
            .replace(|file| file.write_all(&text))
            .map_err(failed)?;
        let fault = |fault: FileFault| failed(fault.into());
        let mut file =
            regular_file::open(&self.path, Access::ReadWrite, Links::Refuse).map_err(fault)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        self.bytes = text.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

fn render(lines: &[UnsettledLine]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        // Strings and numbers always have a JSON form.
        text.extend(serde_json::to_vec(line).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seconds: i64, id: u128) -> UnsettledVersion {
        UnsettledVersion {
            seconds,
            id,
            mark: VersionMark::Count(3),
        }
    }

    fn line(position: i64, rows: &[UnsettledVersion]) -> UnsettledLine {
        let line = UnsettledLine {
            table: "incident".to_owned(),
            position: Some((position, "a".to_owned())),
            ..UnsettledLine::default()
        };
        line.with_rows(rows.iter().copied())
    }

    fn position(seconds: i64) -> CheckpointPosition {
        CheckpointPosition {
            timestamp: seconds,
            last_identifier: "a".to_owned(),
        }
    }

    #[test]
    fn what_is_added_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("offsets.json");
        let (mut file, tables) = UnsettledFile::open(&checkpoint);
        assert!(tables.is_empty() && file.needs_rewrite(0));
        let hashed = UnsettledVersion {
            mark: VersionMark::Hash(9),
            ..version(101, u128::MAX)
        };
        file.append(&[line(100, &[version(100, 1), hashed])])
            .unwrap();
        assert!(!file.needs_rewrite(0));
        file.append(&[line(101, &[version(102, 2)])]).unwrap();
        let settled = UnsettledLine {
            settled: Some(100),
            ..line(101, &[])
        };
        file.append(&[settled]).unwrap();
        let (_, tables) = UnsettledFile::open(&checkpoint);
        let span = &tables["incident"];
        assert!(span.versions.iter().eq([&hashed, &version(102, 2)]));
        assert_eq!(span.settled, Some(100));
        assert!(
            span.goes_with(Some(&position(100))),
            "the checkpoint was not written"
        );
        assert!(span.goes_with(Some(&position(101))) && !span.goes_with(Some(&position(99))));
        file.append(&[UnsettledLine {
            anew: true,
            ..line(50, &[])
        }])
        .unwrap();
        let (_, tables) = UnsettledFile::open(&checkpoint);
        let span = &tables["incident"];
        assert!(span.versions.is_empty() && span.settled.is_none());
        assert!(span.goes_with(Some(&position(50))) && !span.goes_with(Some(&position(101))));
    }

    #[test]
    fn a_line_without_an_end_is_passed_over_and_any_other_fault_counts() {
        let whole = render(&[line(100, &[version(100, 1)]), line(101, &[version(101, 2)])]);
        for cut in 0..whole.len() {
            let tables = parse(&whole[..cut]).unwrap();
            let known = tables.get("incident").map_or(0, |span| span.versions.len());
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(known, lines, "{cut}");
        }
        let mut damaged = whole.clone();
        damaged[3] = 0;
        assert!(parse(&damaged).is_none());
        assert!(parse(b"{\"table\":\"a\",\"rows\":[[1,\"xyz\",3]]}\n").is_none());
    }
}
