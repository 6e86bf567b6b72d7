//! Errors of requests to a schema registry: what was tried, at which addresses, why it failed, what to
//! do about it, and whether trying again may help.

use std::fmt;
use std::time::Duration;

/// Reasons of an incompatibility that a message shows.
const MAX_SHOWN_REASONS: usize = 5;

/// An error of a request to the registry, or of setting up the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The client could not be set up; the text says what to change.
    Setup(String),
    /// The caller's `Stop` ended the wait.
    Stopped,
    /// A request that brought no usable answer.
    Request {
        /// The request.
        asked: Box<AttemptedRegistryRequest>,
        /// Why it failed.
        cause: RegistryFailure,
        /// No address answers any request, as far as is known: a caller comes again at once, as one
        /// request at a time is let through.
        outage: bool,
    },
}

/// A request as messages name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptedRegistryRequest {
    /// HTTP method.
    pub method: &'static str,
    /// URL without its query; of the address that the cause is of.
    pub url: String,
    /// In the user's words: ``subject `sn.incident-value` ``.
    pub what: String,
    /// The other addresses that were asked, and why they brought no answer either.
    pub others: Vec<(String, RegistryFailure)>,
}

/// Why a request failed. Texts named `words` are the registry's, cut and without control characters.
/// The numbers are the `error_code` of Confluent's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryFailure {
    /// Nothing came in time; which limit it was.
    Timeout(String),
    /// No connection, or it broke.
    Network(String),
    /// The certificate or the handshake was refused.
    Tls(String),
    /// Not asked, as no address has answered for as long as a request waits.
    Away {
        /// The newest failure, in words.
        words: String,
    },
    /// 429.
    RateLimited {
        /// The pause that the registry asked for in `Retry-After`.
        wait: Option<Duration>,
        /// The registry's words.
        words: String,
    },
    /// 401.
    Unauthorized {
        /// The registry's words.
        words: String,
    },
    /// 403.
    Forbidden {
        /// The registry's words.
        words: String,
    },
    /// 40401: nothing is registered under this subject.
    NoSubject {
        /// The registry's words.
        words: String,
    },
    /// 40402: the subject has no such version.
    NoVersion {
        /// The registry's words.
        words: String,
    },
    /// 40403: there is no schema of this id, or not under this subject.
    NoSchema {
        /// The registry's words.
        words: String,
    },
    /// Another 404: there is something, but no registry.
    NotFound {
        /// The registry's words.
        words: String,
    },
    /// 409: the schema does not fit to those that are registered.
    Incompatible {
        /// Each is one difference, with the field where it can be told.
        reasons: Vec<String>,
        /// The level of the subject, as `BACKWARD`.
        level: Option<String>,
    },
    /// 42201: the registry does not take this for a schema.
    InvalidSchema {
        /// The registry's words.
        words: String,
    },
    /// 42205: the registry, or the subject, takes no new schemas.
    ReadOnly {
        /// The registry's words.
        words: String,
    },
    /// Another 4xx: the request itself is wrong.
    BadRequest {
        /// HTTP status.
        status: u16,
        /// The registry's words.
        words: String,
    },
    /// The request has no form in which it can be sent.
    Unsendable(String),
    /// 3xx: not followed, as it would take the credentials elsewhere.
    Redirect {
        /// Host of the Location header.
        host: String,
    },
    /// 5xx, and 50001 to 50004 of a registry that cannot reach its store or its leader.
    Server {
        /// HTTP status.
        status: u16,
        /// The pause that the registry asked for in `Retry-After`.
        wait: Option<Duration>,
        /// The registry's words.
        words: String,
    },
    /// A status that no registry answers with.
    Status(u16),
    /// The body is larger than that many bytes.
    TooLarge(u64),
    /// The answer is damaged, ends early, or is no answer of a registry.
    Body(String),
    /// The schemas that a schema refers to cannot be put together.
    References(String),
}

impl Error {
    /// Why the request failed, if there was one.
    pub fn cause(&self) -> Option<&RegistryFailure> {
        match self {
            Error::Request { cause, .. } => Some(cause),
            Error::Setup(_) | Error::Stopped => None,
        }
    }

    /// Why each address brought no answer.
    pub(super) fn causes(&self) -> impl Iterator<Item = &RegistryFailure> {
        let others = match self {
            Error::Request { asked, .. } => asked.others.as_slice(),
            Error::Setup(_) | Error::Stopped => &[],
        };
        let others = others.iter().map(|(_, cause)| cause);
        self.cause().into_iter().chain(others)
    }

    /// The same, of a registry that is away.
    pub(super) fn in_outage(mut self) -> Error {
        if let Error::Request { outage, .. } = &mut self {
            *outage = true;
        }
        self
    }

    /// No address answers any request, as far as is known.
    pub fn is_outage(&self) -> bool {
        matches!(self, Error::Request { outage: true, .. })
    }

    /// True where the same request may succeed later although nothing is changed in the meantime.
    pub fn is_retryable(&self) -> bool {
        self.cause().is_some_and(RegistryFailure::is_retryable)
    }

    /// Of [`super::Registry::schema_by_id`]: whether it is the schema that is at fault, so that only the
    /// records that name it are concerned. All else says something of the registry, of the way to it
    /// or of us, and may be put right while records wait.
    pub fn is_about_the_schema(&self) -> bool {
        self.cause()
            .is_some_and(RegistryFailure::is_about_the_schema)
    }

    /// A bounded label for metrics.
    pub fn metric_label(&self) -> &'static str {
        match self {
            Error::Setup(_) => "setup",
            Error::Stopped => "stopped",
            Error::Request { cause, .. } => cause.metric_label(),
        }
    }
}

impl RegistryFailure {
    /// True where the same request may succeed later. A refusal stays one until an operator changes something.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            RegistryFailure::Timeout(_)
                | RegistryFailure::Network(_)
                | RegistryFailure::Away { .. }
                | RegistryFailure::RateLimited { .. }
                | RegistryFailure::Server { .. }
                | RegistryFailure::Body(_)
        )
    }

    /// It says nothing of whether the registry works: it asks to be left alone, or was asked nothing.
    pub(super) fn tells_nothing(&self) -> bool {
        matches!(
            self,
            RegistryFailure::RateLimited { .. } | RegistryFailure::Unsendable(_)
        )
    }

    /// A registry's word on the schema that it was sent, the same at each of its addresses.
    pub(super) fn is_verdict(&self) -> bool {
        matches!(
            self,
            RegistryFailure::Incompatible { .. }
                | RegistryFailure::InvalidSchema { .. }
                | RegistryFailure::ReadOnly { .. }
                | RegistryFailure::BadRequest { status: 422, .. }
        )
    }

    /// Of addresses that all failed, the one with the lowest rank is why there is no answer. Trouble
    /// that may pass comes first, as waiting may help. That there is nothing comes last: it is the
    /// answer only when each address says so, as one may be behind the others.
    pub(super) fn rank(&self) -> u8 {
        match self {
            cause if cause.is_retryable() => 0,
            cause if cause.is_absence() => 3,
            cause if cause.is_about_the_schema() => 2,
            _ => 1,
        }
    }

    /// True where there is nothing of that name: a subject, a version, a schema under a subject.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            RegistryFailure::NoSubject { .. }
                | RegistryFailure::NoVersion { .. }
                | RegistryFailure::NoSchema { .. }
        )
    }

    /// True where the registry has answered that there is no such schema, or only one that is of no use:
    /// too large, or with references that lead nowhere.
    fn is_about_the_schema(&self) -> bool {
        self.is_absence()
            || matches!(
                self,
                RegistryFailure::TooLarge(_) | RegistryFailure::References(_)
            )
    }

    /// How long the registry wants to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            RegistryFailure::RateLimited { wait, .. } | RegistryFailure::Server { wait, .. } => {
                *wait
            }
            _ => None,
        }
    }

    /// A bounded label for metrics.
    pub fn metric_label(&self) -> &'static str {
        match self {
            RegistryFailure::Timeout(_) => "timeout",
            RegistryFailure::Network(_) => "network",
            RegistryFailure::Away { .. } => "away",
            RegistryFailure::Tls(_) => "tls",
            RegistryFailure::RateLimited { .. } => "rate_limited",
            RegistryFailure::Unauthorized { .. } => "unauthorized",
            RegistryFailure::Forbidden { .. } => "forbidden",
            RegistryFailure::NoSubject { .. }
            | RegistryFailure::NoVersion { .. }
            | RegistryFailure::NoSchema { .. }
            | RegistryFailure::NotFound { .. } => "not_found",
            RegistryFailure::Incompatible { .. } => "incompatible",
            RegistryFailure::InvalidSchema { .. } => "invalid_schema",
            RegistryFailure::ReadOnly { .. } => "read_only",
            RegistryFailure::BadRequest { .. } | RegistryFailure::Unsendable(_) => "bad_request",
            RegistryFailure::Redirect { .. } => "redirect",
            RegistryFailure::Server { .. } => "server",
            RegistryFailure::Status(_) => "status",
            RegistryFailure::TooLarge(_) => "too_large",
            RegistryFailure::Body(_) => "body",
            RegistryFailure::References(_) => "references",
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Setup(why) => f.write_str(why),
            Error::Stopped => f.write_str("stopped"),
            Error::Request { asked, cause, .. } => {
                write!(
                    f,
                    "schema registry: {} {} ({}): {cause}{}",
                    asked.method,
                    asked.url,
                    asked.what,
                    hint(cause)
                )?;
                asked.others.iter().try_for_each(|(url, other)| {
                    write!(f, "; at {url}: {other}")?;
                    if other.is_absence() && !cause.is_absence() {
                        f.write_str(", which counts only when every address says so")?;
                    }
                    Ok(())
                })
            }
        }
    }
}

impl fmt::Display for RegistryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryFailure::Timeout(limit) => write!(f, "timed out: {limit}"),
            RegistryFailure::Network(why) => f.write_str(why),
            RegistryFailure::Tls(why) => write!(f, "no secure connection: {why}"),
            RegistryFailure::Away { words } => write!(f, "not asked: it is away: {words}"),
            RegistryFailure::RateLimited { words, .. } => write!(f, "429 rate limited: {words}"),
            RegistryFailure::Unauthorized { words } => write!(f, "401 unauthorized: {words}"),
            RegistryFailure::Forbidden { words } => write!(f, "403 forbidden: {words}"),
            // The registry's words say no more.
            RegistryFailure::NoSubject { .. } => f.write_str("nothing is registered"),
            RegistryFailure::NoVersion { words } => write!(f, "no such version: {words}"),
            RegistryFailure::NoSchema { words } => write!(f, "no such schema: {words}"),
            RegistryFailure::NotFound { words } => write!(f, "404 not found: {words}"),
            RegistryFailure::Incompatible { reasons, level } => {
                incompatible(f, reasons, level.as_deref())
            }
            RegistryFailure::InvalidSchema { words } => {
                write!(f, "refused as no valid schema: {words}")
            }
            RegistryFailure::ReadOnly { words } => write!(f, "takes no new schemas: {words}"),
            RegistryFailure::BadRequest { status, words } => {
                write!(f, "{status} bad request: {words}")
            }
            RegistryFailure::Unsendable(why) => write!(f, "cannot be sent: {why}"),
            RegistryFailure::Redirect { host } => {
                write!(f, "redirected to {host}, which is not followed")
            }
            RegistryFailure::Server { status, words, .. } => {
                write!(f, "{status} server error: {words}")
            }
            RegistryFailure::Status(status) => write!(f, "unexpected status {status}"),
            RegistryFailure::TooLarge(limit) => {
                write!(f, "the answer is larger than {limit} bytes")
            }
            RegistryFailure::Body(why) => write!(f, "incomplete or damaged answer: {why}"),
            RegistryFailure::References(why) => {
                write!(f, "cannot resolve what the schema refers to: {why}")
            }
        }
    }
}

fn incompatible(
    f: &mut fmt::Formatter<'_>,
    reasons: &[String],
    level: Option<&str>,
) -> fmt::Result {
    f.write_str("the schema does not fit to what is registered")?;
    if let Some(level) = level {
        write!(f, " (compatibility {level})")?;
    }
    for (index, reason) in reasons.iter().take(MAX_SHOWN_REASONS).enumerate() {
        write!(f, "{} {reason}", if index == 0 { ":" } else { ";" })?;
    }
    match reasons.len().saturating_sub(MAX_SHOWN_REASONS) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

/// Advice for the user, beginning with a separator; empty where there is none.
fn hint(cause: &RegistryFailure) -> &'static str {
    match cause {
        RegistryFailure::Unauthorized { .. } => "; check `schema_registry.auth`",
        RegistryFailure::Forbidden { .. } => {
            "; this user lacks a right: to read the subject, or to register under it"
        }
        RegistryFailure::NoSubject { .. } => {
            "; register a schema with `servicenow-kafka-bridge schema register`, or set \
             `schema_registry.auto_register: true`"
        }
        RegistryFailure::NotFound { .. } => {
            "; is `schema_registry.url` a registry, with its path? Apicurio's is \
             `/apis/ccompat/v7`"
        }
        RegistryFailure::Incompatible { .. } => {
            "; relax the compatibility of the subject for this change, or use another topic"
        }
        RegistryFailure::Redirect { .. } => {
            "; set `schema_registry.url` to the address of the registry itself"
        }
        RegistryFailure::Tls(_) => "; a private authority goes into `schema_registry.tls.ca_cert`",
        RegistryFailure::TooLarge(_) => "; that is no schema of records",
        _ => "",
    }
}
