//! What all connectors have in common: the settings of Kafka Connect itself, of its converters, and
//! where Kafka is.

use super::draft::{ConfigDraft, DraftValue, RemarkKind, literal};
use super::foreign::ConnectorConfig;
use super::rules::{Conversion, Fate, SettingRule, Translation, is_provider_reference, items};

const NO_TRANSFORMATIONS: &str = "records are not transformed here: decide who does it";
const OWN_THREADS: &str = "each table has threads of its own, each topic of the sink its writers";
const WORKER_MATTER: &str = "is about a worker of Kafka Connect";
const TOPIC_SETTINGS: &str = "`kafka.create_topics` knows partitions, replication_factor and \
    cleanup_policy for all topics; give a topic other settings when you make it";
const CLIENT_SETTINGS: &str = "further settings of the Kafka client are `kafka.properties`, by the \
    names of librdkafka";
const CONVERTER_SETTINGS: &str = "this converter's setting has no counterpart";
const SCHEMA_REGISTRY_LOGIN: &str = "the log-in is `schema_registry.auth`";

/// Settings that every connector takes.
pub(super) const COMMON_RULES: &[SettingRule] = &[
    ("name", Fate::Finished),
    ("connector.class", Fate::Finished),
    ("topics", Fate::Finished),
    ("tasks.max", Fate::Unneeded(OWN_THREADS)),
    ("key.converter", Fate::Finished),
    (
        "key.converter.*",
        Fate::Unneeded(
            "keys are texts; `source.schema.key` and `sink.topics[].key_format` say how they are sent and read",
        ),
    ),
    ("value.converter", Fate::Finished),
    ("value.converter.schemas.enable", Fate::Finished),
    (
        "value.converter.schema.registry.url",
        Fate::To("schema_registry.url", Conversion::Url("http://")),
    ),
    (
        "value.converter.basic.auth.credentials.source",
        Fate::Unneeded(SCHEMA_REGISTRY_LOGIN),
    ),
    ("value.converter.basic.auth.user.info", Fate::Finished),
    (
        "value.converter.schema.registry.basic.auth.user.info",
        Fate::Finished,
    ),
    (
        "value.converter.auto.register.schemas",
        Fate::To("schema_registry.auto_register", Conversion::Flag),
    ),
    (
        "value.converter.value.subject.name.strategy",
        Fate::Finished,
    ),
    ("value.converter.*", Fate::Differs(CONVERTER_SETTINGS)),
    ("header.converter*", Fate::Unneeded("headers are texts")),
    ("transforms", Fate::Decide("", NO_TRANSFORMATIONS)),
    ("transforms.*", Fate::Decide("", NO_TRANSFORMATIONS)),
    ("predicates", Fate::Decide("", NO_TRANSFORMATIONS)),
    ("predicates.*", Fate::Decide("", NO_TRANSFORMATIONS)),
    (
        "topic.creation.default.partitions",
        Fate::To("kafka.create_topics.partitions", Conversion::Whole),
    ),
    (
        "topic.creation.default.replication.factor",
        Fate::To("kafka.create_topics.replication_factor", Conversion::Whole),
    ),
    (
        "topic.creation.enable",
        Fate::Unneeded("`kafka.create_topics.enabled` says it"),
    ),
    ("topic.creation.*", Fate::Differs(TOPIC_SETTINGS)),
    (
        "producer.override.compression.type",
        Fate::To("kafka.compression", Conversion::Text),
    ),
    (
        "producer.override.linger.ms",
        Fate::To("kafka.linger", Conversion::MillisToDuration),
    ),
    (
        "producer.override.max.request.size",
        Fate::To("kafka.max_message_bytes", Conversion::Whole),
    ),
    ("producer.override.*", Fate::Differs(CLIENT_SETTINGS)),
    (
        "consumer.override.group.id",
        Fate::To("sink.group_id", Conversion::Text),
    ),
    (
        "consumer.override.auto.offset.reset",
        Fate::Decide(
            "earliest",
            "a group without offsets begins with the oldest record here: let the group of the connector have them before the first start",
        ),
    ),
    ("consumer.override.*", Fate::Differs(CLIENT_SETTINGS)),
    ("errors.tolerance", Fate::Finished),
    ("errors.deadletterqueue.topic.name", Fate::Finished),
    (
        "errors.deadletterqueue.*",
        Fate::Unneeded(
            "a dead letter has the record with its headers and why it was refused; its topic is made with `kafka.create_topics`, or by you",
        ),
    ),
    (
        "errors.*",
        Fate::Unneeded("what fails is tried again, held or a dead letter, and always logged"),
    ),
    (
        "config.action.reload",
        Fate::Unneeded("an edit of the configuration takes effect while the bridge runs"),
    ),
    ("exactly.once.support", Fate::Unneeded(WORKER_MATTER)),
    ("transaction.boundary*", Fate::Unneeded(WORKER_MATTER)),
    ("offsets.storage.topic", Fate::Unneeded(WORKER_MATTER)),
    ("tasks.max.enforce", Fate::Unneeded(WORKER_MATTER)),
];

/// Settings of Confluent's licence and of Confluent Cloud, in whichever connector.
pub(super) const CONFLUENT_RULES: &[SettingRule] = &[
    ("confluent.license", Fate::Unneeded("no licence is needed")),
    (
        "confluent.topic.*",
        Fate::Unneeded(
            "is about the topic of the licence; brokers and log-in were taken from it where nothing else has them",
        ),
    ),
    ("confluent.*", Fate::Unneeded("is about the licence")),
    ("kafka.auth.mode", Fate::Finished),
    ("kafka.api.key", Fate::Finished),
    ("kafka.api.secret", Fate::Finished),
    (
        "kafka.service.account.id",
        Fate::Unneeded("the bridge logs in with an API key of that account"),
    ),
    ("kafka.endpoint", Fate::Finished),
    (
        "schema.context.name",
        Fate::Decide(
            "default",
            "other contexts of the registry are not known here",
        ),
    ),
    (
        "sr.service.account.id",
        Fate::Unneeded(SCHEMA_REGISTRY_LOGIN),
    ),
    (
        "csfle.enabled",
        Fate::Decide("false", "fields are not encrypted here"),
    ),
    (
        "csfle.*",
        Fate::Unneeded("is about the encryption of fields"),
    ),
    (
        "auto.restart.on.user.error",
        Fate::Unneeded("what ends by itself is started again"),
    ),
    (
        "datapreview.schemas.enable",
        Fate::Unneeded("is about the preview in Confluent Cloud"),
    ),
    (
        "connector.egress.whitelist",
        Fate::Unneeded("is about the network of Confluent Cloud"),
    ),
    ("input.key.format", Fate::Finished),
    ("input.data.format", Fate::Finished),
    ("output.data.format", Fate::Finished),
];

/// Clients of Kafka that connectors have beside those of the worker: how their settings begin, and which
/// of them names the brokers.
const CLIENTS: [(&str, &str); 4] = [
    (
        "snow.sink.reporter.",
        "snow.sink.reporter.bootstrap.servers",
    ),
    ("reporter.", "reporter.bootstrap.servers"),
    ("confluent.topic.", "confluent.topic.bootstrap.servers"),
    ("kafka.", "kafka.endpoint"),
];

/// What the converter, or the format in Confluent Cloud, says of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueFormat {
    Avro,
    PlainJson,
    /// `{"schema": ..., "payload": ...}`.
    JsonWithSchema,
    JsonSchema,
    Protobuf,
    Other,
    Unsaid,
}

/// Where Kafka is, if no connector says it, as it is a matter of their worker.
pub(super) fn brokers_of_worker(draft: &mut ConfigDraft) {
    if !draft.has("kafka.brokers") {
        let meaning = "brokers as host:port with commas between them (kafka.brokers)";
        let stand_in = "kafka.example.com:9092";
        let brokers = draft.variable("KAFKA_BROKERS", meaning, stand_in, "");
        draft.set("kafka.brokers", DraftValue::Texts(vec![brokers]), "");
    }
}

impl Translation<'_> {
    fn value_format(&self) -> (ValueFormat, &'static str) {
        for key in ["output.data.format", "input.data.format"] {
            if let Some(format) = self.get(key) {
                let format = match format.to_ascii_uppercase().as_str() {
                    "AVRO" => ValueFormat::Avro,
                    "JSON" => ValueFormat::PlainJson,
                    "JSON_SR" => ValueFormat::JsonSchema,
                    "PROTOBUF" => ValueFormat::Protobuf,
                    _ => ValueFormat::Other,
                };
                return (format, key);
            }
        }
        let converter = self.get("value.converter");
        let class = converter
            .as_deref()
            .and_then(|class| class.rsplit('.').next());
        let format = match class {
            None => ValueFormat::Unsaid,
            Some("AvroConverter") => ValueFormat::Avro,
            Some("JsonSchemaConverter") => ValueFormat::JsonSchema,
            Some("ProtobufConverter") => ValueFormat::Protobuf,
            Some("JsonConverter") if self.flag("value.converter.schemas.enable", true) => {
                ValueFormat::JsonWithSchema
            }
            Some("JsonConverter") => ValueFormat::PlainJson,
            Some(_) => ValueFormat::Other,
        };
        (format, "value.converter")
    }

    /// Converter, brokers and their log-in of a source.
    pub(super) fn finish_source(&mut self) {
        let (format, key) = self.value_format();
        match format {
            ValueFormat::PlainJson => self.set_text("@.format", "json", key),
            ValueFormat::Avro => {
                self.registry(key);
                let words = "the subject of a topic has the connector's schema already: \
                             `schema diff TABLE` shows whether the bridge's fits behind it";
                self.remark(RemarkKind::Differs, key, words);
            }
            ValueFormat::JsonWithSchema => {
                self.set_text("@.format", "json", key);
                let words = "a record is the row itself, without `schema` and `payload` around it";
                self.remark(RemarkKind::Differs, key, words);
            }
            ValueFormat::JsonSchema | ValueFormat::Protobuf | ValueFormat::Other => {
                let words = "this format is not sent here: decide for JSON, or for Avro with \
                             `schema_registry.url`";
                self.remark(RemarkKind::Decide, key, words);
            }
            ValueFormat::Unsaid => {
                let words = "was that of the worker; here a record is JSON, or Avro with \
                             `schema_registry.url`";
                self.remark(RemarkKind::Differs, key, words);
            }
        }
        if let Some(tolerance) = self.get("errors.tolerance") {
            let words = match tolerance.as_str() {
                "all" => {
                    "a row that cannot be sent holds its table, named in `/readyz`; \
                          `source.on_bad_row: skip` passes over rows that are broken"
                }
                _ => "a row that cannot be sent holds its table, named in `/readyz`",
            };
            self.remark(RemarkKind::Differs, "errors.tolerance", words);
        }
        self.draft.set_text("source.enabled", "true");
        self.finish_kafka();
    }

    /// Converter, group, dead letters, brokers and their log-in of a sink.
    pub(super) fn finish_sink(&mut self) {
        let (format, key) = self.value_format();
        match format {
            ValueFormat::PlainJson | ValueFormat::JsonWithSchema | ValueFormat::Unsaid => {}
            ValueFormat::Avro | ValueFormat::JsonSchema => self.registry(key),
            ValueFormat::Protobuf | ValueFormat::Other => {
                let words = "this format is not read here: its records become dead letters";
                self.remark(RemarkKind::Decide, key, words);
            }
        }
        if let Some(topic) = self.get("errors.deadletterqueue.topic.name") {
            let topic = self.with_connector_name(&topic);
            self.set_text(
                "sink.dlq_topic",
                &topic,
                "errors.deadletterqueue.topic.name",
            );
        } else if self.get("errors.tolerance").as_deref() == Some("all") {
            let words = "passed over records that could not be converted; here such a record holds its \
                         partition, as one does that is refused, unless `sink.dlq_topic` takes it";
            self.remark(RemarkKind::Differs, "errors.tolerance", words);
        }
        self.group();
        self.finish_kafka();
    }

    /// The bridge goes on at the offsets of the connector's group: the one that it overrides, else
    /// `connect-NAME` (Kafka's documentation, "Kafka Connect", sink connectors). Confluent Cloud names it
    /// after the id of the connector, which is not in its configuration.
    fn group(&mut self) {
        const TAKEN_OVER: &str = "the group of the connector is taken over, with its offsets: delete the \
            connector before the first start, or both write";
        let key = "consumer.override.group.id";
        if self.config.get(key).is_some() {
            return self.remark(RemarkKind::Differs, key, TAKEN_OVER);
        }
        if self.config.get("connector.class") == Some("ServiceNowSink") {
            let words = "the group of a connector in Confluent Cloud is `connect-lcc-ID`, by the id that \
                         `confluent connect cluster list` shows (that of one on workers of your own is \
                         `connect-NAME`): set `sink.group_id`, then `sink.enabled: true`. A new group \
                         writes every record again";
            return self.undecided_sink("connector.class", words);
        }
        let name = self.config.name.clone().unwrap_or_default();
        if name.is_empty() {
            let words = "is not in the file: with `sink.group_id: connect-NAME` the bridge goes on \
                         where the connector stopped, without it at the oldest record. Set it, then \
                         `sink.enabled: true`";
            return self.undecided_sink("name", words);
        }
        let group = literal(&format!("connect-{name}"));
        self.set_text("sink.group_id", &group, "name");
        self.remark(RemarkKind::Differs, "name", TAKEN_OVER);
    }

    /// A name in which `${connector}` stands for the connector.
    fn with_connector_name(&self, text: &str) -> String {
        let name = self.config.name.as_deref().unwrap_or("connector");
        literal(&text.replace("${connector}", name))
    }

    fn registry(&mut self, origin: &str) {
        if !self.draft.has("schema_registry.url") {
            let meaning = "the address of the schema registry (schema_registry.url)";
            let stand_in = "https://registry.example.com";
            let url = self.draft.variable("REGISTRY_URL", meaning, stand_in, "");
            self.set_text("schema_registry.url", &url, origin);
        }
        let is_cloud = origin.ends_with("data.format");
        let login = [
            "value.converter.basic.auth.user.info",
            "value.converter.schema.registry.basic.auth.user.info",
        ];
        let login = login.into_iter().find(|key| self.config.get(key).is_some());
        if let Some(origin) = login.or_else(|| is_cloud.then_some(origin)) {
            self.draft.set_text("schema_registry.auth.type", "basic");
            self.set_secret("schema_registry.auth.username", "REGISTRY_USERNAME", origin);
            self.set_secret("schema_registry.auth.password", "REGISTRY_PASSWORD", origin);
        }
        let key = "value.converter.value.subject.name.strategy";
        if let Some(strategy) = self.get(key) {
            match strategy.rsplit('.').next().unwrap_or_default() {
                "TopicNameStrategy" => {}
                "RecordNameStrategy" => {
                    self.set_text("schema_registry.subject_strategy", "record", key);
                }
                "TopicRecordNameStrategy" => {
                    self.set_text("schema_registry.subject_strategy", "topic_record", key);
                }
                _ => self.remark(RemarkKind::Decide, key, "this strategy is not known here"),
            }
        }
    }

    /// Where Kafka is, is a matter of the worker. Some connectors have clients of their own, whose
    /// settings say it too.
    fn finish_kafka(&mut self) {
        if self.draft.has("kafka.create_topics.partitions")
            || self.draft.has("kafka.create_topics.replication_factor")
        {
            self.draft.set_text("kafka.create_topics.enabled", "true");
        }
        let known = CLIENTS
            .iter()
            .find(|(_, key)| self.config.get(key).is_some());
        if let Some((client, key)) = known {
            let brokers = self.get(key).unwrap_or_default();
            if !is_provider_reference(&brokers) && !brokers.contains('@') {
                let brokers = items(brokers.trim_start_matches("SASL_SSL://"));
                let brokers = brokers.map(literal).collect();
                self.set("kafka.brokers", &DraftValue::Texts(brokers), key);
            }
            self.kafka_login(client);
        }
        if self.get("kafka.api.key").is_some() || self.get("kafka.auth.mode").is_some() {
            self.draft.set_text("kafka.tls.enabled", "true");
            self.draft.set_text("kafka.sasl.mechanism", "PLAIN");
            self.set_secret("kafka.sasl.username", "KAFKA_API_KEY", "kafka.api.key");
            self.set_secret(
                "kafka.sasl.password",
                "KAFKA_API_SECRET",
                "kafka.api.secret",
            );
        }
    }

    fn kafka_login(&mut self, client: &str) {
        // The reporter names the settings of its producer apart from those of all its clients.
        let find = |config: &ConnectorConfig, rest: &str| {
            let keys = [
                format!("{client}{rest}"),
                format!("{client}producer.{rest}"),
            ];
            keys.into_iter().find(|key| config.get(key).is_some())
        };
        if let Some(key) = find(self.config, "security.protocol") {
            let protocol = self.get(&key).unwrap_or_default();
            if protocol.ends_with("SSL") {
                self.set_text("kafka.tls.enabled", "true", &key);
            }
            if protocol.starts_with("SASL_")
                && let Some(key) = find(self.config, "sasl.mechanism")
            {
                let mechanism = self.get(&key).unwrap_or_default();
                self.set_text("kafka.sasl.mechanism", &literal(&mechanism), &key);
                let key = find(self.config, "sasl.jaas.config").unwrap_or(key);
                self.set_secret("kafka.sasl.username", "KAFKA_USERNAME", &key);
                self.set_secret("kafka.sasl.password", "KAFKA_PASSWORD", &key);
            }
        }
    }
}
