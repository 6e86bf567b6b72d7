//! Texts, and lists of them.

use super::value::ValueKind;
use crate::config::reader::Section;
use crate::config::yaml::Value;

/// A text that is a text again when it is read: `${` is escaped.
pub(in crate::config) fn text_value(text: &str) -> Value {
    Value::from(text.replace("${", "$${"))
}

/// A text as it is written, if the check lets it pass.
pub(in crate::config) fn text(check: fn(&str) -> Result<(), String>) -> ValueKind<String> {
    let parse = move |text: &str| check(text).map(|()| Some(text.to_owned()));
    ValueKind::scalar("text", parse, |value| text_value(value))
}

/// A check that each text passes.
pub(in crate::config) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// A text that the function checks and brings into its normal form.
pub(in crate::config) fn normal_text(
    parse: fn(&str) -> Result<String, String>,
) -> ValueKind<String> {
    let parse = move |text: &str| parse(text).map(Some);
    ValueKind::scalar("text", parse, |value| text_value(value))
}

/// A list of texts, each as it is written, if the check lets it pass.
pub(in crate::config) fn texts(check: fn(&str) -> Result<(), String>) -> ValueKind<Vec<String>> {
    let shown = |value: &Vec<String>| {
        let items: Vec<Value> = value.iter().map(|item| text_value(item)).collect();
        Value::from(items)
    };
    let read = move |section: &Section<'_>, key| Some(section.texts(key, check));
    ValueKind::new("list of texts", read, shown)
}
