//! One real broker: started, killed, restarted, gone with its value.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::error::{Context, Error};
use crate::jars::{class_path, java};
use crate::java::{free_port, guarded};
use crate::properties::{self, Ports};
use crate::read::Reader;
use crate::write::Writer;

/// How long a start may take; it takes about 4 s on an idle host.
const START: Duration = Duration::from_secs(120);
/// How long an answer to an admin request may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Any id will do, as each broker is a cluster of its own with its own folder.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// What may be different about a broker.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `message.max.bytes` of the broker; Kafka's default is 1,048,588.
    pub message_max_bytes: Option<u32>,
    /// Whether a topic is made when a client asks for it.
    pub auto_create_topics: bool,
    /// The SASL listener asks for a client certificate and takes none but those of its CA.
    pub require_client_certificate: bool,
    /// Further lines of `server.properties`.
    pub properties: Vec<(String, String)>,
}

/// A running, or killed, broker.
#[derive(Debug)]
pub struct Broker {
    process: Mutex<Option<Child>>,
    ports: Ports,
    // Removed after the process is gone: `Drop` kills first.
    folder: TempDir,
}

/// The one broker of this process, for all tests that do not kill it. Use topic names of your own.
pub fn shared() -> Result<&'static Broker, Error> {
    static BROKER: OnceLock<Result<Broker, Error>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Broker::start(&Options::default()));
    broker.as_ref().map_err(Clone::clone)
}

impl Broker {
    /// Starts a broker and waits until it answers.
    pub fn start(options: &Options) -> Result<Broker, Error> {
        let mut result = Err(Error::new("not tried"));
        // A port that was free a moment ago may be taken.
        for _ in 0..3 {
            result = Broker::start_once(options);
            match &result {
                Err(error) if error.to_string().contains("already in use") => {}
                Ok(_) | Err(_) => break,
            }
        }
        result
    }

    fn start_once(options: &Options) -> Result<Broker, Error> {
        let folder = tempfile::Builder::new()
            .prefix("real-kafka-")
            .tempdir()
            .context("make a folder for the broker")?;
        let ports = free_ports()?;
        properties::write(folder.path(), ports, options)?;
        format(folder.path())?;
        let broker = Broker {
            process: Mutex::new(None),
            ports,
            folder,
        };
        broker.restart()?;
        Ok(broker)
    }

    /// `host:port` of the listener without TLS and log-in.
    pub fn plain_addr(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// `host:port` of the listener with TLS and SASL; see [`crate::USER`].
    pub fn sasl_addr(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    /// The CA that signed the broker's certificate, PEM.
    pub fn ca_pem(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A client certificate of the same CA and its key, PEM.
    pub fn client_pem(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("client.pem"), folder.join("client.key"))
    }

    /// The broker's log.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("kafka.log")
    }

    /// Bytes of a topic's records as they are stored: batches with their heads, compressed or not.
    pub fn stored_bytes(&self, topic: &str) -> Result<u64, Error> {
        let data = self.folder.path().join("data");
        let mut bytes = 0;
        for entry in fs::read_dir(data).context("list the broker's data")? {
            let folder = entry.context("list the broker's data")?.path();
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let partition = name.strip_prefix(topic).and_then(|it| it.strip_prefix('-'));
            if partition.is_none_or(|it| it.parse::<u32>().is_err()) {
                continue;
            }
            for entry in fs::read_dir(&folder).context("list a partition")? {
                let path = entry.context("list a partition")?.path();
                if path.extension().is_some_and(|it| it == "log") {
                    bytes += path.metadata().context("look at a segment")?.len();
                }
            }
        }
        Ok(bytes)
    }

    /// Reads topics.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.plain_addr())
    }

    /// Makes a topic and waits until it can be used. `configs` are topic settings.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: u16,
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        let topic = NewTopic {
            name,
            num_partitions: i32::from(partitions),
            replication: TopicReplication::Fixed(1),
            config: configs.to_vec(),
        };
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let admin = self.admin()?;
        let results = block_on(admin.create_topics([&topic], &options))?
            .context(&format!("create topic {name}"))?;
        settled("create topic", results)
    }

    /// Gives a topic this many partitions.
    pub fn grow_topic(&self, name: &str, partitions: usize) -> Result<(), Error> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let admin = self.admin()?;
        let wanted = NewPartitions::new(name, partitions);
        let results = block_on(admin.create_partitions([&wanted], &options))?
            .context(&format!("grow topic {name}"))?;
        settled("grow topic", results)
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let admin = self.admin()?;
        let results = block_on(admin.delete_topics(&[name], &options))?
            .context(&format!("delete topic {name}"))?;
        settled("delete topic", results)
    }

    /// Deletes the records of a partition before an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<(), Error> {
        let what = format!("delete records of {topic}");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .context(&what)?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let admin = self.admin()?;
        let results = block_on(admin.delete_records(&list, &options))?.context(&what)?;
        for element in results.elements() {
            element.error().context(&what)?;
        }
        Ok(())
    }

    /// Changes settings of a topic; those that are not named get their default again.
    pub fn configure_topic(&self, name: &str, configs: &[(&str, &str)]) -> Result<(), Error> {
        let what = format!("configure topic {name}");
        let mut wanted = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in configs {
            wanted = wanted.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let admin = self.admin()?;
        let results = block_on(admin.alter_configs([&wanted], &options))?.context(&what)?;
        for result in results {
            result.map_err(|(_, code)| Error::new(format!("{what}: {code}")))?;
        }
        Ok(())
    }

    /// Writes to topics.
    pub fn writer(&self) -> Result<Writer, Error> {
        Writer::new(&self.plain_addr())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.plain_addr());
        config.create().context("make an admin client")
    }

    /// Kills the broker (`kill -9`) and waits until it is gone. Its data stay.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            if let Some(stdin) = &mut child.stdin {
                stdin.write_all(b"kill\n").ok();
            }
            child.wait().ok();
        }
    }

    /// Starts the broker again on the same ports and data, killing it first if it runs, and waits
    /// until it answers.
    pub fn restart(&self) -> Result<(), Error> {
        self.kill();
        let child = self.launch()?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        self.wait_until_it_answers()
    }

    fn launch(&self) -> Result<Child, Error> {
        let folder = self.folder.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("open the broker's log")?;
        let logging = folder.join("log4j2.properties");
        guarded(folder, &java().map_err(Error::new)?, log)?
            .args(JVM)
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .arg("-cp")
            .arg(class_path()?)
            .arg("kafka.Kafka")
            .arg(folder.join("server.properties"))
            .spawn()
            .context("start the broker")
    }

    fn wait_until_it_answers(&self) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        let reader = self.reader();
        loop {
            if reader.answers(Duration::from_secs(1)) {
                return Ok(());
            }
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = process
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || deadline <= Instant::now() {
                let why = if ended { "ended" } else { "does not answer" };
                return Err(Error::new(format!("the broker {why}: {}", self.log_tail())));
            }
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A small, quick start: no second compiler, one collector thread.
const JVM: [&str; 4] = [
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
];

/// Writes the meta data and the SCRAM users into the data folder.
fn format(folder: &Path) -> Result<(), Error> {
    let user = |mechanism| {
        format!(
            "{mechanism}=[name={},password={}]",
            properties::USER,
            properties::PASSWORD
        )
    };
    let output = Command::new(java().map_err(Error::new)?)
        .args(JVM)
        .arg("-cp")
        .arg(class_path()?)
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
        .arg(folder.join("server.properties"))
        .args([
            "--add-scram",
            &user("SCRAM-SHA-256"),
            "--add-scram",
            &user("SCRAM-SHA-512"),
        ])
        .output()
        .context("format the broker's storage")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::new(format!("format the broker's storage: {said}")))
}

fn free_ports() -> Result<Ports, Error> {
    loop {
        let ports = Ports {
            plain: free_port()?,
            controller: free_port()?,
            sasl: free_port()?,
        };
        // A port that was given back may be given out again.
        let Ports {
            plain,
            controller,
            sasl,
        } = ports;
        if plain != controller && controller != sasl && sasl != plain {
            return Ok(ports);
        }
    }
}

type Results = Vec<Result<String, (String, rdkafka::types::RDKafkaErrorCode)>>;

fn settled(what: &str, results: Results) -> Result<(), Error> {
    for result in results {
        result.map_err(|(topic, code)| Error::new(format!("{what} {topic}: {code}")))?;
    }
    Ok(())
}

/// Waits for one answer of the admin client, which speaks in futures.
fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = pin!(future);
    let deadline = Instant::now() + 2 * ANSWER;
    while Instant::now() < deadline {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        std::thread::park_timeout(Duration::from_secs(1));
    }
    Err(Error::new("no answer to an admin request"))
}
