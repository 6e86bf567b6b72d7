//! Keys of `source`: the tables, how they are polled, and what their records are.

use std::time::Duration;

use super::deletes::DeleteConfig;
use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::key_info::KeyEffect;
use crate::config::kinds::{
    EachOf, Inline, Nested, Required, any, flag, integer, normal_text, text, texts, time, up_to,
    whole_seconds, word,
};
use crate::config::{names, values};

/// The longest pause between two polls.
const DAY: Duration = secs(86_400);

config_keys! {
    /// `source`: ServiceNow tables to Kafka topics.
    pub struct SourceConfig(avro: bool) check(CheckKeys) {
        /// Whether tables are polled at all.
        enabled: bool = false, flag(), example: "true";

        /// The topic of a table is {topic_prefix}.{name}, unless it has its own.
        topic_prefix: String = "", text(any), values: "start of a topic", example: "servicenow";

        /// Wait after a poll that found rows.
        fast_poll_interval: Duration = ms(500), time(ms(1), DAY);

        /// Wait after a poll that found none.
        slow_poll_interval: Duration = secs(30), time(ms(1), DAY);

        /// Rows per request.
        batch_size: u32 = 1_000, integer(1, 100_000);

        /// How far back a table without a checkpoint begins. -1 (or 0) is everything.
        initial_query_hours_ago: Option<u32> = None, up_to(876_000).or_shown(-1),
            effect: Some(KeyEffect::AtOnce);

        /// How far to stay behind the instance's clock, for rows that are committed late.
        timestamp_delay: Duration = Duration::ZERO, whole_seconds(86_400),
            key: "timestamp_delay_seconds";

        /// How long rows that are committed late are looked for: so long after it was first read each
        /// second of a table is listed again. 0 looks for none.
        settle: Duration = secs(600), time(Duration::ZERO, DAY);

        /// What becomes of a row that is no valid JSON, or has no identifier or time: hold (the table
        /// waits at it) or skip (it is left out, counted and named in the log).
        on_bad_row: OnBadRow = OnBadRow::Hold, word();

        /// How a table becomes an Avro schema.
        schema: TableSchemaConfig = TableSchemaConfig::DEFAULT, Nested;

        /// What becomes of a row that is over a limit of size: hold (the table waits at the row and
        /// readiness names it) or dead_letter (a letter without its content goes to dlq_topic, and
        /// the table goes on).
        on_oversize: OnOversize = OnOversize::Hold, word();

        /// Where the letters of on_oversize dead_letter go.
        dlq_topic: Option<String> = None, text(names::check_topic).optional(), values: "topic";

        /// Whether records say in the headers sn_updated and sn_mod_count which version of the row they
        /// hold. They do so in any case where the bridge itself needs it: with verify_interval,
        /// proof_topic, deletes or content_cycle. The column sys_mod_count is always fetched then.
        version_headers: bool = false, flag();

        /// How often a table is compared with its topic while the bridge runs. 0 is never.
        verify_interval: Duration = Duration::ZERO, time(Duration::ZERO, secs(366 * 86_400));

        /// Where the certificates of full comparisons go, a record for each.
        proof_topic: Option<String> = None, text(names::check_topic).optional(), values: "topic";

        /// In which time every row of a table is read once, for changes that move neither its timestamp
        /// nor its count of changes. Only rows that differ from what was delivered are sent. 0 is
        /// never; `7d` is one week.
        content_cycle: Duration = Duration::ZERO, time(Duration::ZERO, secs(366 * 86_400));

        /// Rows that are deleted.
        deletes: DeleteConfig = DeleteConfig::DEFAULT, Inline;

        /// The tables to poll.
        tables: Vec<TableConfig> => TableContext {
            is_source_enabled: enabled,
            topic_prefix: topic_prefix.clone(),
            fast_poll_interval,
            slow_poll_interval,
            batch_size,
            settle,
            on_bad_row,
            schema,
            on_oversize,
            dlq_topic: dlq_topic.clone(),
            version_headers,
            verify_interval,
            proof_topic: proof_topic.clone(),
            content_cycle,
            deletes: deletes.clone(),
            avro: *avro,
        }, EachOf, example: "one item";
    }
}

/// Settings that a table inherits or is checked against.
#[derive(Debug, Clone)]
pub(in crate::config) struct TableContext {
    /// `source.enabled`.
    pub(in crate::config) is_source_enabled: bool,
    /// `source.topic_prefix`.
    pub(in crate::config) topic_prefix: String,
    /// `source.fast_poll_interval`.
    pub(in crate::config) fast_poll_interval: Duration,
    /// `source.slow_poll_interval`.
    pub(in crate::config) slow_poll_interval: Duration,
    /// `source.batch_size`.
    pub(in crate::config) batch_size: u32,
    /// `source.settle`.
    pub(in crate::config) settle: Duration,
    /// `source.on_bad_row`.
    pub(in crate::config) on_bad_row: OnBadRow,
    /// `source.schema`.
    pub(in crate::config) schema: TableSchemaConfig,
    /// `source.on_oversize`.
    pub(in crate::config) on_oversize: OnOversize,
    /// `source.dlq_topic`.
    pub(in crate::config) dlq_topic: Option<String>,
    /// `source.version_headers`.
    pub(in crate::config) version_headers: bool,
    /// `source.verify_interval`.
    pub(in crate::config) verify_interval: Duration,
    /// `source.proof_topic`.
    pub(in crate::config) proof_topic: Option<String>,
    /// `source.content_cycle`.
    pub(in crate::config) content_cycle: Duration,
    /// `source.deletes` and what belongs to it.
    pub(in crate::config) deletes: DeleteConfig,
    /// True if there is a schema registry.
    pub(in crate::config) avro: bool,
}

config_keys! {
    /// One table to poll, with what it inherits from `source`.
    pub struct TableConfig(source: TableContext) check(CheckKeys) {
        /// The name of the table, not its label.
        name: String = Required, text(names::check_table),
            values: "table", example: "incident";

        /// The column that orders the rows in time.
        timestamp_field: String = "sys_updated_on", text(names::check_column), values: "column";

        /// The column that identifies a row.
        identifier_field: String = "sys_id", text(names::check_column), values: "column";

        /// Columns to fetch. Empty is all. The two columns above are fetched in any case.
        fields: Vec<String> = Vec::new(), texts(names::check_column), values: "list of columns";

        /// The topic of its records (default: {topic_prefix}.{name}). Several tables may share one.
        topic: String = "", text(names::check_topic), values: "topic";

        /// How the key of a record, and by it the partition, is made.
        partitioner: Partitioner = (), Inline;

        /// Wait after a poll that found rows, for this table only.
        fast_poll_interval: Duration => source.fast_poll_interval, time(ms(1), DAY),
            default: "500ms";

        /// Wait after a poll that found none, for this table only.
        slow_poll_interval: Duration => source.slow_poll_interval, time(ms(1), DAY),
            default: "30s";

        /// Rows per request, for this table only.
        batch_size: u32 => source.batch_size, integer(1, 100_000), default: "1000";

        /// As source.settle, for this table only.
        settle: Duration => source.settle, time(Duration::ZERO, DAY), default: "10m";

        /// As source.on_bad_row, for this table only.
        on_bad_row: OnBadRow => source.on_bad_row, word(), default: "hold";

        /// An encoded query that narrows the table, as `active=true^priority<3`. It must not sort.
        query: Option<String> = None, normal_text(values::source::encoded_query).optional(),
            values: "encoded query";

        /// Form of the values: false is as stored, times in UTC; true is what the user sees; all is
        /// both.
        display_value: DisplayValue = DisplayValue::False, word();

        /// For a table that the sink writes too: leave out rows whose last change is the sink's.
        skip_own_writes: bool = false, flag();

        /// What the records are. (default: avro if there is a registry)
        format: TableFormat => if source.avro { TableFormat::Avro } else { TableFormat::Json },
            word();

        /// As source.on_oversize, for this table only.
        on_oversize: OnOversize => source.on_oversize, word(), default: "hold";

        /// As source.dlq_topic, for this table only.
        dlq_topic: Option<String> => source.dlq_topic.clone(),
            text(names::check_topic).optional(), values: "topic";

        /// As source.version_headers, for this table only.
        version_headers: bool => source.version_headers, flag(), default: "false";

        /// As source.verify_interval, for this table only.
        verify_interval: Duration => source.verify_interval,
            time(Duration::ZERO, secs(366 * 86_400)), default: "0s";

        /// As source.proof_topic, for this table only.
        proof_topic: Option<String> => source.proof_topic.clone(),
            text(names::check_topic).optional(), values: "topic";

        /// As source.schema, for this table only.
        schema: TableSchemaConfig => source.schema, Nested;

        /// As source.content_cycle, for this table only.
        content_cycle: Duration => source.content_cycle,
            time(Duration::ZERO, secs(366 * 86_400)), default: "0s";

        /// Rows that are deleted.
        deletes: DeleteConfig => source.deletes.clone(), Inline;
    }
}

config_keys! {
    /// The keys that make a [`Partitioner`].
    pub(in crate::config) struct PartitionerKeys {
        /// What the key of a record is: default (the identifier), round_robin (no key), or
        /// field_based (the SHA-256 of the values of partition_key_fields).
        partitioner: PartitionerKind = PartitionerKind::Default, word();

        /// The columns of partitioner field_based.
        partition_key_fields: Vec<String> = Vec::new(), texts(names::check_column),
            values: "list of columns";
    }
}

words! {
    /// `source.tables[].partitioner`.
    pub(in crate::config) enum PartitionerKind {
        Default = "default",
        RoundRobin = "round_robin",
        FieldBased = "field_based",
    }
}

/// How the record key, and by it the partition, is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioner {
    /// Key is the identifier.
    Default,
    /// No key.
    RoundRobin,
    /// Key is the SHA-256 in hex of these fields' values.
    FieldBased(Vec<String>),
}

config_keys! {
    /// How a table becomes an Avro schema.
    #[derive(Copy, Eq)]
    pub struct TableSchemaConfig(inherited: TableSchemaConfig)
    check(CheckKeys) {
        /// What the fields are: strings (each is a nullable text) or typed (as the dictionary of
        /// the instance says).
        style: SchemaStyle => inherited.style, word(), default: "strings";

        /// What a typed decimal is: bytes (the logical type) or string.
        decimals: Decimals => inherited.decimals, word(), default: "bytes";

        /// What becomes of a value that its type cannot hold: string_field (null, and the text goes
        /// into the map `_raw`), null (in quotes, as a bare null is nothing in YAML) or hold (the
        /// table waits at the row).
        on_type_error: OnTypeError => inherited.on_type_error, word(), default: "string_field";

        /// What the record key is: string (the text itself) or avro.
        key: KeyFormat => inherited.key, word(), default: "string";
    }
}

impl TableSchemaConfig {
    /// The schemas of the Go program; a value that does not fit does not stop a table.
    const DEFAULT: TableSchemaConfig = TableSchemaConfig {
        style: SchemaStyle::Strings,
        decimals: Decimals::Bytes,
        on_type_error: OnTypeError::StringField,
        key: KeyFormat::String,
    };
}

words! {
    /// `display_value`: form in which the instance gives values.
    pub enum DisplayValue {
        /// Stored values, times in UTC.
        False = "false",
        /// Display values of the integration user.
        True = "true",
        /// Both.
        All = "all",
    }

    /// `format` of a table's records.
    pub enum TableFormat {
        /// Avro with a schema of the registry.
        Avro = "avro",
        /// The row as the instance sent it.
        Json = "json",
    }

    /// `source.on_oversize`.
    pub enum OnOversize {
        /// The table waits at the row.
        Hold = "hold",
        /// A letter without the row's content goes out, and the table goes on.
        DeadLetter = "dead_letter",
    }

    /// `source.on_bad_row`.
    pub enum OnBadRow {
        /// The table waits at the row.
        Hold = "hold",
        /// The row is left out, counted and named in the log.
        Skip = "skip",
    }

    /// `source.schema.style`.
    pub enum SchemaStyle {
        /// Each field is a nullable text, as in the Go program.
        Strings = "strings",
        /// Each field has the type of its column.
        Typed = "typed",
    }

    /// `source.schema.decimals`.
    pub enum Decimals {
        /// Avro's logical type `decimal` on bytes.
        Bytes = "bytes",
        /// Texts.
        String = "string",
    }

    /// `source.schema.on_type_error`.
    pub enum OnTypeError {
        /// The field is null, counted.
        Null = "null",
        /// The field is null, and the text goes into a field of its own.
        StringField = "string_field",
        /// The table waits at the row.
        Hold = "hold",
    }

    /// `source.schema.key`.
    pub enum KeyFormat {
        /// The text itself, as without Avro.
        String = "string",
        /// Avro's `string`, registered under the key's subject.
        Avro = "avro",
    }
}

impl TableConfig {
    /// Where letters go in place of rows that are too large, if they do.
    pub fn letter_topic(&self) -> Option<&String> {
        match self.on_oversize {
            OnOversize::DeadLetter => self.dlq_topic.as_ref(),
            OnOversize::Hold => None,
        }
    }

    /// Whether records carry the version of their row in headers, as a comparison of table and topic needs it.
    pub fn has_version_headers(&self) -> bool {
        self.version_headers
            || !self.verify_interval.is_zero()
            || self.proof_topic.is_some()
            || self.deletes.is_on()
            || self.has_content_cycle()
    }

    /// Whether the topic is read, to compare it with the table.
    pub fn reads_topic_back(&self) -> bool {
        self.deletes.compares() || self.has_content_cycle() || !self.verify_interval.is_zero()
    }

    /// Whether every row is read from time to time, for changes that move no timestamp.
    pub fn has_content_cycle(&self) -> bool {
        !self.content_cycle.is_zero()
    }
}
