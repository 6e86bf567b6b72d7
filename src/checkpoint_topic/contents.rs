//! What the records of the topic say together (pure).

use std::collections::BTreeMap;

use super::record::{Owner, StateKey, decode_entry, decode_key, decode_owner};
use crate::checkpoint::StoredTables;

/// The newest record of each key, of one instance.
#[derive(Debug, Default, PartialEq)]
pub struct TopicContents {
    /// The positions.
    pub tables: StoredTables,
    /// Tables whose record must not be used, and not be written over: why.
    pub refused: BTreeMap<String, String>,
    /// The process that writes, until it has ended its work.
    pub owner: Option<Owner>,
    /// Why nothing of the topic may be used.
    pub unusable: Option<String>,
    /// Positions of other instances.
    pub foreign_positions: u64,
}

/// What a process finds of its own when it looks at the topic again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StillOurs {
    /// Its positions, as it wrote them.
    Untouched,
    /// Nothing at all: the topic was made anew, or Kafka is another cluster now.
    Emptied,
}

impl TopicContents {
    /// Whether no process has taken the positions over since `owner` wrote its record.
    ///
    /// # Errors
    /// One has: which, in words.
    pub(super) fn is_still_of(&self, owner: &Owner) -> Result<StillOurs, String> {
        match &self.owner {
            Some(there) if there.session == owner.session => Ok(StillOurs::Untouched),
            Some(there) => Err(there.to_string()),
            None if self.tables.is_empty() && self.refused.is_empty() => Ok(StillOurs::Emptied),
            None => Err("one that has ended its work since".to_owned()),
        }
    }

    /// Takes in a record of the topic, in its order. `place` names where it stands, for messages.
    pub fn take_in(
        &mut self,
        instance: &str,
        place: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let Some(key) = decode_key(key) else {
            self.unusable.get_or_insert_with(|| {
                format!(
                    "the record at {place} is none of a checkpoint, so the topic seems to be another \
                     program's; set another `offset.kafka_topic`"
                )
            });
            return;
        };
        if key.instance != instance {
            self.foreign_positions += u64::from(key.table.is_some() && value.is_some());
            return;
        }
        match &key.table {
            Some(table) => self.take_in_table(table, &key, place, value),
            None => self.take_in_owner(&key, place, value),
        }
    }

    fn take_in_table(&mut self, table: &str, key: &StateKey, place: &str, value: Option<&[u8]>) {
        self.tables.remove(table);
        self.refused.remove(table);
        match value.map(|value| decode_entry(key, value)) {
            None => {}
            Some(Ok(stored)) => {
                self.tables.insert(table.to_owned(), stored);
            }
            Some(Err(what)) => {
                let why = format!(
                    "its record at {place} cannot be used: {what}; it is left as it is; `checkpoint set {table}` \
                     or `checkpoint reset {table}` replaces it"
                );
                self.refused.insert(table.to_owned(), why);
            }
        }
    }

    fn take_in_owner(&mut self, key: &StateKey, place: &str, value: Option<&[u8]>) {
        match value.map(|value| decode_owner(key, value)).transpose() {
            Ok(owner) => self.owner = owner,
            Err(what) => {
                self.unusable.get_or_insert(format!(
                    "the record at {place}, which names the process that writes here, cannot be used: {what}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint_topic::record::{encode_entry, encode_key, encode_owner};

    const OURS: &str = "https://ours";

    fn key(instance: &str, table: Option<&str>) -> StateKey {
        StateKey {
            instance: instance.to_owned(),
            table: table.map(str::to_owned),
        }
    }

    fn value(key: &StateKey, seconds: i64) -> Vec<u8> {
        let stored = serde_json::json!({"timestamp": seconds, "last_identifier": "x"});
        encode_entry(key, &serde_json::from_value(stored).unwrap()).unwrap()
    }

    fn contents(records: &[(&StateKey, Option<&[u8]>)]) -> TopicContents {
        let mut contents = TopicContents::default();
        for (offset, (key, value)) in records.iter().enumerate() {
            let place = format!("0:{offset}");
            contents.take_in(OURS, &place, Some(&encode_key(key)), *value);
        }
        contents
    }

    fn second(contents: &TopicContents, table: &str) -> Option<i64> {
        Some(contents.tables.get(table)?.entry()?.position.timestamp)
    }

    #[test]
    fn the_newest_record_of_a_table_counts() {
        let (a, b) = (key(OURS, Some("a")), key(OURS, Some("b")));
        let other = key("https://other", Some("a"));
        let seen = contents(&[
            (&a, Some(&value(&a, 1))),
            (&b, Some(&value(&b, 2))),
            (&a, Some(&value(&a, 3))),
            (&other, Some(&value(&other, 9))),
            (&b, None),
        ]);
        assert_eq!((second(&seen, "a"), second(&seen, "b")), (Some(3), None));
        assert_eq!((seen.foreign_positions, seen.unusable), (1, None));
    }

    #[test]
    fn a_record_that_cannot_be_used_holds_its_table_until_it_is_replaced() {
        let (a, b) = (key(OURS, Some("a")), key(OURS, Some("b")));
        let (good, other) = (value(&a, 1), value(&b, 2));
        let seen = contents(&[(&a, Some(&good)), (&a, Some(b"{")), (&b, Some(&other))]);
        assert_eq!((second(&seen, "a"), second(&seen, "b")), (None, Some(2)));
        assert!(seen.refused["a"].contains("0:1"), "{:?}", seen.refused);
        let healed = contents(&[(&a, Some(b"{")), (&a, Some(&good))]);
        assert!(healed.refused.is_empty() && second(&healed, "a") == Some(1));
        // A record that was copied from another key.
        assert!(contents(&[(&a, Some(&other))]).refused.contains_key("a"));
    }

    #[test]
    fn the_owner_is_known_until_it_has_ended_its_work() {
        let ours = key(OURS, None);
        let owner = Owner {
            session: "1".to_owned(),
            host: "here".to_owned(),
            pid: 7,
        };
        let named = encode_owner(&ours, &owner);
        let seen = contents(&[(&ours, Some(&named))]);
        assert_eq!(seen.owner.as_ref(), Some(&owner));
        assert_eq!(seen.is_still_of(&owner), Ok(StillOurs::Untouched));
        let later = Owner {
            session: "2".to_owned(),
            ..owner.clone()
        };
        assert_eq!(
            seen.is_still_of(&later),
            Err("process 7 on here".to_owned())
        );
        let ended = contents(&[(&ours, Some(&named)), (&ours, None)]);
        assert_eq!(ended.owner, None);
        assert_eq!(ended.is_still_of(&owner), Ok(StillOurs::Emptied));
        let a = key(OURS, Some("a"));
        let ended = contents(&[(&a, Some(&value(&a, 1))), (&ours, None)]);
        assert!(ended.is_still_of(&owner).is_err());
        assert!(contents(&[(&ours, Some(b"x"))]).unusable.is_some());
    }

    #[test]
    fn a_topic_of_another_program_is_told_by_its_keys() {
        let mut contents = TopicContents::default();
        contents.take_in(
            OURS,
            "partition 0, offset 7",
            Some(b"[\"connector\",{}]"),
            Some(b"{}"),
        );
        assert!(contents.unusable.unwrap().contains("offset 7"));
    }
}
