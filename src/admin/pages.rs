//! The pages of the admin port.

use std::time::Instant;

use super::history::PipelineHistory;
use super::host::{MachineNames, without_port};
use super::http::{AdminMethod, AdminReply, AdminRequest, AdminResponse};
use super::page::StatusPage;
use super::services::AdminServices;
use super::{api, status_builder};
use crate::health::HealthReport;

/// What is answered to a request by another name.
const UNKNOWN_NAME: &str = "421 this port answers to addresses, to localhost and to the names of this machine; \
                            put the name that was used (the Host of the request) into \
                            observability.allowed_hosts to have it answered too\n";

/// Answers requests; holds what the pages are made of.
#[derive(Debug)]
pub(super) struct AdminPages {
    services: AdminServices,
    history: PipelineHistory,
    page: StatusPage,
    names: MachineNames,
}

impl AdminPages {
    pub(super) fn new(services: AdminServices) -> AdminPages {
        AdminPages {
            services,
            history: PipelineHistory::default(),
            page: StatusPage::new(),
            names: MachineNames::read(),
        }
    }

    /// When [`AdminPages::sample_if_due`] wants to be called next.
    pub(super) fn sample_due(&self, now: Instant) -> Instant {
        self.history.due(now)
    }

    /// Takes a sample for the charts when its time has come.
    pub(super) fn sample_if_due(&mut self, now: Instant) {
        if self.history.due(now) <= now {
            self.history
                .sample(now, status_builder::readings(&self.services));
        }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, request: &AdminRequest) -> AdminReply {
        if !self.is_asked_by_its_name(request) {
            return AdminReply::Now(AdminResponse {
                body: UNKNOWN_NAME.to_owned(),
                ..AdminResponse::plain(421)
            });
        }
        if let Some(path) = request.path.strip_prefix("/api/") {
            return api::answer(&self.services, path, request);
        }
        let page: fn(&AdminPages) -> AdminResponse = match request.path.as_str() {
            "/" => |pages| pages.page.answer(),
            "/status.json" => AdminPages::status,
            "/healthz" => AdminPages::healthz,
            "/readyz" => AdminPages::readyz,
            "/metrics" => AdminPages::metrics,
            _ => return AdminReply::Now(AdminResponse::plain(404)),
        };
        AdminReply::Now(match request.method {
            AdminMethod::Get | AdminMethod::Head => page(self),
            AdminMethod::Post | AdminMethod::Other => AdminResponse::only("GET, HEAD"),
        })
    }

    /// Whether the request names this machine, so that it comes from no page of another site.
    fn is_asked_by_its_name(&self, request: &AdminRequest) -> bool {
        let config = self.services.config.get();
        let observability = &config.observability;
        let allowed = observability.allowed_hosts.iter().map(String::as_str);
        let own = without_port(&observability.addr);
        self.names
            .allow(request.host.as_deref(), allowed.chain([own]))
    }

    fn status(&self) -> AdminResponse {
        let status = status_builder::status(&self.services, &self.history, Instant::now());
        AdminResponse::json(200, &status)
    }

    fn healthz(&self) -> AdminResponse {
        let report = self.services.health.liveness(Instant::now());
        status(&report, "healthy", "unhealthy")
    }

    fn readyz(&self) -> AdminResponse {
        status(&self.services.health.readiness(), "ready", "not_ready")
    }

    fn metrics(&self) -> AdminResponse {
        let AdminServices {
            metrics, health, ..
        } = &self.services;
        metrics
            .ready
            .set(if health.readiness().ok { 1.0 } else { 0.0 });
        AdminResponse {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: metrics.render(),
            ..AdminResponse::plain(200)
        }
    }
}

/// The words of the Go bridge, and the reasons.
fn status(report: &HealthReport, good: &str, bad: &str) -> AdminResponse {
    let list = |name: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!(r#","{name}":{}"#, serde_json::Value::from(lines)),
    };
    let (status, word) = if report.ok { (200, good) } else { (503, bad) };
    let (reasons, notes) = (list("reasons", &report.lines), list("notes", &report.notes));
    AdminResponse {
        body: format!(r#"{{"status":"{word}"{reasons}{notes}}}"#),
        ..AdminResponse::json(status, &())
    }
}
