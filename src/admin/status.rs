//! The shape of `/status.json`: what the status page and `status` of the command line show.
//!
//! Times are seconds since the epoch. What is null is not known. Fields are added in later
//! versions, none is taken away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::ProcessFigures;

/// The whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgeStatus {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from.
    pub revision: String,
    /// When this was put together.
    pub time: f64,
    /// When the process started.
    pub started: f64,
    /// As `/readyz`.
    pub ready: bool,
    /// The reasons why it is not ready; empty while it is.
    pub reasons: Vec<String>,
    /// Notes for the operator that do not count against readiness.
    pub notes: Vec<String>,
    /// The reasons of `/healthz`; empty while the process is alive.
    pub unhealthy: Vec<String>,
    /// The instance.
    pub servicenow: InstanceStatus,
    /// Kafka.
    pub kafka: KafkaStatus,
    /// The places that do not answer now; empty while all do.
    pub outages: Vec<OutageStatus>,
    /// The sink's member of its group; null while no sink runs.
    pub sink_member: Option<SinkMemberStatus>,
    /// The checkpoint file.
    pub checkpoint: CheckpointStatus,
    /// The process.
    pub process: ProcessFigures,
    /// Tables that are read, in the order of the configuration.
    pub tables: Vec<PipelineStatus>,
    /// Topics that are written to the instance, in the order of the configuration.
    pub topics: Vec<PipelineStatus>,
    /// The last reloads, the newest first.
    pub reloads: Vec<ReloadStatus>,
    /// The last minutes of all together.
    pub history: HistoryTotals,
}

/// The instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceStatus {
    /// `servicenow.base_url`.
    pub url: String,
    /// It answers.
    pub ok: bool,
    /// Why it does not answer; null while it does.
    pub words: Option<String>,
    /// `oauth`, `basic` or `api_key`.
    pub auth: String,
    /// When the access token expires; null without one.
    pub token_expires: Option<f64>,
    /// Requests so far.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Seconds that requests waited for a limit, all threads together.
    pub limit_wait: f64,
}

/// Kafka.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KafkaStatus {
    /// `kafka.brokers`.
    pub brokers: Vec<String>,
    /// It answers.
    pub ok: bool,
    /// Why it does not answer; null while it does.
    pub words: Option<String>,
    /// Records that wait for their acknowledgement.
    pub queue: f64,
    /// Records that were given up and sent again.
    pub errors: u64,
}

/// A place that does not answer: requests to it wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutageStatus {
    /// `servicenow_read`, `servicenow_write`, `servicenow_login` or `schema_registry`.
    pub place: String,
    /// When it began.
    pub since: f64,
    /// The newest failure.
    pub words: String,
}

/// Who the sink is in its group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SinkMemberStatus {
    /// `sink.group_id`.
    pub group_id: String,
    /// `cluster.instance_id`, or the name that was made in its place.
    pub instance_id: String,
}

/// The checkpoint file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointStatus {
    /// Seconds that a write waits for the disk (fsync), the mean since the start; null before the first.
    pub fsync_mean: Option<f64>,
}

/// A table that is read or a topic that is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PipelineStatus {
    /// Name of the table or topic.
    pub name: String,
    /// Where its records go: the topic of a table, the table of a topic.
    pub to: String,
    /// Its state.
    pub state: PipelineState,
    /// The reason for the state, where there is one.
    pub words: Option<String>,
    /// Of a table: records that Kafka has. Of a topic: records written to its table, also by other
    /// topics.
    pub rows: u64,
    /// The same per second, over the last minute.
    pub rate: Option<f64>,
    /// How far it is behind: a table in seconds, a topic in records.
    pub lag: Option<f64>,
    /// Rows left in the first load of a table.
    pub remaining: Option<f64>,
    /// When a poll of a table last succeeded.
    pub last_success: Option<f64>,
    /// When a table is polled next; in the past while it is.
    pub next_poll: Option<f64>,
    /// What the last scheduled comparison of a table with its topic found.
    pub verify: Option<VerifyStatus>,
    /// The search for deleted rows of a table; null without `deletes`.
    pub deletes: Option<DeletesStatus>,
    /// Rows of a table that became visible late.
    pub late: Option<LateRowsStatus>,
    /// How far the content cycle of a table is.
    pub content: Option<ContentStatus>,
    /// How far the snapshot or rewind of a table is; null while none is under way.
    pub snapshot: Option<SnapshotStatus>,
    /// Records of a topic that are consumed but not done.
    pub in_flight: Option<f64>,
    /// Records of a topic that wait, after an unclean end, for writes that may still run.
    pub waiting: Option<f64>,
    /// Records of a topic that were passed over.
    pub skipped: Option<u64>,
    /// Records of a topic that went to the dead letter topic.
    pub dead_letters: Option<u64>,
    /// Errors so far.
    pub errors: u64,
    /// The last of them.
    pub last_error: Option<ErrorStatus>,
    /// Its last minutes; null where there are very many pipelines.
    pub history: Option<HistorySeries>,
}

/// What the last scheduled comparison of a table with its topic found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifyStatus {
    /// Seconds since it came to its end.
    pub age: f64,
    /// Rows that are missing, stale or extra, or stand in a wrong partition.
    pub differences: u64,
    /// Rows by their state.
    pub rows: BTreeMap<String, u64>,
}

/// The search for deleted rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeletesStatus {
    /// `deletes` of the configuration.
    pub mode: String,
    /// When the last comparison ended; null before the first.
    pub compared: Option<f64>,
    /// Deletes that wait for a decision.
    pub held: u64,
    /// Tombstones since the start.
    pub sent: u64,
    /// Why deletes do not arrive; null while they do.
    pub words: Option<String>,
}

/// Rows of a table that became visible behind rows with later timestamps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LateRowsStatus {
    /// Rows since the start.
    pub rows: u64,
    /// Seconds from the timestamp of the latest of them to its delivery.
    pub longest: f64,
    /// Versions of rows whose seconds are listed again until they settle.
    pub unsettled: u64,
}

/// The content cycle of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentStatus {
    /// Seconds since one last came to its end; null before the first.
    pub age: Option<f64>,
    /// How much of the table the present one has read, 0 to 1.
    pub progress: f64,
    /// Rows since the start that were changed without a trace in their timestamp.
    pub changed: u64,
    /// Rows since the start that had never come.
    pub missed: u64,
}

/// A snapshot or rewind of a table that is under way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotStatus {
    /// Rows that it has delivered.
    pub rows: u64,
    /// Rows that are left, by the instance's count.
    pub remaining: Option<u64>,
    /// Seconds that these take.
    pub left: Option<u64>,
    /// It waits to be resumed.
    pub paused: bool,
}

/// The state of a pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// Nothing was read or consumed yet.
    #[default]
    Starting,
    /// It moves records, or waits for some.
    Running,
    /// It waits at a record that the other side does not take.
    Held,
    /// It fails, and tries again.
    Error,
    /// An operator paused it.
    Paused,
    /// It ended by itself and is started again.
    Restarting,
    /// It cannot start until an operator changes the configuration or the checkpoint.
    Stopped,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl PipelineState {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            PipelineState::Starting => "starting",
            PipelineState::Running => "running",
            PipelineState::Held => "held",
            PipelineState::Error => "error",
            PipelineState::Paused => "paused",
            PipelineState::Restarting => "restarting",
            PipelineState::Stopped => "stopped",
            PipelineState::Other => "unknown",
        }
    }
}

/// Something that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorStatus {
    /// When.
    pub at: f64,
    /// What.
    pub words: String,
}

/// A reload of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReloadStatus {
    /// When.
    pub at: f64,
    /// `applied`, `refused` or `rolled_back`.
    pub outcome: String,
    /// One line for each change, or for each problem.
    pub words: Vec<String>,
}

/// The last minutes of all tables and of all topics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryTotals {
    /// Seconds between two points.
    pub every: f64,
    /// How many points there are at most.
    pub points: usize,
    /// When the last point was taken.
    pub end: f64,
    /// All tables: the sum of the rates, the longest lag.
    pub tables: HistorySeries,
    /// All topics: the sum of the rates, the longest lag.
    pub topics: HistorySeries,
}

/// Points in time, the oldest first; all series end together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistorySeries {
    /// Records per second.
    pub rate: Vec<Option<f64>>,
    /// As [`PipelineStatus::lag`].
    pub lag: Vec<Option<f64>>,
}
