//! The HTTP agents and their bounds.

use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Proxy, ProxyProtocol};

use super::super::error::Error;
use super::super::error_body::shown;
use super::super::tls;
use crate::config;
use crate::servicenow::dns_cache::DnsCache;

/// What connections of one kind hold and how many are kept for reuse: about as many as threads ask
/// at once.
pub(super) struct ConnectionProfile {
    idle: usize,
    /// Bytes per read from a connection. ureq copies once from here into the caller's buffer.
    input: usize,
    /// Must hold the longest line of a request: a long query, a JWT.
    output: usize,
}

/// For pages.
pub(super) const READ_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    idle: 16,
    input: 128 * 1024,
    output: 64 * 1024,
};
/// For writes: many at once, with short answers. A head must fit into the input.
pub(super) const WRITE_CONNECTIONS: ConnectionProfile = ConnectionProfile {
    idle: 256,
    input: 16 * 1024,
    output: 16 * 1024,
};
/// How long an unused connection is kept: longer than the slow interval of 30 s, as a TLS handshake
/// per poll costs both sides. ServiceNow announces 20 s or 70 s; ureq looks whether the other side
/// has closed before it uses a connection again.
const INSTANCE_MAX_IDLE_AGE: Duration = Duration::from_secs(50);
/// Bytes of a response head.
pub(super) const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;
/// An agent with connections of this shape.
pub(super) fn new(
    config: &config::ServiceNowConfig,
    https: bool,
    shape: &ConnectionProfile,
) -> Result<Agent, Error> {
    let mut builder = Agent::config_builder()
        // ureq's default comes from the environment.
        .proxy(config.proxy.as_ref().map(proxy).transpose()?)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!(
            "servicenow-kafka-bridge/",
            env!("CARGO_PKG_VERSION")
        ))
        .accept("application/json")
        .timeout_global(Some(config.timeout))
        .timeout_resolve(Some(config.conn_timeout))
        .timeout_connect(Some(config.conn_timeout))
        .timeout_per_read(Some(config.read_timeout))
        .timeout_per_write(Some(config.read_timeout))
        .max_response_header_size(MAX_RESPONSE_HEAD_BYTES)
        .input_buffer_size(shape.input)
        .output_buffer_size(shape.output)
        .max_idle_connections(shape.idle)
        .max_idle_connections_per_host(shape.idle)
        .max_idle_age(INSTANCE_MAX_IDLE_AGE);
    let proxy_https = config
        .proxy
        .as_ref()
        .is_some_and(|proxy| proxy.url.starts_with("https:"));
    if https || proxy_https {
        let settings = tls::tls_config("servicenow.tls", &config.tls).map_err(Error::Setup)?;
        builder = builder.tls_config(settings);
    }
    Ok(Agent::with_parts(
        builder.build(),
        DefaultConnector::new(),
        DnsCache::default(),
    ))
}

fn proxy(proxy: &config::ProxyConfig) -> Result<Proxy, Error> {
    let invalid = || {
        let url = shown(&proxy.url);
        Error::Setup(format!("servicenow.proxy: `{url}` is no http://host:port"))
    };
    let uri: Uri = proxy.url.parse().map_err(|_| invalid())?;
    let protocol = match uri.scheme_str() {
        Some("http") | None => ProxyProtocol::Http,
        Some("https") => ProxyProtocol::Https,
        Some(_) => return Err(invalid()),
    };
    let mut builder = Proxy::builder(protocol).host(uri.host().ok_or_else(invalid)?);
    if let Some(port) = uri.port_u16() {
        builder = builder.port(port);
    }
    if let Some(username) = &proxy.username {
        builder = builder.username(username);
        builder = builder.password(proxy.password.as_ref().map_or("", config::Secret::expose));
    }
    builder.build().map_err(|_| invalid())
}
