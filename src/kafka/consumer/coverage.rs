//! Whether the members of a group have all partitions of the topics among them.
//!
//! The next start of a static member gets the partitions that it had, without a new distribution
//! (KIP-345). Partitions and topics that came during its stop then have no member, as long as no
//! other event makes the group distribute anew, and it still has those of topics that it does not want any more.

use std::collections::{BTreeMap, BTreeSet};

/// What the distribution of a group's partitions is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCoverage {
    /// Each partition has a member.
    Complete,
    /// It is to be asked again, with the reason in words: the group is being formed, or a broker did not
    /// answer.
    Unknown(String),
    /// Not so, with the reason in words.
    Incomplete(String),
}

/// Compares what the members have with the partitions that there are. `members`: the assignment of each
/// member as it stands in Kafka. `topics`: the number of partitions of each wanted topic.
pub(super) fn coverage<'a>(
    members: impl Iterator<Item = &'a [u8]>,
    topics: &BTreeMap<String, usize>,
) -> GroupCoverage {
    let mut assigned: BTreeSet<(&str, i32)> = BTreeSet::new();
    for member in members {
        // What cannot be read is of a member of another kind.
        match assignment(member) {
            Some(partitions) => assigned.extend(partitions),
            None => {
                return GroupCoverage::Unknown("an assignment cannot be read".to_owned());
            }
        }
    }
    for (topic, partitions) in topics {
        for number in 0..i32::try_from(*partitions).unwrap_or(i32::MAX) {
            if !assigned.contains(&(topic.as_str(), number)) {
                return GroupCoverage::Incomplete(format!("{topic}/{number} has no member"));
            }
        }
    }
    GroupCoverage::Complete
}

/// The partitions of a member, from the bytes that the leader has sent: a version, then each topic with
/// its partitions, numbers big-endian (ConsumerProtocolAssignment.json of Kafka).
fn assignment(bytes: &[u8]) -> Option<Vec<(&str, i32)>> {
    if bytes.is_empty() {
        // It has none yet.
        return Some(Vec::new());
    }
    let (_version, mut rest) = bytes.split_first_chunk::<2>()?;
    let mut partitions = Vec::new();
    for _ in 0..take_i32(&mut rest)? {
        let (length, text) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (topic, after) = text.split_at_checked(length)?;
        let topic = str::from_utf8(topic).ok()?;
        rest = after;
        for _ in 0..take_i32(&mut rest)? {
            partitions.push((topic, take_i32(&mut rest)?));
        }
    }
    Some(partitions)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        let count = |number: usize| i32::try_from(number).unwrap().to_be_bytes();
        bytes.extend(count(topics.len()));
        for (topic, partitions) in topics {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(count(partitions.len()));
            bytes.extend(partitions.iter().flat_map(|number| number.to_be_bytes()));
        }
        // User data: none.
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn each_partition_needs_a_member() {
        let topics = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        let of = |members: &[Vec<u8>]| coverage(members.iter().map(Vec::as_slice), &topics);
        let (all, first) = (bytes(&[("a", &[1, 0]), ("b", &[0])]), bytes(&[("a", &[0])]));
        let rest = bytes(&[("b", &[0]), ("a", &[1])]);
        assert_eq!(of(std::slice::from_ref(&all)), GroupCoverage::Complete);
        assert_eq!(of(&[first.clone(), rest.clone()]), GroupCoverage::Complete);
        assert_eq!(of(&[all.clone(), Vec::new()]), GroupCoverage::Complete);
        let missing = GroupCoverage::Incomplete("a/1 has no member".to_owned());
        assert_eq!(of(&[first]), missing);
        let missing = GroupCoverage::Incomplete("a/0 has no member".to_owned());
        assert_eq!(of(&[rest]), missing);
        assert!(matches!(of(&[all, vec![0]]), GroupCoverage::Unknown(_)));
    }

    proptest! {
        /// Another program may be a member of the group, with anything in its assignment.
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(partitions) = assignment(&bytes) {
                prop_assert!(partitions.len() * 4 <= bytes.len());
            }
        }
    }
}
