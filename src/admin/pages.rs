//! The pages of the admin port.

use std::sync::Arc;
use std::time::Instant;

use super::http::{Answer, Method};
use crate::health::{Health, Report};
use crate::metrics::Metrics;

const INDEX: &str = "servicenow-kafka-bridge\n\n\
                     /healthz  whether the process is alive; if not, restart it\n\
                     /readyz   whether it does its work; if not, what is wrong\n\
                     /metrics  figures for Prometheus\n";

/// What the pages show.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
}

impl Pages {
    /// The answer to a request.
    pub(super) fn answer(&self, method: Method, path: &str) -> Answer {
        let page: fn(&Pages) -> Answer = match path {
            "/" => |_| Answer {
                body: INDEX.to_owned(),
                ..Answer::plain(200)
            },
            "/healthz" => Pages::healthz,
            "/readyz" => Pages::readyz,
            "/metrics" => Pages::metrics,
            _ => return Answer::plain(404),
        };
        match method {
            Method::Get | Method::Head => page(self),
            Method::Other => Answer::plain(405),
        }
    }

    fn healthz(&self) -> Answer {
        status(
            &self.health.liveness(Instant::now()),
            "healthy",
            "unhealthy",
        )
    }

    fn readyz(&self) -> Answer {
        status(&self.health.readiness(), "ready", "not_ready")
    }

    fn metrics(&self) -> Answer {
        self.metrics
            .ready
            .set(if self.health.readiness().ok { 1.0 } else { 0.0 });
        Answer {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: self.metrics.render(),
        }
    }
}

/// The words of the Go bridge, and the reasons.
fn status(report: &Report, good: &str, bad: &str) -> Answer {
    let content_type = "application/json";
    let list = |name: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!(r#","{name}":{}"#, serde_json::Value::from(lines)),
    };
    let (status, word) = if report.ok { (200, good) } else { (503, bad) };
    let (reasons, notes) = (list("reasons", &report.lines), list("notes", &report.notes));
    Answer {
        status,
        content_type,
        body: format!(r#"{{"status":"{word}"{reasons}{notes}}}"#),
    }
}
