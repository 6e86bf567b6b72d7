//! Versions of rows, as they are remembered.

use sha2::{Digest, Sha256};

use crate::checkpoint::{UnsettledVersion, VersionMark};
use crate::servicenow::page::{PageRow, RowBlock};
use crate::servicenow::query::hex_id;

/// The version of a row of a block.
pub(in crate::source) fn row_version(block: &RowBlock, row: &PageRow) -> UnsettledVersion {
    let mark = match row.mod_count {
        Some(count) => VersionMark::Count(count),
        None => VersionMark::Hash(start_of_hash(block.slice(&row.text))),
    };
    UnsettledVersion {
        seconds: row.seconds,
        id: id_number(block.slice(&row.id)),
        mark,
    }
}

/// An identifier as a number: 32 lower-case hex digits by their value, anything else by the start of its
/// SHA-256.
pub(in crate::source) fn id_number(id: &[u8]) -> u128 {
    hex_id(id).unwrap_or_else(|| {
        let digest: [u8; 32] = Sha256::digest(id).into();
        let start = digest.first_chunk();
        start.map_or(0, |start| u128::from_be_bytes(*start))
    })
}

/// The first 32 bits of the SHA-256 of a row: the same in every build and release.
fn start_of_hash(row: &[u8]) -> u32 {
    let digest = Sha256::digest(row);
    let first = digest.iter().take(4);
    first.fold(0, |hash, byte| hash << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// printf abc | sha256sum
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(start_of_hash(b"abc"), 0xba78_16bf);
    }

    #[test]
    fn identifiers_are_told_apart_and_hex_keeps_its_value() {
        assert_eq!(id_number(b"000000000000000000000000000000ff"), 255);
        let others = [&b"000000000000000000000000000000FF"[..], b"ff", b""];
        let numbers: std::collections::BTreeSet<u128> =
            others.iter().map(|id| id_number(id)).collect();
        assert_eq!(numbers.len(), 3);
        assert!(!numbers.contains(&255));
    }
}
