//! The source connector of OSO (`osodevops/kafka-connect-servicenow-oss`, "Source configuration").

use super::confluent_source::{RETRIES, STORE_PASSWORDS, STORES, read_timeout};
use super::confluent_source_v2::token_path;
use crate::commands::migrate::connector::{Connector, OffsetForm, behind};
use crate::commands::migrate::draft::{RemarkKind, literal};
use crate::commands::migrate::foreign::ForeignSetting;
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation, items};

const LIMITS: &str = "each table asks one request at a time, now and then two; `servicenow.rate_limit_rps` bounds all, and \
    429 is waited out";
/// `source.settle` unless it is set.
const SETTLE_SECONDS: u64 = 600;
const NO_TYPED_FIELDS: &str = "the types are those of the instance's dictionary \
    (`source.schema.style: typed`)";

/// Connection, log-in and retries, which source and sink share.
pub(super) const SHARED_RULES: &[SettingRule] = &[
    (
        "snow.url",
        Fate::To("servicenow.base_url", Conversion::Url("https://")),
    ),
    ("snow.auth.type", Fate::Finished),
    ("snow.auth.username", Fate::Finished),
    ("snow.auth.password", Fate::Finished),
    ("snow.oauth.grant.type", Fate::Finished),
    (
        "snow.oauth.client.id",
        Fate::To("servicenow.auth.oauth.client_id", Conversion::Text),
    ),
    (
        "snow.oauth.client.secret",
        Fate::Secret("servicenow.auth.oauth.client_secret", "SN_CLIENT_SECRET"),
    ),
    ("snow.oauth.token.url", Fate::Finished),
    (
        "snow.oauth.scope",
        Fate::Decide(
            "",
            "no scope is sent: the application registry record says what a token may do",
        ),
    ),
    (
        "snow.http.connect.timeout.ms",
        Fate::To(
            "servicenow.conn_timeout_seconds",
            Conversion::MillisToSeconds,
        ),
    ),
    (
        "snow.http.request.timeout.ms",
        Fate::To("servicenow.timeout_seconds", Conversion::MillisToSeconds),
    ),
    (
        "snow.http.proxy.url",
        Fate::To("servicenow.proxy.url", Conversion::Url("http://")),
    ),
    (
        "snow.http.proxy.username",
        Fate::To("servicenow.proxy.username", Conversion::Text),
    ),
    (
        "snow.http.proxy.password",
        Fate::Secret("servicenow.proxy.password", "SN_PROXY_PASSWORD"),
    ),
    (
        "snow.http.max.response.bytes",
        Fate::To("servicenow.max_response_bytes", Conversion::Whole),
    ),
    ("snow.http.max.concurrent.requests", Fate::Unneeded(LIMITS)),
    ("snow.http.adaptive.throttling", Fate::Unneeded(LIMITS)),
    (
        "snow.http.user.agent",
        Fate::Unneeded("requests name the bridge and its version"),
    ),
    ("snow.tls.truststore.path", Fate::Decide("", STORES)),
    ("snow.tls.keystore.path", Fate::Decide("", STORES)),
    ("snow.tls.*", Fate::Unneeded(STORE_PASSWORDS)),
    ("snow.retry.*", Fate::Unneeded(RETRIES)),
];

pub(super) static OSO_SOURCE: Connector = Connector {
    title: "OSO's source",
    classes: &["sh.oso.servicenow.source.ServiceNowSourceConnector"],
    marker: "snow.tables",
    rules: &[OSO_SOURCE_RULES, SHARED_RULES],
    table_rules: OSO_SOURCE_TABLE_RULES,
    table_setting: |key| behind(key, "snow.table."),
    places: |config| {
        let list = config.get("snow.tables").unwrap_or_default();
        items(list).map(str::to_owned).collect()
    },
    list: "source.tables",
    finish,
    offsets: Some(OffsetForm::Oso),
};

const OSO_SOURCE_RULES: &[SettingRule] = &[
    ("snow.tables", Fate::Finished),
    (
        "snow.source.poll.interval.ms",
        Fate::To("source.slow_poll_interval", Conversion::MillisToDuration),
    ),
    (
        "snow.source.batch.size",
        Fate::To("source.batch_size", Conversion::Whole),
    ),
    ("snow.source.overlap.seconds", Fate::Finished),
    (
        "snow.source.safety.lag.seconds",
        Fate::Unneeded("the newest seconds are read again until no row can appear in them"),
    ),
    (
        "snow.source.dedup.window.records",
        Fate::Unneeded("what is read again and was delivered is not sent again"),
    ),
    (
        "snow.source.bad.row.behavior",
        Fate::Words("source.on_bad_row", &[("fail", "hold"), ("skip", "skip")]),
    ),
    (
        "snow.source.startup.probe",
        Fate::Unneeded("`check --connect` looks at all that is asked for"),
    ),
    ("snow.source.schema.mode", Fate::Finished),
    (
        "snow.source.schema.evolution",
        Fate::Differs(NO_TYPED_FIELDS),
    ),
    ("snow.source.typed.fields", Fate::Differs(NO_TYPED_FIELDS)),
    (
        "snow.source.emit.envelope",
        Fate::Decide(
            "false",
            "a record is the row itself, without `after` and `source` around it",
        ),
    ),
];

const OSO_SOURCE_TABLE_RULES: &[SettingRule] = &[
    ("name", Fate::To("@.name", Conversion::Text)),
    ("topic", Fate::To("@.topic", Conversion::Text)),
    ("start.timestamp", Fate::Finished),
    (
        "timestamp.field",
        Fate::To("@.timestamp_field", Conversion::Text),
    ),
    (
        "sys.id.field",
        Fate::To("@.identifier_field", Conversion::Text),
    ),
    ("query", Fate::To("@.query", Conversion::Text)),
    ("fields", Fate::To("@.fields", Conversion::Texts)),
    (
        "display.value",
        Fate::To("@.display_value", Conversion::Text),
    ),
    (
        "exclude.reference.link",
        Fate::Decide("true", "a reference is always its sys_id, without a link"),
    ),
    ("query.domain", Fate::Finished),
    (
        "query.category",
        Fate::Decide("", "no category is sent with a query"),
    ),
    ("batch.size", Fate::To("@.batch_size", Conversion::Whole)),
    (
        "poll.interval.ms",
        Fate::To("@.slow_poll_interval", Conversion::MillisToDuration),
    ),
];

fn finish(translation: &mut Translation<'_>) {
    log_in(translation);
    let aliases = (OSO_SOURCE.places)(translation.config);
    for (alias, place) in aliases.iter().zip(translation.places.clone()) {
        let key = |rest: &str| format!("snow.table.{alias}.{rest}");
        if let Some(start) = translation.get(&key("start.timestamp")) {
            translation.note_start(&place, &key("start.timestamp"), Some(&start));
        }
        if !translation.flag(&key("query.domain"), true) {
            translation.set_text("servicenow.query_no_domain", "true", &key("query.domain"));
            let words = "holds for all tables here";
            translation.remark(RemarkKind::Differs, &key("query.domain"), words);
        }
    }
    let key = "snow.source.schema.mode";
    match translation.get(key).as_deref() {
        Some("strings") => translation.set_text("source.schema.style", "strings", key),
        Some("typed") => translation.set_text("source.schema.style", "typed", key),
        Some(_) | None => {}
    }
    overlap(translation);
    read_timeout(translation);
    translation.finish_source();
}

/// How far the connector reads again behind its offset, for rows that were committed late.
fn overlap(translation: &mut Translation<'_>) {
    let key = "snow.source.overlap.seconds";
    let Some(seconds) = translation.get(key) else {
        return;
    };
    if seconds
        .trim()
        .parse()
        .is_ok_and(|it: u64| it > SETTLE_SECONDS)
    {
        let settle = Fate::To("source.settle", Conversion::SecondsToDuration);
        translation.apply(&ForeignSetting::new(key, &seconds), settle);
    } else {
        let words =
            "rows that are committed late are looked for, ten minutes long (`source.settle`)";
        translation.remark(RemarkKind::Unneeded, key, words);
    }
}

/// The log-in, which source and sink share.
pub(super) fn log_in(translation: &mut Translation<'_>) {
    let kind = translation.get("snow.auth.type").unwrap_or_default();
    let (kind, username, password) = if kind.eq_ignore_ascii_case("oauth2") {
        let key = "snow.oauth.grant.type";
        let grant = translation
            .get(key)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let grant = if grant.is_empty() {
            "client_credentials"
        } else {
            &grant
        };
        translation.set_text("servicenow.auth.oauth.grant_type", &literal(grant), key);
        token_path(translation, "snow.oauth.token.url");
        let username = "servicenow.auth.oauth.username";
        ("oauth", username, "servicenow.auth.oauth.password")
    } else {
        let username = "servicenow.auth.basic.username";
        ("basic", username, "servicenow.auth.basic.password")
    };
    translation.draft.set_text("servicenow.auth.type", kind);
    let config = translation.config;
    for setting in &config.settings {
        match setting.key.as_str() {
            "snow.auth.username" => {
                translation.apply(setting, Fate::To(username, Conversion::Text));
            }
            "snow.auth.password" => {
                translation.apply(setting, Fate::Secret(password, "SN_PASSWORD"));
            }
            _ => {}
        }
    }
}
