//! Keys of `servicenow`: the instance, the log-in, bounds on requests.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::kinds::{
    Nested, NestedIfUsed, Required, any, choice, existing_file, flag, integer, normal_text, rate,
    seconds, secret, text, up_to, word,
};
use crate::config::secret::Secret;
use crate::config::values;
use crate::config::values::time_zone::QueryTimeZone;

config_keys! {
    /// `servicenow`: the instance and how to talk to it.
    pub struct ServiceNowConfig check(CheckKeys) default(()) {
        /// The instance: scheme, host, optional port and path. With http everything travels
        /// unprotected: only for one on this machine.
        base_url: String = Required, normal_text(values::servicenow::base_url),
            values: "URL", example: "${SN_BASE_URL}";

        /// Path of the Table API.
        table_api_path: String = "/api/now/table", normal_text(values::servicenow::table_api_path),
            values: "path of a URL";

        /// Path of the Aggregate API, which counts rows where answers come without X-Total-Count.
        stats_api_path: String = "/api/now/stats", normal_text(values::servicenow::stats_api_path),
            values: "path of a URL";

        /// How to log in. Only the section that type names is used.
        auth: ServiceNowAuth = (), Nested;

        /// Headers that go with each request to the instance, where a gateway before it wants some,
        /// as X-Gateway-Key: ${GATEWAY_KEY}. A value is hidden as a password is; one in a file is
        /// written X-Gateway-Key: {file: /path}. 16 headers and 4 KiB at most.
        headers: Vec<(String, Secret)> = Vec::new(), values::headers::headers();

        /// Bound on a whole request with its body, in seconds (fractions are fine). ServiceNow ends
        /// its own transactions after 60 s by default.
        timeout: Duration = secs(30), seconds(ms(1), secs(3_600)), key: "timeout_seconds";

        /// Bound on the wait for the next bytes of an answer.
        read_timeout: Duration = secs(25), seconds(ms(1), secs(3_600)), key: "read_timeout_seconds";

        /// Bound on name lookup, connect and TLS. A request that looks whether an outage is over has 2 s
        /// at most.
        conn_timeout: Duration = secs(10), seconds(ms(1), secs(600)), key: "conn_timeout_seconds";

        /// How often a request that fails while others succeed is tried again. -1 (or 0) is without end.
        max_retries: Option<u32> = None, up_to(1_000_000).or_shown(-1);

        /// The first wait before a request that fails while others succeed is tried again, a second at
        /// most. It doubles up to 300 s, with jitter. An outage is waited for without it.
        retry_backoff: Duration = ms(100), seconds(ms(1), secs(300)), key: "retry_backoff_seconds";

        /// Requests per second of all tables together. 0 is no limit.
        rate_limit_rps: Option<f64> = None, rate(100_000.0).or_shown(0.0);

        /// A larger answer is an error; the page is then made smaller. (64 MiB)
        max_response_bytes: u64 = 64 << 20, integer(64 << 10, 4 << 30);

        /// An HTTP proxy. The environment is not consulted.
        proxy: Option<ProxyConfig> = (), Nested;

        /// Certificates, for https.
        tls: TlsFiles = (), Nested;

        /// Whether rows of all domains are read and written, not only those of the integration user's
        /// domains. The user needs the role query_no_domain_table_api.
        query_no_domain: bool = false, flag();

        /// How the instance reads times in queries: auto measures it at start; utc; or the time
        /// zone of the integration user, as Europe/Berlin.
        query_time_zone: QueryTimeZone = QueryTimeZone::Auto, values::time_zone::time_zone();
    }
}

/// How requests to the instance are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceNowAuth {
    /// `type: oauth`.
    OAuth(OAuthConfig),
    /// `type: basic`.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// `type: api_key`: a fixed header.
    ApiKey {
        /// Header name, `x-sn-apikey` unless set.
        header: String,
        /// The key.
        key: Secret,
    },
}

impl ServiceNowAuth {
    /// The user whom the configuration names; the instance alone knows who an application or a key stands for.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            ServiceNowAuth::Basic { username, .. } => Some(username),
            ServiceNowAuth::OAuth(oauth) => match &oauth.grant {
                OAuthGrant::Password { username, .. } => Some(username),
                OAuthGrant::RefreshToken { .. } | OAuthGrant::ClientCredentials => None,
            },
            ServiceNowAuth::ApiKey { .. } => None,
        }
    }
}

/// OAuth client settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConfig {
    /// Client id of the application registry record.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Path of the token endpoint on the instance.
    pub token_path: String,
    /// How the first token is got.
    pub grant: OAuthGrant,
}

/// `grant_type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuthGrant {
    /// `password`.
    Password {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// `refresh_token`: a refresh token made elsewhere.
    RefreshToken {
        /// The refresh token.
        refresh_token: Secret,
    },
    /// `client_credentials`.
    ClientCredentials,
}

config_keys! {
    /// `servicenow.auth` as it is written: every way to log in, of which `type` names one.
    pub(in crate::config) struct ServiceNowAuthKeys {
        /// How to log in.
        kind: Option<AuthType> = Some(AuthType::OAuth), choice(AuthType::OAuth),
            key: "type", example: "oauth";

        /// For type oauth.
        oauth: OAuthKeys => kind == Some(AuthType::OAuth), NestedIfUsed;

        /// For type basic.
        basic: BasicAuthKeys => kind == Some(AuthType::Basic), NestedIfUsed;

        /// For type api_key.
        api_key: ApiKeyKeys => kind == Some(AuthType::ApiKey), NestedIfUsed;
    }
}

words! {
    /// `servicenow.auth.type`.
    pub(in crate::config) enum AuthType {
        OAuth = "oauth",
        Basic = "basic",
        ApiKey = "api_key",
    }

    /// `servicenow.auth.oauth.grant_type`.
    pub(in crate::config) enum GrantType {
        Password = "password",
        RefreshToken = "refresh_token",
        ClientCredentials = "client_credentials",
    }
}

config_keys! {
    /// `servicenow.auth.oauth` as it is written.
    pub(in crate::config) struct OAuthKeys(is_used: bool) check(CheckKeys) {
        /// How the first token is got.
        grant_type: GrantType = GrantType::Password, word();

        /// User name, for grant_type password.
        username: Option<String> = None, text(any).optional().if_used(), example: "${SN_OAUTH_USERNAME}";

        /// Password, for grant_type password.
        password: Option<Secret> = None, secret("password_file").if_used(),
            example: "${SN_OAUTH_PASSWORD}";

        /// A refresh token made elsewhere, for grant_type refresh_token.
        refresh_token: Option<Secret> = None, secret("refresh_token_file").if_used();

        /// Client id of the application registry record ("OAuth API endpoint for external
        /// clients").
        client_id: Option<String> = None, text(any).optional(), example: "${SN_OAUTH_CLIENT_ID}";

        /// The secret of that record.
        client_secret: Option<Secret> = None, secret("client_secret_file"),
            example: "${SN_OAUTH_CLIENT_SECRET}";

        /// Path of the token endpoint.
        token_path: String = "/oauth_token.do", normal_text(values::servicenow::token_path),
            values: "path of a URL";
    }
}

config_keys! {
    /// `servicenow.auth.basic` as it is written.
    pub(in crate::config) struct BasicAuthKeys(is_used: bool) check(CheckKeys) {
        /// User name.
        username: Option<String> = None, text(any).optional();

        /// Password.
        password: Option<Secret> = None, secret("password_file");
    }
}

config_keys! {
    /// `servicenow.auth.api_key` as it is written.
    pub(in crate::config) struct ApiKeyKeys(is_used: bool) check(CheckKeys) {
        /// The header that carries the key.
        header: String = "x-sn-apikey", text(values::servicenow::header_name),
            values: "name of a header";

        /// The key.
        key: Option<Secret> = None, secret("key_file");
    }
}

config_keys! {
    /// `servicenow.proxy` as it is written.
    pub(in crate::config) struct ProxyKeys {
        /// The proxy, as `http://proxy.example.com:3128`.
        url: Option<String> = None, normal_text(values::servicenow::proxy_url).optional(), values: "URL";

        /// User name, if the proxy wants one.
        username: Option<String> = None, text(any).optional();

        /// Password for the proxy.
        password: Option<Secret> = None, secret("password_file");
    }
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `http://host:port`, without credentials.
    pub url: String,
    /// User name for the proxy, if it wants one.
    pub username: Option<String>,
    /// Password for the proxy.
    pub password: Option<Secret>,
}

config_keys! {
    /// Certificates of a client. All files are PEM.
    #[derive(Eq)]
    pub struct TlsFiles check(CheckKeys) default(()) {
        /// A CA: for the instance and the registry trusted beside the system's, for Kafka instead
        /// of them.
        ca_cert: Option<PathBuf> = None, existing_file();

        /// A client certificate with its chain.
        cert_file: Option<PathBuf> = None, existing_file();

        /// The private key of the client certificate.
        key_file: Option<PathBuf> = None, existing_file();
    }
}
