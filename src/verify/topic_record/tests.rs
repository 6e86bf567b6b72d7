use std::sync::Arc;

use super::*;
use crate::config;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn reading(settings: &str) -> RecordReading {
    let text = format!(
        "servicenow:\n  base_url: https://h\n  auth: {{type: basic, basic: {{username: u, password: p}}}}\n\
         kafka: {{brokers: ['k:9092']}}\nschema_registry: {{url: 'http://r'}}\n\
         source:\n  enabled: true\n  topic_prefix: sn\n  tables:\n    - {{name: incident{settings}}}\n"
    );
    let (config, _) = config::parse(&text, &|_| None).unwrap_or_else(|p| panic!("{p}"));
    RecordReading::new(&config.source.tables[0], 1)
}

fn record(key: Option<&[u8]>, value: Option<&str>, headers: &[(&str, &str)]) -> ConsumerRecord {
    let header = |(name, value): &(&str, &str)| {
        let value = Some(value.as_bytes().to_vec());
        ((*name).to_owned(), value)
    };
    ConsumerRecord {
        topic: Arc::from("sn.incident"),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: key.map(<[u8]>::to_vec),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: headers.iter().map(header).collect(),
        unreadable_headers: false,
    }
}

fn row(version: (Option<i64>, Option<u32>)) -> ReadRecord {
    let (seconds, mod_count) = version;
    let row = TopicRow::of(RowVersion { seconds, mod_count });
    ReadRecord::Row(RowIdentifier::new(ID), row)
}

#[test]
fn headers_count_before_the_value() {
    let value = format!(
        r#"{{"sys_id":"{ID}","sys_updated_on":"1970-01-01 00:00:05","sys_mod_count":"3"}}"#
    );
    let headers = [
        ("sn_table", "incident"),
        ("sn_updated", "1970-01-01 00:00:07"),
    ];
    let with_count = [headers[0], headers[1], ("sn_mod_count", "4")];
    let key = Some(ID.as_bytes());
    let json = reading(", format: json");
    let read = |headers: &[_]| json.read(&record(key, Some(&value), headers));
    assert_eq!(read(&with_count), row((Some(7), Some(4))));
    assert_eq!(read(&headers), row((Some(7), None)));
    assert_eq!(read(&[]), row((Some(5), Some(3))));
    assert_eq!(
        read(&[("sn_table", "problem")]),
        ReadRecord::OtherTable("problem".to_owned())
    );
    let tombstone = json.read(&record(key, None, &[]));
    assert_eq!(
        tombstone,
        ReadRecord::Row(RowIdentifier::new(ID), TopicRow::deleted())
    );
}

#[test]
fn where_the_value_has_no_stored_times_only_headers_tell_the_version() {
    let value = format!(r#"{{"sys_id":"{ID}","sys_updated_on":"1970-01-01 00:00:05"}}"#);
    let key = Some(ID.as_bytes());
    for settings in ["", ", format: json, display_value: true"] {
        let read = reading(settings).read(&record(key, Some(&value), &[]));
        assert_eq!(read, row((None, None)), "{settings}");
    }
}

#[test]
fn the_row_is_told_by_the_key_or_the_value() {
    let framed = [&[0, 0, 0, 0, 9, 64][..], ID.as_bytes()].concat();
    let avro = reading(", schema: {key: avro}");
    let read = avro.read(&record(Some(&framed), Some("\0"), &[]));
    assert_eq!(read, row((None, None)));
    let keyless = reading(", format: json, partitioner: round_robin");
    let value = format!(r#"{{"sys_id":"{ID}"}}"#);
    assert_eq!(
        keyless.read(&record(None, Some(&value), &[])),
        row((None, None))
    );
    for nothing in ["{}", "", r#"{"sys_id":""}"#] {
        assert_eq!(
            keyless.read(&record(None, Some(nothing), &[])),
            ReadRecord::NoRow
        );
    }
    assert_eq!(avro.read(&record(None, Some("{}"), &[])), ReadRecord::NoRow);
}
