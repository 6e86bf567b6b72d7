//! Errors of requests to an instance: what was tried, on what, why it failed, what to do about it, and
//! whether trying again may help.

use std::fmt;
use std::time::{Duration, Instant};

use crate::http::error_body::NO_REASON_GIVEN;

/// The instance's words for a user or client that may not use this API at all.
const API_ACL_WORDS: &str = "API level ACL";
/// The instance's words for a body above its limit, which come with a 400.
const BODY_TOO_LARGE_WORDS: &str = "Rejected large REST payload";

/// An error of a request to the instance, or of setting up the client.
#[derive(Debug, Clone)]
pub enum Error {
    /// The client could not be set up; the text says what to change.
    Setup(String),
    /// The program is stopping.
    Stopped,
    /// A request that brought no usable answer.
    Request {
        /// The request.
        asked: Box<AttemptedRequest>,
        /// Why it failed.
        cause: InstanceFailure,
        /// When the request went out; `None` if it certainly did not reach the instance.
        sent: Option<Instant>,
    },
}

/// A request as messages name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptedRequest {
    /// HTTP method.
    pub method: &'static str,
    /// URL without its query.
    pub url: String,
    /// In the user's words: ``table `incident` ``.
    pub what: String,
    /// The encoded query, cut to 300 letters.
    pub query: Option<String>,
    /// This was a request for an access token.
    pub login: bool,
}

/// Why a request failed. Texts named `words` are the server's, cut and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceFailure {
    /// Nothing came in time. `connecting`: there was not even a connection.
    Timeout {
        /// Which limit it was.
        limit: String,
        /// It passed before the request was sent.
        connecting: bool,
    },
    /// No connection, or it broke.
    Network(String),
    /// The certificate or the handshake was refused.
    Tls(String),
    /// 429, or 503 with `Retry-After`: no thread sends a request before `wait` is over.
    RateLimited {
        /// How long all threads leave the instance alone.
        wait: Duration,
        /// The server's words.
        words: String,
    },
    /// Nothing was sent, as the instance asked to be left alone for longer than a request waits.
    Held {
        /// The rest of that time.
        wait: Duration,
    },
    /// 401, after a new token was tried where tokens are used.
    Unauthorized {
        /// The server's words.
        words: String,
    },
    /// 403.
    Forbidden {
        /// The server's words.
        words: String,
    },
    /// 404.
    NotFound {
        /// The server's words.
        words: String,
    },
    /// 400 and its kin: the request itself is wrong.
    BadRequest {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// 3xx: redirects are not followed, as they lead to log-in pages.
    Redirect {
        /// Host of the Location header.
        host: String,
    },
    /// 200, but no JSON.
    NotJson {
        /// Its content type, as the head says.
        content_type: String,
        /// The page says that the instance hibernates.
        hibernating: bool,
    },
    /// 202: the instance did not execute the request.
    NotExecuted,
    /// 5xx.
    Server {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// A status that this request should not get.
    Status {
        /// HTTP status.
        status: u16,
    },
    /// The body is larger than `max_response_bytes`.
    TooLarge {
        /// That limit.
        limit: u64,
    },
    /// The head or the body is damaged or ends early.
    Body(String),
    /// 200 with an error inside.
    Failed {
        /// The server's words.
        words: String,
    },
    /// The token endpoint handed out the very token that the instance refuses.
    SameToken,
    /// Another thread's log-in, or the token, did not come in time.
    NoLogin,
}

impl Error {
    /// A failed request.
    pub(super) fn request(asked: &AttemptedRequest, cause: InstanceFailure) -> Error {
        Error::Request {
            asked: Box::new(asked.clone()),
            cause,
            sent: None,
        }
    }

    /// The same, of a request that went out then.
    pub(super) fn sent_at(mut self, when: Option<Instant>) -> Error {
        if let Error::Request { sent, .. } = &mut self {
            *sent = when;
        }
        self
    }

    /// When the request went out, if the instance may have executed it all the same.
    pub fn possibly_executed_at(&self) -> Option<Instant> {
        match self {
            Error::Request { cause, sent, .. } if !cause.is_refusal() => *sent,
            Error::Request { .. } | Error::Setup(_) | Error::Stopped => None,
        }
    }

    /// Why the request failed, if there was one.
    pub fn cause(&self) -> Option<&InstanceFailure> {
        match self {
            Error::Request { cause, .. } => Some(cause),
            Error::Setup(_) | Error::Stopped => None,
        }
    }

    /// True where the same request may succeed later although nothing is changed in the meantime.
    pub fn is_retryable(&self) -> bool {
        self.cause().is_some_and(InstanceFailure::is_retryable)
    }

    /// True for the API's own verdict on this request, which shows that the instance works and has
    /// accepted our credentials. A gateway's refusal gives no reason.
    pub fn is_api_verdict(&self) -> bool {
        match self.cause() {
            Some(InstanceFailure::Forbidden { words }) => {
                words != NO_REASON_GIVEN && !words.contains(API_ACL_WORDS)
            }
            Some(
                InstanceFailure::NotFound { words } | InstanceFailure::BadRequest { words, .. },
            ) => words != NO_REASON_GIVEN,
            _ => false,
        }
    }

    /// True where no request would get through, not just this one, until an operator changes something:
    /// the credentials, the address, an access rule of the API as a whole.
    pub fn is_instance_wide(&self) -> bool {
        match self.cause() {
            Some(
                InstanceFailure::Unauthorized { .. }
                | InstanceFailure::SameToken
                | InstanceFailure::NoLogin
                | InstanceFailure::Redirect { .. }
                | InstanceFailure::Tls(_),
            ) => true,
            Some(InstanceFailure::Forbidden { words }) => words.contains(API_ACL_WORDS),
            // The API names a reason. A bare 404 is a gateway's, or of a wrong path.
            Some(InstanceFailure::NotFound { words }) => words == NO_REASON_GIVEN,
            _ => false,
        }
    }

    /// True where the instance takes no bodies of this size.
    pub fn is_too_large(&self) -> bool {
        match self.cause() {
            Some(InstanceFailure::BadRequest { status: 413, .. }) => true,
            Some(InstanceFailure::BadRequest { words, .. }) => words.contains(BODY_TOO_LARGE_WORDS),
            _ => false,
        }
    }

    /// True where the time was too short for the amount of data that was asked for; a smaller page
    /// may come through. A connection that was never made says nothing about the amount.
    pub fn is_timeout(&self) -> bool {
        match self.cause() {
            Some(InstanceFailure::Timeout { connecting, .. }) => !connecting,
            Some(InstanceFailure::Server { status: 504, .. }) => true,
            Some(InstanceFailure::Server { words, .. } | InstanceFailure::Failed { words }) => {
                is_time_limit(words)
            }
            _ => false,
        }
    }

    /// True where a smaller page may come through: a time-out, a body over the limit, a broken body.
    pub fn calls_for_smaller_page(&self) -> bool {
        self.is_timeout()
            || matches!(
                self.cause(),
                Some(InstanceFailure::TooLarge { .. } | InstanceFailure::Body(_))
            )
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

impl AttemptedRequest {
    /// This was to change a row.
    fn writes(&self) -> bool {
        !self.login && self.method != "GET"
    }
}

impl InstanceFailure {
    /// True where the same request may succeed later. Client errors stay until an operator changes
    /// something. A 401 may pass by itself (a session that moves between nodes), but each attempt
    /// counts towards the lock of the account, so the login breaker spaces them.
    pub fn is_retryable(&self) -> bool {
        match self {
            InstanceFailure::Timeout { .. }
            | InstanceFailure::Network(_)
            | InstanceFailure::RateLimited { .. }
            | InstanceFailure::Held { .. }
            | InstanceFailure::NotJson { .. }
            | InstanceFailure::NotExecuted
            | InstanceFailure::Server { .. }
            | InstanceFailure::Body(_)
            | InstanceFailure::Failed { .. }
            | InstanceFailure::NoLogin => true,
            InstanceFailure::Tls(_)
            | InstanceFailure::Unauthorized { .. }
            | InstanceFailure::Forbidden { .. }
            | InstanceFailure::NotFound { .. }
            | InstanceFailure::BadRequest { .. }
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::Status { .. }
            | InstanceFailure::TooLarge { .. }
            | InstanceFailure::SameToken => false,
        }
    }

    /// True where nothing was executed: the instance says so, or the request was not sent.
    fn is_refusal(&self) -> bool {
        match self {
            InstanceFailure::RateLimited { .. }
            | InstanceFailure::Held { .. }
            | InstanceFailure::Unauthorized { .. }
            | InstanceFailure::Forbidden { .. }
            | InstanceFailure::NotFound { .. }
            | InstanceFailure::BadRequest { .. }
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::NotExecuted
            | InstanceFailure::SameToken
            | InstanceFailure::NoLogin => true,
            InstanceFailure::Timeout { .. }
            | InstanceFailure::Network(_)
            | InstanceFailure::Tls(_)
            | InstanceFailure::NotJson { .. }
            | InstanceFailure::Server { .. }
            | InstanceFailure::Status { .. }
            | InstanceFailure::TooLarge { .. }
            | InstanceFailure::Body(_)
            | InstanceFailure::Failed { .. } => false,
        }
    }

    /// A bounded label for metrics.
    pub fn metric_label(&self) -> &'static str {
        match self {
            InstanceFailure::Timeout { .. } => "timeout",
            InstanceFailure::Network(_) => "network",
            InstanceFailure::Tls(_) => "tls",
            InstanceFailure::RateLimited { .. } | InstanceFailure::Held { .. } => "rate_limited",
            InstanceFailure::Unauthorized { .. }
            | InstanceFailure::SameToken
            | InstanceFailure::NoLogin => "unauthorized",
            InstanceFailure::Forbidden { .. } => "forbidden",
            InstanceFailure::NotFound { .. } => "not_found",
            InstanceFailure::BadRequest { .. } => "bad_request",
            InstanceFailure::Redirect { .. } => "redirect",
            InstanceFailure::NotJson { .. } => "not_json",
            InstanceFailure::NotExecuted => "not_executed",
            InstanceFailure::Server { .. } => "server",
            InstanceFailure::Status { .. } => "status",
            InstanceFailure::TooLarge { .. } => "too_large",
            InstanceFailure::Body(_) => "body",
            InstanceFailure::Failed { .. } => "failed",
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
                write!(f, "{asked}: {cause}{}", hint(asked, cause))
            }
        }
    }
}

impl fmt::Display for AttemptedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}", self.method, self.url, self.what)?;
        if let Some(query) = &self.query {
            write!(f, ", query `{query}`")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for InstanceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceFailure::Timeout { limit, .. } => write!(f, "timed out: {limit}"),
            InstanceFailure::Network(why) => f.write_str(why),
            InstanceFailure::Tls(why) => write!(f, "no secure connection: {why}"),
            InstanceFailure::RateLimited { wait, words } => {
                write!(
                    f,
                    "rate limited: {words}; waiting {} s",
                    wait.as_secs_f64().ceil()
                )
            }
            InstanceFailure::Held { wait } => {
                let wait = wait.as_secs_f64().ceil();
                write!(
                    f,
                    "not sent: the instance asked for a pause, {wait} s are left"
                )
            }
            InstanceFailure::Unauthorized { words } => write!(f, "401 unauthorized: {words}"),
            InstanceFailure::Forbidden { words } => write!(f, "403 forbidden: {words}"),
            InstanceFailure::NotFound { words } => write!(f, "404 not found: {words}"),
            InstanceFailure::BadRequest { status, words } => {
                write!(f, "{status} bad request: {words}")
            }
            InstanceFailure::Redirect { host } => {
                write!(f, "redirected to {host}, which is not followed")
            }
            InstanceFailure::NotJson {
                hibernating: true, ..
            } => f.write_str("the instance hibernates"),
            InstanceFailure::NotJson { content_type, .. } => {
                write!(f, "answered with {content_type} where JSON belongs")
            }
            InstanceFailure::NotExecuted => {
                f.write_str("202: the instance did not execute the request")
            }
            InstanceFailure::Server { status, words } => {
                write!(f, "{status} server error: {words}")
            }
            InstanceFailure::Status { status } => write!(f, "unexpected status {status}"),
            InstanceFailure::TooLarge { limit } => {
                write!(f, "the answer is larger than {limit} bytes")
            }
            InstanceFailure::Body(why) => write!(f, "incomplete or damaged answer: {why}"),
            InstanceFailure::Failed { words } => write!(f, "the answer carries an error: {words}"),
            InstanceFailure::SameToken => {
                f.write_str("401 unauthorized: the token endpoint repeats a token that is refused")
            }
            InstanceFailure::NoLogin => f.write_str("not sent: the log-in did not finish in time"),
        }
    }
}

/// Advice for the user, beginning with a separator; empty where there is none.
fn hint(asked: &AttemptedRequest, cause: &InstanceFailure) -> &'static str {
    match cause {
        InstanceFailure::Unauthorized { .. } if asked.login => {
            "; check client_id, client_secret, the user and its password, and that this grant is \
             enabled on the instance (its system log has the reason)"
        }
        InstanceFailure::Unauthorized { .. } | InstanceFailure::SameToken => {
            "; check the credentials, that the user is active and not locked, and that it may use \
             the REST API"
        }
        InstanceFailure::Forbidden { .. } if asked.writes() => {
            "; give the integration user create, write or delete access (an ACL on the table and on \
             every column that is written), or look up the business rule or data policy that is named"
        }
        InstanceFailure::Forbidden { .. } => {
            "; give the integration user read access (a read ACL on the table and on every column \
             of the query, and the role snc_platform_rest_api_access where API ACLs are active)"
        }
        InstanceFailure::NotFound { .. } if asked.login => "; check base_url and token_path",
        InstanceFailure::NotFound { .. } if asked.writes() => {
            "; the row is not there, or hidden from the integration user"
        }
        InstanceFailure::NotFound { .. } => {
            "; check table_api_path, the table name and its access rules"
        }
        InstanceFailure::BadRequest { words, .. } if words.starts_with("Invalid table") => {
            "; check the table name"
        }
        InstanceFailure::BadRequest { status, words }
            if *status == 413 || words.contains(BODY_TOO_LARGE_WORDS) =>
        {
            "; make the record smaller or raise glide.rest.max_content_length on the instance"
        }
        InstanceFailure::BadRequest { .. } if asked.writes() => {
            "; check the table name and the record's fields"
        }
        InstanceFailure::BadRequest { status: 414, .. } => {
            "; shorten the query or the list of fields"
        }
        InstanceFailure::BadRequest { .. } => "; check the table name, the fields and the query",
        InstanceFailure::Redirect { .. } => {
            "; base_url is wrong, or single sign-on stands before the API: use a local user"
        }
        InstanceFailure::NotJson {
            hibernating: true, ..
        } => "; wake it on the developer site",
        InstanceFailure::NotJson { .. } => {
            "; the instance is hibernating or in maintenance, or base_url is not an instance"
        }
        InstanceFailure::Tls(_) => {
            "; check base_url, servicenow.tls.ca_cert and the clock of this host"
        }
        InstanceFailure::TooLarge { .. } => "; lower batch_size or raise max_response_bytes",
        _ => "",
    }
}

/// True where the server's words say that its own time limit passed.
fn is_time_limit(words: &str) -> bool {
    words.contains("maximum execution time exceeded")
}

#[cfg(test)]
mod tests;
