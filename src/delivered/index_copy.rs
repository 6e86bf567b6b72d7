//! Reads a whole index at once, beside the process that fills it.

use std::collections::BTreeMap;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{ReadOnlyDatabase, ReadableDatabase as _, ReadableTable as _};

use super::error::IndexError;
use super::index::{CACHE_BYTES, IDENTITY, IDENTITY_KEY, NAMED_ROWS, OFFSETS, ROWS};
use super::row::DeliveredRow;
use super::row_version::RowVersion;
use crate::expected_panic;
use crate::regular_file::{Access, Links, open};

/// Which row of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexedId<'a> {
    /// Its identifier is the 32 hex digits of this number.
    Number(u128),
    /// Its identifier is no such number.
    Name(&'a str),
}

/// Gives each row of the index at `path` to `visit`, and then up to which offset each partition of the topic was read
/// into it. Nothing is written, and the file is open no longer than that takes.
///
/// # Errors
/// There is no index, it is not of `identity`, it is in use, or it cannot be read.
pub fn read_index(
    path: &Path,
    identity: &str,
    mut visit: impl FnMut(IndexedId<'_>, RowVersion),
) -> Result<BTreeMap<i32, i64>, IndexError> {
    let doing = "read";
    let failed = |why: &dyn std::fmt::Display| IndexError::new(path, doing, why);
    let file = open(path, Access::Read, Links::Refuse).map_err(|fault| {
        if fault.is_missing() {
            failed(&"there is none; with `deletes: compare` or `all` the bridge makes it")
        } else {
            failed(&std::io::Error::from(fault))
        }
    })?;
    // redb panics at some files that it did not write.
    let read = expected_panic::catch(|| {
        let index = redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .open_read_only_with_backend(FileBackend::new(file)?)?;
        read_rows(&index, identity, &mut visit)
    });
    match read {
        Some(Ok(Some(offsets))) => Ok(offsets),
        Some(Ok(None)) => Err(failed(&"it is of another table, query or topic")),
        Some(Err(redb::Error::DatabaseAlreadyOpen)) => {
            let why = "the bridge uses it at this moment, to look for deletes or changes";
            Err(failed(&why))
        }
        Some(Err(redb::Error::RepairAborted)) => {
            let why = "it was left open by a kill; the bridge mends it at its next comparison";
            Err(failed(&why))
        }
        Some(Err(error)) => Err(failed(&error)),
        None => Err(failed(&"it is damaged")),
    }
}

/// `None`: it is of something else.
fn read_rows(
    index: &ReadOnlyDatabase,
    identity: &str,
    visit: &mut impl FnMut(IndexedId<'_>, RowVersion),
) -> Result<Option<BTreeMap<i32, i64>>, redb::Error> {
    let read = index.begin_read()?;
    let found = read.open_table(IDENTITY)?.get(IDENTITY_KEY)?;
    if found.is_none_or(|found| found.value() != identity) {
        return Ok(None);
    }
    // A table that nothing was written to is not there.
    let offsets = match read.open_table(OFFSETS) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Some(BTreeMap::new())),
        offsets => offsets?,
    };
    for entry in read.open_table(ROWS)?.iter()? {
        let (id, packed) = entry?;
        let id = IndexedId::Number(u128::from_be_bytes(id.value()));
        visit(id, DeliveredRow::unpack(packed.value()).version);
    }
    for entry in read.open_table(NAMED_ROWS)?.iter()? {
        let (id, packed) = entry?;
        let version = DeliveredRow::unpack(packed.value()).version;
        visit(IndexedId::Name(id.value()), version);
    }
    let entries = offsets.iter()?.map(|entry| {
        let (partition, offset) = entry?;
        Ok((partition.value(), offset.value()))
    });
    entries
        .collect::<Result<_, redb::StorageError>>()
        .map(Some)
        .map_err(redb::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivered::{DeliveredContent, DeliveredIndex};

    fn read(path: &Path, identity: &str) -> Result<(Vec<String>, BTreeMap<i32, i64>), String> {
        let mut rows = Vec::new();
        let visit = |id: IndexedId<'_>, version: RowVersion| rows.push(format!("{id:?} {version}"));
        let offsets = read_index(path, identity, visit).map_err(|error| error.to_string())?;
        Ok((rows, offsets))
    }

    #[test]
    fn an_index_is_read_when_no_other_has_it_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incident.redb");
        let why = |identity: &str| read(&path, identity).unwrap_err();
        assert!(why("a").contains("there is none"), "{}", why("a"));

        let (index, _) = DeliveredIndex::open(&path, "a").unwrap();
        assert!(why("a").contains("at this moment"), "{}", why("a"));
        drop(index);
        assert_eq!(read(&path, "a"), Ok((Vec::new(), BTreeMap::new())));

        let (index, _) = DeliveredIndex::open(&path, "a").unwrap();
        let row = |seconds: i64| {
            DeliveredContent::Row(DeliveredRow {
                version: RowVersion {
                    seconds: Some(seconds),
                    mod_count: Some(3),
                },
                content: Some(0),
            })
        };
        let records = [
            (format!("{:032x}", 7), row(5)),
            ("global".to_owned(), row(6)),
        ];
        let offsets = BTreeMap::from([(0, 4), (2, 9)]);
        index.apply(&records, &offsets).unwrap();
        drop(index);
        let (rows, read_to) = read(&path, "a").unwrap();
        assert_eq!(
            rows,
            [
                "Number(7) 1970-01-01T00:00:05Z #3",
                "Name(\"global\") 1970-01-01T00:00:06Z #3"
            ]
        );
        assert_eq!(read_to, offsets);
        assert!(why("b").contains("another table"), "{}", why("b"));
        std::fs::write(&path, "no index").unwrap();
        read(&path, "a").unwrap_err();
    }
}
