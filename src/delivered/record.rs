//! What a record of a table's topic says of a row: pure, without I/O.

use super::row::{DeliveredRow, DeliveredVersion};
use crate::config::TableConfig;
use crate::kafka::ConsumerRecord;
use crate::servicenow::page::row;
use crate::servicenow::query::parse_time;

/// Bytes before the text of an Avro key: a zero byte and the id of its schema (Confluent, "Wire format").
const FRAME_BYTES: usize = 5;
/// Column and header of the number of changes.
const CHANGES_COLUMN: &str = "sys_mod_count";

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveredContent {
    /// The row is as the record says.
    Row(DeliveredRow),
    /// The row is gone.
    Tombstone,
}

/// The identifier in a record's key; `None` where it cannot be read. `is_avro`: keys of the table are
/// framed Avro texts.
pub fn id_of_key(key: &[u8], is_avro: bool) -> Option<&str> {
    let text = match key {
        // No identifier begins with a zero byte.
        [0, ..] if is_avro => avro_text(key.get(FRAME_BYTES..)?)?,
        key => key,
    };
    let id = std::str::from_utf8(text).ok()?;
    (!id.is_empty()).then_some(id)
}

/// The bytes of an Avro `string`: its length as a zigzag varint before it (Avro 1.12, "Binary
/// encoding").
fn avro_text(bytes: &[u8]) -> Option<&[u8]> {
    let mut length = 0_u64;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let text = bytes.get(place + 1..)?;
            let is_whole = length & 1 == 0 && usize::try_from(length >> 1) == Ok(text.len());
            return is_whole.then_some(text);
        }
    }
    None
}

/// What a record of `table` says; `None`: it is of another table.
///
/// The version comes from the headers `sn_updated` and `sn_mod_count`, or from the columns of a JSON
/// row; an Avro record without headers has none.
pub fn content_of(record: &ConsumerRecord, table: &TableConfig) -> Option<DeliveredContent> {
    let of_table = record.header("sn_table");
    if of_table.is_some_and(|name| name != table.name.as_bytes()) {
        return None;
    }
    let Some(value) = record.value.as_deref() else {
        return Some(DeliveredContent::Tombstone);
    };
    let mut version = DeliveredVersion {
        updated: record.header("sn_updated").and_then(seconds),
        mod_count: record.header("sn_mod_count").and_then(number),
    };
    if version.updated.is_none() && value.first() == Some(&b'{') {
        version = version_in(value, &table.timestamp_field);
    }
    Some(DeliveredContent::Row(DeliveredRow {
        version,
        hash: DeliveredRow::hash_of(value),
    }))
}

fn version_in(row: &[u8], timestamp: &str) -> DeliveredVersion {
    let columns = [timestamp, CHANGES_COLUMN];
    let Ok(values) = row::raw_values(row, &columns) else {
        return DeliveredVersion::default();
    };
    let column = |place: usize| values.get(place)?.as_deref().map(str::as_bytes);
    DeliveredVersion {
        updated: column(0).and_then(seconds),
        mod_count: column(1).and_then(number),
    }
}

fn seconds(text: &[u8]) -> Option<u32> {
    u32::try_from(parse_time(text)?).ok()
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn table() -> TableConfig {
        let text = "\
servicenow:
  base_url: https://dev1.service-now.com
  auth: {type: basic, basic: {username: u, password: p}}
kafka: {brokers: [localhost:9092]}
source: {enabled: true, topic_prefix: sn, tables: [{name: incident}]}
";
        let (mut config, _) = crate::config::parse(text, &|_| None).unwrap();
        config.source.tables.remove(0)
    }

    fn record(headers: &[(&str, &str)], value: Option<&str>) -> ConsumerRecord {
        let owned =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        ConsumerRecord {
            topic: Arc::from("t"),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            value: value.map(|value| value.as_bytes().to_vec()),
            headers: headers.iter().map(owned).collect(),
            unreadable_headers: false,
        }
    }

    #[test]
    fn keys_as_texts_and_as_avro() {
        assert_eq!(id_of_key(b"abc", false), Some("abc"));
        assert_eq!(
            id_of_key(b"abc", true),
            Some("abc"),
            "before keys were Avro"
        );
        assert_eq!(id_of_key(b"\0\0\0\0\x07\x06abc", true), Some("abc"));
        let long = [b"\0\0\0\0\x07\x80\x02".as_slice(), &[b'a'; 128]].concat();
        assert_eq!(id_of_key(&long, true).map(str::len), Some(128));
        for bad in [
            &b""[..],
            b"\0",
            b"\0\0\0\0\x07",
            b"\0\0\0\0\x07\x08abc",
            b"\0\0\0\0\x07\x05abc",
            b"\xff",
        ] {
            assert_eq!(id_of_key(bad, true), None, "{bad:?}");
        }
    }

    #[test]
    fn versions_come_from_headers_or_columns() {
        let version = |record: &ConsumerRecord| match content_of(record, &table()) {
            Some(DeliveredContent::Row(row)) => (row.version.updated, row.version.mod_count),
            other => panic!("{other:?}"),
        };
        let row = r#"{"sys_updated_on":"2026-01-02 03:04:05","sys_mod_count":"7"}"#;
        assert_eq!(
            version(&record(&[], Some(row))),
            (Some(1_767_323_045), Some(7))
        );
        let headers = [("sn_updated", "2026-01-02 03:04:06"), ("sn_mod_count", "8")];
        assert_eq!(
            version(&record(&headers, Some("\0avro"))),
            (Some(1_767_323_046), Some(8))
        );
        assert_eq!(version(&record(&[], Some("\0avro"))), (None, None));
        assert_eq!(version(&record(&[], Some("{broken"))), (None, None));
    }

    #[test]
    fn tombstones_and_records_of_other_tables() {
        let headers = [("sn_table", "incident")];
        assert_eq!(
            content_of(&record(&headers, None), &table()),
            Some(DeliveredContent::Tombstone)
        );
        let other = [("sn_table", "problem")];
        assert_eq!(content_of(&record(&other, Some("{}")), &table()), None);
    }
}
