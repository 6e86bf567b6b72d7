//! Confluent Cloud's source connector V2 (docs.confluent.io: "ServiceNow Source V2 Connector for
//! Confluent Cloud").

use super::confluent_source::{RETRIES, STORE_PASSWORDS, STORES};
use crate::commands::migrate::connect::CONFLUENT_RULES;
use crate::commands::migrate::connector::{Connector, OffsetForm};
use crate::commands::migrate::draft::{RemarkKind, literal};
use crate::commands::migrate::foreign::ConnectorConfig;
use crate::commands::migrate::rules::{Conversion, Fate, SettingRule, Translation};

/// More tables than the connector takes (its limit is 5).
const MAX_CLOUD_TABLES: usize = 100;
const NO_PAGES: &str =
    "rows are read in the order of time and identifier, so that there are no pages to count";
const JWT: &str = "a token for a signed claim is not known here: decide for another way to log in";

pub(super) static CLOUD_SOURCE_V2: Connector = Connector {
    title: "Confluent Cloud's source V2",
    classes: &["ServiceNowSourceV2"],
    marker: "table1.name",
    rules: &[CLOUD_SOURCE_V2_RULES, CONFLUENT_RULES],
    table_rules: CLOUD_SOURCE_V2_TABLE_RULES,
    table_setting,
    places,
    list: "source.tables",
    finish,
    offsets: Some(OffsetForm::Confluent),
};

const CLOUD_SOURCE_V2_RULES: &[SettingRule] = &[
    (
        "servicenow.url",
        Fate::To("servicenow.base_url", Conversion::Url("https://")),
    ),
    ("auth.type", Fate::Finished),
    (
        "connection.user",
        Fate::To("servicenow.auth.basic.username", Conversion::Text),
    ),
    (
        "connection.password",
        Fate::Secret("servicenow.auth.basic.password", "SN_PASSWORD"),
    ),
    ("oauth2.token.url", Fate::Finished),
    (
        "oauth2.client.id",
        Fate::To("servicenow.auth.oauth.client_id", Conversion::Text),
    ),
    (
        "oauth2.client.secret",
        Fate::Secret("servicenow.auth.oauth.client_secret", "SN_CLIENT_SECRET"),
    ),
    (
        "oauth2.client.scope",
        Fate::Decide(
            "any",
            "no scope is sent: the application registry record says what a token may do",
        ),
    ),
    (
        "oauth2.client.auth.mode",
        Fate::Unneeded("id and secret are sent in the way that the instance takes"),
    ),
    (
        "oauth2.client.headers",
        Fate::Decide("", "no headers of one's own are sent with the log-in"),
    ),
    (
        "oauth2.client.header.separator",
        Fate::Unneeded("no headers of one's own are sent with the log-in"),
    ),
    (
        "oauth2.token.property",
        Fate::Decide(
            "access_token",
            "the token is always `access_token` of the answer",
        ),
    ),
    ("oauth2.jwt.enabled", Fate::Decide("false", JWT)),
    (
        "oauth2.jwt.*",
        Fate::Unneeded("is about tokens for signed claims"),
    ),
    (
        "servicenow.ssl.enabled",
        Fate::Unneeded("https in `servicenow.base_url` says it"),
    ),
    (
        "servicenow.ssl.protocol",
        Fate::Unneeded("TLS 1.2 and 1.3 are spoken"),
    ),
    ("servicenow.ssl.keystorefile", Fate::Decide("", STORES)),
    ("servicenow.ssl.truststorefile", Fate::Decide("", STORES)),
    ("servicenow.ssl.*", Fate::Unneeded(STORE_PASSWORDS)),
    ("tables.num", Fate::Finished),
    ("max.retries", Fate::Unneeded(RETRIES)),
    ("retry.*", Fate::Unneeded(RETRIES)),
    ("behavior.on.error", Fate::Unneeded(RETRIES)),
    (
        "reporter.error.topic.name",
        Fate::Unneeded("what fails is logged, counted and shown at `/readyz`"),
    ),
];

const CLOUD_SOURCE_V2_TABLE_RULES: &[SettingRule] = &[
    ("name", Fate::To("@.name", Conversion::Text)),
    ("topic", Fate::To("@.topic", Conversion::Text)),
    ("batch.size", Fate::To("@.batch_size", Conversion::Whole)),
    ("start.timestamp", Fate::Finished),
    ("timestamp.field", Fate::Finished),
    ("pagination.query", Fate::Finished),
    ("pagination.query.field", Fate::Finished),
    ("request.parameters.separator", Fate::Unneeded(NO_PAGES)),
    (
        "display.value",
        Fate::To("@.display_value", Conversion::Text),
    ),
    (
        "allowlisted.fields",
        Fate::To("@.fields", Conversion::Texts),
    ),
    (
        "request.interval.ms",
        Fate::To("@.slow_poll_interval", Conversion::MillisToDuration),
    ),
    ("exclude.reference.link", Fate::Finished),
    (
        "query.category",
        Fate::Decide("", "no category is sent with a query"),
    ),
    (
        "count.records",
        Fate::Unneeded("rows are counted, as hidden ones have to be found"),
    ),
    ("query.domain", Fate::Finished),
    ("suppress.pagination.header", Fate::Unneeded(NO_PAGES)),
];

/// `table1.name`: the number and the rest.
fn table_setting(key: &str) -> Option<(&str, &str)> {
    let (table, rest) = key.split_once('.')?;
    let number = table.strip_prefix("table")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((number, rest))
}

fn places(config: &ConnectorConfig) -> Vec<String> {
    let count = config
        .get("tables.num")
        .and_then(|count| count.parse().ok());
    let count = count.unwrap_or(1).min(MAX_CLOUD_TABLES);
    (1..=count).map(|number| number.to_string()).collect()
}

fn finish(translation: &mut Translation<'_>) {
    log_in(translation);
    let numbers = places(translation.config);
    let all = translation.places.clone();
    for (number, place) in numbers.iter().zip(&all) {
        translation.places = vec![place.clone()];
        table(translation, &format!("table{number}"), place);
    }
    translation.places = all;
    translation.finish_source();
}

fn log_in(translation: &mut Translation<'_>) {
    let is_oauth = translation
        .get("auth.type")
        .is_some_and(|it| it.eq_ignore_ascii_case("OAUTH2"));
    if !is_oauth {
        return translation.draft.set_text("servicenow.auth.type", "basic");
    }
    translation.draft.set_text("servicenow.auth.type", "oauth");
    translation
        .draft
        .set_text("servicenow.auth.oauth.grant_type", "client_credentials");
    token_path(translation, "oauth2.token.url");
}

/// The token endpoint has to be on the instance.
pub(super) fn token_path(translation: &mut Translation<'_>, key: &str) {
    let Some(url) = translation.get(key) else {
        return;
    };
    let instance = translation
        .draft
        .text("servicenow.base_url")
        .unwrap_or_default();
    match url.strip_prefix(instance) {
        Some(path) if path.starts_with('/') && !instance.is_empty() => {
            translation.set_text("servicenow.auth.oauth.token_path", &literal(path), key);
        }
        Some(_) | None => {
            let words = "is not below the URL of the instance, where the token is asked for here";
            translation.remark(RemarkKind::Decide, key, words);
        }
    }
}

fn table(translation: &mut Translation<'_>, name: &str, place: &str) {
    let key = |rest: &str| format!("{name}.{rest}");
    let start = translation.get(&key("start.timestamp"));
    translation.note_start(place, &key("start.timestamp"), start.as_deref());
    if translation.get(&key("request.interval.ms")).is_some() {
        let interval = translation
            .draft
            .text(&format!("{place}.slow_poll_interval"));
        let interval = interval.unwrap_or_default().to_owned();
        translation.set_text(
            "@.fast_poll_interval",
            &interval,
            &key("request.interval.ms"),
        );
    }
    if !translation.flag(&key("exclude.reference.link"), false) {
        let words =
            "a reference is its sys_id; the connector sent an object with `link` and `value`";
        translation.remark(RemarkKind::Differs, &key("exclude.reference.link"), words);
    }
    if !translation.flag(&key("query.domain"), true) {
        translation.set_text("servicenow.query_no_domain", "true", &key("query.domain"));
        let words = "holds for all tables here, and needs the role query_no_domain_table_api";
        translation.remark(RemarkKind::Differs, &key("query.domain"), words);
    }
    query(translation, name);
}

/// The query of a page, as `closed_at>=${offset}^ORDERBYclosed_at`, without what moves the page on.
fn query(translation: &mut Translation<'_>, name: &str) {
    let [query_key, field_key, time_key] = [
        "pagination.query",
        "pagination.query.field",
        "timestamp.field",
    ]
    .map(|it| format!("{name}.{it}"));
    let query = translation.get(&query_key);
    let field = translation.get(&field_key).filter(|_| query.is_some());
    let (field, origin) = match field {
        Some(field) => (Some(field), &field_key),
        None => (translation.get(&time_key), &time_key),
    };
    if let Some(field) = field {
        translation.set_text("@.timestamp_field", &literal(&field), origin);
    }
    let Some(query) = query else {
        return;
    };
    let conditions = query.split('^');
    let is_filter =
        |it: &&str| !it.is_empty() && !it.starts_with("ORDERBY") && !it.contains("${offset}");
    let rest: Vec<&str> = conditions.filter(is_filter).collect();
    // Behind `^OR` and `^NQ` a condition cannot be taken away by itself.
    if rest
        .iter()
        .any(|it| it.starts_with("OR") || it.starts_with("NQ"))
        && query.contains("${offset}")
    {
        let words =
            "has alternatives: write it without `${offset}` and ORDERBY into the table's `query`";
        return translation.remark(RemarkKind::Decide, &query_key, words);
    }
    if !rest.is_empty() {
        translation.set_text("@.query", &literal(&rest.join("^")), &query_key);
    }
    if query.contains("${offset}") || query.contains("ORDERBY") {
        let words =
            "the order and the place of a page are left out of it, as the bridge has its own";
        translation.remark(RemarkKind::Differs, &query_key, words);
    }
}
