//! Source: rows of ServiceNow tables to Kafka topics.
//!
//! A table has two threads. The poller asks for pages and checks them; the sender produces their
//! rows and moves the checkpoint behind the acknowledgements. A bounded channel joins them, so that
//! page n+1 is fetched while page n is produced. Where a record cannot be delivered, the sender
//! tells the poller to go back to the last acknowledged row.

mod encode;
mod loop_guard;
mod page_buffer;
mod poll_error;
mod poller;
mod read_progress;
mod record_key;
mod row_order;
mod sender;
pub mod server_clock;
pub mod time_zone;
pub mod window;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};
use sha2::{Digest, Sha256};

use crate::checkpoint::{self, CheckpointEntry, CheckpointPosition};
use crate::config::{self, TableConfig};
use crate::health::Health;
use crate::kafka::Producer;
use crate::loop_guard::OwnWriteLog;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::servicenow::page::RowBlock;
use crate::servicenow::query::Cursor;
use crate::stop::Stop;

pub use self::time_zone::SourceInstance;

/// Blocks between poller and sender: two pages of 1,000 rows of 2 kB.
const BLOCK_QUEUE_CAPACITY: usize = 16;

/// What a table's pipeline needs from outside.
#[derive(Clone)]
pub struct SourceContext {
    /// The instance, its clock and its reading of times.
    pub instance: Arc<SourceInstance>,
    /// Where rows go.
    pub producer: Arc<Producer>,
    /// Where the schemas of Avro tables are; `None` without one.
    pub registry: Option<Arc<Registry>>,
    /// Where positions are kept.
    pub checkpoints: Arc<checkpoint::CheckpointStore>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Heartbeats and readiness.
    pub health: Arc<Health>,
    /// What the sink wrote, by table: of those whose own writes are left out.
    pub own_writes: BTreeMap<String, Arc<OwnWriteLog>>,
}

/// From poller to sender.
#[derive(Debug)]
enum PollerMessage {
    /// Rows to produce. `checked`: their page is known to be good.
    Rows {
        generation: u64,
        block: RowBlock,
        checked: bool,
    },
    /// Everything before is one good page, and all up to `cursor` is read.
    Mark { generation: u64, mark: BatchMark },
}

/// A place the checkpoint may move to.
#[derive(Debug, Clone)]
struct BatchMark {
    cursor: Option<Cursor>,
    rows: u64,
    /// The second up to which the table is read, when nothing was left.
    caught_up: Option<i64>,
    /// Of the rows, those that were produced.
    produced: u64,
}

impl BatchMark {
    fn new(cursor: Option<Cursor>, rows: u64, caught_up: Option<i64>) -> BatchMark {
        BatchMark {
            cursor,
            rows,
            caught_up,
            produced: rows,
        }
    }

    /// The last second of which every row is before the mark.
    fn done_to(&self) -> Option<i64> {
        let cursor = self.cursor.as_ref();
        let before = cursor.map(|cursor| cursor.seconds.saturating_sub(1));
        self.caught_up.or(before)
    }
}

/// From sender to poller: read again from `cursor`.
#[derive(Debug)]
struct RewindRequest {
    generation: u64,
    cursor: Option<Cursor>,
    /// Ask for single rows first.
    carefully: bool,
}

/// A running table.
#[derive(Debug)]
pub struct TablePipeline {
    name: String,
    poller: JoinHandle<()>,
    sender: JoinHandle<u64>,
    poke: Sender<()>,
}

impl TablePipeline {
    /// Starts the threads of `table`.
    ///
    /// `stop` ends the reading; what was read is still produced and acknowledged, until `abandon`.
    ///
    /// # Errors
    /// The checkpoint belongs to another query or instance, or no thread can be made.
    pub fn start(
        context: &SourceContext,
        source: &config::SourceConfig,
        table: &TableConfig,
        stop: &Stop,
        abandon: &Stop,
    ) -> Result<TablePipeline, Error> {
        if table.format == config::TableFormat::Avro && context.registry.is_none() {
            let table = table.name.clone();
            return Err(Error::NoRegistry { table });
        }
        let fingerprint = fingerprint(context.instance.base_url(), table);
        let start = start_position(&context.checkpoints, table, &fingerprint)?;
        let (items_in, items) = bounded(BLOCK_QUEUE_CAPACITY);
        let (spare_in, spare) = bounded(BLOCK_QUEUE_CAPACITY);
        let (rewind_in, rewinds) = bounded(1);
        let (poke, poked) = bounded(1);
        let sender = sender::TableSender::new(
            context,
            table,
            fingerprint,
            start.clone(),
            items,
            spare_in,
            rewind_in,
            (stop, abandon),
        );
        let poller = poller::TablePoller::new(
            context, source, table, start, items_in, spare, rewinds, poked, stop,
        );
        let spawn = |error| Error::Thread {
            table: table.name.clone(),
            error,
        };
        Ok(TablePipeline {
            name: table.name.clone(),
            poke,
            sender: thread::Builder::new()
                .name(format!("send:{}", table.name))
                .spawn(move || sender.run())
                .map_err(spawn)?,
            poller: thread::Builder::new()
                .name(format!("read:{}", table.name))
                .spawn(move || poller.run())
                .map_err(spawn)?,
        })
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the wait for the next poll. While a poll runs, the next one follows it at once.
    pub fn poll_now(&self) {
        // Full means that it will be done.
        self.poke.try_send(()).ok();
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let name = |thread: &thread::Thread| thread.name().unwrap_or_default().to_owned();
        vec![name(self.poller.thread()), name(self.sender.thread())]
    }

    /// Whether both threads have ended.
    pub fn is_finished(&self) -> bool {
        self.poller.is_finished() && self.sender.is_finished()
    }

    /// Whether a thread has ended although nothing asked for it.
    pub fn has_died(&self) -> bool {
        self.poller.is_finished() || self.sender.is_finished()
    }

    /// Waits for the threads; the number of rows that were read but not acknowledged.
    pub fn join(self) -> u64 {
        let poller_died = self.poller.join().is_err();
        self.sender.join().unwrap_or(1).max(u64::from(poller_died))
    }
}

/// Why a table cannot start.
#[derive(Debug)]
pub enum Error {
    /// The checkpoint was made by another query, table or instance.
    OtherQuery {
        /// The table.
        table: String,
    },
    /// The checkpoint's timestamp is no time, perhaps milliseconds.
    NoTime {
        /// The table.
        table: String,
        /// What stands there.
        seconds: i64,
    },
    /// It is to be Avro, and there is no registry.
    NoRegistry {
        /// The table.
        table: String,
    },
    /// The operating system gives no thread.
    Thread {
        /// The table.
        table: String,
        /// Why.
        error: io::Error,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::OtherQuery { table } => write!(
                f,
                "table `{table}`: its checkpoint was made with another instance, query or cursor \
                 column, so rows could be missed; run `checkpoint reset {table}` to read the table \
                 from the beginning, or `checkpoint set {table}` to accept a position"
            ),
            Error::NoTime { table, seconds } => write!(
                f,
                "table `{table}`: its checkpoint has the timestamp {seconds}, which is no time in \
                 seconds since 1970; correct it with `checkpoint set` or `checkpoint reset`"
            ),
            Error::NoRegistry { table } => write!(
                f,
                "table `{table}`: `format: avro` needs a registry: set `schema_registry.url`"
            ),
            Error::Thread { table, error } => {
                write!(f, "table `{table}`: cannot start a thread: {error}")
            }
        }
    }
}

/// Where to start: behind the checkpoint, if it was made by the same query.
fn start_position(
    checkpoints: &checkpoint::CheckpointStore,
    table: &TableConfig,
    fingerprint: &str,
) -> Result<Option<Cursor>, Error> {
    let Some(CheckpointEntry {
        position,
        fingerprint: stored,
    }) = checkpoints.get(&table.name)
    else {
        return Ok(None);
    };
    if stored.is_some_and(|stored| stored != fingerprint) {
        return Err(Error::OtherQuery {
            table: table.name.clone(),
        });
    }
    let CheckpointPosition {
        timestamp: seconds,
        last_identifier: id,
    } = position;
    if jiff::Timestamp::from_second(seconds).is_err() {
        return Err(Error::NoTime {
            table: table.name.clone(),
            seconds,
        });
    }
    Ok(Some(Cursor {
        seconds,
        id: Some(id).filter(|id| !id.is_empty()),
    }))
}

/// What a position depends on, as 16 hex digits: instance, table, cursor columns and query.
///
/// Not the fields: which columns are fetched does not change which rows are read.
pub fn fingerprint(base_url: &str, table: &TableConfig) -> String {
    let mut hash = Sha256::new();
    let query = table.query.as_deref().unwrap_or_default();
    let parts = [
        base_url,
        &table.name,
        &table.timestamp_field,
        &table.identifier_field,
        query,
    ];
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    record_key::hex(hash.finalize().get(..8).unwrap_or_default())
}

/// Seconds from a position, itself in seconds since 1970, until now: what a table is behind.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 fit a double exactly"
)]
pub fn age(position: i64) -> f64 {
    let now = jiff::Timestamp::now().as_second();
    now.saturating_sub(position).max(0) as f64
}
