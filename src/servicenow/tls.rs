//! TLS for the client: the system's CA store, the user's own CA, a client certificate.
//!
//! ureq panics on a client key that does not fit its certificate, and on a missing set of roots.
//! So everything is read and tried here first, with words for what is wrong.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};

use super::error::Error;
use crate::config;

/// The TLS settings of the agent.
pub(super) fn tls_config(tls: &config::Tls) -> Result<TlsConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots(tls.ca_cert.as_deref())?;
    let client = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(client_cert(cert, key, &roots, &provider)?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Error::Setup(
                "servicenow.tls: cert_file and key_file go together, one is missing".to_owned(),
            ));
        }
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(client)
        .build())
}

/// The system's certificates and those of `ca_cert`.
fn roots(ca_cert: Option<&Path>) -> Result<Vec<Certificate<'static>>, Error> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots: Vec<_> = system
        .certs
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    if let Some(path) = ca_cert {
        let own = certificates(path, "servicenow.tls.ca_cert")?;
        check_roots(path, &own)?;
        roots.extend(own);
    }
    // An unreadable file among many good ones must not keep the program from starting.
    if roots.is_empty() {
        let reasons: Vec<String> = system.errors.iter().map(ToString::to_string).collect();
        return Err(no_roots(&reasons));
    }
    Ok(roots)
}

fn no_roots(reasons: &[String]) -> Error {
    let reasons = reasons.iter().map(|reason| format!("; {reason}"));
    Error::Setup(format!(
        "no CA certificates found on this host: install its ca-certificates package, set \
         SSL_CERT_FILE, or set servicenow.tls.ca_cert{}",
        reasons.collect::<String>()
    ))
}

/// ureq silently leaves out roots it cannot parse.
fn check_roots(path: &Path, roots: &[Certificate<'static>]) -> Result<(), Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.der())).map_err(|why| {
            Error::Setup(format!("servicenow.tls.ca_cert: {}: {why}", path.display()))
        })?;
    }
    Ok(())
}

fn client_cert(
    cert: &Path,
    key: &Path,
    roots: &[Certificate<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<ClientCert, Error> {
    let chain = certificates(cert, "servicenow.tls.cert_file")?;
    let key_pem = read(key, "servicenow.tls.key_file")?;
    let private = PrivateKey::from_pem(&key_pem).map_err(|_| {
        Error::Setup(format!(
            "servicenow.tls.key_file: {}: no unencrypted PEM private key in it",
            key.display()
        ))
    })?;
    try_client_cert(&chain, &key_pem, roots, provider).map_err(|why| {
        Error::Setup(format!(
            "servicenow.tls: certificate {} and key {} cannot be used together: {why}",
            cert.display(),
            key.display()
        ))
    })?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

/// Does what ureq will do, but returns the error.
fn try_client_cert(
    chain: &[Certificate<'static>],
    key_pem: &[u8],
    roots: &[Certificate<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<(), String> {
    use rustls::pki_types::pem::PemObject;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().map(|root| CertificateDer::from(root.der())));
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|why| why.to_string())?;
    let chain = chain
        .iter()
        .map(|cert| CertificateDer::from(cert.der()).into_owned())
        .collect();
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(store)
        .with_client_auth_cert(chain, key)
        .map(|_| ())
        .map_err(|why| why.to_string())
}

fn certificates(path: &Path, key: &str) -> Result<Vec<Certificate<'static>>, Error> {
    let pem = read(path, key)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(why) => {
                return Err(Error::Setup(format!("{key}: {}: {why}", path.display())));
            }
        }
    }
    if certificates.is_empty() {
        return Err(Error::Setup(format!(
            "{key}: {}: no PEM certificate in it",
            path.display()
        )));
    }
    Ok(certificates)
}

fn read(path: &Path, key: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(zeroize::Zeroizing::new(bytes)),
        Err(why) => Err(Error::Setup(format!(
            "{key}: cannot read {}: {why}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests;
