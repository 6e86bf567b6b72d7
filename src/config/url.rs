//! The few things this program needs to know of a URL.

use std::net::IpAddr;

/// An address without credentials, query or fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Host in lower case; a v6 address stays in its brackets.
    pub(super) host: String,
    /// Port, if one is written.
    pub(super) port: Option<u16>,
    /// Path without trailing slash: empty, or with a slash in front.
    pub(super) path: String,
}

impl BaseUrl {
    /// The normal form.
    pub(super) fn to_text(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.scheme, self.host, self.path)
    }

    /// Whether the host is this machine, so that plain text stays on it.
    pub(super) fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

/// Reads a URL. The messages never hold the text: it may have credentials in it.
pub(super) fn parse(text: &str, example: &str) -> Result<BaseUrl, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| format!("is not a URL; write for example `{example}`"))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => "https",
        "http" => "http",
        _ => {
            return Err(format!(
                "only http and https are known; write for example `{example}`"
            ));
        }
    };
    // Some people have `@`, `?` or `#` in a password they put here; all end in one of these.
    if rest.contains('@') {
        return Err(
            "must not hold a user name or password; they have keys of their own".to_owned(),
        );
    }
    if rest.contains(['?', '#']) {
        return Err("must not hold a query (`?`) or a fragment (`#`)".to_owned());
    }
    if rest
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err("must not hold blanks, control characters or backslashes".to_owned());
    }
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        Some((authority, path)) => (authority, path.trim_end_matches('/')),
        None => (rest, ""),
    };
    let (host, port) = split_port(authority)?;
    check_host(host, example)?;
    Ok(BaseUrl {
        scheme,
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => {
            let (host, tail) = authority
                .split_at_checked(end + 1)
                .unwrap_or((authority, ""));
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
    match port {
        None => Ok((host, None)),
        Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => match digits.parse() {
            Ok(port) => Ok((host, Some(port))),
            Err(_) => Err("the port after `:` must be a number from 0 to 65535".to_owned()),
        },
        Some(_) => Err("the port after `:` must be a number from 0 to 65535".to_owned()),
    }
}

/// Checks a host name or address.
pub(super) fn check_host(host: &str, example: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err(format!("has no host; write for example `{example}`"));
    }
    if let Some(inner) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address = inner.parse::<std::net::Ipv6Addr>();
        return address
            .map(|_| ())
            .map_err(|_| "holds a bad v6 address in brackets".to_owned());
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let labels = host
        .trim_end_matches('.')
        .split('.')
        .all(|label| !label.is_empty());
    if 253 < host.len() || !labels || !host.chars().all(legal) {
        return Err(format!(
            "has a host that is no name or address (names beyond ASCII go in their `xn--` form); \
             write for example `{example}`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(
            parse(text, "x").map(|url| url.to_text()),
            Ok(expected.to_owned())
        );
    }

    #[test]
    fn good_urls_are_normalized() {
        check(
            "https://dev1.service-now.com",
            "https://dev1.service-now.com",
        );
        check(
            "HTTPS://Dev1.Service-Now.com//",
            "https://dev1.service-now.com",
        );
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080");
        check("http://[::1]:8080", "http://[::1]:8080");
        check("https://gateway.example/sn/", "https://gateway.example/sn");
    }

    #[test]
    fn bad_urls_are_refused_without_echo() {
        for bad in [
            "dev1.service-now.com",
            "ftp://x",
            "https://",
            "https:///x",
            "https://:443",
            "https://u:hunter2@x",
            "https://x?hunter2",
            "https://x/#hunter2",
            "https://x:99999",
            "https://x:hunter2",
            "https://a b",
            "https://a..b",
            "https://::1",
            "https://[::1",
            "https://exämple.com",
            "https://x:+1",
            "https://[::1]x",
        ] {
            let message = parse(bad, "x").unwrap_err();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn loopback() {
        for (url, expected) in [
            ("http://localhost", true),
            ("http://127.9.9.9:1", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(parse(url, "x").unwrap().is_loopback(), expected, "{url}");
        }
    }
}
