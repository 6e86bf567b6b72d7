//! TLS for HTTP clients: the system's CA store, the user's own CA, a client certificate.
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

use crate::config;
use crate::regular_file::RegularFile;

/// A bundle of every public CA has a quarter of this.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// The TLS settings of an agent. `section` is what the user calls them, as `servicenow.tls`.
///
/// # Errors
/// Words on which file is wrong and why.
pub(crate) fn tls_config(section: &str, tls: &config::TlsFiles) -> Result<TlsConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let roots = roots(section, tls.ca_cert.as_deref())?;
    let client = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(client_cert(section, cert, key, &roots, &provider)?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(format!(
                "{section}: cert_file and key_file go together, one is missing"
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
fn roots(section: &str, ca_cert: Option<&Path>) -> Result<Vec<Certificate<'static>>, String> {
    let system = rustls_native_certs::load_native_certs();
    let mut roots: Vec<_> = system
        .certs
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    if let Some(path) = ca_cert {
        let key = format!("{section}.ca_cert");
        let own = certificates(path, &key)?;
        check_roots(path, &key, &own)?;
        roots.extend(own);
    }
    // An unreadable file among many good ones must not keep the program from starting.
    if roots.is_empty() {
        let reasons: Vec<String> = system.errors.iter().map(ToString::to_string).collect();
        return Err(no_roots(section, &reasons));
    }
    Ok(roots)
}

fn no_roots(section: &str, reasons: &[String]) -> String {
    let reasons = reasons.iter().map(|reason| format!("; {reason}"));
    format!(
        "no CA certificates found on this host: install its ca-certificates package, set \
         SSL_CERT_FILE, or set {section}.ca_cert{}",
        reasons.collect::<String>()
    )
}

/// The same certificates, for a connection that is made without an agent.
///
/// # Errors
/// Words on which file is wrong and why.
pub(super) fn root_store(section: &str, tls: &config::TlsFiles) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let roots = roots(section, tls.ca_cert.as_deref())?;
    store.add_parsable_certificates(roots.iter().map(|root| CertificateDer::from(root.der())));
    Ok(store)
}

/// ureq silently leaves out roots it cannot parse.
fn check_roots(path: &Path, key: &str, roots: &[Certificate<'static>]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for root in roots {
        let added = store.add(CertificateDer::from(root.der()));
        added.map_err(|why| format!("{key}: {}: {why}", path.display()))?;
    }
    Ok(())
}

fn client_cert(
    section: &str,
    cert: &Path,
    key: &Path,
    roots: &[Certificate<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<ClientCert, String> {
    let chain = certificates(cert, &format!("{section}.cert_file"))?;
    let key_pem = read(key, &format!("{section}.key_file"))?;
    let private = PrivateKey::from_pem(&key_pem).map_err(|_| {
        format!(
            "{section}.key_file: {}: no unencrypted PEM private key in it",
            key.display()
        )
    })?;
    try_client_cert(&chain, &key_pem, roots, provider).map_err(|why| {
        format!(
            "{section}: certificate {} and key {} cannot be used together: {why}",
            cert.display(),
            key.display()
        )
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

fn certificates(path: &Path, key: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem = read(path, key)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(why) => {
                return Err(format!("{key}: {}: {why}", path.display()));
            }
        }
    }
    if certificates.is_empty() {
        return Err(format!(
            "{key}: {}: no PEM certificate in it",
            path.display()
        ));
    }
    Ok(certificates)
}

fn read(path: &Path, key: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    match RegularFile::read(path, MAX_PEM_BYTES) {
        Ok(file) => Ok(file.bytes),
        Err(why) => Err(format!("{key}: cannot read {}: {why}", path.display())),
    }
}

#[cfg(test)]
mod tests;
