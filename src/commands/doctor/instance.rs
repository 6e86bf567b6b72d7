//! The instance: the way to it, the log-in, its clock and limits, and the tables.

use std::sync::Arc;
use std::time::SystemTime;

use ureq::http::Uri;

use super::asker::InstanceAsker;
use super::deletes;
use super::finding::FindingArea;
use super::judge;
use super::judge::instance::{NonsenseCondition, SeenLimits};
use super::judge::reach::JudgedWay;
use super::report::FindingReport;
use super::table::{self, TableExaminer};
use crate::config::{Config, ServiceNowAuth, ServiceNowConfig};
use crate::health::Health;
use crate::http::reach::{ReachTarget, reach};
use crate::metrics::Metrics;
use crate::servicenow::query::TimeLiterals;
use crate::servicenow::{InstanceClient, table_api};
use crate::source::SourceInstance;
use crate::stop::Stop;

/// What helps where an error of the first request says nothing of it.
const LOGIN_CURE: &str =
    "see what is said of the way to the instance, and check servicenow.base_url";
/// A condition that no instance can understand, as no column has this name.
const NONSENSE_CONDITION: &str = "no_column_has_this_name=1";

/// Looks at the instance. Gives whether it refused the log-in.
pub(super) fn examine(config: &Config, stop: &Stop, report: &mut FindingReport<'_, '_>) -> bool {
    look_at_way(&config.servicenow, report);
    let settings = &config.servicenow;
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new());
    let client = match InstanceClient::start(settings, &metrics, &health) {
        Ok(client) => client,
        Err(error) => {
            report.add(FindingArea::Instance.error("client", &error));
            return false;
        }
    };
    let path = settings.table_api_path.as_str();
    let instance = SourceInstance::new(Arc::new(client), settings);
    let mut asker = InstanceAsker::new(instance, stop);
    let literals = log_in(config, &mut asker, &metrics, report);
    for table in config.active_tables() {
        let mut examiner = TableExaminer {
            asker: &mut asker,
            path,
            table,
            literals: &literals,
        };
        report.extend(examiner.examine());
    }
    look_at_sink_tables(config, &mut asker, report);
    if !asker.has_ended() {
        look_at_behaviour(config, &mut asker, &literals, report);
    }
    asker.instance.client().shutdown();
    asker.is_refused()
}

fn look_at_way(settings: &ServiceNowConfig, report: &mut FindingReport<'_, '_>) {
    let proxy = settings.proxy.as_ref();
    if proxy.is_some_and(|proxy| proxy.url.starts_with("https:")) {
        let seen = "leads through a proxy that is spoken to over TLS; the log-in tries it";
        return report.add(FindingArea::Instance.ok("way to the instance", seen));
    }
    let Ok(uri) = settings.base_url.parse::<Uri>() else {
        return;
    };
    let is_secured = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(if is_secured { 443 } else { 80 });
    let target = ReachTarget {
        host,
        port,
        tls: is_secured.then_some(("servicenow.tls", &settings.tls)),
        proxy,
    };
    let (seen, _) = reach(&target, settings.conn_timeout);
    let way = JudgedWay {
        area: FindingArea::Instance,
        place: &format!("{host}:{port}"),
        address_key: "servicenow.base_url",
        tls_section: "servicenow.tls",
        through_proxy: proxy.is_some(),
    };
    let now = jiff::Timestamp::now().as_second();
    report.extend(judge::reach::judge(&way, &seen, now));
}

/// Asks the first question, which needs a log-in. Gives how times in queries are read.
fn log_in(
    config: &Config,
    asker: &mut InstanceAsker<'_>,
    metrics: &Metrics,
    report: &mut FindingReport<'_, '_>,
) -> TimeLiterals {
    let measured = match asker.literals() {
        Ok(measured) => measured,
        Err(words) => {
            report.add(
                FindingArea::Instance
                    .error("log-in", &words)
                    .or_cure(LOGIN_CURE),
            );
            return TimeLiterals::Utc;
        }
    };
    if !asker.is_logged_in
        && let Some(table) = any_table(config)
    {
        let get = table_api::one_row(&config.servicenow.table_api_path, table);
        if let Err(words) = asker.ask(&get)
            && !asker.is_logged_in
        {
            report.add(
                FindingArea::Instance
                    .error("log-in", &words)
                    .or_cure(LOGIN_CURE),
            );
        }
    }
    if asker.is_logged_in {
        let kind = match &config.servicenow.auth {
            ServiceNowAuth::OAuth(_) => "oauth".to_owned(),
            ServiceNowAuth::Basic { username, .. } => format!("basic, as `{username}`"),
            ServiceNowAuth::ApiKey { .. } => "api_key".to_owned(),
        };
        let ends = Some(metrics.token_expiry.get()).filter(|at| at.is_finite());
        let life = ends.map(|at| at - epoch_seconds());
        report.add(judge::instance::login(&kind, life));
    }
    match measured {
        Ok(literals) => {
            let seen = format!("times in queries are read as {literals}");
            report.add(FindingArea::Instance.ok("time zone", seen));
            literals
        }
        Err(words) => {
            report.add(FindingArea::Instance.error("time zone", &words));
            TimeLiterals::Utc
        }
    }
}

fn any_table(config: &Config) -> Option<&str> {
    let read = config.active_tables().first().map(|table| &*table.name);
    let written = config.active_topics().first();
    read.or(written.map(|topic| &*topic.table))
}

fn epoch_seconds() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Whether records may be written cannot be asked without writing.
fn look_at_sink_tables(
    config: &Config,
    asker: &mut InstanceAsker<'_>,
    report: &mut FindingReport<'_, '_>,
) {
    for topic in config.active_topics() {
        let (topic, table) = (&topic.topic, &topic.table);
        let subject = format!("table `{table}` (sink, from {topic})");
        let get = table_api::one_row(&config.servicenow.table_api_path, table);
        report.add(match asker.ask(&get) {
            Ok(_) => FindingArea::Instance.ok(
                subject,
                "answers; whether it may be written to shows with the first record",
            ),
            Err(error) => FindingArea::Instance.error(subject, &error),
        });
    }
}

/// What the tables have shown of the instance by the way.
fn look_at_behaviour(
    config: &Config,
    asker: &mut InstanceAsker<'_>,
    literals: &TimeLiterals,
    report: &mut FindingReport<'_, '_>,
) {
    let path = config.servicenow.table_api_path.as_str();
    if let Some(table) = config.active_tables().first() {
        let without = table::count(asker, path, table, None);
        let with = table::count(asker, path, table, Some(NONSENSE_CONDITION));
        if let (Ok(with), Ok(without)) = (with, without) {
            let seen = NonsenseCondition { with, without };
            report.add(judge::instance::invalid_query(seen));
        }
        report.extend(deletes::examine(config, asker, literals));
    }
    if let Some(lead) = asker.instance.host_lead() {
        report.add(judge::instance::clock(lead));
    } else if asker.is_logged_in {
        let seen = "answers carry no readable Date header, and without the instance's time no table is read";
        let cure = "let the header through at the gateway before the instance";
        report.add(FindingArea::Instance.warning("clock", seen, cure));
    }
    report.extend(judge::instance::limits(&SeenLimits {
        requests_per_hour: asker.requests_per_hour,
        semaphore_wait: asker.semaphore_wait,
        tables: config.active_tables().len(),
        slow_poll_interval: config.source.slow_poll_interval,
    }));
}
