//! The index on disk, in one file of redb's. docs/decisions/0015 says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition,
};

use super::candidate::DeleteCandidate;
use super::error::IndexError;
use super::record::DeliveredContent;
use super::row::{DeliveredRow, PACKED_BYTES};
use crate::expected_panic;
use crate::regular_file;
use crate::servicenow::query::hex_id;

/// What a row of the index holds. An index of another form is made anew.
const INDEX_FORM: &str = "content";
/// Memory for pages of the file.
pub(super) const CACHE_BYTES: usize = 16 << 20;

/// Rows whose identifiers are 32 hex digits, by the number that these are.
pub(super) const ROWS: TableDefinition<'_, [u8; 16], [u8; PACKED_BYTES]> =
    TableDefinition::new("rows");
/// All other rows.
pub(super) const NAMED_ROWS: TableDefinition<'_, &str, [u8; PACKED_BYTES]> =
    TableDefinition::new("named_rows");
/// Rows whose last record is a tombstone.
const DELETED: TableDefinition<'_, &str, ()> = TableDefinition::new("deleted");
/// Rows about which a comparison says something, or said.
const CANDIDATES: TableDefinition<'_, &str, u8> = TableDefinition::new("candidates");
/// Up to which offset each partition was read.
pub(super) const OFFSETS: TableDefinition<'_, i32, i64> = TableDefinition::new("offsets");
/// What the index is of, under one name.
pub(super) const IDENTITY: TableDefinition<'_, &str, &str> = TableDefinition::new("identity");
pub(super) const IDENTITY_KEY: &str = "identity";

/// The index of one table. Its file is locked as long as this lives.
#[derive(Debug)]
pub struct DeliveredIndex {
    path: PathBuf,
    database: Database,
}

/// Where an index that was opened comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexOrigin {
    /// It was there.
    Found,
    /// There was none: it is empty.
    New,
    /// What was there is of no use, for this reason: it is empty.
    Replaced(String),
}

/// A range of identifiers, and what the index holds of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexSlice {
    /// Identifiers from this one on; `None`: the first slice, which is open below.
    pub from: Option<u128>,
    /// Identifiers below this one; `None`: the last slice, which is open above.
    pub to: Option<u128>,
    /// Rows.
    pub rows: u64,
    /// Sum of their `sys_mod_count`, where each has one.
    pub mod_count_sum: Option<u64>,
}

/// What an index is of: the table's fingerprint, its topic, and the form of the index.
pub fn index_identity(fingerprint: &str, topic: &str) -> String {
    format!("{fingerprint} {topic} {INDEX_FORM}")
}

/// The path of a table's index beside the checkpoint file.
pub fn path_beside(checkpoint: &Path, table: &str) -> PathBuf {
    regular_file::sibling(checkpoint, "", ".delivered").join(format!("{table}.redb"))
}

impl DeliveredIndex {
    /// Opens the index at `path`, or makes it. One that is damaged, or of another `identity`, is
    /// replaced by an empty one.
    ///
    /// # Errors
    /// The file or its folder cannot be used.
    pub fn open(path: &Path, identity: &str) -> Result<(DeliveredIndex, IndexOrigin), IndexError> {
        let doing = "open";
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|why| IndexError::new(path, doing, why))?;
        }
        let was_there = path.exists();
        let why = match DeliveredIndex::open_file(path) {
            Ok(index) => match index.identity() {
                Ok(Some(found)) if found == identity => return Ok((index, IndexOrigin::Found)),
                Ok(None) if !was_there => {
                    index.set_identity(identity)?;
                    return Ok((index, IndexOrigin::New));
                }
                Ok(_) => "it is of another table, query or topic".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) if error.is_damaged() => error.to_string(),
            Err(error) => return Err(error),
        };
        fs::remove_file(path).map_err(|why| IndexError::new(path, "remove", why))?;
        let index = DeliveredIndex::open_file(path)?;
        index.set_identity(identity)?;
        Ok((index, IndexOrigin::Replaced(why)))
    }

    fn open_file(path: &Path) -> Result<DeliveredIndex, IndexError> {
        let doing = "open";
        let file = regular_file::open_or_create(path)
            .map_err(|why| IndexError::new(path, doing, std::io::Error::from(why)))?;
        // redb panics at some files that it did not write.
        let opened = expected_panic::catch(|| {
            let file = FileBackend::new(file)?;
            redb::Builder::new()
                .set_cache_size(CACHE_BYTES)
                .create_with_backend(file)
        });
        match opened {
            Some(Ok(database)) => Ok(DeliveredIndex {
                path: path.to_owned(),
                database,
            }),
            Some(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => {
                Err(IndexError::new(path, doing, "another process uses it"))
            }
            Some(Err(error)) => Err(IndexError::damaged(path, doing, error)),
            None => Err(IndexError::damaged(path, doing, "it is damaged")),
        }
    }

    /// Takes in what records say, and up to which offset each partition is read now: both or neither.
    /// A row that a record speaks of is no candidate any more.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn apply(
        &self,
        records: &[(String, DeliveredContent)],
        offsets: &BTreeMap<i32, i64>,
    ) -> Result<(), IndexError> {
        self.write(|write| {
            let mut rows = write.open_table(ROWS)?;
            let mut named = write.open_table(NAMED_ROWS)?;
            let mut deleted = write.open_table(DELETED)?;
            let mut candidates = write.open_table(CANDIDATES)?;
            let has_candidates = !candidates.is_empty()?;
            let mut has_deleted = !deleted.is_empty()?;
            for (id, content) in records {
                let number = hex_id(id.as_bytes()).map(u128::to_be_bytes);
                match (content, number) {
                    (DeliveredContent::Row(row), Some(number)) => {
                        rows.insert(number, row.pack())?;
                    }
                    (DeliveredContent::Row(row), None) => {
                        named.insert(id.as_str(), row.pack())?;
                    }
                    (DeliveredContent::Tombstone, Some(number)) => {
                        rows.remove(number)?;
                    }
                    (DeliveredContent::Tombstone, None) => {
                        named.remove(id.as_str())?;
                    }
                }
                if *content == DeliveredContent::Tombstone {
                    deleted.insert(id.as_str(), ())?;
                    has_deleted = true;
                } else if has_deleted {
                    deleted.remove(id.as_str())?;
                }
                if has_candidates {
                    candidates.remove(id.as_str())?;
                }
            }
            let mut read_to = write.open_table(OFFSETS)?;
            for (partition, offset) in offsets {
                read_to.insert(partition, offset)?;
            }
            Ok(())
        })
    }

    /// Up to which offset each partition of the topic was read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn offsets(&self) -> Result<BTreeMap<i32, i64>, IndexError> {
        self.read(BTreeMap::new(), |read| {
            let entries = read.open_table(OFFSETS)?;
            let mut offsets = BTreeMap::new();
            for entry in entries.iter()? {
                let (partition, offset) = entry?;
                offsets.insert(partition.value(), offset.value());
            }
            Ok(offsets)
        })
    }

    /// Number of rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self) -> Result<u64, IndexError> {
        self.read(0, |read| {
            Ok(read.open_table(ROWS)?.len()? + read.open_table(NAMED_ROWS)?.len()?)
        })
    }

    /// Cuts the identifiers that are numbers into slices of about `rows_of_slice` rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn slices(&self, rows_of_slice: u64) -> Result<Vec<IndexSlice>, IndexError> {
        let whole = vec![IndexSlice {
            mod_count_sum: Some(0),
            ..IndexSlice::default()
        }];
        self.read(whole.clone(), |read| {
            let mut slices = whole.clone();
            for entry in read.open_table(ROWS)?.iter()? {
                let (id, packed) = entry?;
                let id = u128::from_be_bytes(id.value());
                let full = slices
                    .last()
                    .is_some_and(|slice| slice.rows >= rows_of_slice);
                if full && let Some(last) = slices.last_mut() {
                    last.to = Some(id);
                    slices.push(IndexSlice {
                        from: Some(id),
                        mod_count_sum: Some(0),
                        ..IndexSlice::default()
                    });
                }
                if let Some(slice) = slices.last_mut() {
                    let count = DeliveredRow::unpack(packed.value()).version.mod_count;
                    slice.rows += 1;
                    slice.mod_count_sum = slice
                        .mod_count_sum
                        .zip(count)
                        .map(|(sum, count)| sum + u64::from(count));
                }
            }
            Ok(slices)
        })
    }

    /// The rows of a slice, in the order of their identifiers.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows_of(&self, slice: &IndexSlice) -> Result<Vec<(u128, DeliveredRow)>, IndexError> {
        self.read(Vec::new(), |read| {
            let rows = read.open_table(ROWS)?;
            let from = slice.from.unwrap_or(0).to_be_bytes();
            let found = match slice.to {
                Some(to) => rows.range(from..to.to_be_bytes())?,
                None => rows.range(from..)?,
            };
            let mut rows = Vec::new();
            for entry in found {
                let (id, packed) = entry?;
                let row = DeliveredRow::unpack(packed.value());
                rows.push((u128::from_be_bytes(id.value()), row));
            }
            Ok(rows)
        })
    }

    /// What the topic holds of each of these rows, in their order; `None`: nothing, or a tombstone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn delivered<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Option<DeliveredRow>>, IndexError> {
        let ids: Vec<&str> = ids.into_iter().collect();
        self.read(vec![None; ids.len()], |read| {
            let (rows, named) = (read.open_table(ROWS)?, read.open_table(NAMED_ROWS)?);
            let packed = ids
                .iter()
                .map(|id| match hex_id(id.as_bytes()) {
                    Some(number) => rows.get(number.to_be_bytes()),
                    None => named.get(*id),
                })
                .map(|found| Ok(found?.map(|packed| DeliveredRow::unpack(packed.value()))));
            packed.collect()
        })
    }

    /// The oldest timestamp of a row, in seconds since 1970 UTC. Reads all of them, at 0.3 µs a row.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn oldest(&self) -> Result<Option<i64>, IndexError> {
        self.read(None, |read| {
            let mut oldest = None;
            for entry in read.open_table(ROWS)?.iter()? {
                let (_, packed) = entry?;
                let seconds = DeliveredRow::unpack(packed.value()).version.seconds;
                oldest = seconds.into_iter().chain(oldest).min();
            }
            Ok(oldest)
        })
    }

    /// The identifiers that are no numbers. They are few: base data of the instance, and tables of
    /// plugins that use names.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn named_rows(&self) -> Result<Vec<String>, IndexError> {
        self.read(Vec::new(), |read| {
            let named = read.open_table(NAMED_ROWS)?;
            let entries = named.iter()?;
            entries
                .map(|entry| Ok(entry?.0.value().to_owned()))
                .collect()
        })
    }

    /// Those of these rows whose last record is a tombstone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn deleted_among<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, IndexError> {
        self.read(Vec::new(), |read| {
            let deleted = read.open_table(DELETED)?;
            let mut found = Vec::new();
            if deleted.is_empty()? {
                return Ok(found);
            }
            for id in ids {
                if deleted.get(id)?.is_some() {
                    found.push(id.to_owned());
                }
            }
            Ok(found)
        })
    }

    /// Notes what was found out about rows; `None` takes back what was.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_candidates(
        &self,
        found: &[(String, Option<DeleteCandidate>)],
    ) -> Result<(), IndexError> {
        self.write(|write| {
            let mut candidates = write.open_table(CANDIDATES)?;
            for (id, candidate) in found {
                match candidate {
                    Some(candidate) => candidates.insert(id.as_str(), candidate.code())?,
                    None => candidates.remove(id.as_str())?,
                };
            }
            Ok(())
        })
    }

    /// At most `limit` rows that are to be followed by a tombstone.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn vanished(&self, limit: usize) -> Result<Vec<String>, IndexError> {
        self.read(Vec::new(), |read| {
            let mut found = Vec::new();
            for entry in read.open_table(CANDIDATES)?.iter()? {
                let (id, code) = entry?;
                if code.value() == DeleteCandidate::Vanished.code() {
                    found.push(id.value().to_owned());
                }
                if found.len() >= limit {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// Leaves out those of these rows of which an operator has decided that their records stay.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn without_kept(&self, ids: &[String]) -> Result<Vec<String>, IndexError> {
        self.read(ids.to_vec(), |read| {
            let candidates = read.open_table(CANDIDATES)?;
            let mut left = Vec::new();
            for id in ids {
                let code = candidates.get(id.as_str())?.map(|code| code.value());
                if code != Some(DeleteCandidate::Kept.code()) {
                    left.push(id.clone());
                }
            }
            Ok(left)
        })
    }

    /// Gives back the room that a build from nothing leaves empty: some 40 bytes a row remain.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn compact(&mut self) -> Result<(), IndexError> {
        let compacted = expected_panic::catch(|| self.database.compact());
        match compacted {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(IndexError::new(&self.path, "compact", error)),
            None => Err(IndexError::damaged(&self.path, "compact", "it is damaged")),
        }
    }

    /// Forgets everything, as for a topic that was made anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&self) -> Result<(), IndexError> {
        self.write(|write| {
            write.delete_table(ROWS)?;
            write.delete_table(NAMED_ROWS)?;
            write.delete_table(DELETED)?;
            write.delete_table(CANDIDATES)?;
            write.delete_table(OFFSETS)?;
            Ok(())
        })
    }

    fn identity(&self) -> Result<Option<String>, IndexError> {
        self.read(None, |read| {
            let identity = read.open_table(IDENTITY)?.get(IDENTITY_KEY)?;
            Ok(identity.map(|text| text.value().to_owned()))
        })
    }

    fn set_identity(&self, identity: &str) -> Result<(), IndexError> {
        self.write(|write| {
            write.open_table(IDENTITY)?.insert(IDENTITY_KEY, identity)?;
            Ok(())
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), IndexError> {
        self.guarded("write", || {
            let mut write = self.database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            // An opening after a kill need not read the whole file.
            write.set_quick_repair(true);
            change(&write)?;
            Ok(write.commit()?)
        })
    }

    /// `empty` is the answer of a table that nothing was written to.
    fn read<T>(
        &self,
        empty: T,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, IndexError> {
        self.guarded("read", || match look(&self.database.begin_read()?) {
            Err(redb::Error::TableDoesNotExist(_)) => Ok(empty),
            result => result,
        })
    }

    fn guarded<T>(
        &self,
        doing: &'static str,
        call: impl FnOnce() -> Result<T, redb::Error>,
    ) -> Result<T, IndexError> {
        // redb panics at some damage to its file.
        match expected_panic::catch(call) {
            Some(Ok(done)) => Ok(done),
            Some(Err(error @ redb::Error::Corrupted(_))) => {
                Err(IndexError::damaged(&self.path, doing, error))
            }
            Some(Err(error)) => Err(IndexError::new(&self.path, doing, error)),
            None => Err(IndexError::damaged(&self.path, doing, "it is damaged")),
        }
    }
}

#[cfg(test)]
mod tests;
