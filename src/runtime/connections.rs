//! The clients of the instance, of Kafka and of the schema registry: those that new pipelines use, and
//! older ones that are still in use after a reload.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::config;
use crate::control::PlaceOutage;
use crate::health::Health;
use crate::kafka::Producer;
use crate::registry::Registry;
use crate::servicenow::InstanceClient;
use crate::source::SourceInstance;

/// The clients that all pipelines share.
pub(super) struct Connections {
    /// The client of the instance.
    pub(super) client: Arc<InstanceClient>,
    /// The instance as the tables see it: its clock, and how it reads times.
    pub(super) instance: Arc<SourceInstance>,
    /// The producer.
    pub(super) producer: Arc<Producer>,
    /// The client of the schema registry, where there is one. It ends with its last user.
    pub(super) registry: Option<Arc<Registry>>,
    old_clients: Vec<Arc<InstanceClient>>,
    old_producers: Vec<Arc<Producer>>,
    /// Threads that end clients without users, as that may take a while.
    retiring: Vec<JoinHandle<()>>,
}

impl Connections {
    pub(super) fn new(
        client: InstanceClient,
        producer: Producer,
        registry: Option<Registry>,
        config: &config::ServiceNowConfig,
        health: &Arc<Health>,
    ) -> Connections {
        let client = Arc::new(client);
        Connections {
            instance: instance(&client, config, health),
            client,
            producer: Arc::new(producer),
            registry: registry.map(Arc::new),
            old_clients: Vec::new(),
            old_producers: Vec::new(),
            retiring: Vec::new(),
        }
    }

    /// Pipelines that start from now on use this client of the instance.
    pub(super) fn switch_client(
        &mut self,
        client: InstanceClient,
        config: &config::ServiceNowConfig,
        health: &Arc<Health>,
    ) {
        let client = Arc::new(client);
        self.instance = instance(&client, config, health);
        let old = std::mem::replace(&mut self.client, client);
        self.old_clients.push(old);
    }

    /// Pipelines that start from now on use this producer.
    pub(super) fn switch_producer(&mut self, producer: Producer) {
        let old = std::mem::replace(&mut self.producer, Arc::new(producer));
        self.old_producers.push(old);
    }

    /// Pipelines that start from now on use this client of the registry.
    pub(super) fn switch_registry(&mut self, registry: Option<Registry>) {
        self.registry = registry.map(Arc::new);
    }

    /// The places that do not answer the clients of new pipelines now.
    pub(super) fn outages(&self) -> Vec<PlaceOutage> {
        let registry = self.registry.iter().filter_map(|it| it.outage());
        self.client.outages().chain(registry).collect()
    }

    /// Ends the requests of all clients.
    pub(super) fn abort(&self) {
        self.client.abort();
        self.old_clients.iter().for_each(|client| client.abort());
    }

    /// An old client is still in use, or is ending.
    pub(super) fn is_busy(&self) -> bool {
        !(self.old_clients.is_empty() && self.old_producers.is_empty() && self.retiring.is_empty())
    }

    /// Ends old clients that no pipeline uses any more.
    pub(super) fn retire_unused(&mut self) {
        for client in unused(&mut self.old_clients) {
            self.retire(move || drop(client));
        }
        for producer in unused(&mut self.old_producers) {
            self.retire(move || drop(producer));
        }
        let all = std::mem::take(&mut self.retiring);
        let (over, going): (Vec<_>, Vec<_>) = all.into_iter().partition(JoinHandle::is_finished);
        self.retiring = going;
        for thread in over {
            if thread.join().is_err() {
                log::error!("the thread that ends old connections panicked");
            }
        }
    }

    /// Ends a client on a thread of its own, or here if no thread can be started.
    fn retire(&mut self, end: impl FnOnce() + Send + 'static) {
        let thread = thread::Builder::new().name("retire".to_owned());
        self.retiring.extend(thread.spawn(end).ok());
    }
}

fn instance(
    client: &Arc<InstanceClient>,
    config: &config::ServiceNowConfig,
    health: &Arc<Health>,
) -> Arc<SourceInstance> {
    let instance = SourceInstance::new(Arc::clone(client), config);
    Arc::new(instance.with_note_in(health))
}

/// Takes those out that have no other holder.
fn unused<T>(all: &mut Vec<Arc<T>>) -> Vec<Arc<T>> {
    let (used, unused) = std::mem::take(all)
        .into_iter()
        .partition(|it| 1 < Arc::strong_count(it));
    *all = used;
    unused
}
