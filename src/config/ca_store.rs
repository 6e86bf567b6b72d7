//! Where the certificates of the authorities are that this host trusts.

use std::path::PathBuf;

/// The bundle of the host's certificates: the file that `SSL_CERT_FILE` names, there or not, else the
/// first that is there of the places where distributions have theirs.
pub(crate) fn system_ca_bundle() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| openssl_probe::probe().cert_file)
}
