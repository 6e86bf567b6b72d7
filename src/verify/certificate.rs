//! What a full comparison can hand to an auditor: digests of all rows, which any reader of the topic can make
//! again. Pure.
//!
//! It claims: each row equalled the table at some moment between begin and end, and the topic at those offsets
//! says so. It is about versions of rows, not about their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::row_identifier::RowIdentifier;
use crate::delivered::RowVersion;

/// The format that this program writes.
pub(super) const CERTIFICATE_VERSION: u32 = 1;
/// Slices of the rows, by the first byte of the SHA-256 of the identifier.
const CERTIFICATE_SLICES: usize = 256;

/// A certificate, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The version of the format, 1.
    pub version: u32,
    /// What is claimed, in words.
    pub claim: String,
    /// The instance.
    pub instance: String,
    /// The table.
    pub table: String,
    /// The encoded query that narrows the table.
    pub query: Option<String>,
    /// The topic.
    pub topic: String,
    /// Begin of the comparison on the instance's clock, in seconds since 1970 UTC.
    pub begin: Option<i64>,
    /// Its end.
    pub end: Option<i64>,
    /// Of each partition the oldest offset and the end that were read.
    pub offsets: BTreeMap<i32, [i64; 2]>,
    /// How many rows there are.
    pub counts: CertificateCounts,
    /// Rows of the topic that the digests leave out: they changed until the end, or differ on purpose.
    pub excluded: BTreeSet<String>,
    /// The digest of each slice, in hex, in their order.
    pub slices: Vec<CertificateSlice>,
    /// SHA-256 over the digests of all slices, in hex.
    pub root: String,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateCounts {
    /// In the table, with those that the user may not read; null where the instance does not say.
    pub all: Option<u64>,
    /// In the table, as far as the user may read them.
    pub readable: u64,
    /// In the digests.
    pub proven: u64,
    /// In table or topic, but not in the digests.
    pub left_out: u64,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSlice {
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over `sys_id TAB epoch seconds TAB count LF` of each row, in the byte order of sys_id; in hex.
    pub sha256: String,
}

/// The digests of some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowDigests {
    /// One for each slice.
    pub(super) slices: Vec<CertificateSlice>,
    /// Over all of them.
    pub(super) root: String,
}

impl RowDigests {
    /// Of rows in the byte order of their identifiers.
    pub(super) fn of(rows: impl Iterator<Item = (RowIdentifier, RowVersion)>) -> RowDigests {
        let mut hashes = vec![(0_u64, Sha256::new()); CERTIFICATE_SLICES];
        for (id, version) in rows {
            let id = id.to_string();
            if let Some((count, hash)) = hashes.get_mut(slice_of(&id)) {
                *count += 1;
                hash.update(line(&id, version));
            }
        }
        let mut root = Sha256::new();
        let slices = hashes.into_iter().map(|(rows, hash)| {
            let digest = hash.finalize();
            root.update(digest);
            let sha256 = base16ct::lower::encode_string(&digest);
            CertificateSlice { rows, sha256 }
        });
        let slices = slices.collect();
        let root = base16ct::lower::encode_string(&root.finalize());
        RowDigests { slices, root }
    }
}

/// Which slice a row belongs to.
pub(super) fn slice_of(id: &str) -> usize {
    let digest = Sha256::digest(id.as_bytes());
    digest.first().copied().map_or(0, usize::from)
}

fn line(id: &str, version: RowVersion) -> String {
    let number = |number: Option<i64>| number.map_or_else(String::new, |it| it.to_string());
    let (seconds, count) = (version.seconds, version.mod_count.map(i64::from));
    format!("{id}\t{}\t{}\n", number(seconds), number(count))
}

/// What became of a slice since its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SliceCheck {
    /// The topic still says the same.
    Same,
    /// Rows of it have newer records, so that compaction may have removed those of then.
    Moved,
    /// The topic has thrown records away since.
    ThrownAway,
    /// The topic says something else at the same offsets.
    Differs,
}

/// Compares what the topic says now, at the offsets of a certificate, with it. `moved` are the slices of rows
/// with newer records, `oldest` the oldest offsets that the topic has now.
pub(super) fn check(
    certificate: &Certificate,
    now: &RowDigests,
    moved: &BTreeSet<usize>,
    oldest: &BTreeMap<i32, Range<i64>>,
) -> Vec<SliceCheck> {
    let is_cut = certificate.offsets.iter().any(|(partition, [begin, _])| {
        let start = oldest.get(partition).map(|offsets| offsets.start);
        start.is_none_or(|start| start > *begin)
    });
    let slices = certificate.slices.iter().zip(&now.slices).enumerate();
    let judge = |(at, (then, now)): (usize, (&CertificateSlice, &CertificateSlice))| {
        if then == now {
            SliceCheck::Same
        } else if moved.contains(&at) {
            SliceCheck::Moved
        } else if is_cut {
            SliceCheck::ThrownAway
        } else {
            SliceCheck::Differs
        }
    };
    slices.map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seconds: i64, mod_count: Option<u32>) -> RowVersion {
        RowVersion {
            seconds: Some(seconds),
            mod_count,
        }
    }

    /// The digests of two rows, reckoned with `sha256sum`.
    #[test]
    fn digests_are_those_of_the_lines() {
        let rows = [
            (RowIdentifier::Hex(1), version(5, Some(2))),
            (RowIdentifier::new("name"), version(6, None)),
        ];
        let digests = RowDigests::of(rows.into_iter());
        let one = format!("{:032x}", 1);
        assert_eq!(line(&one, version(5, Some(2))), format!("{one}\t5\t2\n"));
        assert_eq!(line("name", version(6, None)), "name\t6\t\n");
        let at = slice_of("name");
        let expected = base16ct::lower::encode_string(&Sha256::digest("name\t6\t\n"));
        assert_eq!(digests.slices[at].sha256, expected);
        let counted: u64 = digests.slices.iter().map(|slice| slice.rows).sum();
        assert_eq!(counted, 2);
        // SHA-256 of nothing.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let others = digests.slices.iter().filter(|slice| slice.rows == 0);
        assert!(others.clone().all(|slice| slice.sha256 == empty));
        assert_eq!(others.count(), 254);
    }
}
