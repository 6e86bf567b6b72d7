//! Errors of requests to an instance: what was tried, on what, why it failed, what to do about it, and
//! whether trying again may help.

pub(super) mod failure;

use std::fmt;
use std::time::Instant;

pub use self::failure::InstanceFailure;

use crate::http::error_body::{NO_REASON_GIVEN, shown};

/// The instance's words for a user or client that may not use this API at all.
const API_ACL_WORDS: &str = "API level ACL";
/// The instance's words for a path that leads to no API, which come with a 400.
const WRONG_PATH_WORDS: &str = "Requested URI does not represent any resource";
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
        /// Whether the instance is away, for all requests of this kind.
        outage: OutageSign,
    },
}

/// Whether a failure is one of all requests of its kind, as far as is known. While it is, the client lets
/// one request at a time through, so that callers come again at once and keep no pause of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutageSign {
    /// Others are answered, or the failure says nothing about them.
    #[default]
    None,
    /// The instance itself words the failure, and no other request has been answered since: it may be
    /// this one alone that fails.
    Suspected,
    /// No request is answered.
    Certain,
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
    /// The encoded query as it was asked for. An error shows its start with `{:#}` only, as it is long; the
    /// log has that at level debug.
    pub query: Option<String>,
    /// This was a request for an access token.
    pub login: bool,
}

impl Error {
    /// A failed request.
    pub(super) fn request(asked: &AttemptedRequest, cause: InstanceFailure) -> Error {
        Error::Request {
            asked: Box::new(asked.clone()),
            cause,
            sent: None,
            outage: OutageSign::None,
        }
    }

    /// The same, of a request that went out then.
    pub(super) fn sent_at(mut self, when: Option<Instant>) -> Error {
        if let Error::Request { sent, .. } = &mut self {
            *sent = when;
        }
        self
    }

    /// The same, with what it says about the instance.
    pub(super) fn with_outage(mut self, sign: OutageSign) -> Error {
        if let Error::Request { outage, .. } = &mut self {
            *outage = sign;
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

    /// Whether an answer came that is of no use, and that neither is about the log-in nor asks for a pause:
    /// where one path is refused like this, others may be open.
    pub fn is_unusable_answer(&self) -> bool {
        matches!(
            self.cause(),
            Some(
                InstanceFailure::Forbidden { .. }
                    | InstanceFailure::NotFound { .. }
                    | InstanceFailure::BadRequest { .. }
                    | InstanceFailure::Foreign { .. }
                    | InstanceFailure::Redirect { .. }
                    | InstanceFailure::NotJson { .. }
                    | InstanceFailure::NotExecuted
                    | InstanceFailure::Server { .. }
                    | InstanceFailure::Status { .. }
                    | InstanceFailure::TooLarge { .. }
                    | InstanceFailure::Body(_)
                    | InstanceFailure::Failed { .. }
            )
        )
    }

    /// Whether the instance is away, for all requests of this kind.
    pub fn outage(&self) -> OutageSign {
        match self {
            Error::Request { outage, .. } => *outage,
            Error::Setup(_) | Error::Stopped => OutageSign::None,
        }
    }

    /// True where nothing was sent because the client waited in vain for its turn: no attempt was made.
    pub fn is_unsent_wait(&self) -> bool {
        matches!(
            self.cause(),
            Some(
                InstanceFailure::Held { .. }
                    | InstanceFailure::Away { .. }
                    | InstanceFailure::NoLogin
            )
        )
    }

    /// True where the client itself holds requests back until the cause is over: a caller comes again
    /// at once, without a pause of its own.
    pub fn is_held_by_client(&self) -> bool {
        self.outage() != OutageSign::None
            || self.is_unsent_wait()
            || matches!(self.cause(), Some(InstanceFailure::RateLimited { .. }))
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
            ) => words != NO_REASON_GIVEN && !self.is_wrong_path(),
            _ => false,
        }
    }

    /// True where no request would get through, not just this one, until an operator changes something:
    /// the credentials, the address, the path, an access rule of the API as a whole.
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
            // The API names a reason. An error in its form without one may be of a wrong path.
            Some(InstanceFailure::NotFound { words }) if words == NO_REASON_GIVEN => true,
            _ => self.is_wrong_path(),
        }
    }

    /// True where nothing is under the path of the API.
    fn is_wrong_path(&self) -> bool {
        let Some(InstanceFailure::NotFound { words } | InstanceFailure::BadRequest { words, .. }) =
            self.cause()
        else {
            return false;
        };
        words.contains(WRONG_PATH_WORDS)
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

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Setup(why) => f.write_str(why),
            Error::Stopped => f.write_str("stopped"),
            Error::Request { asked, cause, .. } => {
                write!(f, "{cause} ({asked}")?;
                if f.alternate()
                    && let Some(query) = &asked.query
                {
                    write!(f, ", query `{}`", shown(query))?;
                }
                write!(f, "){}", hint(asked, cause))
            }
        }
    }
}

impl fmt::Display for AttemptedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.method, self.url, self.what)
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
        InstanceFailure::BadRequest { words, .. } if words.contains(WRONG_PATH_WORDS) => {
            "; check servicenow.table_api_path"
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
        InstanceFailure::Unsendable(_) if asked.writes() => "; check the table name and the sys_id",
        InstanceFailure::BadRequest { status: 414, .. } | InstanceFailure::Unsendable(_) => {
            "; shorten the query or the list of fields"
        }
        InstanceFailure::BadRequest { .. } => "; check the table name, the fields and the query",
        InstanceFailure::Redirect { .. } => {
            "; base_url is wrong, or single sign-on stands before the API: use a local user"
        }
        InstanceFailure::Foreign { .. } => {
            "; a firewall, an IP access list or a gateway on the way refuses, or base_url or \
             table_api_path is wrong"
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
