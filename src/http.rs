//! The HTTP client that the clients of the instance and of the schema registry share.
//!
//! It knows connections, not services: how long they may take and how they end ([`agent`]), what
//! secures them ([`tls`]), where host names lead ([`dns_cache`]), how text is put into a request
//! ([`encoding`]), what of an answer's head and of an error's body is used ([`headers`],
//! [`error_body`]) without the secrets that a server may quote ([`redaction`]), the words for an exchange
//! that brought no answer ([`transport_error`]), and what requests do while a place is away
//! ([`outage_gate`], [`circuit_breaker`]).
//! What an answer means is decided by each client on top of it.
//!
//! Nothing here follows redirects, keeps cookies or takes a proxy from the environment.

pub(crate) mod agent;
pub(crate) mod circuit_breaker;
mod dns_cache;
pub(crate) mod encoding;
pub(crate) mod error_body;
pub(crate) mod headers;
pub(crate) mod outage_gate;
mod proxy;
pub(crate) mod reach;
pub(crate) mod redaction;
mod tcp;
#[cfg(test)]
pub(crate) mod test_certs;
#[cfg(test)]
pub(crate) mod test_server;
mod tls;
pub(crate) mod transport_error;

pub(crate) use self::dns_cache::DnsCache;
pub(crate) use self::proxy::proxy;
pub(crate) use self::tls::tls_config;
