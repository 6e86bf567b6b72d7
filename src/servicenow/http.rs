//! One HTTP exchange with the instance: the agent and its bounds, and the verdict on an answer.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, BodyReader, Proxy, ProxyProtocol};

use super::error::{Asked, Cause, Error, error_words, shown};
use super::names::Names;
use super::{Body, Meta, Response, limits, tls};
use crate::config;
use crate::metrics::Metrics;

/// Connections kept for reuse; about as many as threads ask at once.
const IDLE_CONNECTIONS: usize = 16;
/// How long an unused connection is kept: longer than the slow interval of 30 s, as a TLS handshake
/// per poll costs both sides. ServiceNow announces 20 s or 70 s; ureq looks whether the other side
/// has closed before it uses a connection again.
const IDLE_AGE: Duration = Duration::from_secs(50);
/// Bytes of a response head.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes per read from a connection. ureq copies once from here into the caller's buffer.
const INPUT_BUFFER: usize = 128 * 1024;
/// Must hold the longest line of a request: a long query, a JWT.
const OUTPUT_BUFFER: usize = 64 * 1024;
/// Bytes of an error's body that are read, so that its connection can be used again.
const MAX_ERROR_BODY: u64 = 16 * 1024;

/// Name and value of the header that authenticates a request.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    /// Header name.
    pub(super) name: HeaderName,
    /// Header value, marked as sensitive.
    pub(super) value: HeaderValue,
    /// Grows with each token; 0 for fixed credentials.
    pub(super) generation: u64,
}

/// A request that is ready to go.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    /// HTTP method.
    pub(super) method: Method,
    /// Encoded path and query.
    pub(super) target: &'a str,
    /// Metric label.
    pub(super) endpoint: &'static str,
    /// None only for token requests.
    pub(super) credential: Option<&'a Credential>,
    /// Body of a token request.
    pub(super) form: Option<&'a str>,
}

/// Why an exchange brought nothing.
#[derive(Debug)]
pub(super) struct Failure {
    /// The reason.
    pub(super) cause: Cause,
    /// What the instance asked for in `Retry-After`.
    pub(super) retry_after: Option<Duration>,
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Failure {
        Failure {
            cause,
            retry_after: None,
        }
    }
}

/// The agent, shared by all threads.
#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
    base_url: String,
    host: String,
    max_body: u64,
    aborted: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Http {
    /// Reads certificates; no network yet.
    pub(super) fn new(config: &config::ServiceNow, metrics: &Arc<Metrics>) -> Result<Http, Error> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        let uri: Uri = base_url
            .parse()
            .map_err(|why| Error::Setup(format!("servicenow.base_url: `{base_url}`: {why}")))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let agent = agent(config, uri.scheme_str() == Some("https"))?;
        let metrics = Arc::clone(metrics);
        let aborted = AtomicBool::new(false);
        Ok(Http {
            agent,
            base_url,
            host,
            max_body: config.max_response_bytes,
            aborted,
            metrics,
        })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Ends what is running; everything after fails with [`Error::Stopped`].
    pub(super) fn abort(&self) {
        self.aborted.store(true, SeqCst);
        // Clones share their connections: this closes them all, and the pool for good.
        self.agent.clone().shutdown();
    }

    /// The error for `cause`, or that the program is stopping if that is why.
    pub(super) fn error(&self, asked: &Asked, cause: Cause) -> Error {
        if self.aborted.load(SeqCst) {
            Error::Stopped
        } else {
            Error::request(asked, cause)
        }
    }

    /// Sends and waits for the head. Ok only for a 200 with JSON.
    pub(super) fn exchange(&self, out: &Outgoing<'_>) -> Result<Response, Failure> {
        let method = out.method.as_str();
        self.metrics
            .api_requests
            .with(&[method, out.endpoint])
            .inc();
        let started = Instant::now();
        let result = self.send(out);
        let latency = self.metrics.api_latency.with(&[method, out.endpoint]);
        latency.observe(started.elapsed().as_secs_f64());
        let mut label = None;
        let verdict = match result {
            Ok(response) => {
                label = (response.status() != 200).then(|| response.status().as_str().to_owned());
                self.judge(response)
            }
            Err(error) => Err(cause_of(&error, self.max_body).into()),
        };
        if let Err(failure) = &verdict {
            let label = label.unwrap_or_else(|| failure.cause.kind().to_owned());
            self.count_error(method, &label);
        }
        verdict
    }

    /// Counts an error, by status or by kind where there is no status.
    pub(super) fn count_error(&self, method: &str, label: &str) {
        self.metrics.api_errors.with(&[method, label]).inc();
    }

    fn send(&self, out: &Outgoing<'_>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = Request::builder()
            .method(out.method.clone())
            .uri(format!("{}{}", self.base_url, out.target));
        if let Some(credential) = out.credential {
            request = request.header(credential.name.clone(), credential.value.clone());
        }
        match out.form {
            None => self.agent.run(request.body(())?),
            Some(form) => {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                self.agent
                    .run(request.header(header::CONTENT_TYPE, kind).body(form)?)
            }
        }
    }

    fn judge(&self, response: ureq::http::Response<ureq::Body>) -> Result<Response, Failure> {
        let received = Instant::now();
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let meta = Meta {
            date: text(&head.headers, &header::DATE).and_then(limits::http_date),
            received,
            total_count: text(&head.headers, &HeaderName::from_static("x-total-count"))
                .and_then(|count| count.parse().ok()),
        };
        let body = Body(body.into_with_config().limit(self.max_body).reader());
        if status == 200 && is_json(&head.headers) {
            // ureq takes this header away from what it inflates.
            return match text(&head.headers, &header::CONTENT_ENCODING) {
                None | Some("identity") => Ok(Response { meta, body }),
                Some(other) => {
                    let why = format!("content encoding `{}` was not asked for", shown(other));
                    Err(Cause::Body(why).into())
                }
            };
        }
        let start = read_start(body);
        let retry_after = text(&head.headers, &header::RETRY_AFTER)
            .and_then(|value| limits::retry_after(value, meta.date.unwrap_or_else(now_seconds)));
        let cause = self.cause_of_status(status, &head.headers, &start, retry_after);
        Err(Failure { cause, retry_after })
    }

    fn cause_of_status(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Cause {
        let words = || error_words(body);
        match status {
            200 => Cause::NotJson {
                content_type: match text(headers, &header::CONTENT_TYPE) {
                    Some(kind) => format!("`{}`", shown(kind)),
                    None => "no content type".to_owned(),
                },
                hibernating: contains_ignoring_case(body, b"hibernating"),
            },
            202 => Cause::NotExecuted,
            300..400 => Cause::Redirect {
                host: self.redirect_host(headers),
            },
            401 => Cause::Unauthorized { words: words() },
            403 => Cause::Forbidden { words: words() },
            404 => Cause::NotFound { words: words() },
            429 => Cause::RateLimited {
                wait: Duration::ZERO,
                words: words(),
            },
            503 if retry_after.is_some() => Cause::RateLimited {
                wait: Duration::ZERO,
                words: words(),
            },
            // These two are load balancers' words for "try again".
            408 | 425 => Cause::Server {
                status,
                words: words(),
            },
            400..500 => Cause::BadRequest {
                status,
                words: words(),
            },
            500..600 => Cause::Server {
                status,
                words: words(),
            },
            _ => Cause::Status { status },
        }
    }

    /// Only the host: the rest of a Location may carry secrets.
    fn redirect_host(&self, headers: &HeaderMap) -> String {
        let location = text(headers, &header::LOCATION).and_then(|to| to.parse::<Uri>().ok());
        match location.as_ref().and_then(Uri::host) {
            Some(host) => shown(host),
            None => format!("another page of {}", self.host),
        }
    }

    /// Why reading a body failed.
    pub(super) fn cause_of_read(&self, error: &io::Error) -> Cause {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ureq::Error>());
        match inner {
            Some(inner) => match cause_of(inner, self.max_body) {
                Cause::Network(why) => Cause::Body(why),
                cause => cause,
            },
            None => Cause::Body(error.to_string()),
        }
    }
}

fn agent(config: &config::ServiceNow, https: bool) -> Result<Agent, Error> {
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
        .max_response_header_size(MAX_HEAD)
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .max_idle_age(IDLE_AGE);
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
        Names::default(),
    ))
}

fn proxy(proxy: &config::Proxy) -> Result<Proxy, Error> {
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

fn cause_of(error: &ureq::Error, max_body: u64) -> Cause {
    use ureq::Timeout;
    match error {
        ureq::Error::Timeout(limit) => Cause::Timeout {
            connecting: matches!(limit, Timeout::Resolve | Timeout::Connect),
            limit: match limit {
                Timeout::Resolve | Timeout::Connect => "no connection in conn_timeout_seconds",
                Timeout::PerRead => "no data in read_timeout_seconds",
                Timeout::PerWrite => "nothing could be sent in read_timeout_seconds",
                _ => "no complete answer in timeout_seconds",
            }
            .to_owned(),
        },
        ureq::Error::Io(error) => cause_of_io(error),
        ureq::Error::HostNotFound => Cause::Network("host not found".to_owned()),
        ureq::Error::ConnectProxyFailed(why) => Cause::Network(format!("proxy: {}", shown(why))),
        ureq::Error::Tls(why) => Cause::Tls((*why).to_owned()),
        ureq::Error::Rustls(why) => Cause::Tls(why.to_string()),
        ureq::Error::BodyExceedsLimit(_) => Cause::TooLarge { limit: max_body },
        ureq::Error::LargeResponseHeader(..) => {
            Cause::Body(format!("the head is larger than {MAX_HEAD} bytes"))
        }
        ureq::Error::Http(why) => Cause::BadRequest {
            status: 400,
            words: why.to_string(),
        },
        ureq::Error::BadUri(_) => Cause::BadRequest {
            status: 400,
            words: "the URL cannot be sent".to_owned(),
        },
        other => Cause::Body(shown(&other.to_string())),
    }
}

fn cause_of_io(error: &io::Error) -> Cause {
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match rustls {
        Some(why) => Cause::Tls(why.to_string()),
        None if error.kind() == io::ErrorKind::TimedOut => Cause::Timeout {
            limit: "the connection timed out".to_owned(),
            connecting: true,
        },
        None => Cause::Network(error.to_string()),
    }
}

/// The start of an error's body. What cannot be read is left out; the status says enough.
fn read_start(body: Body) -> Vec<u8> {
    let mut start = Vec::new();
    match body.take(MAX_ERROR_BODY).read_to_end(&mut start) {
        Ok(_) => start,
        Err(_) => Vec::new(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let mime = kind.split(';').next().unwrap_or_default().trim();
    mime.eq_ignore_ascii_case("application/json")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn contains_ignoring_case(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// This host's clock, for answers without a Date.
fn now_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

impl Body {
    /// The body in whole.
    pub(super) fn read_all(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// What [`Body`] wraps.
pub(super) type Reader = BodyReader<'static>;
