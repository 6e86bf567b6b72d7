//! Which row a record means, and the identity of a new one.

use super::*;

#[test]
fn the_row_of_a_key() {
    let topic = SinkTopicConfig {
        create_id: CreateId::Key,
        deletes: true,
        ..topic()
    };
    let id = row_identity::of_key(b"k", "incident", &place());
    let insert = written(&record(Some(ROW)), &topic);
    assert_eq!(insert.create, NewRowIdentity::Key(id.clone()));
    let upsert = written(&asking("upsert", Some(ROW)), &topic);
    assert_eq!(
        (upsert.row, upsert.create),
        (by_id(&id), NewRowIdentity::Key(id.clone()))
    );
    let delete = written(&record(None), &topic);
    assert_eq!(delete.row, by_id(&id));
    let without = ConsumerRecord {
        key: None,
        ..record(Some(ROW))
    };
    assert_eq!(refused(&without, &topic), "no_identity");
    assert_eq!(
        insert.ordering_key(Some(b"k")),
        delete.ordering_key(Some(b"k"))
    );
}

#[test]
fn identities_in_a_column() {
    let topic = SinkTopicConfig {
        create_id: CreateId::Field("correlation_id".to_owned()),
        fields: vec!["a".to_owned()],
        ..topic()
    };
    let insert = written(&record(Some(r#"{"correlation_id":"","a":1}"#)), &topic);
    let hash = insert.create_id().unwrap().to_owned();
    assert_eq!(
        text(insert.insert_body()),
        format!(r#"{{"correlation_id":"{hash}","a":1}}"#)
    );
    let all = SinkTopicConfig {
        fields: Vec::new(),
        ..topic.clone()
    };
    let insert = written(&record(Some(r#"{"a":1,"correlation_id":null}"#)), &all);
    let hash = insert.create_id().unwrap().to_owned();
    assert_eq!(
        text(insert.insert_body()),
        format!(r#"{{"correlation_id":"{hash}","a":1}}"#)
    );
    let insert = written(&record(Some(r#"{"correlation_id":"X","a":1}"#)), &topic);
    assert_eq!(insert.create_id(), None);
    assert_eq!(
        text(insert.insert_body()),
        r#"{"correlation_id":"X","a":1}"#
    );
    assert_eq!(
        refused(&record(Some(r#"{"correlation_id":"X^Y"}"#)), &topic),
        "invalid_key"
    );
}

#[test]
fn a_replayed_record_keeps_its_identity() {
    let mut replayed = record(Some(ROW));
    let header = ("sn_create_id".to_owned(), Some(ID.into()));
    replayed.headers.push(header);
    let create = |create_id| {
        let topic = SinkTopicConfig {
            create_id,
            ..topic()
        };
        written(&replayed, &topic).create
    };
    assert_eq!(
        create(CreateId::Record),
        NewRowIdentity::Record {
            id: ID.to_owned(),
            replayed: true
        }
    );
    assert_eq!(create(CreateId::Key), NewRowIdentity::Key(ID.to_owned()));
    let field = create(CreateId::Field("u_id".to_owned()));
    assert!(matches!(field, NewRowIdentity::Field { value, hashed: true, .. } if value == ID));
    replayed
        .headers
        .push(("sn_create_id".to_owned(), Some("x".into())));
    assert_eq!(refused(&replayed, &topic()), "invalid_identity");
}

#[test]
fn who_makes_a_row_that_is_missing() {
    let named = format!(r#"{{"sys_id":"{ID}","a":"1"}}"#);
    let create = |record: &ConsumerRecord, topic: &SinkTopicConfig, on_missing| {
        let topic = SinkTopicConfig {
            on_missing,
            ..topic.clone()
        };
        written(record, &topic).create
    };
    let given = NewRowIdentity::Given(ID.to_owned());
    let update = record(Some(&named));
    let upsert = asking("upsert", Some(&named));
    assert_eq!(
        create(&update, &topic(), OnMissing::Skip),
        NewRowIdentity::None
    );
    assert_eq!(create(&update, &topic(), OnMissing::Insert), given);
    assert_eq!(create(&upsert, &topic(), OnMissing::Skip), given);
    let keyed_upsert = record(Some(r#"{"u_key":"x"}"#));
    let made = create(&keyed_upsert, &keyed(), OnMissing::Skip);
    assert!(matches!(made, NewRowIdentity::Record { .. }));
}

#[test]
fn the_key_may_be_the_sys_id() {
    let topic = SinkTopicConfig {
        key_is_sys_id: true,
        deletes: true,
        ..topic()
    };
    let keyed = |key: &str, value: Option<&str>| ConsumerRecord {
        key: Some(key.as_bytes().to_vec()),
        ..record(value)
    };
    let operation = written(&keyed(ID, Some(ROW)), &topic);
    assert_eq!(
        (operation.kind, operation.row),
        (OperationKind::Update, by_id(ID))
    );
    let quoted = format!("\"{ID}\"");
    assert_eq!(written(&keyed(&quoted, Some(ROW)), &topic).row, by_id(ID));
    let both = format!(r#"{{"sys_id":"{}","a":"1"}}"#, ID.to_uppercase());
    assert_eq!(written(&keyed(ID, Some(&both)), &topic).row, by_id(ID));
    let mut insert = keyed(ID, Some(ROW));
    insert
        .headers
        .push(("sn_operation".to_owned(), Some(b"insert".to_vec())));
    let operation = written(&insert, &topic);
    assert_eq!(operation.create, NewRowIdentity::Given(ID.to_owned()));
    assert_eq!(
        written(&keyed(ID, None), &topic).kind,
        OperationKind::Delete
    );
    for (key, value, kind) in [
        ("k/../x", Some(ROW), "invalid_identity"),
        ("", Some(ROW), "no_identity"),
        ("abc", Some(both.as_str()), "invalid_identity"),
        ("a b", None, "no_identity"),
    ] {
        assert_eq!(refused(&keyed(key, value), &topic), kind, "{key}");
    }
}
