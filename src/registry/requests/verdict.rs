//! From the answer of a registry to its body, or to the reason why it is of no use.

use std::io::Read as _;

use serde_json::Value;
use ureq::http::{HeaderMap, Response};

use crate::http::error_body::{self, error_words};
use crate::http::headers;
use crate::http::redaction::redact;
use crate::http::transport_error::{TimeLimitWords, TransportError};
use crate::registry::error::RegistryFailure;

/// Bytes of an answer. A schema is far below that; a list of versions too.
const MAX_REGISTRY_ANSWER_BYTES: u64 = 2 << 20;

/// `schema_registry.timeout` is the only bound that is configured.
pub(super) const REGISTRY_TIME_LIMITS: TimeLimitWords = TimeLimitWords {
    connect: "no connection",
    read: TIMED_OUT,
    write: TIMED_OUT,
    total: TIMED_OUT,
};
const TIMED_OUT: &str = "no complete answer in `schema_registry.timeout`";

/// The body of a good answer, or what is wrong.
pub(super) fn judge(response: Response<ureq::Body>) -> Result<Vec<u8>, RegistryFailure> {
    let (head, body) = response.into_parts();
    let mut body = body
        .into_with_config()
        .limit(MAX_REGISTRY_ANSWER_BYTES)
        .reader();
    if !head.status.is_success() {
        let start = error_body::read_start(body);
        return Err(cause_of_status(head.status.as_u16(), &head.headers, &start));
    }
    let mut bytes = Vec::new();
    match body.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(why) => Err(TransportError::of_body(&why, &REGISTRY_TIME_LIMITS).into()),
    }
}

/// The table of `error_code`s is in the Confluent Schema Registry API reference, "Errors".
fn cause_of_status(status: u16, headers: &HeaderMap, body: &[u8]) -> RegistryFailure {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("error_code").and_then(Value::as_i64);
    let words = error_words(body);
    let wait = headers::retry_after(headers);
    match (status, code) {
        (300..400, _) => RegistryFailure::Redirect {
            host: headers::redirect_host(headers)
                .unwrap_or_else(|| "another page of the same host".to_owned()),
        },
        (401, _) => RegistryFailure::Unauthorized { words },
        (403, _) => RegistryFailure::Forbidden { words },
        // 40404: soft-deleted.
        (404, Some(40_401 | 40_404)) => RegistryFailure::NoSubject { words },
        (404, Some(40_402 | 40_406)) => RegistryFailure::NoVersion { words },
        (404, Some(40_403)) => RegistryFailure::NoSchema { words },
        (404, _) => RegistryFailure::NotFound { words },
        // The whole message, as it is taken apart later.
        (409, _) => RegistryFailure::Incompatible {
            reasons: message(&answer),
            level: None,
        },
        (422, Some(42_201)) => RegistryFailure::InvalidSchema { words },
        (422, Some(42_205)) => RegistryFailure::ReadOnly { words },
        (429, _) => RegistryFailure::RateLimited { wait, words },
        // With 408 and 425 a load balancer says "try again".
        (408 | 425 | 500..600, _) => RegistryFailure::Server {
            status,
            wait,
            words,
        },
        (400..500, _) => RegistryFailure::BadRequest { status, words },
        (other, _) => RegistryFailure::Status(other),
    }
}

fn message(answer: &Value) -> Vec<String> {
    let message = answer.get("message").and_then(Value::as_str);
    message
        .map(|words| redact(words).into_owned())
        .into_iter()
        .collect()
}

impl From<TransportError> for RegistryFailure {
    fn from(error: TransportError) -> RegistryFailure {
        match error {
            TransportError::Timeout { limit, .. } => RegistryFailure::Timeout(limit.to_owned()),
            TransportError::Network(why) => RegistryFailure::Network(why),
            TransportError::Tls(why) => RegistryFailure::Tls(why),
            TransportError::Unsendable(why) => RegistryFailure::Unsendable(why),
            TransportError::TooLarge(limit) => RegistryFailure::TooLarge(limit),
            TransportError::Damaged(why) => RegistryFailure::Body(why),
        }
    }
}
