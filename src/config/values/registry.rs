//! Single values of `schema_registry`.

use crate::config::kinds::ValueKind;
use crate::config::url;
use crate::config::yaml::Value;

/// The addresses of a registry in one text, with commas between them as Confluent's clients take
/// them. None is null.
pub(in crate::config) fn registry_urls() -> ValueKind<Vec<String>> {
    const EXAMPLE: &str = "https://registry.example.com:8081";
    let parse = |text: &str| {
        let urls = text
            .split(',')
            .map(|one| url::normalized(one.trim(), EXAMPLE));
        urls.collect::<Result<_, _>>().map(Some)
    };
    let shown = |urls: &Vec<String>| {
        if urls.is_empty() {
            Value::Null
        } else {
            Value::from(urls.join(","))
        }
    };
    ValueKind::scalar("URLs with commas between them", parse, shown)
}
