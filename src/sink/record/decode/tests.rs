//! What the bytes of records are taken for.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config;

const TABLE: &str = r#"{"type":"record","name":"t","fields":[
    {"name":"number","type":["null","string"]},{"name":"state","type":"int"}]}"#;
const FORMATS: [SinkFormat; 4] = [
    SinkFormat::Auto,
    SinkFormat::Json,
    SinkFormat::Avro,
    SinkFormat::JsonSchema,
];

fn schemas() -> BTreeMap<u32, SchemaLookup> {
    let known = |(id, kind, text): (u32, SchemaFormat, &str)| {
        let writer = Arc::new(RegisteredSchema::new(id, kind, text.to_owned(), Vec::new()));
        (id, schema_lookup_of(id, Ok(writer)).unwrap())
    };
    let mut schemas: BTreeMap<u32, SchemaLookup> = [
        (1, SchemaFormat::Avro, TABLE),
        (2, SchemaFormat::Avro, r#""string""#),
        (3, SchemaFormat::Avro, r#"["null","string"]"#),
        (4, SchemaFormat::Json, r#"{"type":"object"}"#),
        (5, SchemaFormat::Protobuf, "message t {}"),
        (6, SchemaFormat::Other("XML\x1b[2J".to_owned()), "<t/>"),
        (7, SchemaFormat::Avro, r#"{"type":"recrd"}"#),
    ]
    .map(known)
    .into();
    let none = Refusal::unsent(RefusalKind::UnknownSchema, "there is no schema 8");
    let absent = SchemaLookup::Absent {
        why: none,
        sure: true,
    };
    schemas.insert(8, absent);
    schemas
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> ConsumerRecord {
    ConsumerRecord {
        topic: Arc::from("in"),
        partition: 0,
        offset: 7,
        timestamp: None,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
        unreadable_headers: false,
    }
}

fn topic(format: SinkFormat) -> SinkTopicConfig {
    SinkTopicConfig {
        topic: "in".to_owned(),
        table: "incident".to_owned(),
        concurrency: 1,
        format,
        on_missing: config::OnMissing::Skip,
        ..SinkTopicConfig::default()
    }
}

/// With the schemas of [`schemas`], and a registry that is believed.
fn read_as<'r>(
    record: &'r ConsumerRecord,
    topic: &SinkTopicConfig,
) -> Result<RecordContent<'r>, SchemaRequest> {
    let known = schemas();
    decode_content(record, topic, Some(&|id| known.get(&id).cloned()), false)
}

/// Behind the id of a schema.
fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], body].concat()
}

fn value(format: SinkFormat, bytes: &[u8]) -> Result<String, &'static str> {
    let record = record(None, Some(bytes));
    let content = read_as(&record, &topic(format)).unwrap();
    let value = content.value.map_err(|refusal| refusal.kind.label())?;
    Ok(String::from_utf8(value.unwrap().into_owned()).unwrap())
}

fn key(format: SinkFormat, bytes: &[u8]) -> Vec<u8> {
    let record = record(Some(bytes), None);
    let content = read_as(&record, &topic(format)).unwrap();
    assert_eq!(content.value, Ok(None), "a tombstone");
    assert_eq!(content.unread_key, None, "it decides nothing");
    content.key.unwrap().into_owned()
}

/// `INC1`, state 3.
const ROW: &[u8] = b"\x02\x08INC1\x06";
const JSON: &str = r#"{"number":"INC1","state":"3"}"#;

#[test]
fn values_are_what_the_format_and_the_registry_say() {
    use SinkFormat::{Auto, Avro, Json, JsonSchema};
    let avro = framed(1, ROW);
    let json = framed(4, b"{}");
    for (format, bytes, expected) in [
        (Auto, &avro, Ok(JSON)),
        (Avro, &avro, Ok(JSON)),
        (Auto, &json, Ok("{}")),
        (JsonSchema, &json, Ok("{}")),
        (Avro, &json, Err("unsupported_format")),
        (Auto, &b"{}".to_vec(), Ok("{}")),
        (Json, &b"{}".to_vec(), Ok("{}")),
        (Auto, &b"\xEF\xBB\xBF{}".to_vec(), Ok("{}")),
        (Json, &b"\xEF\xBB\xBF{}".to_vec(), Ok("{}")),
        (JsonSchema, &framed(4, b"\xEF\xBB\xBF{}"), Ok("{}")),
        (Avro, &b"{}".to_vec(), Err("unsupported_format")),
        (JsonSchema, &b"{}".to_vec(), Err("unsupported_format")),
        (Auto, &b"\0\0\0\0".to_vec(), Ok("\0\0\0\0")),
        (Auto, &Vec::new(), Ok("")),
        (Auto, &framed(5, b""), Err("unsupported_format")),
        (Auto, &framed(6, b""), Err("unsupported_format")),
        (Auto, &framed(7, b""), Err("invalid_schema")),
        (Auto, &framed(8, ROW), Err("unknown_schema")),
        (Auto, &framed(u32::MAX, ROW), Err("unknown_schema")),
        (Auto, &framed(1, b"\x02\x08INC"), Err("invalid_avro")),
        (Auto, &framed(2, b"\x02k"), Err("invalid_avro")),
    ] {
        assert_eq!(
            value(format, bytes),
            expected.map(str::to_owned),
            "{format:?} {bytes:?}"
        );
    }
    // JSON is left alone whatever it looks like, and a prefix is cut off without a question.
    assert_eq!(
        value(Json, &framed(9, b"{}")),
        Ok("\0\0\0\0\x09{}".to_owned())
    );
    assert_eq!(value(JsonSchema, &framed(9, b"{}")), Ok("{}".to_owned()));
}

#[test]
fn a_schema_that_is_not_known_is_asked_for() {
    let needs = |key: &[u8], value: &[u8], format| {
        let read = read_as(&record(Some(key), Some(value)), &topic(format)).err();
        read.map(|needs| needs.schema)
    };
    let (new, newer) = (framed(40, b"\x02k"), framed(41, ROW));
    assert_eq!(needs(b"k", &newer, SinkFormat::Auto), Some(41));
    assert_eq!(needs(b"k", &framed(0, ROW), SinkFormat::Auto), Some(0));
    assert_eq!(needs(&new, &newer, SinkFormat::Avro), Some(40));
    assert_eq!(needs(&new, b"{}", SinkFormat::Auto), Some(40));
    assert_eq!(needs(b"k", &newer, SinkFormat::JsonSchema), None);
    assert_eq!(needs(&new, &newer, SinkFormat::Json), None);
    // A number of eight bytes, and one that no registry counts to.
    assert_eq!(needs(&7_i64.to_be_bytes(), b"{}", SinkFormat::Auto), None);
    assert_eq!(needs(&framed(1 << 31, b""), b"{}", SinkFormat::Auto), None);
}

fn keyed() -> SinkTopicConfig {
    SinkTopicConfig {
        create_id: CreateId::Key,
        ..topic(SinkFormat::Auto)
    }
}

/// The kind of the refusal of a record's key, where 8 is not there or the registry is silent.
fn unread_key(
    key: &[u8],
    value: Option<&[u8]>,
    topic: &SinkTopicConfig,
    (found, held): (Option<bool>, bool),
) -> Result<Option<&'static str>, SchemaRequest> {
    let mut known = schemas();
    let why = Refusal::unsent(RefusalKind::UnknownSchema, "there is no schema 8");
    let found = found.map_or(SchemaLookup::RegistryUnavailable, |sure| {
        SchemaLookup::Absent { why, sure }
    });
    known.insert(8, found);
    let record = record(Some(key), value);
    let content = decode_content(&record, topic, Some(&|id| known.get(&id).cloned()), held)?;
    Ok(content.unread_key.map(|refusal| refusal.kind.label()))
}

#[test]
fn a_registry_that_may_be_behind_is_not_believed() {
    let (absent, there) = (framed(8, b"\x02k"), framed(1, ROW));
    let needs = |or_none| Err(SchemaRequest { schema: 8, or_none });
    let plain = topic(SinkFormat::Auto);
    let deleting = SinkTopicConfig {
        deletes: true,
        ..topic(SinkFormat::Auto)
    };
    let bytes = SinkTopicConfig {
        key_format: SinkKeyFormat::Bytes,
        ..keyed()
    };
    let doubtful = [
        (None, false),
        (Some(false), false),
        (None, true),
        (Some(true), true),
    ];
    let sure = (Some(true), false);
    for how in doubtful {
        assert_eq!(unread_key(b"k", Some(&absent), &plain, how), needs(false));
    }
    assert_eq!(unread_key(b"k", Some(&absent), &plain, sure), Ok(None));
    for how in doubtful.into_iter().chain([sure]) {
        // A key that decides nothing is its bytes, whatever the registry says.
        for (value, topic) in [
            (Some(&there[..]), &plain),
            (None, &plain),
            (Some(b"{}"), &deleting),
            (Some(&there[..]), &bytes),
        ] {
            assert_eq!(unread_key(&absent, value, topic, how), Ok(None), "{how:?}");
        }
    }
    for (topic, value) in [
        (&keyed(), Some(&there[..])),
        (&keyed(), None),
        (&deleting, None),
    ] {
        for how in doubtful {
            assert_eq!(unread_key(&absent, value, topic, how), needs(false));
        }
        let refused = unread_key(&absent, value, topic, sure);
        assert_eq!(refused, Ok(Some("unknown_schema")));
    }
}

#[test]
fn a_key_that_decides_and_cannot_be_read_is_a_refusal() {
    let keyed = keyed();
    for (id, kind) in [
        (5, Some("unsupported_format")),
        (6, Some("unsupported_format")),
        (7, Some("invalid_schema")),
        (8, Some("unknown_schema")),
        (2, None),
    ] {
        let bytes = framed(id, b"\x02k");
        let record = record(Some(&bytes), None);
        let content = read_as(&record, &keyed).unwrap();
        let refusal = content.unread_key;
        assert_eq!(refusal.as_ref().map(|it| it.kind.label()), kind, "{id}");
        let helps = |refusal: &Refusal| refusal.error.contains("`key_format: bytes`");
        assert!(refusal.as_ref().is_none_or(helps), "{refusal:?}");
    }
}

#[test]
fn keys_are_their_text_where_they_have_one() {
    use SinkFormat::{Auto, Avro, Json, JsonSchema};
    for format in [Auto, Avro, JsonSchema] {
        assert_eq!(key(format, &framed(2, b"\x02k")), b"k");
        assert_eq!(
            key(format, &framed(3, b"\x02\x02k")),
            b"k",
            "another schema"
        );
        assert_eq!(key(format, &framed(3, b"\0")), b"", "null is no key");
        assert_eq!(key(format, &framed(4, br#""k\n""#)), b"k\n");
        assert_eq!(key(format, &framed(4, br#"{"id": 1}"#)), br#"{"id": 1}"#);
        let raw = [
            framed(1, b"\x02"),
            framed(4, b"{"),
            framed(5, b"k"),
            framed(7, b"k"),
            framed(8, b"k"),
            b"k".to_vec(),
            7_i64.to_be_bytes().to_vec(),
        ];
        for raw in raw {
            assert_eq!(key(format, &raw), raw, "{format:?}");
        }
    }
    assert_eq!(key(Json, &framed(2, b"\x02k")), framed(2, b"\x02k"));
}

#[test]
fn without_a_registry_it_is_said_what_to_do() {
    let value = framed(1, ROW);
    let key = framed(2, b"\x02k");
    let record = record(Some(&key), Some(&value));
    let content = decode_content(&record, &topic(SinkFormat::Auto), None, false).unwrap();
    assert_eq!(content.key.as_deref(), Some(key.as_slice()));
    let refusal = content.value.unwrap_err();
    assert_eq!(refusal.kind.label(), "unsupported_format");
    assert!(refusal.error.contains("schema_registry.url"), "{refusal}");
    let json_schema = topic(SinkFormat::JsonSchema);
    let content = decode_content(&record, &json_schema, None, false).unwrap();
    assert_eq!(content.value.unwrap().as_deref(), Some(ROW));
}

#[test]
fn words_name_the_schema_and_the_field_and_nothing_of_the_record() {
    let say = |bytes: &[u8]| {
        let record = record(None, Some(bytes));
        let content = read_as(&record, &topic(SinkFormat::Auto)).unwrap();
        content.value.unwrap_err().error
    };
    let words = say(&framed(1, b"\x02\x14secr"));
    assert!(
        words.contains("schema 1") && words.contains("`number`"),
        "{words}"
    );
    assert!(!words.contains("secr"), "{words}");
    assert!(!say(&framed(6, b"secret")).contains('\x1b'));
    assert!(say(&framed(7, b"")).contains("schema 7"));
}

#[test]
fn what_was_made_of_a_record_is_counted() {
    let (key, value) = (framed(2, b"\x02k"), framed(1, ROW));
    let both = record(Some(&key), Some(&value));
    let content = read_as(&both, &topic(SinkFormat::Auto));
    assert_eq!(content.unwrap().made(), JSON.len() + 1);
    let plain = record(Some(b"k"), Some(b"{}"));
    assert_eq!(RecordContent::plain(&plain).made(), 0);
}

#[test]
fn only_what_is_about_the_schema_is_the_fault_of_a_record() {
    let error = |cause: RegistryFailure| registry::Error::Request {
        asked: Box::default(),
        cause,
        outage: false,
    };
    let words = || "x".to_owned();
    for (cause, kind) in [
        (
            RegistryFailure::NoSchema { words: words() },
            "unknown_schema",
        ),
        (
            RegistryFailure::NoSubject { words: words() },
            "invalid_schema",
        ),
        (
            RegistryFailure::NoVersion { words: words() },
            "invalid_schema",
        ),
        (RegistryFailure::TooLarge(1), "invalid_schema"),
        (RegistryFailure::References(words()), "invalid_schema"),
    ] {
        match schema_lookup_of(7, Err(error(cause.clone()))) {
            Ok(SchemaLookup::Absent { why, sure: false }) => {
                assert_eq!(why.kind.label(), kind, "{cause:?}");
            }
            other => panic!("{cause:?}: {other:?}"),
        }
    }
    for cause in [
        RegistryFailure::Timeout(words()),
        RegistryFailure::Network(words()),
        RegistryFailure::Tls(words()),
        RegistryFailure::Unauthorized { words: words() },
        RegistryFailure::Forbidden { words: words() },
        RegistryFailure::NotFound { words: words() },
        RegistryFailure::Redirect { host: words() },
        RegistryFailure::BadRequest {
            status: 400,
            words: words(),
        },
        RegistryFailure::Server {
            status: 500,
            wait: None,
            words: words(),
        },
        RegistryFailure::RateLimited {
            wait: None,
            words: words(),
        },
        RegistryFailure::Status(600),
        RegistryFailure::Body(words()),
    ] {
        assert!(
            schema_lookup_of(7, Err(error(cause.clone()))).is_err(),
            "{cause:?}"
        );
    }
    assert!(schema_lookup_of(7, Err(registry::Error::Stopped)).is_err());
    assert!(schema_lookup_of(7, Err(registry::Error::Setup(words()))).is_err());
}

proptest! {
    #[test]
    fn whatever_the_bytes_are(
        id in 0_u32..12,
        body in prop::collection::vec(any::<u8>(), 0..40),
        cut in 0_usize..46,
        format in prop::sample::select(FORMATS.as_slice()),
        registry: bool,
        keyed: bool,
        held: bool,
    ) {
        let mut bytes = framed(id, &body);
        bytes.truncate(cut);
        let known = schemas();
        let record = record(Some(&bytes), Some(&bytes));
        let look = |id: u32| known.get(&id).cloned();
        let look: Option<&LookUpSchema<'_>> = if registry { Some(&look) } else { None };
        let topic = SinkTopicConfig {
            create_id: if keyed { CreateId::Key } else { CreateId::Record },
            ..topic(format)
        };
        match decode_content(&record, &topic, look, held) {
            Err(needs) => {
                prop_assert_eq!(needs.schema, id);
                let found = known.get(&id);
                prop_assert!(found.is_none_or(|found| !needs.are_met_by(found, held)));
            }
            Ok(content) => {
                let avro = id == 1 && registry && bytes.len() >= 5;
                let avro = avro && matches!(format, SinkFormat::Auto | SinkFormat::Avro);
                if let (Ok(Some(value)), true) = (content.value, avro) {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&value).is_ok());
                }
            }
        }
    }
}
