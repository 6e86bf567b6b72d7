//! Checks of `servicenow`: address, log-in, proxy, certificates, time zone.

use crate::config::key_table::{CheckKeys, FromKeys, KeyGroup as _};
use crate::config::keys::{
    ApiKeyKeys, AuthType, BasicAuthKeys, GrantType, OAuthConfig, OAuthGrant, OAuthKeys,
    ProxyConfig, ProxyKeys, ServiceNowAuth, ServiceNowAuthKeys, ServiceNowConfig, TlsFiles,
};
use crate::config::reader::Section;
use crate::config::secret::Secret;
use crate::config::url;
use crate::config::values::headers::{MAX_HEADER_BYTES, MAX_HEADERS, is_header_value};

impl CheckKeys for ServiceNowConfig {
    fn check(section: &Section<'_>, servicenow: ServiceNowConfig, (): &()) -> ServiceNowConfig {
        if servicenow.base_url.starts_with("http://") {
            if !url::is_loopback(&servicenow.base_url) {
                let message =
                    "is http: passwords, tokens and records travel unprotected; use https";
                section.warning("base_url", message);
            }
            if servicenow.tls != TlsFiles::default() {
                section.warning("tls", "is not used, as `base_url` is http");
            }
        }
        if url::leads_to_page(&servicenow.base_url) {
            let message = "leads to a page of the instance; write scheme and host alone";
            section.warning("base_url", message);
        }
        let parts = [
            ("read_timeout_seconds", servicenow.read_timeout),
            ("conn_timeout_seconds", servicenow.conn_timeout),
        ];
        for (key, part) in parts {
            if part > servicenow.timeout && section.has(key) {
                let message = "is longer than `timeout_seconds`, which ends a request before";
                section.warning(key, message);
            }
        }
        check_headers(section, &servicenow);
        servicenow
    }
}

/// What the headers are together, and with the log-in.
fn check_headers(section: &Section<'_>, servicenow: &ServiceNowConfig) {
    let headers = &servicenow.headers;
    let sizes = headers
        .iter()
        .map(|(name, value)| name.len() + value.expose().len());
    if headers.len() > MAX_HEADERS || sizes.sum::<usize>() > MAX_HEADER_BYTES {
        let message =
            format!("holds more than {MAX_HEADERS} headers, or more than {MAX_HEADER_BYTES} bytes");
        section.problem("headers", message);
    }
    let key_header = match &servicenow.auth {
        ServiceNowAuth::ApiKey { header, .. } => Some(header),
        ServiceNowAuth::OAuth(_) | ServiceNowAuth::Basic { .. } => None,
    };
    for (index, (name, _)) in headers.iter().enumerate() {
        let place = format!("headers.{name}");
        let mut before = headers.iter().take(index);
        if before.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            section.problem(&place, "is there twice; capital letters make no difference");
        }
        if key_header.is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            section.problem(&place, "is the header of `servicenow.auth.api_key`");
        }
    }
}

impl FromKeys for ServiceNowAuth {
    type Keys = ServiceNowAuthKeys;

    fn from_keys(_: &Section<'_>, keys: ServiceNowAuthKeys) -> ServiceNowAuth {
        match keys.kind.unwrap_or(AuthType::OAuth) {
            AuthType::OAuth => ServiceNowAuth::OAuth(keys.oauth.into()),
            AuthType::Basic => ServiceNowAuth::Basic {
                username: keys.basic.username.unwrap_or_default(),
                password: keys.basic.password.unwrap_or_default(),
            },
            AuthType::ApiKey => ServiceNowAuth::ApiKey {
                header: keys.api_key.header,
                key: keys.api_key.key.unwrap_or_default(),
            },
        }
    }

    fn to_keys(&self) -> ServiceNowAuthKeys {
        let none = ServiceNowAuthKeys::defaults(());
        match self.clone() {
            ServiceNowAuth::OAuth(oauth) => ServiceNowAuthKeys {
                oauth: oauth.into(),
                ..none
            },
            ServiceNowAuth::Basic { username, password } => ServiceNowAuthKeys {
                kind: Some(AuthType::Basic),
                basic: BasicAuthKeys {
                    username: Some(username),
                    password: Some(password),
                },
                ..none
            },
            ServiceNowAuth::ApiKey { header, key } => ServiceNowAuthKeys {
                kind: Some(AuthType::ApiKey),
                api_key: ApiKeyKeys {
                    header,
                    key: Some(key),
                },
                ..none
            },
        }
    }
}

impl From<OAuthKeys> for OAuthConfig {
    fn from(keys: OAuthKeys) -> OAuthConfig {
        OAuthConfig {
            grant: match keys.grant_type {
                GrantType::Password => OAuthGrant::Password {
                    username: keys.username.unwrap_or_default(),
                    password: keys.password.unwrap_or_default(),
                },
                GrantType::RefreshToken => OAuthGrant::RefreshToken {
                    refresh_token: keys.refresh_token.unwrap_or_default(),
                },
                GrantType::ClientCredentials => OAuthGrant::ClientCredentials,
            },
            client_id: keys.client_id.unwrap_or_default(),
            client_secret: keys.client_secret.unwrap_or_default(),
            token_path: keys.token_path,
        }
    }
}

impl From<OAuthConfig> for OAuthKeys {
    fn from(oauth: OAuthConfig) -> OAuthKeys {
        let keys = OAuthKeys {
            client_id: Some(oauth.client_id),
            client_secret: Some(oauth.client_secret),
            token_path: oauth.token_path,
            ..OAuthKeys::defaults(false)
        };
        match oauth.grant {
            OAuthGrant::Password { username, password } => OAuthKeys {
                username: Some(username),
                password: Some(password),
                ..keys
            },
            OAuthGrant::RefreshToken { refresh_token } => OAuthKeys {
                grant_type: GrantType::RefreshToken,
                refresh_token: Some(refresh_token),
                ..keys
            },
            OAuthGrant::ClientCredentials => OAuthKeys {
                grant_type: GrantType::ClientCredentials,
                ..keys
            },
        }
    }
}

impl CheckKeys for OAuthKeys {
    fn check(section: &Section<'_>, keys: OAuthKeys, is_used: &bool) -> OAuthKeys {
        if *is_used {
            section.require("client_id", "with `type: oauth`");
            section.require_secret("client_secret", "client_secret_file", "with `type: oauth`");
            match keys.grant_type {
                GrantType::Password => {
                    let when = "with `grant_type: password`";
                    section.require("username", when);
                    section.require_secret("password", "password_file", when);
                }
                GrantType::RefreshToken => {
                    let when = "with `grant_type: refresh_token`";
                    section.require_secret("refresh_token", "refresh_token_file", when);
                }
                GrantType::ClientCredentials => {}
            }
        }
        if keys.refresh_token.is_some() && keys.grant_type != GrantType::RefreshToken {
            let message = "is not used: set `grant_type: refresh_token` or remove it";
            section.warning("refresh_token", message);
        }
        keys
    }
}

impl CheckKeys for BasicAuthKeys {
    fn check(section: &Section<'_>, keys: BasicAuthKeys, is_used: &bool) -> BasicAuthKeys {
        if *is_used {
            section.require("username", "with `type: basic`");
            section.require_secret("password", "password_file", "with `type: basic`");
        }
        basic_username(section, keys.username.as_deref());
        keys
    }
}

/// RFC 7617, section 2: in Basic authentication the first `:` ends the user name.
pub(super) fn basic_username(section: &Section<'_>, username: Option<&str>) {
    if username.is_some_and(|name| name.contains(':')) {
        let message = "must not hold `:`, which ends the name in basic auth";
        section.problem("username", message);
    }
}

impl CheckKeys for ApiKeyKeys {
    fn check(section: &Section<'_>, keys: ApiKeyKeys, is_used: &bool) -> ApiKeyKeys {
        if *is_used {
            section.require_secret("key", "key_file", "with `type: api_key`");
        }
        let key = keys.key.as_ref().map_or("", Secret::expose);
        if !is_header_value(key) {
            section.problem("key", "must be printable ASCII, as it goes into a header");
        }
        keys
    }
}

impl FromKeys for Option<ProxyConfig> {
    type Keys = ProxyKeys;

    fn from_keys(section: &Section<'_>, keys: ProxyKeys) -> Option<ProxyConfig> {
        if keys.password.is_some() && keys.username.is_none() {
            section.problem("username", "is required with a password");
        }
        let has_login = keys.username.is_some() || keys.password.is_some();
        if has_login && section.is_empty("url") {
            section.problem("url", "is required with a user name or password");
        }
        keys.url.map(|url| ProxyConfig {
            url,
            username: keys.username,
            password: keys.password,
        })
    }

    fn to_keys(&self) -> ProxyKeys {
        let proxy = self.as_ref();
        ProxyKeys {
            url: proxy.map(|proxy| proxy.url.clone()),
            username: proxy.and_then(|proxy| proxy.username.clone()),
            password: proxy.and_then(|proxy| proxy.password.clone()),
        }
    }
}

impl CheckKeys for TlsFiles {
    fn check(section: &Section<'_>, files: TlsFiles, (): &()) -> TlsFiles {
        for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
            if section.is_empty(one) && !section.is_empty(other) {
                section.problem(one, format!("is required with `{other}`"));
            }
        }
        files
    }
}
