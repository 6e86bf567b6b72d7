//! What goes wrong between this program and an instance, and whether trying again may help.

use std::fmt;
use std::time::{Duration, Instant};

/// Letters of a query, and of the server's words, that a message shows.
const SHOWN: usize = 300;

/// What stands for words where an answer has none.
const NO_REASON: &str = "no reason given";
/// The instance's words for a user or client that may not use this API at all.
const API_ACL: &str = "API level ACL";
/// The instance's words for a body above its limit, which come with a 400.
const TOO_LARGE: &str = "Rejected large REST payload";

/// An error of a request to the instance, or of setting up the client.
#[derive(Debug, Clone)]
pub enum Error {
    /// The client could not be set up; the text says what to change.
    Setup(String),
    /// The program is stopping.
    Stopped,
    /// A request that brought no usable answer.
    Request {
        /// What was asked.
        asked: Box<Asked>,
        /// Why it failed.
        cause: Cause,
        /// When the request went out; `None` if it certainly did not reach the instance.
        sent: Option<Instant>,
    },
}

/// What was asked of the instance, for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
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
pub enum Cause {
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
    /// 429, or 503 with `Retry-After`: nobody may ask before `wait` is over.
    RateLimited {
        /// How long the instance is left alone, for all threads.
        wait: Duration,
        /// The server's words.
        words: String,
    },
    /// Nothing was sent, as the instance asked to be left alone for longer than a request waits.
    Held {
        /// What is left of that time.
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
        /// What it was, from its head.
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
    pub(super) fn request(asked: &Asked, cause: Cause) -> Error {
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
    pub fn may_have_happened(&self) -> Option<Instant> {
        match self {
            Error::Request { cause, sent, .. } if !cause.is_refusal() => *sent,
            Error::Request { .. } | Error::Setup(_) | Error::Stopped => None,
        }
    }

    /// Why the request failed, if there was one.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Error::Request { cause, .. } => Some(cause),
            Error::Setup(_) | Error::Stopped => None,
        }
    }

    /// Whether the same request may succeed later without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        self.cause().is_some_and(Cause::is_retryable)
    }

    /// Whether it is the API's own verdict on this request: the instance works, and knows us.
    pub fn is_answer(&self) -> bool {
        match self.cause() {
            Some(Cause::Forbidden { words }) => words != NO_REASON && !words.contains(API_ACL),
            Some(Cause::NotFound { words } | Cause::BadRequest { words, .. }) => words != NO_REASON,
            _ => false,
        }
    }

    /// Whether nobody's request would get through, not just this one, until somebody does something.
    pub fn is_of_instance(&self) -> bool {
        match self.cause() {
            Some(
                Cause::Unauthorized { .. }
                | Cause::SameToken
                | Cause::NoLogin
                | Cause::Redirect { .. }
                | Cause::Tls(_),
            ) => true,
            Some(Cause::Forbidden { words }) => words.contains(API_ACL),
            // The API names a reason. A bare 404 is a gateway's, or of a wrong path.
            Some(Cause::NotFound { words }) => words == NO_REASON,
            _ => false,
        }
    }

    /// Whether the instance takes no bodies of this size.
    pub fn is_too_large(&self) -> bool {
        match self.cause() {
            Some(Cause::BadRequest { status: 413, .. }) => true,
            Some(Cause::BadRequest { words, .. }) => words.contains(TOO_LARGE),
            _ => false,
        }
    }

    /// Whether the instance was given too little time for the amount that was asked; a smaller page
    /// may come through. A connection that was never made says nothing about the amount.
    pub fn is_timeout(&self) -> bool {
        match self.cause() {
            Some(Cause::Timeout { connecting, .. }) => !connecting,
            Some(Cause::Server { status: 504, .. }) => true,
            Some(Cause::Server { words, .. } | Cause::Failed { words }) => is_time_limit(words),
            _ => false,
        }
    }

    /// Whether a smaller page may come through: a time-out, a body over the limit, a broken body.
    pub fn wants_less(&self) -> bool {
        self.is_timeout() || matches!(self.cause(), Some(Cause::TooLarge { .. } | Cause::Body(_)))
    }

    /// A bounded label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Setup(_) => "setup",
            Error::Stopped => "stopped",
            Error::Request { cause, .. } => cause.kind(),
        }
    }
}

impl Asked {
    /// This was to change a row.
    fn writes(&self) -> bool {
        !self.login && self.method != "GET"
    }
}

impl Cause {
    /// Client errors stay until somebody changes something. A 401 may pass by itself (a session
    /// that moves between nodes), but hurrying locks accounts: the login door spaces those.
    pub fn is_retryable(&self) -> bool {
        match self {
            Cause::Timeout { .. }
            | Cause::Network(_)
            | Cause::RateLimited { .. }
            | Cause::Held { .. }
            | Cause::NotJson { .. }
            | Cause::NotExecuted
            | Cause::Server { .. }
            | Cause::Body(_)
            | Cause::Failed { .. }
            | Cause::NoLogin => true,
            Cause::Tls(_)
            | Cause::Unauthorized { .. }
            | Cause::Forbidden { .. }
            | Cause::NotFound { .. }
            | Cause::BadRequest { .. }
            | Cause::Redirect { .. }
            | Cause::Status { .. }
            | Cause::TooLarge { .. }
            | Cause::SameToken => false,
        }
    }

    /// Whether it is the instance's word, or our own knowledge, that nothing was executed.
    fn is_refusal(&self) -> bool {
        match self {
            Cause::RateLimited { .. }
            | Cause::Held { .. }
            | Cause::Unauthorized { .. }
            | Cause::Forbidden { .. }
            | Cause::NotFound { .. }
            | Cause::BadRequest { .. }
            | Cause::Redirect { .. }
            | Cause::NotExecuted
            | Cause::SameToken
            | Cause::NoLogin => true,
            Cause::Timeout { .. }
            | Cause::Network(_)
            | Cause::Tls(_)
            | Cause::NotJson { .. }
            | Cause::Server { .. }
            | Cause::Status { .. }
            | Cause::TooLarge { .. }
            | Cause::Body(_)
            | Cause::Failed { .. } => false,
        }
    }

    /// A bounded label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Cause::Timeout { .. } => "timeout",
            Cause::Network(_) => "network",
            Cause::Tls(_) => "tls",
            Cause::RateLimited { .. } | Cause::Held { .. } => "rate_limited",
            Cause::Unauthorized { .. } | Cause::SameToken | Cause::NoLogin => "unauthorized",
            Cause::Forbidden { .. } => "forbidden",
            Cause::NotFound { .. } => "not_found",
            Cause::BadRequest { .. } => "bad_request",
            Cause::Redirect { .. } => "redirect",
            Cause::NotJson { .. } => "not_json",
            Cause::NotExecuted => "not_executed",
            Cause::Server { .. } => "server",
            Cause::Status { .. } => "status",
            Cause::TooLarge { .. } => "too_large",
            Cause::Body(_) => "body",
            Cause::Failed { .. } => "failed",
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

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}", self.method, self.url, self.what)?;
        if let Some(query) = &self.query {
            write!(f, ", query `{query}`")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Timeout { limit, .. } => write!(f, "timed out: {limit}"),
            Cause::Network(why) => f.write_str(why),
            Cause::Tls(why) => write!(f, "no secure connection: {why}"),
            Cause::RateLimited { wait, words } => {
                write!(
                    f,
                    "rate limited: {words}; waiting {} s",
                    wait.as_secs_f64().ceil()
                )
            }
            Cause::Held { wait } => {
                let wait = wait.as_secs_f64().ceil();
                write!(
                    f,
                    "not sent: the instance asked for a pause, {wait} s are left"
                )
            }
            Cause::Unauthorized { words } => write!(f, "401 unauthorized: {words}"),
            Cause::Forbidden { words } => write!(f, "403 forbidden: {words}"),
            Cause::NotFound { words } => write!(f, "404 not found: {words}"),
            Cause::BadRequest { status, words } => write!(f, "{status} bad request: {words}"),
            Cause::Redirect { host } => write!(f, "redirected to {host}, which is not followed"),
            Cause::NotJson {
                hibernating: true, ..
            } => f.write_str("the instance hibernates"),
            Cause::NotJson { content_type, .. } => {
                write!(f, "answered with {content_type} where JSON belongs")
            }
            Cause::NotExecuted => f.write_str("202: the instance did not execute the request"),
            Cause::Server { status, words } => write!(f, "{status} server error: {words}"),
            Cause::Status { status } => write!(f, "unexpected status {status}"),
            Cause::TooLarge { limit } => write!(f, "the answer is larger than {limit} bytes"),
            Cause::Body(why) => write!(f, "incomplete or damaged answer: {why}"),
            Cause::Failed { words } => write!(f, "the answer carries an error: {words}"),
            Cause::SameToken => {
                f.write_str("401 unauthorized: the token endpoint repeats a token that is refused")
            }
            Cause::NoLogin => f.write_str("not sent: the log-in did not finish in time"),
        }
    }
}

/// What the user can do about it, beginning with a separator; empty where nothing can be said.
fn hint(asked: &Asked, cause: &Cause) -> &'static str {
    match cause {
        Cause::Unauthorized { .. } if asked.login => {
            "; check client_id, client_secret, the user and its password, and that this grant is \
             enabled on the instance (its system log has the reason)"
        }
        Cause::Unauthorized { .. } | Cause::SameToken => {
            "; check the credentials, that the user is active and not locked, and that it may use \
             the REST API"
        }
        Cause::Forbidden { .. } if asked.writes() => {
            "; give the integration user create, write or delete access (an ACL on the table and on \
             every column that is written), or look up the business rule or data policy that is named"
        }
        Cause::Forbidden { .. } => {
            "; give the integration user read access (a read ACL on the table and on every column \
             of the query, and the role snc_platform_rest_api_access where API ACLs are active)"
        }
        Cause::NotFound { .. } if asked.login => "; check base_url and token_path",
        Cause::NotFound { .. } if asked.writes() => {
            "; the row is not there, or hidden from the integration user"
        }
        Cause::NotFound { .. } => "; check table_api_path, the table name and its access rules",
        Cause::BadRequest { words, .. } if words.starts_with("Invalid table") => {
            "; check the table name"
        }
        Cause::BadRequest { status, words } if *status == 413 || words.contains(TOO_LARGE) => {
            "; make the record smaller or raise glide.rest.max_content_length on the instance"
        }
        Cause::BadRequest { .. } if asked.writes() => {
            "; check the table name and the record's fields"
        }
        Cause::BadRequest { status: 414, .. } => "; shorten the query or the list of fields",
        Cause::BadRequest { .. } => "; check the table name, the fields and the query",
        Cause::Redirect { .. } => {
            "; base_url is wrong, or single sign-on stands before the API: use a local user"
        }
        Cause::NotJson {
            hibernating: true, ..
        } => "; wake it on the developer site",
        Cause::NotJson { .. } => {
            "; the instance is hibernating or in maintenance, or base_url is not an instance"
        }
        Cause::Tls(_) => "; check base_url, servicenow.tls.ca_cert and the clock of this host",
        Cause::TooLarge { .. } => "; lower batch_size or raise max_response_bytes",
        _ => "",
    }
}

/// Whether the server's words say that it ran out of its own time limit.
fn is_time_limit(words: &str) -> bool {
    words.contains("maximum execution time exceeded")
}

/// `message: detail` of an error body or of its `error` value; `error: error_description` of a token
/// endpoint. Nothing else of a body is ever shown.
pub(crate) fn error_words(body: &[u8]) -> String {
    let value = serde_json::from_slice(body).unwrap_or(serde_json::Value::Null);
    let (outer, inner) = (&value, value.get("error").unwrap_or(&value));
    let texts = match inner {
        serde_json::Value::String(error) => {
            vec![error.as_str(), text(outer, "error_description")]
        }
        inner => vec![text(inner, "message"), text(inner, "detail")],
    };
    let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        NO_REASON.to_owned()
    } else {
        shown(&texts.join(": "))
    }
}

fn text<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value
        .get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or("")
}

/// Fit for a message: one line, at most 300 letters.
pub(crate) fn shown(text: &str) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut out: String = text.chars().take(SHOWN).map(clean).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests;
