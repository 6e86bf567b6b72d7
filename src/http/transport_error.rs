//! Why an exchange brought no answer, whatever the server is: the one table from errors of the HTTP
//! library to causes and their words.

use std::io;

use ureq::Timeout;

use super::agent::MAX_RESPONSE_HEAD_BYTES;
use super::error_body::shown;

/// Why an exchange ended between the request and the last byte of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransportError {
    /// A time limit passed.
    Timeout {
        /// Which one, in the words of the client's configuration.
        limit: &'static str,
        /// It passed before there was a connection, or the system gave up one on which nothing came back, so
        /// that it says nothing about the amount of data. The request may have been sent all the same.
        connecting: bool,
    },
    /// There was no connection, or it broke.
    Network(String),
    /// The certificate or the TLS handshake was refused.
    Tls(String),
    /// The request has no form in which it can be sent.
    Unsendable(String),
    /// The body is larger than the limit that the reader set, in bytes.
    TooLarge(u64),
    /// The head or the body is damaged, or ends early.
    Damaged(String),
}

/// How the configuration of a client calls its time limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimitWords {
    /// On the look-up of the host name and on the connection.
    pub(crate) connect: &'static str,
    /// On the wait for the next piece of the answer.
    pub(crate) read: &'static str,
    /// On the wait until the next piece of the request is taken.
    pub(crate) write: &'static str,
    /// On the whole exchange.
    pub(crate) total: &'static str,
}

/// The words for a connection that the operating system gave up.
const SYSTEM_TIMEOUT: &str = "the connection timed out";

impl TransportError {
    /// Why sending a request, or waiting for the head of its answer, failed.
    pub(crate) fn of_exchange(error: &ureq::Error, words: &TimeLimitWords) -> TransportError {
        match error {
            ureq::Error::Timeout(limit) => TransportError::Timeout {
                limit: match limit {
                    Timeout::Resolve | Timeout::Connect => words.connect,
                    Timeout::PerRead => words.read,
                    Timeout::PerWrite => words.write,
                    _ => words.total,
                },
                connecting: matches!(limit, Timeout::Resolve | Timeout::Connect),
            },
            ureq::Error::Io(error) => of_io(error),
            ureq::Error::HostNotFound => TransportError::Network("host not found".to_owned()),
            ureq::Error::ConnectProxyFailed(why) => {
                TransportError::Network(format!("proxy: {}", shown(why)))
            }
            ureq::Error::Tls(why) => TransportError::Tls((*why).to_owned()),
            ureq::Error::Rustls(why) => TransportError::Tls(why.to_string()),
            ureq::Error::BodyExceedsLimit(limit) => TransportError::TooLarge(*limit),
            ureq::Error::LargeResponseHeader(..) => TransportError::Damaged(format!(
                "the head is larger than {MAX_RESPONSE_HEAD_BYTES} bytes"
            )),
            ureq::Error::Http(why) => TransportError::Unsendable(why.to_string()),
            ureq::Error::BadUri(_) => {
                TransportError::Unsendable("the URL cannot be sent".to_owned())
            }
            other => TransportError::Damaged(shown(&other.to_string())),
        }
    }

    /// Why reading the body of an answer failed. A connection that breaks in the middle of one is a
    /// damaged answer: the server was there.
    pub(crate) fn of_body(error: &io::Error, words: &TimeLimitWords) -> TransportError {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ureq::Error>());
        match inner.map(|inner| TransportError::of_exchange(inner, words)) {
            Some(TransportError::Network(why)) => TransportError::Damaged(why),
            Some(cause) => cause,
            None => TransportError::Damaged(error.to_string()),
        }
    }
}

fn of_io(error: &io::Error) -> TransportError {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(why) => TransportError::Tls(why.to_string()),
        None if error.kind() == io::ErrorKind::TimedOut => TransportError::Timeout {
            limit: SYSTEM_TIMEOUT,
            connecting: true,
        },
        None => TransportError::Network(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: TimeLimitWords = TimeLimitWords {
        connect: "connect",
        read: "read",
        write: "write",
        total: "total",
    };

    fn of(error: &ureq::Error) -> TransportError {
        TransportError::of_exchange(error, &WORDS)
    }

    #[test]
    fn each_limit_has_its_words() {
        for (limit, words, before) in [
            (Timeout::Resolve, "connect", true),
            (Timeout::Connect, "connect", true),
            (Timeout::PerRead, "read", false),
            (Timeout::PerWrite, "write", false),
            (Timeout::Global, "total", false),
        ] {
            let expected = TransportError::Timeout {
                limit: words,
                connecting: before,
            };
            assert_eq!(of(&ureq::Error::Timeout(limit)), expected);
        }
        let system = io::Error::from(io::ErrorKind::TimedOut);
        assert!(matches!(
            of(&system.into()),
            TransportError::Timeout {
                connecting: true,
                ..
            }
        ));
    }

    #[test]
    fn a_body_that_breaks_off_is_damaged() {
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(matches!(of(&broken().into()), TransportError::Network(_)));
        for error in [broken(), io::Error::other(ureq::Error::Io(broken()))] {
            let cause = TransportError::of_body(&error, &WORDS);
            assert!(matches!(cause, TransportError::Damaged(_)), "{cause:?}");
        }
        let large = io::Error::other(ureq::Error::BodyExceedsLimit(7));
        assert_eq!(
            TransportError::of_body(&large, &WORDS),
            TransportError::TooLarge(7)
        );
    }
}
