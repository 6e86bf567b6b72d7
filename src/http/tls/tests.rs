//! Files that are wrong, and what is said of them.

use super::*;
use crate::http::test_certs::TestCertFiles;

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
