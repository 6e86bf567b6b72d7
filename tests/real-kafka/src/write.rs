//! Writes records to topics.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::error::{Context, Error};

/// How long Kafka may take for all that was given to it.
const DELIVERY: Duration = Duration::from_secs(60);

/// A record to write. It begins with a value, or as a tombstone, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    value: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    partition: Option<i32>,
    time: Option<i64>,
}

impl Draft {
    /// With this value.
    pub fn new(value: impl Into<Vec<u8>>) -> Draft {
        Draft {
            value: Some(value.into()),
            ..Draft::default()
        }
    }

    /// Without a value.
    pub fn tombstone() -> Draft {
        Draft::default()
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Draft {
        self.key = Some(key.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Draft {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }

    /// With one more header that has no value.
    #[must_use]
    pub fn null_header(mut self, name: &str) -> Draft {
        self.headers.push((name.to_owned(), None));
        self
    }

    /// In this partition, wherever its key belongs.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Draft {
        self.partition = Some(partition);
        self
    }

    /// With this timestamp, milliseconds since 1970.
    #[must_use]
    pub fn time(mut self, time: i64) -> Draft {
        self.time = Some(time);
        self
    }
}

/// Writes to the topics of one cluster.
pub struct Writer {
    producer: BaseProducer<Places>,
}

impl Writer {
    /// For a plain listener.
    pub fn new(bootstrap: &str) -> Result<Writer, Error> {
        Writer::with(bootstrap, &[])
    }

    /// Whose records count when their transaction is committed: see [`Writer::transaction`].
    pub fn transactional(bootstrap: &str, id: &str) -> Result<Writer, Error> {
        let writer = Writer::with(bootstrap, &[("transactional.id", id)])?;
        writer
            .producer
            .init_transactions(DELIVERY)
            .context("begin with transactions")?;
        Ok(writer)
    }

    fn with(bootstrap: &str, settings: &[(&str, &str)]) -> Result<Writer, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "500");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let producer = config
            .create_with_context(Places::default())
            .context("make a producer")?;
        Ok(Writer { producer })
    }

    /// Writes records in their order and waits until Kafka has all of them. Gives the partition and
    /// the offset of each.
    pub fn write(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = Draft>,
    ) -> Result<Vec<(i32, i64)>, Error> {
        let deadline = Instant::now() + DELIVERY;
        let mut count = 0;
        for draft in records {
            self.give(topic, &draft, count, deadline)?;
            count += 1;
        }
        self.producer
            .flush(DELIVERY)
            .context(&format!("write to {topic}"))?;
        let context = self.producer.context();
        let places = std::mem::take(&mut *context.lock());
        let mut all = vec![(-1, -1); count];
        for (index, place) in places {
            let place = place.context(&format!("write to {topic}"))?;
            if let Some(slot) = all.get_mut(index) {
                *slot = place;
            }
        }
        Ok(all)
    }

    /// Writes records in a transaction, and commits or aborts it.
    pub fn transaction(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = Draft>,
        commit: bool,
    ) -> Result<(), Error> {
        let what = "run a transaction";
        self.producer.begin_transaction().context(what)?;
        self.write(topic, records)?;
        if commit {
            self.producer.commit_transaction(DELIVERY).context(what)
        } else {
            self.producer.abort_transaction(DELIVERY).context(what)
        }
    }

    fn give(
        &self,
        topic: &str,
        draft: &Draft,
        index: usize,
        deadline: Instant,
    ) -> Result<(), Error> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &draft.headers {
            let value = value.as_deref();
            headers = headers.insert(Header { key, value });
        }
        let mut record: BaseRecord<'_, [u8], [u8], Box<usize>> =
            BaseRecord::with_opaque_to(topic, Box::new(index));
        record.key = draft.key.as_deref();
        record.payload = draft.value.as_deref();
        record.partition = draft.partition;
        record.timestamp = draft.time;
        record.headers = (!draft.headers.is_empty()).then_some(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    self.producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((error, _)) => return Err(error).context(&format!("write to {topic}")),
            }
        }
    }
}

/// Which record it was, and where it is.
type Placed = (usize, Result<(i32, i64), String>);

/// Where the records are.
#[derive(Default)]
struct Places(Mutex<Vec<Placed>>);

impl Places {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Placed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Places {}

impl ProducerContext for Places {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.lock().push((*index, place));
    }
}
