//! The client over TLS.

use std::sync::Arc;

use super::server;
use crate::config;
use crate::health::Health;
use crate::http::test_certs::TestCertFiles;
use crate::metrics::Metrics;
use crate::servicenow::{Error, InstanceClient, InstanceFailure};

/// One request of the instance's client with these settings.
fn ask(files: &TestCertFiles, tls: config::TlsFiles) -> Result<String, Error> {
    let (addr, thread) = files.serve(server::ONE_ROW_ANSWER);
    let mut config = server::config(addr);
    config.base_url = format!("https://{addr}");
    config.tls = tls;
    config.max_retries = Some(0);
    let metrics = Arc::new(Metrics::new());
    let client = InstanceClient::start(&config, &metrics, &Arc::new(Health::new()))?;
    let (_trigger, stop) = crate::stop::pair();
    let result = client
        .get_result(&server::request(), &stop)
        .map(|answer| answer.result);
    drop(client);
    thread.join().unwrap();
    result
}

#[test]
fn a_private_authority_and_a_client_certificate() {
    let files = TestCertFiles::new();
    let result = ask(&files, files.tls("ca.pem", "client.pem", "client.key")).unwrap();
    assert_eq!(result, r#"[{"sys_id":"a"}]"#);
}

#[test]
fn an_unknown_authority_is_refused() {
    let files = TestCertFiles::new();
    let error = ask(
        &files,
        files.tls("other-ca.pem", "client.pem", "client.key"),
    )
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
    let error = ask(&files, files.tls("ca.pem", "", "")).unwrap_err();
    assert!(
        matches!(error.metric_label(), "tls" | "network" | "body"),
        "{error:?}"
    );
}
