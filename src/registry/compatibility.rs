//! Why a schema does not fit, in words that name the field (pure).
//!
//! Registries point to places as JSON pointers into one of the two schemas. Confluent's answers
//! `verbose=true` with a list of pseudo-JSON texts; Apicurio 3 answers it with nothing, and lists the
//! differences in the message of the 409.

use serde_json::Value;

use crate::http::error_body::shown;

/// The reasons from a compatibility check, or from the message of the 409 where there are none.
/// `wanted` is the schema that was refused, `known` the registered one.
pub(super) fn reasons(
    checked: &[String],
    message: &[String],
    wanted: &str,
    known: Option<&str>,
) -> Vec<String> {
    let mut raw: Vec<String> = checked.iter().filter_map(|text| of_check(text)).collect();
    if raw.is_empty() {
        raw = message.iter().flat_map(|text| of_message(text)).collect();
    }
    let wanted = serde_json::from_str(wanted).unwrap_or_default();
    let known = known
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    raw.iter()
        .map(|reason| shown(&with_field(reason, &wanted, &known)))
        .collect()
}

/// `{errorType:'T', description:'D', additionalInfo:'I'}` to `D (I)`. What only repeats the old
/// schema says nothing.
fn of_check(text: &str) -> Option<String> {
    let silent = ["{oldSchema", "{validateFields", "{compatibility"];
    if silent.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let Some((_, rest)) = text.split_once("description:'") else {
        return Some(text.to_owned());
    };
    let (description, rest) = rest.split_once("', additionalInfo:").unwrap_or((rest, ""));
    let info = rest.trim_matches(['\'', '}', '{', ' ']);
    let description = description.trim_end_matches(['\'', '}']);
    Some(match info {
        "" => description.to_owned(),
        info => format!("{description} ({info})"),
    })
}

/// The list inside of Apicurio's message, else the message itself.
fn of_message(text: &str) -> Vec<String> {
    let list = text
        .split_once("list of diff types: [")
        .and_then(|(_, rest)| rest.rsplit_once(']'));
    match list {
        Some((list, _)) => list.split(", ").map(str::to_owned).collect(),
        None => vec![text.to_owned()],
    }
}

/// Puts the name of the field in front, where the reason points to one.
fn with_field(reason: &str, wanted: &Value, known: &Value) -> String {
    let Some(index) = field_index(reason) else {
        return reason.to_owned();
    };
    // Which of the two schemas is meant depends on the level.
    match (name_of(wanted, index), name_of(known, index)) {
        (Some(one), Some(other)) if one != other => {
            format!("field `{one}` (`{other}` in what is registered): {reason}")
        }
        (Some(name), _) | (None, Some(name)) => format!("field `{name}`: {reason}"),
        (None, None) => reason.to_owned(),
    }
}

/// The first number in `/fields/N`.
fn field_index(reason: &str) -> Option<usize> {
    let (_, rest) = reason.split_once("/fields/")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn name_of(schema: &Value, index: usize) -> Option<&str> {
    schema.get("fields")?.get(index)?.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const REGISTERED_SCHEMA_TEXT: &str =
        r#"{"type":"record","name":"t","fields":[{"name":"a"},{"name":"c"}]}"#;
    const REFUSED_SCHEMA_TEXT: &str =
        r#"{"type":"record","name":"t","fields":[{"name":"a"},{"name":"b"}]}"#;

    #[test]
    fn of_confluent() {
        let checked = [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path \
             '/fields/1' in the new schema has no default value and is missing in the old schema', \
             additionalInfo:'b'}",
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in \
             the new schema does not match with the old schema', additionalInfo:'reader type: INT \
             not compatible with writer type: STRING'}",
            "{oldSchemaVersion: 3}",
            "{oldSchema: '{\"type\":\"record\"}'}",
            "{compatibility: 'BACKWARD'}",
        ];
        let checked = checked.map(str::to_owned);
        expect![[r#"
            [
                "field `b` (`c` in what is registered): The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema (b)",
                "field `a`: The type (path '/fields/0/type') of a field in the new schema does not match with the old schema (reader type: INT not compatible with writer type: STRING)",
            ]
        "#]]
        .assert_debug_eq(&reasons(&checked, &["words".to_owned()], REFUSED_SCHEMA_TEXT, Some(REGISTERED_SCHEMA_TEXT)));
    }

    #[test]
    fn of_apicurio() {
        let message = "io.apicurio.registry.rules.violation.RuleViolationException: Incompatible \
                       artifact: x-value [AVRO], num of incompatible diffs: {2}, list of diff types: \
                       [reader type: INT not compatible with writer type: NULL at /fields/0/type/0, \
                       b at /fields/1]";
        expect![[r#"
            [
                "field `a`: reader type: INT not compatible with writer type: NULL at /fields/0/type/0",
                "field `b`: b at /fields/1",
            ]
        "#]]
        .assert_debug_eq(&reasons(&[], &[message.to_owned()], REFUSED_SCHEMA_TEXT, None));
    }

    #[test]
    fn of_anything() {
        assert_eq!(
            reasons(&[], &["no\nidea".to_owned()], "no json", Some("[1]")),
            ["no idea"]
        );
        assert_eq!(
            reasons(
                &["at /fields/99999999999999999999".to_owned()],
                &[],
                REFUSED_SCHEMA_TEXT,
                None
            ),
            ["at /fields/99999999999999999999"]
        );
        let long = reasons(&["x".repeat(5000)], &[], REFUSED_SCHEMA_TEXT, None);
        assert!(long[0].len() < 400);
    }
}
