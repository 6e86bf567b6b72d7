//! Every default and every bound, once.
//!
//! Where the Go program's default loses data or is slow, ours is the safe and fast one.

use std::time::Duration;

use super::reader::{DurationBounds, IntegerBounds};
use super::{Decimals, KeyFormat, OnTypeError, SchemaStyle, TableSchemaConfig};

pub(super) const TABLE_API_PATH: &str = "/api/now/table";
pub(super) const TOKEN_PATH: &str = "/oauth_token.do";
pub(super) const API_KEY_HEADER: &str = "x-sn-apikey";
pub(super) const TIMESTAMP_FIELD: &str = "sys_updated_on";
pub(super) const IDENTIFIER_FIELD: &str = "sys_id";
pub(super) const CLEANUP_POLICY: &str = "delete";
pub(super) const SINK_GROUP_ID: &str = "servicenow-kafka-bridge-sink";
pub(super) const OFFSET_FILE: &str = "offsets.json";
pub(super) const OFFSET_TOPIC: &str = "_bridge_offsets";
pub(super) const ADDR: &str = ":8080";

const fn span(default: Duration, least: Duration, most: Duration) -> DurationBounds {
    DurationBounds {
        default,
        least,
        most,
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DAY: Duration = secs(86_400);

/// A whole request. ServiceNow ends its own transactions after 60 s by default.
pub(super) const TIMEOUT: DurationBounds = span(secs(30), ms(1), secs(3_600));
pub(super) const READ_TIMEOUT: DurationBounds = span(secs(25), ms(1), secs(3_600));
pub(super) const CONN_TIMEOUT: DurationBounds = span(secs(10), ms(1), secs(600));
pub(super) const MAX_RETRIES_MOST: u32 = 1_000_000;
/// The first back-off; back-offs end at 300 s.
pub(super) const RETRY_BACKOFF: DurationBounds = span(ms(100), ms(1), secs(300));
pub(super) const RATE_LIMIT_MOST: f64 = 100_000.0;
pub(super) const MAX_RESPONSE_BYTES: IntegerBounds = IntegerBounds {
    default: 64 << 20,
    least: 64 << 10,
    most: 4 << 30,
};

pub(super) const LINGER: DurationBounds = span(ms(50), Duration::ZERO, secs(60));
/// librdkafka counts in KiB in an i32.
pub(super) const QUEUE_BYTES: IntegerBounds = IntegerBounds {
    default: 8 << 20,
    least: 64 << 10,
    most: 1 << 40,
};
/// The bounds of librdkafka's `message.max.bytes`.
pub(super) const MAX_MESSAGE_BYTES: IntegerBounds = IntegerBounds {
    default: 1_000_000,
    least: 1_000,
    most: 1_000_000_000,
};
pub(super) const PARTITIONS: IntegerBounds = IntegerBounds {
    default: 3,
    least: 1,
    most: 10_000,
};
pub(super) const REPLICATION_MOST: u32 = 100;

pub(super) const FAST_POLL_INTERVAL: DurationBounds = span(ms(500), ms(1), DAY);
pub(super) const SLOW_POLL_INTERVAL: DurationBounds = span(secs(30), ms(1), DAY);
/// The Go program's default of 20 spends most of its time in request overhead.
pub(super) const BATCH_SIZE: IntegerBounds = IntegerBounds {
    default: 1_000,
    least: 1,
    most: 100_000,
};
/// A hundred years.
pub(super) const INITIAL_HOURS_MOST: u32 = 876_000;
pub(super) const TIMESTAMP_DELAY: IntegerBounds = IntegerBounds {
    default: 0,
    least: 0,
    most: 86_400,
};

pub(super) const SINK_CONCURRENCY: u32 = 5;
pub(super) const SINK_CONCURRENCY_MOST: u32 = 256;
/// A record that fails this long while others succeed has a fault of its own.
pub(super) const RECORD_RETRY_FOR: DurationBounds = span(secs(60), ms(100), DAY);
/// ServiceNow's quota rule for the Table API ends a transaction after 60 s.
pub(super) const TRANSACTION_TIME: DurationBounds = span(secs(60), ms(100), secs(600));
pub(super) const RETRY_FOR: DurationBounds = span(Duration::ZERO, ms(100), secs(100 * 86_400));
pub(super) const CREATE_ID_FIELD: &str = "correlation_id";

/// A request to one address of the schema registry.
pub(super) const REGISTRY_TIMEOUT: DurationBounds = span(secs(10), ms(100), secs(300));
/// The Go program's schemas; a value that does not fit does not stop a table.
pub(super) const TABLE_SCHEMA: TableSchemaConfig = TableSchemaConfig {
    style: SchemaStyle::Strings,
    decimals: Decimals::Bytes,
    on_type_error: OnTypeError::StringField,
    key: KeyFormat::String,
};

pub(super) const FLUSH_INTERVAL: DurationBounds = span(secs(5), ms(10), secs(3_600));
pub(super) const SHUTDOWN_TIMEOUT: DurationBounds = span(secs(25), ms(100), secs(3_600));
