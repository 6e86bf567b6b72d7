//! Single values of `observability`.

use crate::config::url;

/// Checks `observability.addr`.
pub(in crate::config) fn listen_address(text: &str) -> Result<(), String> {
    let (host, port) = url::split_port(text)?;
    if port.is_none() {
        return Err("has no port; write for example `:8080` or `127.0.0.1:8080`".to_owned());
    }
    if host.is_empty() {
        Ok(())
    } else {
        url::check_host(host, "127.0.0.1:8080")
    }
}
