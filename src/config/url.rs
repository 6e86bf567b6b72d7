//! URLs, hosts and ports of the configuration. The syntax is checked by the same parser as the HTTP
//! client's; what is here are the rules for our keys and messages that never repeat the text, as it
//! may have credentials in it.

use std::net::{IpAddr, Ipv6Addr};

use ureq::http::Uri;

/// Checks a URL and gives its normal form: scheme and host in lower case, no trailing slash.
pub(super) fn normalized(text: &str, example: &str) -> Result<String, String> {
    parse(text, example).map(|url| to_text(&url))
}

/// The text of a URL without trailing slash.
pub(super) fn to_text(url: &Uri) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}

/// True if the host of a URL is this machine, so that what is sent unprotected does not leave it.
pub(super) fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// True if a URL was probably copied from a browser: it has the path of a page of a ServiceNow
/// instance. The path of a gateway in front of one is another.
pub(super) fn leads_to_page(url: &str) -> bool {
    /// First steps of paths in ServiceNow's own interfaces.
    const PAGES: [&str; 8] = [
        "now",
        "nav_to.do",
        "api",
        "sp",
        "esc",
        "csm",
        "itil",
        "login",
    ];
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let path = uri.path().trim_start_matches('/').to_ascii_lowercase();
    let is_instance = uri
        .host()
        .is_some_and(|host| host.ends_with(".service-now.com"));
    let first = path.split('/').next().unwrap_or_default();
    !path.is_empty() && (is_instance || PAGES.contains(&first) || path.ends_with(".do"))
}

/// Reads a URL with scheme, host, optional port and optional path.
pub(super) fn parse(text: &str, example: &str) -> Result<Uri, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| format!("is not a URL; write for example `{example}`"))?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        return Err(format!(
            "only http and https are known; write for example `{example}`"
        ));
    }
    // Some people have `@`, `?` or `#` in a password they put here; all end in one of these.
    if rest.contains('@') {
        let message = "must not hold a user name or password; they have keys of their own";
        return Err(message.to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("must not hold a query (`?`) or a fragment (`#`)".to_owned());
    }
    let is_illegal = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if rest.contains(is_illegal) {
        return Err("must not hold blanks, control characters or backslashes".to_owned());
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let path = rest.strip_prefix(authority).unwrap_or("");
    let (host, port) = split_port(authority)?;
    check_host(host, example)?;
    let host = host.to_ascii_lowercase();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let path = path.trim_end_matches('/');
    format!("{scheme}://{host}{port}{path}")
        .parse()
        .map_err(|_| format!("is not a URL; write for example `{example}`"))
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.split_once(']') {
        Some((_, tail)) => {
            let host = authority.strip_suffix(tail).unwrap_or(authority);
            match tail.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if tail.is_empty() => (host, None),
                None => return Err("only a port may follow the `]`".to_owned()),
            }
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("a v6 address goes in brackets, as in `[::1]:8080`".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let Some(port) = port else {
        return Ok((host, None));
    };
    match port.parse() {
        Ok(number) if !port.starts_with('+') => Ok((host, Some(number))),
        _ => Err("the port after `:` must be a number from 0 to 65535".to_owned()),
    }
}

/// Checks a host name or address.
pub(super) fn check_host(host: &str, example: &str) -> Result<(), String> {
    /// RFC 1035, section 2.3.4, less the length byte and the root.
    const MAX_HOST_BYTES: usize = 253;
    if host.is_empty() {
        return Err(format!("has no host; write for example `{example}`"));
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("holds a bad v6 address in brackets".to_owned()),
        };
    }
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut labels = host.trim_end_matches('.').split('.');
    let has_empty_label = labels.any(str::is_empty);
    if host.len() > MAX_HOST_BYTES || has_empty_label || !host.chars().all(is_legal) {
        return Err(format!(
            "has a host that is no name or address (names beyond ASCII go in their `xn--` form); \
             write for example `{example}`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
