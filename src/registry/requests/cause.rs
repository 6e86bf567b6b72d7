//! What an exchange says: the body of an answer, or why there is none.

use std::io::Read as _;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, Uri, header};

use crate::registry::error::RegistryFailure;
use crate::servicenow::{error_words, shown};

/// Bytes of a body.
const MAX_REGISTRY_ANSWER_BYTES: u64 = 4 << 20;
/// Bytes of an error's body.
const MAX_ERROR_BODY_BYTES: u64 = 16 << 10;
/// Bytes of a response head.
pub(super) const MAX_RESPONSE_HEAD_BYTES: usize = 64 << 10;

/// The body of a good answer, or what is wrong.
pub(super) fn judge(response: Response<ureq::Body>) -> Result<Vec<u8>, RegistryFailure> {
    let (head, body) = response.into_parts();
    let mut bytes = Vec::new();
    if head.status.is_success() {
        let read = body
            .into_with_config()
            .limit(MAX_REGISTRY_ANSWER_BYTES)
            .reader();
        return match { read }.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(why) => Err(cause_of_read(&why)),
        };
    }
    let start = body
        .into_with_config()
        .limit(MAX_REGISTRY_ANSWER_BYTES)
        .reader();
    // What cannot be read is left out; the status says enough.
    if start
        .take(MAX_ERROR_BODY_BYTES)
        .read_to_end(&mut bytes)
        .is_err()
    {
        bytes.clear();
    }
    Err(cause_of_status(head.status.as_u16(), &head.headers, &bytes))
}

/// The table of `error_code`s is in the Confluent Schema Registry API reference, "Errors".
fn cause_of_status(status: u16, headers: &HeaderMap, body: &[u8]) -> RegistryFailure {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("error_code").and_then(serde_json::Value::as_i64);
    let words = error_words(body);
    let wait = text(headers, &header::RETRY_AFTER)
        .and_then(|value| value.parse().ok())
        .map(Duration::from_secs);
    match (status, code) {
        (300..400, _) => RegistryFailure::Redirect {
            host: redirect_host(headers),
        },
        (401, _) => RegistryFailure::Unauthorized { words },
        (403, _) => RegistryFailure::Forbidden { words },
        // 40404: soft-deleted.
        (404, Some(40_401 | 40_404)) => RegistryFailure::NoSubject { words },
        (404, Some(40_402 | 40_406)) => RegistryFailure::NoVersion { words },
        (404, Some(40_403)) => RegistryFailure::NoSchema { words },
        (404, _) => RegistryFailure::NotFound { words },
        // The whole message: it is taken apart later.
        (409, _) => RegistryFailure::Incompatible {
            reasons: message(&answer),
            level: None,
        },
        (422, Some(42_201)) => RegistryFailure::InvalidSchema { words },
        (422, Some(42_205)) => RegistryFailure::ReadOnly { words },
        (429, _) => RegistryFailure::RateLimited { wait, words },
        // These two are load balancers' words for "try again".
        (408 | 425 | 500..600, _) => RegistryFailure::Server {
            status,
            wait,
            words,
        },
        (400..500, _) => RegistryFailure::BadRequest { status, words },
        (other, _) => RegistryFailure::Status(other),
    }
}

fn message(answer: &serde_json::Value) -> Vec<String> {
    let message = answer.get("message").and_then(serde_json::Value::as_str);
    message.map(str::to_owned).into_iter().collect()
}

/// Only the host: the rest of a Location may carry secrets.
fn redirect_host(headers: &HeaderMap) -> String {
    let location = text(headers, &header::LOCATION).and_then(|to| to.parse::<Uri>().ok());
    match location.as_ref().and_then(Uri::host) {
        Some(host) => shown(host),
        None => "another page of the same host".to_owned(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

impl From<ureq::Error> for RegistryFailure {
    fn from(error: ureq::Error) -> RegistryFailure {
        use ureq::Timeout;
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                RegistryFailure::Timeout("no connection".to_owned())
            }
            ureq::Error::Timeout(_) => RegistryFailure::Timeout(
                "no complete answer in `schema_registry.timeout`".to_owned(),
            ),
            ureq::Error::Io(error) => {
                let inner = error.get_ref();
                match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(why) => RegistryFailure::Tls(why.to_string()),
                    None => RegistryFailure::Network(error.to_string()),
                }
            }
            ureq::Error::HostNotFound => RegistryFailure::Network("host not found".to_owned()),
            ureq::Error::Tls(why) => RegistryFailure::Tls(why.to_owned()),
            ureq::Error::Rustls(why) => RegistryFailure::Tls(why.to_string()),
            ureq::Error::BodyExceedsLimit(limit) => RegistryFailure::TooLarge(limit),
            ureq::Error::LargeResponseHeader(..) => RegistryFailure::Body(format!(
                "the head is larger than {MAX_RESPONSE_HEAD_BYTES} bytes"
            )),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => RegistryFailure::BadRequest {
                status: 400,
                words: "the URL cannot be sent".to_owned(),
            },
            other => RegistryFailure::Body(shown(&other.to_string())),
        }
    }
}

fn cause_of_read(error: &std::io::Error) -> RegistryFailure {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match inner {
        Some(ureq::Error::BodyExceedsLimit(limit)) => RegistryFailure::TooLarge(*limit),
        Some(ureq::Error::Timeout(_)) => {
            RegistryFailure::Timeout("no complete answer in `schema_registry.timeout`".to_owned())
        }
        Some(other) => RegistryFailure::Body(shown(&other.to_string())),
        None => RegistryFailure::Body(error.to_string()),
    }
}
