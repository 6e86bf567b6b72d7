//! librdkafka's mock cluster, owned by a thread of its own.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::error::{Context, Error};
use crate::read::Reader;
use crate::write::Writer;

/// The mock cluster; see [`Embedded::with`].
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

type Call = Box<dyn FnOnce(&Cluster) + Send>;

/// A broker in this process. It speaks the real protocol, without log-in and admin requests.
///
/// It keeps about 5 MB of each partition. Consumers create topics by asking for them, our producer
/// does not: see [`Embedded::create_topic`].
#[derive(Debug)]
pub struct Embedded {
    bootstrap: String,
    partitions: i32,
    // Dropped before the thread is joined: that ends it.
    calls: Option<Sender<Call>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts one broker whose topics will have this many partitions.
    pub fn start(partitions: i32) -> Result<Embedded, Error> {
        let (calls, inbox) = bounded::<Call>(1);
        let (ready, started) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || serve(&ready, &inbox))
            .context("start a thread")?;
        let bootstrap = started.recv().context("start the mock cluster")??;
        Ok(Embedded {
            bootstrap,
            partitions,
            calls: Some(calls),
            thread: Some(thread),
        })
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic with the number of partitions given at the start.
    pub fn create_topic(&self, name: &str) -> Result<(), Error> {
        let (topic, partitions) = (name.to_owned(), self.partitions);
        self.with(move |cluster| cluster.create_topic(&topic, partitions, 1))?
            .context("create a topic")
    }

    /// Reads topics.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.bootstrap)
    }

    /// Writes to topics.
    pub fn writer(&self) -> Result<Writer, Error> {
        Writer::new(&self.bootstrap)
    }

    /// Runs a call on the thread that owns the cluster, which cannot leave it: errors, delays,
    /// brokers that go down.
    pub fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = bounded(1);
        let call: Call = Box::new(move |cluster| {
            reply.send(call(cluster)).ok();
        });
        let calls = self.calls.as_ref().ok_or_else(|| Error::new("is closed"))?;
        calls.send(call).context("call the mock cluster")?;
        answer.recv().context("call the mock cluster")
    }
}

fn serve(ready: &Sender<Result<String, Error>>, inbox: &Receiver<Call>) {
    match Cluster::new(1).context("start the mock cluster") {
        Err(error) => {
            ready.send(Err(error)).ok();
        }
        Ok(cluster) => {
            ready.send(Ok(cluster.bootstrap_servers())).ok();
            for call in inbox {
                call(&cluster);
            }
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
