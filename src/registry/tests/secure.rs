//! TLS, with the authority and the client certificate of the configuration.

use super::*;
use crate::http::test_certs::TestCertFiles;

fn ask(files: &TestCertFiles, tls: TlsFiles) -> Result<Arc<RegisteredSchema>, Error> {
    let (addr, thread) = files.serve(r#"{"schema":"\"string\""}"#);
    let mut config = config(format!("https://{addr}"));
    config.tls = tls;
    let bench = bench(&config);
    let result = bench.by_id(1);
    drop(bench);
    thread.join().unwrap();
    result
}

#[test]
fn a_private_authority_and_a_client_certificate() {
    let files = TestCertFiles::new();
    let tls = files.tls("ca.pem", "client.pem", "client.key");
    assert_eq!(ask(&files, tls).unwrap().format, SchemaFormat::Avro);
}

#[test]
fn an_unknown_authority_is_refused() {
    let files = TestCertFiles::new();
    let tls = files.tls("other-ca.pem", "client.pem", "client.key");
    let error = ask(&files, tls).unwrap_err();
    assert_eq!(error.metric_label(), "tls", "{error}");
    assert!(
        error.to_string().contains("schema_registry.tls.ca_cert"),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[test]
fn wrong_files_are_named_at_start() {
    let files = TestCertFiles::new();
    let mut config = config("https://127.0.0.1:1");
    config.tls = files.tls("garbage.pem", "", "");
    let error = Registry::new(&config, &Metrics::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("schema_registry.tls.ca_cert: "),
        "{error}"
    );
}
