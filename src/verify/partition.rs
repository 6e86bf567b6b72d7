//! The partition that a key belongs to: pure.
//!
//! As the default partitioner of Kafka's Java clients (`org.apache.kafka.common.utils.Utils.murmur2`,
//! `toPositive`), which librdkafka's `murmur2_random` follows and the producer uses.

const SEED: u32 = 0x9747_b28c;
const FACTOR: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of a key among `count`; `None` without a partition.
pub(super) fn partition_of(key: &[u8], count: usize) -> Option<i32> {
    let count = u32::try_from(count).ok()?;
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive.checked_rem(count)?).ok()
}

fn murmur2(key: &[u8]) -> u32 {
    // Java's arrays are no longer than this.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let mut rest = key;
    while let Some((word, behind)) = rest.split_first_chunk::<4>() {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> SHIFT;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
        rest = behind;
    }
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of `UtilsTest.testMurmur2` of Apache Kafka.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    #[test]
    fn there_is_none_without_partitions() {
        assert_eq!(partition_of(b"abc", 0), None);
        assert_eq!(partition_of(b"abc", 1), Some(0));
    }
}
