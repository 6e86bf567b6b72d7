//! What the index keeps of a row: pure, without I/O.

use sha2::{Digest as _, Sha256};

use super::row_version::RowVersion;

/// Bytes of a row in the index beside its identifier.
pub(super) const PACKED_BYTES: usize = 12;
/// Stands for a time or a count that is not known. As a time it is in the year 2106.
const UNKNOWN: u32 = u32::MAX;

/// The last record of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveredRow {
    /// The version that it is of.
    pub version: RowVersion,
    /// Of its value; see [`DeliveredRow::hash_of`].
    pub hash: u32,
}

impl DeliveredRow {
    /// The first 32 bits of the SHA-256 of a record's value: the same in every build and release.
    pub fn hash_of(value: &[u8]) -> u32 {
        let digest = Sha256::digest(value);
        let first = digest.iter().take(4);
        first.fold(0, |hash, byte| hash << 8 | u32::from(*byte))
    }

    pub(super) fn pack(self) -> [u8; PACKED_BYTES] {
        let known = |part: Option<u32>| part.unwrap_or(UNKNOWN).to_be_bytes();
        let seconds = self
            .version
            .seconds
            .and_then(|time| u32::try_from(time).ok());
        let (updated, count) = (known(seconds), known(self.version.mod_count));
        let mut packed = [0; PACKED_BYTES];
        let bytes = updated
            .into_iter()
            .chain(count)
            .chain(self.hash.to_be_bytes());
        packed
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, byte)| *to = byte);
        packed
    }

    pub(super) fn unpack(packed: [u8; PACKED_BYTES]) -> DeliveredRow {
        let [a, b, c, d, e, f, g, h, hash @ ..] = packed;
        let known = |bytes| Some(u32::from_be_bytes(bytes)).filter(|part| *part != UNKNOWN);
        DeliveredRow {
            version: RowVersion {
                seconds: known([a, b, c, d]).map(i64::from),
                mod_count: known([e, f, g, h]),
            },
            hash: u32::from_be_bytes(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        for version in [
            RowVersion::default(),
            RowVersion {
                seconds: Some(1_764_500_000),
                mod_count: Some(0),
            },
            RowVersion {
                seconds: None,
                mod_count: Some(7),
            },
        ] {
            let row = DeliveredRow {
                version,
                hash: 0xdead_beef,
            };
            assert_eq!(DeliveredRow::unpack(row.pack()), row);
        }
    }

    /// printf abc | sha256sum
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(DeliveredRow::hash_of(b"abc"), 0xba78_16bf);
    }
}
