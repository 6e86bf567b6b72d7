//! The files a broker needs: `server.properties`, certificates, a log configuration.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::Options;
use crate::error::{Context, Error};

/// The user that may log in on the SASL listener, with PLAIN and both SCRAM mechanisms.
pub const USER: &str = "alice";
/// Its password.
pub const PASSWORD: &str = "alice-secret";

/// Ports of the three listeners.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) controller: u16,
    pub(crate) sasl: u16,
}

/// Writes everything into `folder`.
pub(crate) fn write(folder: &Path, ports: Ports, options: &Options) -> Result<(), Error> {
    certificates(folder)?;
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).context("write the broker's files")
    };
    put("log4j2.properties", LOGGING)?;
    put("server.properties", &server(folder, ports, options))
}

const LOGGING: &str = "\
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1}: %m%n
";

fn server(folder: &Path, ports: Ports, options: &Options) -> String {
    let Ports {
        plain,
        controller,
        sasl,
    } = ports;
    let folder = folder.display();
    let plain_module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let scram_module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let client_auth = if options.require_client_certificate {
        "required"
    } else {
        "requested"
    };
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SASL_SSL://127.0.0.1:{sasl}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={plain_module} required user_{USER}=\"{PASSWORD}\";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram_module} required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram_module} required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.sasl_ssl.ssl.client.auth={client_auth}
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
num.partitions=3
auto.create.topics.enable={auto_create}
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=4
",
        auto_create = options.auto_create_topics,
    );
    if let Some(bytes) = options.message_max_bytes {
        text.push_str(&format!("message.max.bytes={bytes}\n"));
    }
    for (name, value) in &options.properties {
        // Writing into a String does not fail.
        writeln!(text, "{name}={value}").ok();
    }
    text
}

/// A CA, the broker's certificate for 127.0.0.1 and localhost, and a client's.
fn certificates(folder: &Path) -> Result<(), Error> {
    let what = "make certificates";
    let ca_key = KeyPair::generate().context(what)?;
    let mut params = CertificateParams::new(Vec::<String>::new()).context(what)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "test CA");
    let ca = params.self_signed(&ca_key).context(what)?.pem();
    let issuer = Issuer::new(params, ca_key);
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).context(what);
    let signed = |name: &str, hosts: &[&str]| -> Result<(String, String), Error> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).context(what)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().context(what)?;
        let certificate = params.signed_by(&key, &issuer).context(what)?;
        Ok((key.serialize_pem(), certificate.pem()))
    };
    put("ca.pem", &ca)?;
    // Kafka wants key, certificate and chain in one file, in this order.
    let (key, certificate) = signed("broker", &["localhost", "127.0.0.1"])?;
    put("keystore.pem", &format!("{key}{certificate}{ca}"))?;
    let (key, certificate) = signed("client", &[])?;
    put("client.key", &key)?;
    put("client.pem", &certificate)
}
