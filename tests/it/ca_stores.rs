//! The host's CA certificates, where each family of distributions has them: the binary in a root of its
//! own, against a server whose authority is in that root's bundle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use real_kafka::{Broker, PASSWORD, USER, require_or_skip, shared};
use tempfile::TempDir;

use crate::support::bridge::{PROGRAM, texts};

/// Where the bundle is, and a name that leads to it, as the package `ca-certificates` of each makes them.
const LAYOUTS: [(&str, &str, &str); 4] = [
    (
        "Debian",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/lib/ssl/cert.pem",
    ),
    (
        "RHEL",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "etc/pki/tls/certs/ca-bundle.crt",
    ),
    (
        "Alpine",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/ssl/cert.pem",
    ),
    (
        "SUSE",
        "var/lib/ca-certificates/ca-bundle.pem",
        "etc/ssl/ca-bundle.pem",
    ),
];

/// What only Kafka can have said, to a client that trusts it.
const LET_IN: &str = "topic t.incident: does not exist";

/// A root with the program, the libraries it loads and a configuration that talks TLS to `broker`, as
/// Kafka and as an instance. What it answers is no HTTP; a client that does not trust it does not hear it.
struct Root(TempDir);

impl Root {
    fn make(broker: &Broker) -> Root {
        let root = Root(tempfile::tempdir().unwrap());
        fs::copy(PROGRAM, root.path("bridge")).unwrap();
        let libraries = Command::new("ldd").arg(PROGRAM).output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        for library in libraries
            .split_whitespace()
            .filter(|it| it.starts_with('/'))
        {
            fs::copy(library, root.path(&library[1..])).unwrap();
        }
        let addr = broker.sasl_addr();
        let config = format!(
            "servicenow:\n  base_url: https://{addr}\n  max_retries: 1\n  \
             auth: {{type: basic, basic: {{username: u, password: not-a-secret-1}}}}\n\
             kafka:\n  brokers: ['{addr}']\n  tls: {{enabled: true}}\n  \
             sasl: {{mechanism: PLAIN, username: {USER}, password: {PASSWORD}}}\n\
             source: {{enabled: true, topic_prefix: t, tables: [{{name: incident}}]}}\n"
        );
        fs::write(root.path("config.yaml"), config).unwrap();
        root
    }

    /// A path in the root, of which the folder is made.
    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn put_bundle(&self, ca: &Path, at: &str) {
        fs::copy(ca, self.path(at)).unwrap();
    }

    /// What `check --connect` says in this root.
    fn check(&self, ssl_cert_file: Option<&str>) -> String {
        let mut command = Command::new("chroot");
        command
            .arg(self.0.path())
            .args(["/bridge", "check", "--connect", "-c", "/config.yaml"])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if let Some(path) = ssl_cert_file {
            command.env("SSL_CERT_FILE", path);
        }
        let (output, errors, _) = texts(&command.output().unwrap());
        output + &errors
    }
}

/// The certificate of an authority that signed nothing here.
fn strange_authority() -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

/// Whether this test may `chroot`, as root alone may.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn assert_trusts(report: &str, whose: &str) {
    assert!(report.contains(": trusted,"), "{whose}: {report}");
    assert!(report.contains(LET_IN), "{whose}: {report}");
}

#[test]
fn the_bundle_of_each_family_of_distributions_is_found() {
    if !require_or_skip() || !is_root() {
        return;
    }
    let broker = shared().unwrap();
    for (family, bundle, link) in LAYOUTS {
        let root = Root::make(broker);
        root.put_bundle(&broker.ca_pem(), bundle);
        symlink(Path::new("/").join(bundle), root.path(link)).unwrap();
        assert_trusts(&root.check(None), family);
    }
}

#[test]
fn ssl_cert_file_is_used_instead_of_the_host_s_bundle() {
    if !require_or_skip() || !is_root() {
        return;
    }
    let broker = shared().unwrap();
    let root = Root::make(broker);
    fs::write(root.path(LAYOUTS[0].1), strange_authority()).unwrap();
    root.put_bundle(&broker.ca_pem(), "opt/company.pem");
    assert_trusts(&root.check(Some("/opt/company.pem")), "SSL_CERT_FILE");
    let report = root.check(None);
    assert!(!report.contains(": trusted,"), "{report}");
    assert!(!report.contains(LET_IN), "{report}");
    assert!(report.contains("certificate"), "{report}");
}
