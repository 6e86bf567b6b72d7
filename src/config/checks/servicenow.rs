//! `servicenow`: address, log-in, limits.

use crate::config::reader::{KeyNeed, Section};
use crate::config::{
    OAuthConfig, OAuthGrant, ProxyConfig, QueryTimeZone, Secret, ServiceNowAuth, ServiceNowConfig,
    TlsFiles, defaults, names, url,
};

pub(super) fn servicenow(section: &Section<'_>) -> ServiceNowConfig {
    let base_url = section.parsed("base_url", KeyNeed::Required(""), |text| {
        url::parse(text, "https://instance.service-now.com")
    });
    let tls = section.section("tls", tls);
    if let Some(url) = base_url.as_ref().filter(|url| url.scheme == "http") {
        if !url.is_loopback() {
            let message = "is http: passwords, tokens and records travel unprotected; use https";
            section.warning("base_url", message);
        }
        if tls != TlsFiles::default() {
            section.warning("tls", "is not used, as `base_url` is http");
        }
    }
    let servicenow = ServiceNowConfig {
        base_url: base_url.map(|url| url.to_text()).unwrap_or_default(),
        table_api_path: path(section, "table_api_path", defaults::TABLE_API_PATH),
        auth: section.section("auth", auth),
        timeout: section.seconds("timeout_seconds", &defaults::TIMEOUT),
        read_timeout: section.seconds("read_timeout_seconds", &defaults::READ_TIMEOUT),
        conn_timeout: section.seconds("conn_timeout_seconds", &defaults::CONN_TIMEOUT),
        max_retries: section.whole_or_none("max_retries", defaults::MAX_RETRIES_MOST),
        retry_backoff: section.seconds("retry_backoff_seconds", &defaults::RETRY_BACKOFF),
        rate_limit_rps: section.rate("rate_limit_rps", defaults::RATE_LIMIT_MOST),
        max_response_bytes: section.whole("max_response_bytes", &defaults::MAX_RESPONSE_BYTES),
        proxy: section.section("proxy", proxy),
        tls,
        query_time_zone: query_time_zone(section),
    };
    warn_timeouts(section, &servicenow);
    servicenow
}

fn warn_timeouts(section: &Section<'_>, servicenow: &ServiceNowConfig) {
    let shorter = [
        ("read_timeout_seconds", servicenow.read_timeout),
        ("conn_timeout_seconds", servicenow.conn_timeout),
    ];
    for (key, time) in shorter {
        if servicenow.timeout < time && section.has(key) {
            section.warning(
                key,
                "is longer than `timeout_seconds`, which ends a request before",
            );
        }
    }
}

/// A path on the instance.
fn path(section: &Section<'_>, key: &'static str, default: &str) -> String {
    let path = section.parsed(key, KeyNeed::Optional, |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !text.starts_with('/') || !text.chars().all(legal) || text.split('/').any(|s| s == "..")
        {
            let quoted = names::quoted(text);
            return Err(format!(
                "{quoted} is not a path; write for example `{default}`"
            ));
        }
        match text.trim_end_matches('/') {
            "" => Err(format!("is only `/`; write for example `{default}`")),
            path => Ok(path.to_owned()),
        }
    });
    path.unwrap_or_else(|| default.to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthType {
    OAuth,
    Basic,
    ApiKey,
}

/// All three are read, so that a slip in an unused one is found too; only one has needs.
fn auth(section: &Section<'_>) -> ServiceNowAuth {
    let words = [
        ("oauth", AuthType::OAuth),
        ("basic", AuthType::Basic),
        ("api_key", AuthType::ApiKey),
    ];
    let chosen = section.choice("type", &words);
    // Nothing is known to be missing while the type itself is wrong.
    let wrong = section.has("type") && chosen.is_none() && !section.is_empty("type");
    let chosen = chosen.unwrap_or(AuthType::OAuth);
    let need = |this: AuthType, when| match chosen == this && !wrong {
        true => KeyNeed::Required(when),
        false => KeyNeed::Optional,
    };
    let oauth = section.section("oauth", |s| oauth(s, need(AuthType::OAuth, "")));
    let basic = section.section("basic", |s| {
        basic(s, need(AuthType::Basic, "with `type: basic`"))
    });
    let key = section.section("api_key", |s| {
        api_key(s, need(AuthType::ApiKey, "with `type: api_key`"))
    });
    match chosen {
        AuthType::OAuth => oauth,
        AuthType::Basic => basic,
        AuthType::ApiKey => key,
    }
}

fn or_stand_in(secret: Option<Secret>) -> Secret {
    secret.unwrap_or_else(|| Secret::new(""))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GrantType {
    Password,
    RefreshToken,
    ClientCredentials,
}

fn oauth(section: &Section<'_>, need: KeyNeed) -> ServiceNowAuth {
    let words = [
        ("password", GrantType::Password),
        ("refresh_token", GrantType::RefreshToken),
        ("client_credentials", GrantType::ClientCredentials),
    ];
    let grant_type = section
        .choice("grant_type", &words)
        .unwrap_or(GrantType::Password);
    let need_for = |this, when| match need {
        KeyNeed::Required(_) if grant_type == this => KeyNeed::Required(when),
        KeyNeed::Required(_) | KeyNeed::Optional => KeyNeed::Optional,
    };
    let with_oauth = match need {
        KeyNeed::Required(_) => KeyNeed::Required("with `type: oauth`"),
        KeyNeed::Optional => KeyNeed::Optional,
    };
    let with_password = need_for(GrantType::Password, "with `grant_type: password`");
    let with_refresh = need_for(GrantType::RefreshToken, "with `grant_type: refresh_token`");

    let client_id = section.text("client_id", with_oauth).unwrap_or_default();
    let client_secret = section.secret("client_secret", "client_secret_file", with_oauth);
    let username = section.text("username", with_password).unwrap_or_default();
    let password = section.secret("password", "password_file", with_password);
    let refresh_token = section.secret("refresh_token", "refresh_token_file", with_refresh);
    if refresh_token.is_some() && grant_type != GrantType::RefreshToken {
        let message = "is not used: set `grant_type: refresh_token` or remove it";
        section.warning("refresh_token", message);
    }
    ServiceNowAuth::OAuth(OAuthConfig {
        client_id,
        client_secret: or_stand_in(client_secret),
        token_path: path(section, "token_path", defaults::TOKEN_PATH),
        grant: match grant_type {
            GrantType::Password => OAuthGrant::Password {
                username,
                password: or_stand_in(password),
            },
            GrantType::RefreshToken => OAuthGrant::RefreshToken {
                refresh_token: or_stand_in(refresh_token),
            },
            GrantType::ClientCredentials => OAuthGrant::ClientCredentials,
        },
    })
}

fn basic(section: &Section<'_>, need: KeyNeed) -> ServiceNowAuth {
    let username = section.text("username", need).unwrap_or_default();
    if username.contains(':') {
        section.problem(
            "username",
            "must not hold `:`, which ends the name in basic auth",
        );
    }
    let password = or_stand_in(section.secret("password", "password_file", need));
    ServiceNowAuth::Basic { username, password }
}

fn api_key(section: &Section<'_>, need: KeyNeed) -> ServiceNowAuth {
    let key = or_stand_in(section.secret("key", "key_file", need));
    if !key
        .expose()
        .chars()
        .all(|c| c.is_ascii_graphic() || c == ' ')
    {
        section.problem("key", "must be printable ASCII, as it goes into a header");
    }
    let header = section.parsed("header", KeyNeed::Optional, |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let lower = text.to_ascii_lowercase();
        let taken = [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "accept",
        ];
        if !text.chars().all(legal) || taken.contains(&lower.as_str()) {
            return Err(format!(
                "{} cannot be the header of the key",
                names::quoted(text)
            ));
        }
        Ok(text.to_owned())
    });
    ServiceNowAuth::ApiKey {
        header: header.unwrap_or_else(|| defaults::API_KEY_HEADER.to_owned()),
        key,
    }
}

fn proxy(section: &Section<'_>) -> Option<ProxyConfig> {
    let url = section.parsed("url", KeyNeed::Optional, |text| {
        let url = url::parse(text, "http://proxy.example.com:3128")?;
        match (url.scheme, url.path.as_str()) {
            ("http", "") => Ok(url.to_text()),
            ("http", _) => Err("must not hold a path".to_owned()),
            _ => Err("must begin with `http://`; requests through it are still https".to_owned()),
        }
    });
    let username = section.text("username", KeyNeed::Optional);
    let password = section.secret("password", "password_file", KeyNeed::Optional);
    if password.is_some() && username.is_none() {
        section.problem("username", "is required with a password");
    }
    if url.is_none() && (username.is_some() || password.is_some()) && section.is_empty("url") {
        section.problem("url", "is required with a user name or password");
    }
    Some(ProxyConfig {
        url: url?,
        username,
        password,
    })
}

/// Certificates of a client: files exist, and a certificate comes with its key.
pub(super) fn tls(section: &Section<'_>) -> TlsFiles {
    let ca_cert = section.existing_file("ca_cert");
    let cert_file = section.existing_file("cert_file");
    let key_file = section.existing_file("key_file");
    for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if section.is_empty(one) && !section.is_empty(other) {
            section.problem(one, format!("is required with `{other}`"));
        }
    }
    TlsFiles {
        ca_cert,
        cert_file,
        key_file,
    }
}

fn query_time_zone(section: &Section<'_>) -> QueryTimeZone {
    let zone = section.parsed("query_time_zone", KeyNeed::Optional, |text| {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(QueryTimeZone::Auto);
        }
        if text.eq_ignore_ascii_case("utc") {
            return Ok(QueryTimeZone::Utc);
        }
        match jiff::tz::TimeZone::get(text) {
            Ok(zone) => Ok(QueryTimeZone::Zone(
                zone.iana_name().unwrap_or(text).to_owned(),
            )),
            Err(_) if jiff::tz::db().is_definitively_empty() => {
                Err("there is no time zone database on this machine; install tzdata".to_owned())
            }
            Err(_) => {
                let known: Vec<String> = jiff::tz::db()
                    .available()
                    .map(|name| name.to_string())
                    .collect();
                let guess = names::did_you_mean(text, known.iter().map(String::as_str));
                let quoted = names::quoted(text);
                Err(format!(
                    "{quoted} is not auto, utc, or a zone as `Europe/Berlin`{guess}"
                ))
            }
        }
    });
    zone.unwrap_or(QueryTimeZone::Auto)
}
