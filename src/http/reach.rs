//! The way to a host, looked at step by step: name lookup, connection, proxy, TLS with its certificate.
//!
//! A client says only that its request failed; `doctor` says at which step, and what is right up to there.
//! Nothing is sent through the connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use ureq::unversioned::resolver::Resolver as _;
use ureq::unversioned::transport::NextTimeout;
use x509_cert::der::Decode as _;

use super::dns_cache::DnsCache;
use super::encoding::basic_authorization;
use super::error_body::shown;
use super::tls::root_store;
use crate::config::{self, ProxyConfig, Secret};
use crate::sync::Mutex;

/// Bytes of a proxy's answer that are read.
const MAX_PROXY_ANSWER_BYTES: usize = 16 * 1024;

/// Where a way leads, and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReachTarget<'a> {
    /// Name or address, an IPv6 address in brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// What the user calls the TLS settings, and these; `None`: the connection is plain.
    pub(crate) tls: Option<(&'a str, &'a config::TlsFiles)>,
    pub(crate) proxy: Option<&'a ProxyConfig>,
}

/// The steps of a way, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ReachStep {
    Lookup,
    Connect,
    Proxy,
    Tls,
}

/// What was seen of a way, as far as it could be gone.
#[derive(Debug, Default)]
pub(crate) struct ReachedHost {
    /// The addresses of the host, or of the proxy.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How long the connection took.
    pub(crate) connected: Option<Duration>,
    /// What the server showed of itself.
    pub(crate) certificate: Option<SeenCertificate>,
    /// The step that failed, and why.
    pub(crate) failure: Option<(ReachStep, String)>,
}

/// A server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenCertificate {
    /// When it ends, seconds since the epoch; `None`: it cannot be read.
    pub(crate) not_after: Option<i64>,
    /// Who signed it.
    pub(crate) issuer: String,
    /// Why it is not trusted.
    pub(crate) refusal: Option<String>,
}

/// A connection, plain or secured.
pub(crate) trait ReachedStream: Read + Write {
    /// Bounds all reads and writes from now on together.
    fn bound(&mut self, limit: Duration);
}

impl ReachedStream for BoundedStream {
    fn bound(&mut self, limit: Duration) {
        self.begin(limit);
    }
}

impl ReachedStream for StreamOwned<ClientConnection, BoundedStream> {
    fn bound(&mut self, limit: Duration) {
        self.sock.begin(limit);
    }
}

/// Goes the way, each step within `limit`. The connection is there where no step failed.
pub(crate) fn reach(
    target: &ReachTarget<'_>,
    limit: Duration,
) -> (ReachedHost, Option<Box<dyn ReachedStream>>) {
    let mut seen = ReachedHost::default();
    let stream = go(target, limit, &mut seen)
        .map_err(|failure| seen.failure = Some(failure))
        .ok();
    (seen, stream)
}

type StepFailure = (ReachStep, String);

fn go(
    target: &ReachTarget<'_>,
    limit: Duration,
    seen: &mut ReachedHost,
) -> Result<Box<dyn ReachedStream>, StepFailure> {
    let (host, port) = match target.proxy {
        Some(proxy) => host_of_proxy(proxy).map_err(|why| (ReachStep::Proxy, why))?,
        None => (target.host.to_owned(), target.port),
    };
    seen.addresses = look_up(&host, port, limit).map_err(|why| (ReachStep::Lookup, why))?;
    let began = Instant::now();
    let stream = connect(&seen.addresses, limit).map_err(|why| (ReachStep::Connect, why))?;
    seen.connected = Some(began.elapsed());
    let mut stream = BoundedStream::new(stream, limit);
    if let Some(proxy) = target.proxy
        && target.tls.is_some()
    {
        tunnel(&mut stream, target, proxy).map_err(|why| (ReachStep::Proxy, why))?;
    }
    let Some((section, tls)) = target.tls else {
        return Ok(Box::new(stream));
    };
    stream.begin(limit);
    let (secured, certificate) = secure(stream, target.host, section, tls);
    seen.certificate = certificate;
    let refusal = seen
        .certificate
        .as_ref()
        .and_then(|shown| shown.refusal.clone());
    match (secured, refusal) {
        (Ok(stream), _) => Ok(Box::new(stream)),
        (Err(_), Some(refusal)) => Err((ReachStep::Tls, refusal)),
        (Err(why), None) => Err((ReachStep::Tls, why)),
    }
}

fn host_of_proxy(proxy: &ProxyConfig) -> Result<(String, u16), String> {
    let invalid = || "its URL is not http://host:port".to_owned();
    let uri: ureq::http::Uri = proxy.url.parse().map_err(|_| invalid())?;
    if uri.scheme_str() == Some("https") {
        return Err("a proxy that is spoken to over TLS is not looked at by itself".to_owned());
    }
    let host = uri.host().ok_or_else(invalid)?.to_owned();
    Ok((host, uri.port_u16().unwrap_or(80)))
}

/// The addresses of a host.
fn look_up(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let uri = format!("http://{host}:{port}");
    let uri = uri.parse().map_err(|_| "no host name".to_owned())?;
    let config = ureq::Agent::config_builder().proxy(None).build();
    let timeout = NextTimeout {
        after: limit.into(),
        reason: ureq::Timeout::Resolve,
        ..NextTimeout::default()
    };
    let found = DnsCache::default().resolve(&uri, &config, timeout);
    match found {
        Ok(found) => Ok(found.to_vec()),
        Err(ureq::Error::Io(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The first address that takes a connection; the time is shared among them.
fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, String> {
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

/// Asks the proxy for a tunnel (RFC 9110 section 9.3.6).
fn tunnel(
    stream: &mut BoundedStream,
    target: &ReachTarget<'_>,
    proxy: &ProxyConfig,
) -> Result<(), String> {
    let authority = format!("{}:{}", target.host, target.port);
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(username) = &proxy.username {
        let password = proxy.password.as_ref().map_or("", Secret::expose);
        let value = basic_authorization(username, password);
        let value = value.ok_or("its username or password cannot be sent in a header")?;
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).map_err(|error| error.to_string())?;
    let status = read_status(stream).map_err(|error| format!("no answer to CONNECT: {error}"))?;
    match status {
        200..300 => Ok(()),
        status => Err(format!("answers {status} to CONNECT {authority}")),
    }
}

/// Reads the head of an answer byte by byte, so that nothing of what follows is taken away.
fn read_status(stream: &mut impl Read) -> io::Result<u16> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_PROXY_ANSWER_BYTES {
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(&head);
    match (parsed, answer.code) {
        (Ok(_), Some(status)) => Ok(status),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no HTTP")),
    }
}

/// Shakes hands. The certificate is told whether it is trusted or not.
fn secure(
    mut stream: BoundedStream,
    host: &str,
    section: &str,
    tls: &config::TlsFiles,
) -> (
    Result<StreamOwned<ClientConnection, BoundedStream>, String>,
    Option<SeenCertificate>,
) {
    let begin = || {
        let roots = root_store(section, tls)?;
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| error.to_string())?;
        let witness = Arc::new(CertificateWitness {
            verifier,
            seen: Mutex::default(),
        });
        let watched: Arc<dyn ServerCertVerifier> = Arc::<CertificateWitness>::clone(&witness);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(watched)
            .with_no_client_auth();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| error.to_string())?;
        let connection = ClientConnection::new(Arc::new(config), name);
        Ok::<_, String>((connection.map_err(|error| error.to_string())?, witness))
    };
    let (mut connection, witness) = match begin() {
        Ok(begun) => begun,
        Err(why) => return (Err(why), None),
    };
    let shaken = connection.complete_io(&mut stream);
    let seen = witness.seen.lock().take();
    let secured = shaken.map(|_| StreamOwned::new(connection, stream));
    (secured.map_err(|error| error.to_string()), seen)
}

/// Judges certificates as rustls does, and remembers what it judged.
#[derive(Debug)]
struct CertificateWitness {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<SeenCertificate>>,
}

impl ServerCertVerifier for CertificateWitness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let refusal = verdict.as_ref().err().map(ToString::to_string);
        *self.seen.lock() = Some(SeenCertificate::read(end_entity, refusal));
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl SeenCertificate {
    fn read(certificate: &CertificateDer<'_>, refusal: Option<String>) -> SeenCertificate {
        let parsed = x509_cert::Certificate::from_der(certificate).ok();
        let parsed = parsed.as_ref().map(x509_cert::Certificate::tbs_certificate);
        let not_after = parsed.map(|it| it.validity().not_after.to_unix_duration().as_secs());
        let issuer = parsed.map(|it| shown(&it.issuer().to_string()));
        SeenCertificate {
            not_after: not_after.and_then(|end| i64::try_from(end).ok()),
            issuer: issuer
                .filter(|issuer| !issuer.is_empty())
                .unwrap_or_else(|| "an authority without a name".to_owned()),
            refusal,
        }
    }
}

/// A connection of which all reads and writes together end at a deadline.
struct BoundedStream {
    stream: TcpStream,
    deadline: Instant,
}

impl BoundedStream {
    fn new(stream: TcpStream, limit: Duration) -> BoundedStream {
        BoundedStream {
            stream,
            deadline: Instant::now() + limit,
        }
    }

    /// Gives the next step its own time.
    fn begin(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(no_answer_in_time()),
        }
    }
}

fn no_answer_in_time() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// A time-out of a socket is called "would block" by the system.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => no_answer_in_time(),
        _ => error,
    }
}

impl Read for BoundedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer).map_err(in_words)
    }
}

impl Write for BoundedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
