//! Certificates, and a client over TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::*;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::servicenow::tests::server;
use crate::servicenow::{Error, InstanceClient, InstanceFailure};

type TestCa = CertifiedIssuer<'static, KeyPair>;

/// A folder of PEM files and the authority that signed them.
pub(crate) struct TestCertFiles {
    folder: TempDir,
    ca: TestCa,
}

fn authority() -> TestCa {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl TestCertFiles {
    pub(crate) fn new() -> TestCertFiles {
        let files = TestCertFiles {
            folder: TempDir::new().unwrap(),
            ca: authority(),
        };
        files.write("ca.pem", &files.ca.pem());
        files.write("other-ca.pem", &authority().pem());
        for (name, purpose) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            let cert = params.signed_by(&key, &files.ca).unwrap();
            files.write(&format!("{name}.pem"), &cert.pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        files.write("garbage.pem", "this is no certificate");
        files.write(
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        );
        files.write(
            "nonsense.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Answers one request without a body over TLS, with a client certificate of the authority.
    pub(crate) fn serve(&self, body: &'static str) -> (SocketAddr, JoinHandle<()>) {
        let cert = CertificateDer::from_pem_file(self.path("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![cert], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = server::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                // A client that does not trust us hangs up.
                match stream.read(&mut byte) {
                    Ok(1) => request.push(byte[0]),
                    _ => return,
                }
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\n{}\r\nContent-Length: {}\r\n\r\n{body}",
                server::JSON_HEADER,
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
        });
        (addr, thread)
    }

    pub(crate) fn tls(&self, ca: &str, cert: &str, key: &str) -> config::TlsFiles {
        let path = |name: &str| (!name.is_empty()).then(|| self.path(name));
        config::TlsFiles {
            ca_cert: path(ca),
            cert_file: path(cert),
            key_file: path(key),
        }
    }

    /// One request with these settings.
    fn ask(&self, tls: config::TlsFiles) -> Result<serde_json::Value, Error> {
        let (addr, thread) = self.serve(server::ONE_ROW_ANSWER);
        let mut config = server::config(addr);
        config.base_url = format!("https://{addr}");
        config.tls = tls;
        config.max_retries = Some(0);
        let metrics = Arc::new(Metrics::new());
        let client = InstanceClient::start(&config, &metrics, &Arc::new(Health::new()))?;
        let (_trigger, stop) = crate::stop::pair();
        let result = client
            .get_result(&server::request(), &stop)
            .map(|(result, _)| result);
        drop(client);
        thread.join().unwrap();
        result
    }
}

#[test]
fn a_private_authority_and_a_client_certificate() {
    let files = TestCertFiles::new();
    let result = files
        .ask(files.tls("ca.pem", "client.pem", "client.key"))
        .unwrap();
    assert_eq!(result[0]["sys_id"], "a");
}

#[test]
fn an_unknown_authority_is_refused() {
    let files = TestCertFiles::new();
    let error = files
        .ask(files.tls("other-ca.pem", "client.pem", "client.key"))
        .unwrap_err();
    assert!(
        matches!(error.cause(), Some(InstanceFailure::Tls(_))),
        "{error:?}"
    );
    assert!(error.to_string().contains("ca_cert"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_missing_client_certificate_is_an_error_of_the_request() {
    let files = TestCertFiles::new();
    let error = files.ask(files.tls("ca.pem", "", "")).unwrap_err();
    assert!(
        matches!(error.metric_label(), "tls" | "network" | "body"),
        "{error:?}"
    );
}

#[test]
fn wrong_files_are_named_at_start() {
    let files = TestCertFiles::new();
    let check = |tls: config::TlsFiles, words: &[&str]| match tls_config("servicenow.tls", &tls) {
        Err(text) => {
            for word in words {
                assert!(text.contains(word), "{text}");
            }
        }
        Ok(_) => panic!("no error, expected {words:?}"),
    };
    check(
        files.tls("missing.pem", "", ""),
        &["tls.ca_cert", "missing.pem", "cannot read"],
    );
    check(
        files.tls("garbage.pem", "", ""),
        &["tls.ca_cert", "no PEM certificate"],
    );
    check(
        files.tls("broken.pem", "", ""),
        &["tls.ca_cert", "broken.pem"],
    );
    check(
        files.tls("nonsense.pem", "", ""),
        &["tls.ca_cert", "nonsense.pem"],
    );
    check(
        files.tls("ca.pem", "client.pem", ""),
        &["cert_file and key_file go together"],
    );
    check(
        files.tls("ca.pem", "client.key", "client.key"),
        &["tls.cert_file", "no PEM certificate"],
    );
    check(
        files.tls("ca.pem", "client.pem", "client.pem"),
        &["tls.key_file", "private key"],
    );
    // ureq would panic on this one.
    check(
        files.tls("ca.pem", "client.pem", "server.key"),
        &["cannot be used together"],
    );
    check(
        files.tls("ca.pem", "nonsense.pem", "client.key"),
        &["cannot be used together"],
    );
}

#[test]
fn an_empty_store_is_explained() {
    let text = no_roots("servicenow.tls", &["cannot open /etc/ssl".to_owned()]);
    assert!(
        text.contains("ca-certificates") && text.ends_with("; cannot open /etc/ssl"),
        "{text}"
    );
}
