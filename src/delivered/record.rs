//! What a record of a table's topic says of a row: pure, without I/O.

use super::content_hash::{CONTENT_HEADER, content_hash, hash_of_header};
use super::row::DeliveredRow;
use super::row_version::RowVersion;
use crate::avro::text_of_key;
use crate::config::TableConfig;
use crate::kafka::ConsumerRecord;

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
        [0, ..] if is_avro => text_of_key(key)?,
        key => key,
    };
    let id = std::str::from_utf8(text).ok()?;
    (!id.is_empty()).then_some(id)
}

/// What a record of `table` says; `None`: it is of another table.
///
/// The version comes from the headers `sn_updated` and `sn_mod_count`, or from the columns of a JSON
/// row; an Avro record without headers has none. The same holds of the content, with the header `sn_content`.
pub fn content_of(record: &ConsumerRecord, table: &TableConfig) -> Option<DeliveredContent> {
    let of_table = record.header("sn_table");
    if of_table.is_some_and(|name| name != table.name.as_bytes()) {
        return None;
    }
    let Some(value) = record.value.as_deref() else {
        return Some(DeliveredContent::Tombstone);
    };
    let mut version = RowVersion::of_headers(record);
    let is_json = value.first() == Some(&b'{');
    if version.seconds.is_none() && is_json {
        version = RowVersion::of_columns(value, &table.timestamp_field);
    }
    let content = record.header(CONTENT_HEADER).and_then(hash_of_header);
    let content = content.or_else(|| is_json.then(|| content_hash(value)));
    Some(DeliveredContent::Row(DeliveredRow { version, content }))
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
            Some(DeliveredContent::Row(row)) => (row.version.seconds, row.version.mod_count),
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
    fn content_comes_from_the_header_or_the_row() {
        let content = |record: &ConsumerRecord| match content_of(record, &table()) {
            Some(DeliveredContent::Row(row)) => row.content,
            other => panic!("{other:?}"),
        };
        let row = r#"{"number":"INC1"}"#;
        assert_eq!(
            content(&record(&[], Some(row))),
            Some(content_hash(row.as_bytes()))
        );
        assert_eq!(
            content(&record(&[("sn_content", "000000ff")], Some("\0avro"))),
            Some(255)
        );
        assert_eq!(content(&record(&[], Some("\0avro"))), None);
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
