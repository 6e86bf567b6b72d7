//! Keys of `sink`: the topics, and how their records are written to tables.

use std::time::Duration;

use crate::config::declare::{config_keys, words};
use crate::config::duration::{ms, secs};
use crate::config::kinds::{
    EachOf, Inline, any, flag, text, texts, time, time_or_unlimited, up_to, word,
};
use crate::config::{names, values};

config_keys! {
    /// `sink`: Kafka topics to ServiceNow tables.
    #[derive(Eq)]
    pub struct SinkConfig(avro: bool) check(CheckKeys) default(false) {
        /// Whether topics are consumed at all.
        enabled: bool = false, flag();

        /// The topics, and the tables they are written to; no topic twice.
        topics: Vec<SinkTopicConfig> => SinkTopicContext { is_sink_enabled: enabled, avro: *avro },
            EachOf;

        /// Writers per topic. Records of one row stay in order whatever the number.
        concurrency: usize = 5, up_to(256);

        /// Where records go that ServiceNow refuses: `servicenow-kafka-bridge dead-letters` lists
        /// and replays them. Without a value there is no such topic, and on_error decides.
        dlq_topic: Option<String> = None, text(names::check_topic).optional(), values: "topic";

        /// Members of one group share the partitions. A new group begins with the oldest record.
        group_id: String = "servicenow-kafka-bridge-sink", text(any);

        /// With false a record that cannot be written holds its partition, even with a dlq_topic.
        commit_on_partial_failure: bool = true, flag();

        /// Without dlq_topic: hold (the partition waits at the record and readiness says why) or
        /// skip.
        on_error: OnError = OnError::Hold, word();

        /// How long a record waits while the instance is down, before it counts as refused.
        retry_for: Option<Duration> = None, time_or_unlimited(ms(100), secs(100 * 86_400));

        /// The same for a record that fails while others succeed.
        record_retry_for: Duration = secs(60), time(ms(100), secs(86_400));

        /// How long the instance may go on with a request whose answer was lost. Its quota rule for
        /// the Table API is 60 s. Waited for by what must not be done twice or overtaken: the next
        /// record of that row, comments, and creates with create_id field.
        transaction_time: Duration = secs(60), time(ms(100), secs(600));
    }
}

/// Settings that a topic of the sink is checked against.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct SinkTopicContext {
    /// `sink.enabled`.
    pub(in crate::config) is_sink_enabled: bool,
    /// True if there is a schema registry.
    pub(in crate::config) avro: bool,
}

config_keys! {
    /// One topic of the sink, with what it inherits.
    #[derive(Eq)]
    pub struct SinkTopicConfig(sink: SinkTopicContext)
    check(CheckKeys)
    default(SinkTopicContext { is_sink_enabled: false, avro: false }) {
        /// The topic to consume.
        topic: String = "", text(names::check_topic),
            values: "topic", default: "required", example: "servicenow.incident.in";

        /// The table to write.
        table: String = "", text(names::check_table),
            values: "table", default: "required", example: "incident";

        /// Writers, for this topic only.
        // 0 while the section is read: the default is `sink.concurrency`.
        concurrency: usize => 0, up_to(256), default: "5";

        /// What the values are: auto (with a schema id at the front as the registry says, else
        /// JSON), json, avro or json_schema (JSON behind a schema id). All but json take away the
        /// envelopes of Kafka Connect and Debezium; with json, keys are left alone too.
        format: SinkFormat = SinkFormat::Auto, word();

        /// What the keys are: auto (behind a schema id their text, else their bytes) or bytes, for
        /// binary keys that may look like one.
        key_format: SinkKeyFormat = SinkKeyFormat::Auto, word();

        /// What a record is without the header sn_operation (insert, update, upsert or delete):
        /// auto (with a sys_id an update, with key_field an upsert, else an insert), insert,
        /// update, upsert.
        operation: SinkOperation = SinkOperation::Auto, word();

        /// Whether the record's key is the sys_id of its row, as in the records of the source.
        key_is_sys_id: bool = false, flag();

        /// A column that identifies a row instead of its sys_id, as correlation_id.
        key_field: Option<String> = None, text(values::sink::own_column).optional(), values: "column";

        /// The only columns to write. Empty is all.
        fields: Vec<String> = Vec::new(), texts(names::check_column), values: "list of columns";

        /// What a null does to its column: clear, or ignore (the column is left alone). Avro has no
        /// other word for a column that is absent.
        nulls: Nulls = Nulls::Clear, word();

        /// A column whose value is an object, or a list of more than plain values: refuse (the record
        /// cannot be written) or stringify (its JSON is written as a text). Lists of plain values are
        /// written with commas between them.
        nested: NestedValues = NestedValues::Refuse, word();

        /// What becomes of a column that the table does not have, as the dictionary says: ignore (the
        /// instance leaves it out without a word), warn (the same, with one warning for each column)
        /// or dead_letter (the record cannot be written).
        on_unknown_column: OnUnknownColumn = OnUnknownColumn::Ignore, word();

        /// Whether a record without a value deletes the row whose sys_id is the key.
        deletes: bool = false, flag();

        /// An update of a row that is not there: dead_letter, insert or skip.
        on_missing: OnMissing = OnMissing::DeadLetter, word();

        /// How a new row gets an identity before it is sent.
        create_id: CreateId = (), Inline;
    }
}

config_keys! {
    /// The keys that make a [`CreateId`].
    pub(in crate::config) struct CreateIdKeys {
        /// How a new row is kept from being created twice: record (its sys_id is chosen here, from
        /// the record and its place), key (from the record's key: one row for each key), field (the
        /// instance chooses the sys_id, and a column holds the identity), none.
        create_id: CreateIdKind = CreateIdKind::Record, word();

        /// The column of create_id field. (default: correlation_id)
        create_id_field: Option<String> = None, text(values::sink::own_column).optional(), values: "column";
    }
}

words! {
    /// `sink.topics[].create_id`.
    pub(in crate::config) enum CreateIdKind {
        Record = "record",
        Key = "key",
        Field = "field",
        None = "none",
    }
}

/// How a new row gets an identity before it is sent, so that it is not created twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateId {
    /// A sys_id hashed from the record and its place.
    Record,
    /// A sys_id hashed from the record's key: one row for each key.
    Key,
    /// No sys_id of ours; this column (`create_id_field`) takes the identity.
    Field(String),
    /// None: after a lost answer a row may be created twice.
    None,
}

words! {
    /// `sink.topics[].format`: what the values of a topic are.
    pub enum SinkFormat {
        /// By the first byte of each record: with a schema id as the registry says, else JSON.
        Auto = "auto",
        /// JSON.
        Json = "json",
        /// Avro with a schema id.
        Avro = "avro",
        /// JSON behind a schema id.
        JsonSchema = "json_schema",
    }

    /// `sink.topics[].key_format`.
    pub enum SinkKeyFormat {
        /// Behind a schema id its text, else its bytes.
        Auto = "auto",
        /// Its bytes.
        Bytes = "bytes",
    }

    /// `sink.topics[].operation`.
    pub enum SinkOperation {
        /// With a sys_id an update; with a `key_field` an upsert; else an insert.
        Auto = "auto",
        /// Always a new row.
        Insert = "insert",
        /// Always a change of a row.
        Update = "update",
        /// A change, or a new row where there is none.
        Upsert = "upsert",
    }

    /// `sink.topics[].nulls`. An Avro record has all fields of its schema, so that null is its only
    /// word for a column that is absent.
    pub enum Nulls {
        /// It clears the column.
        Clear = "clear",
        /// It leaves the column alone.
        Ignore = "ignore",
    }

    /// `sink.topics[].nested`: what becomes of a value that no column keeps.
    pub enum NestedValues {
        /// The record cannot be written.
        Refuse = "refuse",
        /// Its JSON is written as a text.
        Stringify = "stringify",
    }

    /// `sink.topics[].on_unknown_column`.
    pub enum OnUnknownColumn {
        /// It is left out.
        Ignore = "ignore",
        /// It is left out with a warning.
        Warn = "warn",
        /// The record cannot be written.
        DeadLetter = "dead_letter",
    }

    /// `sink.topics[].on_missing`.
    pub enum OnMissing {
        /// The record cannot be written.
        DeadLetter = "dead_letter",
        /// The row is created, with that sys_id.
        Insert = "insert",
        /// The record is passed over and counted.
        Skip = "skip",
    }

    /// `sink.on_error`.
    pub enum OnError {
        /// The partition waits at the record.
        Hold = "hold",
        /// The record is passed over, counted and logged.
        Skip = "skip",
    }
}

impl SinkConfig {
    /// The dead letter topic, if dead letters are written at all.
    pub fn dead_letter_topic(&self) -> Option<&str> {
        if self.commit_on_partial_failure {
            self.dlq_topic.as_deref()
        } else {
            None
        }
    }

    /// What becomes of a record that cannot be written and has no dead letter topic to go to.
    pub fn effective_on_error(&self) -> OnError {
        if self.commit_on_partial_failure {
            self.on_error
        } else {
            OnError::Hold
        }
    }
}
