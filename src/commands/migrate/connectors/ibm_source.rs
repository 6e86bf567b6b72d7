//! The source connector of IBM (`IBM/kafka-connect-servicenow`, its README and
//! `ServiceNowSourceConnectorConfig`), and its fork that knows display values.

use crate::commands::migrate::connector::{Connector, OffsetForm, behind};
use crate::commands::migrate::draft::RemarkKind;
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation, items};

const POOL: &str = "connections are kept open by themselves";

pub(super) static IBM_SOURCE: Connector = Connector {
    title: "IBM's source",
    classes: &["com.ibm.ingestion.connect.servicenow.ServiceNowSourceConnector"],
    marker: "servicenow.client.base.uri",
    rules: &[IBM_SOURCE_RULES],
    table_rules: IBM_SOURCE_TABLE_RULES,
    table_setting: |key| behind(key, "table.whitelist."),
    places: |config| {
        let list = config.get("table.whitelist").unwrap_or_default();
        items(list).map(str::to_owned).collect()
    },
    list: "source.tables",
    finish,
    offsets: Some(OffsetForm::Ibm),
};

const IBM_SOURCE_RULES: &[SettingRule] = &[
    (
        "servicenow.client.base.uri",
        Fate::To("servicenow.base_url", Conversion::Url("https://")),
    ),
    (
        "servicenow.client.base.tableapi.path",
        Fate::To("servicenow.table_api_path", Conversion::Text),
    ),
    (
        "servicenow.client.oauth.path",
        Fate::To("servicenow.auth.oauth.token_path", Conversion::Text),
    ),
    (
        "servicenow.client.oauth.clientid",
        Fate::To("servicenow.auth.oauth.client_id", Conversion::Text),
    ),
    (
        "servicenow.client.oauth.clientsecret",
        Fate::Secret("servicenow.auth.oauth.client_secret", "SN_CLIENT_SECRET"),
    ),
    (
        "servicenow.client.oauth.username",
        Fate::To("servicenow.auth.oauth.username", Conversion::Text),
    ),
    (
        "servicenow.client.oauth.userpassword",
        Fate::Secret("servicenow.auth.oauth.password", "SN_PASSWORD"),
    ),
    (
        "servicenow.client.connection.timeout.seconds",
        Fate::To("servicenow.conn_timeout_seconds", Conversion::Whole),
    ),
    (
        "servicenow.client.request.timeout.seconds",
        Fate::To("servicenow.timeout_seconds", Conversion::Whole),
    ),
    (
        "servicenow.client.read.timeout.seconds",
        Fate::To("servicenow.read_timeout_seconds", Conversion::Whole),
    ),
    (
        "servicenow.client.request.retries.max",
        Fate::To("servicenow.max_retries", Conversion::Whole),
    ),
    (
        "servicenow.client.request.retries.backoff.seconds",
        Fate::Unneeded(
            "pauses grow by themselves from `servicenow.retry_backoff_seconds`; an outage is waited for without them",
        ),
    ),
    ("servicenow.client.connection.pool.*", Fate::Unneeded(POOL)),
    (
        "servicenow.client.display.value",
        Fate::To("@.display_value", Conversion::Text),
    ),
    ("table.whitelist", Fate::Finished),
    (
        "task.tablekeys",
        Fate::Unneeded("each table has threads of its own"),
    ),
    ("topic.prefix", Fate::Finished),
    (
        "task.poll.batch.max.size",
        Fate::To("@.batch_size", Conversion::Whole),
    ),
    (
        "task.poll.fast.interval.ms",
        Fate::To("@.fast_poll_interval", Conversion::MillisToDuration),
    ),
    (
        "task.poll.slow.interval.ms",
        Fate::To("@.slow_poll_interval", Conversion::MillisToDuration),
    ),
    (
        "timestamp.initial.query.hours.ago",
        Fate::To("source.initial_query_hours_ago", Conversion::Whole),
    ),
    (
        "through.timestamp.delay.interval.seconds",
        Fate::To("source.timestamp_delay_seconds", Conversion::Whole),
    ),
];

const IBM_SOURCE_TABLE_RULES: &[SettingRule] = &[
    ("name", Fate::To("@.name", Conversion::Text)),
    (
        "timestamp.field.name",
        Fate::To("@.timestamp_field", Conversion::Text),
    ),
    (
        "identifier.field.name",
        Fate::To("@.identifier_field", Conversion::Text),
    ),
    ("fields", Fate::To("@.fields", Conversion::Texts)),
    (
        "partition.type",
        Fate::Words(
            "@.partitioner",
            &[
                ("default", "default"),
                ("round-robin", "round_robin"),
                ("field-based", "field_based"),
            ],
        ),
    ),
    ("partition.fields", Fate::Finished),
];

fn finish(translation: &mut Translation<'_>) {
    translation.draft.set_text("servicenow.auth.type", "oauth");
    let prefix = translation.get("topic.prefix").unwrap_or_default();
    let prefix = prefix.trim_end_matches('.').to_owned();
    let aliases = (IBM_SOURCE.places)(translation.config);
    let places = translation.places.clone();
    for (alias, place) in aliases.iter().zip(&places) {
        // `TableAPISubTask`: the topic is named after what names the table in settings.
        translation.set_text(
            &format!("{place}.topic"),
            &format!("{prefix}.{alias}"),
            "topic.prefix",
        );
        partition(translation, alias, place);
        identifier(translation, alias, place);
    }
    if let Some(size) = translation.get("task.poll.batch.max.size")
        && size.parse().is_ok_and(|rows: u32| rows < 200)
    {
        let words = "with so few rows a request, a first load takes long; without \
                     `batch_size` it is 1000";
        translation.remark(RemarkKind::Differs, "task.poll.batch.max.size", words);
    }
    let key = "servicenow.client.display.value";
    if translation.get(key).as_deref() == Some("all") {
        let words = "with `all` each value is an object with `value` and `display_value`, where the \
                     connector had two columns (`x` and `x_display_value`)";
        translation.remark(RemarkKind::Differs, key, words);
    }
    translation.finish_source();
}

/// A column other than sys_id may be empty, and rows without an identifier have no place in the order: the
/// connector did not see them either.
fn identifier(translation: &mut Translation<'_>, alias: &str, place: &str) {
    let key = format!("table.whitelist.{alias}.identifier.field.name");
    let column = translation.get(&key).unwrap_or_default();
    let is_column = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    if !column.is_empty() && column != "sys_id" && column.chars().all(is_column) {
        let query = format!("{column}ISNOTEMPTY");
        translation.set_text(&format!("{place}.query"), &query, &key);
    }
}

/// The default partitioner sends all to partition 0 (`DefaultServiceNowTablePartitioner`), the one by
/// fields has a key of these fields (`FieldBasedServiceNowTablePartitioner`).
fn partition(translation: &mut Translation<'_>, alias: &str, place: &str) {
    let setting = format!("table.whitelist.{alias}.partition.type");
    let kind = translation.get(&setting).unwrap_or_default();
    let words = match kind.to_ascii_lowercase().as_str() {
        "" | "default" => {
            "all records went to partition 0, without a key; here the key of a record is its \
             identifier, and gives its partition"
        }
        "field-based" => {
            let key = format!("table.whitelist.{alias}.partition.fields");
            let fields = translation.get(&key).unwrap_or_default();
            let fields = items(&fields).map(str::to_owned).collect();
            let fields = crate::commands::migrate::draft::DraftValue::Texts(fields);
            translation.set(&format!("{place}.partition_key_fields"), &fields, &key);
            "the key of a record is a hash of the fields, not an object of them: a row may go to \
             another partition than before"
        }
        _ => return,
    };
    translation.remark(RemarkKind::Differs, &setting, words);
}
