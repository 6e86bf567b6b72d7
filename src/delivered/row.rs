//! What the index keeps of a row: pure, without I/O.

use super::row_version::RowVersion;

/// Bytes of a row in the index beside its identifier.
pub(super) const PACKED_BYTES: usize = 12;
/// Stands for a time or a count that is not known. As a time it is in the year 2106.
const UNKNOWN: u32 = u32::MAX;
/// Stands for content that is not known: no hash is 0.
const UNKNOWN_CONTENT: u32 = 0;

/// The last record of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveredRow {
    /// The version that it is of.
    pub version: RowVersion,
    /// Hash of what it holds ([`super::content_hash()`]); `None`: the record does not say.
    pub content: Option<u32>,
}

impl DeliveredRow {
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
            .chain(self.content.unwrap_or(UNKNOWN_CONTENT).to_be_bytes());
        packed
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, byte)| *to = byte);
        packed
    }

    pub(super) fn unpack(packed: [u8; PACKED_BYTES]) -> DeliveredRow {
        let [a, b, c, d, e, f, g, h, content @ ..] = packed;
        let known = |bytes| Some(u32::from_be_bytes(bytes)).filter(|part| *part != UNKNOWN);
        DeliveredRow {
            version: RowVersion {
                seconds: known([a, b, c, d]).map(i64::from),
                mod_count: known([e, f, g, h]),
            },
            content: Some(u32::from_be_bytes(content)).filter(|hash| *hash != UNKNOWN_CONTENT),
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
            for content in [Some(0xdead_beef), None] {
                let row = DeliveredRow { version, content };
                assert_eq!(DeliveredRow::unpack(row.pack()), row);
            }
        }
    }
}
