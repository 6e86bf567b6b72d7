//! Why a request to an instance failed.

use std::fmt;
use std::time::Duration;

/// Why a request failed. Texts named `words` are the server's, cut and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceFailure {
    /// Nothing came in time.
    Timeout {
        /// Which limit it was.
        limit: String,
        /// There was no connection, or one on which nothing came back.
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
    /// Nothing was sent, as the instance was away for as long as a request waits.
    Away {
        /// The newest failure of a request of this kind, in words.
        words: String,
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
    /// A refusal that is not in the API's form: something on the way to the instance refuses.
    Foreign {
        /// HTTP status.
        status: u16,
        /// The words of what refused.
        words: String,
    },
    /// 400 and its kin: the request itself is wrong.
    BadRequest {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// The request has no form in which it can be sent, as one with too long a URL.
    Unsendable(String),
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

/// What the outcome of an exchange says about the instance, for all requests of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::servicenow) enum Availability {
    /// It answered.
    Answers,
    /// Nothing.
    Unknown,
    /// It did not answer, or in its own words with a failure that may be this request's alone.
    Suspect,
    /// It did not answer.
    Away,
}

impl InstanceFailure {
    /// What this failure says about the instance. `status`: of the answer, if there was one.
    /// `in_api_words`: its body has the form of the API's errors.
    pub(in crate::servicenow) fn availability(
        &self,
        status: Option<u16>,
        in_api_words: bool,
    ) -> Availability {
        match self {
            InstanceFailure::Timeout { .. }
            | InstanceFailure::Network(_)
            | InstanceFailure::Tls(_)
            | InstanceFailure::Foreign { .. }
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::NotJson { .. }
            | InstanceFailure::Status { .. }
            | InstanceFailure::Body(_) => Availability::Away,
            InstanceFailure::Server { .. } if in_api_words => Availability::Suspect,
            InstanceFailure::Server { .. } => Availability::Away,
            InstanceFailure::RateLimited { .. } if status == Some(503) => Availability::Away,
            InstanceFailure::Unauthorized { .. }
            | InstanceFailure::Forbidden { .. }
            | InstanceFailure::NotFound { .. }
            | InstanceFailure::BadRequest { .. }
            | InstanceFailure::TooLarge { .. }
            | InstanceFailure::Failed { .. } => Availability::Answers,
            InstanceFailure::RateLimited { .. }
            | InstanceFailure::NotExecuted
            | InstanceFailure::Unsendable(_)
            | InstanceFailure::Held { .. }
            | InstanceFailure::Away { .. }
            | InstanceFailure::SameToken
            | InstanceFailure::NoLogin => Availability::Unknown,
        }
    }

    /// True where the same request may succeed later. Client errors stay until an operator changes
    /// something. A 401 may pass by itself (a session that moves between nodes), but each attempt
    /// counts towards the lock of the account, so the login breaker spaces them.
    pub fn is_retryable(&self) -> bool {
        match self {
            InstanceFailure::Timeout { .. }
            | InstanceFailure::Network(_)
            | InstanceFailure::RateLimited { .. }
            | InstanceFailure::Held { .. }
            | InstanceFailure::Away { .. }
            | InstanceFailure::Foreign { .. }
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
            | InstanceFailure::Unsendable(_)
            | InstanceFailure::Redirect { .. }
            | InstanceFailure::Status { .. }
            | InstanceFailure::TooLarge { .. }
            | InstanceFailure::SameToken => false,
        }
    }

    /// True where nothing was executed: the instance says so, or the request was not sent.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            InstanceFailure::RateLimited { .. }
            | InstanceFailure::Held { .. }
            | InstanceFailure::Away { .. }
            | InstanceFailure::Foreign { .. }
            | InstanceFailure::Unauthorized { .. }
            | InstanceFailure::Forbidden { .. }
            | InstanceFailure::NotFound { .. }
            | InstanceFailure::BadRequest { .. }
            | InstanceFailure::Unsendable(_)
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
            InstanceFailure::Away { .. } => "away",
            InstanceFailure::Foreign { .. } => "foreign",
            InstanceFailure::Tls(_) => "tls",
            InstanceFailure::RateLimited { .. } | InstanceFailure::Held { .. } => "rate_limited",
            InstanceFailure::Unauthorized { .. }
            | InstanceFailure::SameToken
            | InstanceFailure::NoLogin => "unauthorized",
            InstanceFailure::Forbidden { .. } => "forbidden",
            InstanceFailure::NotFound { .. } => "not_found",
            InstanceFailure::BadRequest { .. } | InstanceFailure::Unsendable(_) => "bad_request",
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
            InstanceFailure::Away { words } => {
                write!(f, "not sent: the instance is away: {words}")
            }
            InstanceFailure::Foreign { status, words } => {
                write!(f, "{status} in words that are not the instance's: {words}")
            }
            InstanceFailure::Unauthorized { words } => write!(f, "401 unauthorized: {words}"),
            InstanceFailure::Forbidden { words } => write!(f, "403 forbidden: {words}"),
            InstanceFailure::NotFound { words } => write!(f, "404 not found: {words}"),
            InstanceFailure::BadRequest { status, words } => {
                write!(f, "{status} bad request: {words}")
            }
            InstanceFailure::Unsendable(why) => write!(f, "cannot be sent: {why}"),
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
