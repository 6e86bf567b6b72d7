//! Confluent's source connector for Platform, and the one of the same settings in Confluent Cloud
//! (docs.confluent.io: "Configuration Reference for ServiceNow Source Connector for Confluent Platform",
//! `ServiceNow Source [Legacy] Connector for Confluent Cloud`).

use crate::commands::migrate::connect::CONFLUENT_RULES;
use crate::commands::migrate::connector::{Connector, OffsetForm, no_table};
use crate::commands::migrate::draft::RemarkKind;
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation};

pub(super) const RETRIES: &str = "a request is tried without end, and an outage is waited for; \
    `servicenow.max_retries` is for requests that fail while others succeed";
pub(super) const STORES: &str = "certificates are PEM files here: convert the store with `keytool` and \
    `openssl pkcs12`, and set `servicenow.tls`";
pub(super) const STORE_PASSWORDS: &str = "PEM files have no password of a store";

pub(super) static CONFLUENT_SOURCE: Connector = Connector {
    title: "Confluent's source (Platform, and Cloud [Legacy])",
    classes: &[
        "io.confluent.connect.servicenow.ServiceNowSourceConnector",
        "ServiceNowSource",
    ],
    marker: "servicenow.table",
    rules: &[
        CONFLUENT_SOURCE_RULES,
        CONFLUENT_CONNECTION_RULES,
        CONFLUENT_RULES,
    ],
    table_rules: &[],
    table_setting: no_table,
    places: |_| vec![String::new()],
    list: "source.tables",
    finish,
    offsets: Some(OffsetForm::Confluent),
};

/// The instance, the log-in to it and the way to it, which source and sink share.
pub(super) const CONFLUENT_CONNECTION_RULES: &[SettingRule] = &[
    (
        "servicenow.url",
        Fate::To("servicenow.base_url", Conversion::Url("https://")),
    ),
    (
        "servicenow.username",
        Fate::To("servicenow.auth.basic.username", Conversion::Text),
    ),
    (
        "servicenow.user",
        Fate::To("servicenow.auth.basic.username", Conversion::Text),
    ),
    (
        "servicenow.password",
        Fate::Secret("servicenow.auth.basic.password", "SN_PASSWORD"),
    ),
    ("retry.max.times", Fate::Unneeded(RETRIES)),
    (
        "connection.timeout.ms",
        Fate::To(
            "servicenow.conn_timeout_seconds",
            Conversion::MillisToSeconds,
        ),
    ),
    (
        "proxy.url",
        Fate::To("servicenow.proxy.url", Conversion::Url("http://")),
    ),
    (
        "proxy.user",
        Fate::To("servicenow.proxy.username", Conversion::Text),
    ),
    (
        "proxy.password",
        Fate::Secret("servicenow.proxy.password", "SN_PROXY_PASSWORD"),
    ),
    ("servicenow.ssl.keystore.path", Fate::Decide("", STORES)),
    ("servicenow.ssl.keystorefile", Fate::Decide("", STORES)),
    ("servicenow.ssl.truststore.path", Fate::Decide("", STORES)),
    ("servicenow.ssl.truststorefile", Fate::Decide("", STORES)),
    ("servicenow.ssl.*", Fate::Unneeded(STORE_PASSWORDS)),
];

const CONFLUENT_SOURCE_RULES: &[SettingRule] = &[
    ("servicenow.table", Fate::To("@.name", Conversion::Text)),
    ("servicenow.since", Fate::Finished),
    ("servicenow.view.variable.prefix", Fate::Finished),
    ("kafka.topic", Fate::To("@.topic", Conversion::Text)),
    (
        "batch.max.rows",
        Fate::To("@.batch_size", Conversion::Whole),
    ),
    ("batch.max.row", Fate::To("@.batch_size", Conversion::Whole)),
    (
        "poll.interval.s",
        Fate::To("@.slow_poll_interval", Conversion::SecondsToDuration),
    ),
    (
        "read.timeout.ms",
        Fate::To("servicenow.timeout_seconds", Conversion::MillisToSeconds),
    ),
    ("write.timeout.ms", Fate::Unneeded("the source only reads")),
];

fn finish(translation: &mut Translation<'_>) {
    translation.draft.set_text("servicenow.auth.type", "basic");
    let place = translation.places.first().cloned().unwrap_or_default();
    let since = translation.get("servicenow.since");
    translation.note_start(&place, "servicenow.since", since.as_deref());
    let key = "servicenow.view.variable.prefix";
    if let Some(prefix) = translation.get(key) {
        let prefix = format!("{}_", prefix.trim_end_matches('_'));
        translation.set_text("@.timestamp_field", &format!("{prefix}sys_updated_on"), key);
        translation.set_text("@.identifier_field", &format!("{prefix}sys_id"), key);
        let words = "the columns of the view were named after it: compare them with the view's";
        translation.remark(RemarkKind::Differs, key, words);
    }
    let interval = translation.get("poll.interval.s");
    if let Some(interval) = interval.and_then(|it| it.parse::<u64>().ok()) {
        let words = format!(
            "is the wait after a poll without rows; after one with rows it is \
             `source.fast_poll_interval` (500ms), not {interval} s"
        );
        translation.remark(RemarkKind::Differs, "poll.interval.s", &words);
    }
    read_timeout(translation);
    translation.finish_source();
}

/// The default of the wait for the next bytes must not be longer than the whole request.
pub(super) fn read_timeout(translation: &mut Translation<'_>) {
    const DEFAULT_READ_TIMEOUT: f64 = 25.0;
    let timeout = translation.draft.text("servicenow.timeout_seconds");
    let timeout = timeout.and_then(|text| text.parse::<f64>().ok());
    if let Some(timeout) = timeout.filter(|seconds| *seconds < DEFAULT_READ_TIMEOUT) {
        let text = timeout.to_string();
        translation
            .draft
            .set_text("servicenow.read_timeout_seconds", &text);
    }
}
