//! An authority with certificates of its own, and a server that uses them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::config;
use crate::http::test_server::{self, JSON_HEADER};

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
        let thread = test_server::spawn(move || {
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
                JSON_HEADER,
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
}
