//! Whatever a record holds, it is understood or refused.

use proptest::prelude::*;

use super::*;

fn any_topic() -> impl Strategy<Value = SinkTopicConfig> {
    let operation = prop_oneof![
        Just(SinkOperation::Auto),
        Just(SinkOperation::Insert),
        Just(SinkOperation::Update),
        Just(SinkOperation::Upsert),
    ];
    let create = prop_oneof![
        Just(CreateId::Record),
        Just(CreateId::Key),
        Just(CreateId::Field("u_key".to_owned())),
        Just(CreateId::None),
    ];
    (operation, create, any::<bool>(), any::<bool>()).prop_map(
        |(operation, create_id, keyed, deletes)| SinkTopicConfig {
            operation,
            create_id,
            deletes,
            key_field: keyed.then(|| "u_key".to_owned()),
            ..topic()
        },
    )
}

/// JSON and almost-JSON with the names that matter.
fn hostile() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        "[ -~]{0,12}",
        "\"[ -~&&[^\"\\\\]]{0,12}\"",
        "\\PC{0,8}",
    ];
    let name = prop_oneof![
        Just("sys_id".to_owned()),
        Just("u_key".to_owned()),
        Just("value".to_owned()),
        Just("work_notes".to_owned()),
        "[a-z]{0,4}",
    ];
    atom.prop_recursive(3, 16, 4, move |inner| {
        prop::collection::vec((name.clone(), inner), 0..4).prop_map(|members| {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!(r#""{name}":{value}"#))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    })
}

proptest! {
    #[test]
    fn whatever_a_record_holds(
        value in prop::option::of(hostile()),
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..5)),
        header in prop::option::of("insert|update|upsert|delete|x"),
        topic in any_topic(),
    ) {
        let mut record = ConsumerRecord { key, ..record(value.as_deref()) };
        if let Some(header) = header {
            record.headers.push(("sn_operation".to_owned(), Some(header.into_bytes())));
        }
        let decision = read(&record, &topic, &place());
        key_of(&record, &decision);
        if let Ok(RecordAction::Write(operation)) = decision {
            for create in [true, false] {
                let body = if create {
                    operation.insert_body()
                } else {
                    operation.update_body(&["comments"])
                };
                let sent: serde_json::Map<String, serde_json::Value> =
                    match serde_json::from_slice(&body) {
                        Ok(sent) => sent,
                        // Kept as written: numbers and escapes that this side cannot hold.
                        Err(why) => {
                            prop_assert!(!why.is_eof(), "{}", why);
                            continue;
                        }
                    };
                if !create {
                    prop_assert!(!sent.contains_key("sys_id"));
                }
            }
            match &operation.row {
                TargetRow::SysId(id) => prop_assert!(!id.contains(['/', '?', '^', ' ', '%'])),
                TargetRow::Field { value, .. } => prop_assert!(!value.contains('^')),
                TargetRow::None => {}
            }
        }
    }
}
