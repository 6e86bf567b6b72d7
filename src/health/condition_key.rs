//! The key of a condition: which part of the bridge it is about.

use std::fmt;

/// Names one thing that readiness depends on or that a note is about.
///
/// Code selects conditions by this value. People read its [`Display`](fmt::Display), in `/readyz`,
/// `/status.json` and the log, so that its words can be changed without breaking a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionKey {
    /// The ServiceNow instance answers.
    Instance,
    /// The instance's clock agrees with this host's.
    InstanceClock,
    /// A Kafka broker is connected.
    Kafka,
    /// The topics of the configuration exist.
    Topics,
    /// The checkpoint file can be written.
    Checkpoint,
    /// The configuration that was read last is the one that runs.
    Configuration,
    /// The sink's records that were refused reach the dead letter topic.
    DeadLetters,
    /// The table of this name can be read, and its threads run.
    Table(String),
    /// The rows of the table of this name reach Kafka.
    Delivery(String),
    /// There is an Avro schema to write the rows of the table of this name with.
    Schema(String),
    /// The deletes of the table of this name can be believed, and none waits for a decision.
    Deletes(String),
    /// The sink is a member of its consumer group, and its threads run.
    Sink,
    /// The sink can commit its positions.
    SinkCommits,
    /// The records of the topic of this name can be written to the instance.
    SinkTopic(String),
    /// A partition of a topic of the sink can go on.
    SinkPartition {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
    },
    /// The table of this name, to which the sink writes, answers.
    SinkTable(String),
    /// The thread that writes the checkpoint file runs.
    CheckpointWriter,
    /// The thread that looks for topics runs until they are found.
    TopicLookup,
    /// The thread that compares tables with their topics.
    Verification,
    /// The thread that asks for the sink's tables runs until they have answered.
    SinkProbe,
}

impl fmt::Display for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConditionKey::Instance => f.write_str("servicenow"),
            ConditionKey::InstanceClock => f.write_str("clock"),
            ConditionKey::Kafka => f.write_str("kafka"),
            ConditionKey::Topics => f.write_str("topics"),
            ConditionKey::Checkpoint => f.write_str("checkpoint"),
            ConditionKey::Configuration => f.write_str("configuration"),
            ConditionKey::DeadLetters => f.write_str("dead letters"),
            ConditionKey::Table(table) => write!(f, "table {table}"),
            ConditionKey::Delivery(table) => write!(f, "delivery of {table}"),
            ConditionKey::Schema(table) => write!(f, "schema of {table}"),
            ConditionKey::Deletes(table) => write!(f, "deletes of {table}"),
            ConditionKey::Sink => f.write_str("sink"),
            ConditionKey::SinkCommits => f.write_str("sink commits"),
            ConditionKey::SinkTopic(topic) => write!(f, "sink {topic}"),
            ConditionKey::SinkPartition { topic, partition } => {
                write!(f, "sink {topic}/{partition}")
            }
            ConditionKey::SinkTable(table) => write!(f, "sink table {table}"),
            ConditionKey::CheckpointWriter => f.write_str("checkpoint writer"),
            ConditionKey::TopicLookup => f.write_str("topic look-up"),
            ConditionKey::Verification => f.write_str("comparison"),
            ConditionKey::SinkProbe => f.write_str("sink probe"),
        }
    }
}
