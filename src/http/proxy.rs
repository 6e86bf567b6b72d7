//! The proxy of a configuration.

use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use super::error_body::shown;
use crate::config;

/// The proxy that requests go through. `key` is what the user calls it, as `servicenow.proxy`.
///
/// # Errors
/// Words on what is wrong with its URL.
pub(crate) fn proxy(key: &str, proxy: &config::ProxyConfig) -> Result<Proxy, String> {
    let invalid = || format!("{key}: `{}` is no http://host:port", shown(&proxy.url));
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
