//! Writes dead letters as JSON, with their fields in a fixed order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::record::DeadLetter;

impl DeadLetter {
    /// The JSON text.
    pub fn encode(&self) -> Vec<u8> {
        text(self).into_bytes()
    }
}

/// The text of a letter.
fn text(letter: &DeadLetter) -> String {
    let omitted = letter.payload_omitted;
    let mut object = JsonObjectWriter::default();
    // The Go program's fields come first. `original_payload` is always there: a letter without it
    // would look like one of a tombstone.
    let payload = if omitted {
        None
    } else {
        letter.value.as_deref()
    };
    let (text, base64) = readable(payload);
    object.put("original_payload", &text);
    object.put("error", &json!(letter.error));
    object.put("timestamp", &json!(letter.time.to_string()));
    object.put("topic", &json!(letter.topic));
    object.put("table", &json!(letter.table));
    object.put_some("original_payload_base64", base64);
    object.put_some("payload_omitted", omitted.then_some(Value::Bool(true)));
    object.put("partition", &json!(letter.partition));
    object.put("offset", &json!(letter.offset));
    object.put("record_timestamp", &json!(letter.record_timestamp));
    let (text, base64) = readable(letter.key.as_deref());
    match base64 {
        None => object.put("key", &text),
        Some(base64) => object.put("key_base64", &base64),
    }
    let headers = letter.headers.iter().map(header).collect();
    object.put("headers", &Value::Array(headers));
    object.put("operation", &json!(letter.operation));
    object.put("status", &json!(letter.status));
    object.put("error_kind", &json!(letter.error_kind));
    object.put("attempts", &json!(letter.attempts));
    object.put("create_id", &json!(letter.create_id));
    object.end()
}

/// Bytes as text, or as null and Base64 if they are not UTF-8.
fn readable(bytes: Option<&[u8]>) -> (Value, Option<Value>) {
    let Some(bytes) = bytes else {
        return (Value::Null, None);
    };
    match str::from_utf8(bytes) {
        Ok(text) => (Value::from(text), None),
        Err(_) => (Value::Null, Some(Value::from(STANDARD.encode(bytes)))),
    }
}

fn header((name, value): &(String, Option<Vec<u8>>)) -> Value {
    match readable(value.as_deref()) {
        (text, None) => json!({"key": name, "value": text}),
        (_, Some(base64)) => json!({"key": name, "value_base64": base64}),
    }
}

/// A JSON object that keeps the order of its fields. Writing it cannot fail, so that every refused
/// record gets its letter.
#[derive(Default)]
struct JsonObjectWriter(String);

impl JsonObjectWriter {
    fn put(&mut self, name: &str, value: &Value) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&format!("\"{name}\":{value}"));
    }

    fn put_some(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.put(name, &value);
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
