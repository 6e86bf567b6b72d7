//! The least a copy can cost: fetch pages, cut the rows, enqueue, count acknowledgements.
//!
//! No checks, no retries, no checkpoint, no headers: the yardstick for the bridge.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::proc::{Sample, usage};

/// The simulator's user `bridge` with its password.
pub(crate) const AUTHORIZATION: &str = "Basic YnJpZGdlOnNlY3JldA==";

/// What to copy.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) table: String,
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) page: usize,
    pub(crate) rows: u64,
    pub(crate) compression: String,
}

#[derive(Default)]
struct Acks(AtomicU64);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Copies all rows.
pub(crate) fn copy(job: &Job) -> Result<Sample, Box<dyn std::error::Error>> {
    let producer: Arc<BaseProducer<Acks>> = Arc::new(
        ClientConfig::new()
            .set("bootstrap.servers", &job.brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "50")
            .set("queue.buffering.max.kbytes", "8192")
            .set("queue.buffering.max.messages", "1000000")
            .set("compression.type", &job.compression)
            .set("partitioner", "murmur2_random")
            .create_with_context(Acks::default())?,
    );
    let done = Arc::new(AtomicBool::new(false));
    let poller = {
        let (producer, done) = (Arc::clone(&producer), Arc::clone(&done));
        thread::Builder::new().name("poll".into()).spawn(move || {
            while !done.load(Ordering::Relaxed) {
                producer.poll(Duration::from_millis(100));
            }
        })?
    };
    let (pages_in, pages) = crossbeam_channel::bounded::<(Vec<u8>, usize)>(1);
    let (spare_in, spare) = crossbeam_channel::bounded::<Vec<u8>>(3);
    let fetch = Fetch::new(job);
    let sampler = {
        let (producer, rows) = (Arc::clone(&producer), job.rows);
        thread::Builder::new()
            .name("sample".into())
            .spawn(move || sample(&producer, rows))?
    };
    let fetcher = thread::Builder::new()
        .name("fetch".into())
        .spawn(move || fetch.run(&pages_in, &spare))?;
    let mut enqueued = 0;
    for (page, start) in pages {
        for row in rows(&page, start) {
            enqueue(&producer, &job.topic, row);
            enqueued += 1;
        }
        spare_in.try_send(page).ok();
    }
    fetcher.join().map_err(|_| "the fetcher died")?;
    if enqueued != job.rows {
        return Err(format!("{enqueued} of {} rows were fetched", job.rows).into());
    }
    let sample = sampler.join().map_err(|_| "the sampler died")?;
    done.store(true, Ordering::Relaxed);
    poller.join().map_err(|_| "the poller died")?;
    Ok(sample)
}

/// From the first acknowledgements to the last.
fn sample(producer: &BaseProducer<Acks>, rows: u64) -> Sample {
    let started = Instant::now();
    let mut first = None;
    loop {
        let count = producer.context().0.load(Ordering::Relaxed);
        let now = (count, started.elapsed().as_secs_f64(), usage("self"));
        if count > 0 && first.is_none() {
            first = Some(now);
        }
        if count >= rows {
            return Sample::between(first.unwrap_or(now), now);
        }
        crossbeam_channel::after(Duration::from_millis(5))
            .recv()
            .ok();
    }
}

fn enqueue(producer: &BaseProducer<Acks>, topic: &str, row: &[u8]) {
    loop {
        let key = value_of(row, b"\"sys_id\":\"");
        match producer.send(BaseRecord::to(topic).key(key).payload(row)) {
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                // Wait until a good part has drained.
                crossbeam_channel::after(Duration::from_millis(5))
                    .recv()
                    .ok();
            }
            _ => return,
        }
    }
}

struct Fetch {
    agent: ureq::Agent,
    url: String,
}

impl Fetch {
    fn new(job: &Job) -> Fetch {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .input_buffer_size(128 * 1024);
        let url = format!(
            "{}/api/now/table/{}?sysparm_limit={}&sysparm_exclude_reference_link=true\
             &sysparm_no_count=true&sysparm_suppress_pagination_header=true&sysparm_query=",
            job.url, job.table, job.page
        );
        Fetch {
            agent: config.build().into(),
            url,
        }
    }

    fn run(
        &self,
        pages: &crossbeam_channel::Sender<(Vec<u8>, usize)>,
        spare: &crossbeam_channel::Receiver<Vec<u8>>,
    ) {
        let order = "ORDERBYsys_updated_on%5EORDERBYsys_id";
        let mut query = order.to_owned();
        loop {
            let mut body = spare.try_recv().unwrap_or_default();
            body.clear();
            let answer = self
                .agent
                .get(format!("{}{query}", self.url))
                .header("accept", "application/json")
                .header("authorization", AUTHORIZATION)
                .call();
            let Ok(mut answer) = answer else { return };
            if answer
                .body_mut()
                .as_reader()
                .read_to_end(&mut body)
                .is_err()
            {
                return;
            }
            let start = b"{\"result\":[".len();
            let Some(last) = last_row(&body, start) else {
                return;
            };
            let text = |key: &[u8]| String::from_utf8_lossy(value_of(last, key)).into_owned();
            let time = text(b"\"sys_updated_on\":\"").replace(' ', "%20");
            let id = text(b"\"sys_id\":\"");
            query = format!(
                "sys_updated_on%3E{time}%5ENQsys_updated_on%3D{time}%5Esys_id%3E{id}%5E{order}"
            );

            if pages.send((body, start)).is_err() {
                return;
            }
        }
    }
}

/// The rows of a page of the simulated instance: flat objects without `},{` in their texts.
fn rows(page: &[u8], start: usize) -> impl Iterator<Item = &[u8]> {
    let end = memchr::memrchr(b']', page).unwrap_or(start);
    let list = page.get(start..end).unwrap_or_default();
    let cuts = memmem::find_iter(list, b"},{")
        .map(|at| at + 1)
        .chain([list.len()]);
    let mut from = 0;
    cuts.filter_map(move |cut| {
        let row = list.get(from..cut);
        from = cut + 1;
        row.filter(|row| !row.is_empty())
    })
}

/// The last row of a page; `None` behind the last page.
fn last_row(page: &[u8], start: usize) -> Option<&[u8]> {
    let end = memchr::memrchr(b']', page)?;
    let list = page.get(start..end).filter(|list| !list.is_empty())?;
    list.get(memmem::rfind(list, b"},{").map_or(0, |at| at + 2)..)
}

fn value_of<'a>(row: &'a [u8], key: &[u8]) -> &'a [u8] {
    let Some(at) = memmem::find(row, key) else {
        return &[];
    };
    let rest = row.get(at + key.len()..).unwrap_or_default();
    let end = memchr::memchr(b'"', rest).unwrap_or(0);
    rest.get(..end).unwrap_or_default()
}
