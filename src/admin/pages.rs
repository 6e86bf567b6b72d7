//! The pages of the admin port.

use std::time::Instant;

use super::history::History;
use super::http::{Answer, Method, Request};
use super::page::Page;
use super::{Shown, api, status_builder};
use crate::control::Pending;
use crate::health::Report;

/// What is served, and what it is made of.
#[derive(Debug)]
pub(super) struct Pages {
    shown: Shown,
    history: History,
    page: Page,
}

/// An answer, now or when the supervisor has spoken.
pub(super) enum Reply {
    Now(Answer),
    Later(Pending),
}

impl Pages {
    pub(super) fn new(shown: Shown) -> Pages {
        Pages {
            shown,
            history: History::default(),
            page: Page::new(),
        }
    }

    /// When [`Pages::sample_if_due`] wants to be called next.
    pub(super) fn sample_due(&self, now: Instant) -> Instant {
        self.history.due(now)
    }

    /// Takes a sample for the charts when its time has come.
    pub(super) fn sample_if_due(&mut self, now: Instant) {
        if self.history.due(now) <= now {
            self.history.sample(now, status_builder::readings(&self.shown));
        }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        if let Some(path) = request.path.strip_prefix("/api/") {
            return api::answer(&self.shown, path, request);
        }
        let page: fn(&Pages) -> Answer = match request.path.as_str() {
            "/" => |pages| pages.page.answer(),
            "/status.json" => Pages::status,
            "/healthz" => Pages::healthz,
            "/readyz" => Pages::readyz,
            "/metrics" => Pages::metrics,
            _ => return Reply::Now(Answer::plain(404)),
        };
        Reply::Now(match request.method {
            Method::Get | Method::Head => page(self),
            Method::Post | Method::Other => Answer::only("GET, HEAD"),
        })
    }

    fn status(&self) -> Answer {
        let status = status_builder::status(&self.shown, &self.history, Instant::now());
        Answer::json(200, &status)
    }

    fn healthz(&self) -> Answer {
        let report = self.shown.health.liveness(Instant::now());
        status(&report, "healthy", "unhealthy")
    }

    fn readyz(&self) -> Answer {
        status(&self.shown.health.readiness(), "ready", "not_ready")
    }

    fn metrics(&self) -> Answer {
        let Shown {
            metrics, health, ..
        } = &self.shown;
        metrics
            .ready
            .set(if health.readiness().ok { 1.0 } else { 0.0 });
        Answer {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: metrics.render(),
            ..Answer::plain(200)
        }
    }
}

/// The words of the Go bridge, and the reasons.
fn status(report: &Report, good: &str, bad: &str) -> Answer {
    let list = |name: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!(r#","{name}":{}"#, serde_json::Value::from(lines)),
    };
    let (status, word) = if report.ok { (200, good) } else { (503, bad) };
    let (reasons, notes) = (list("reasons", &report.lines), list("notes", &report.notes));
    Answer {
        body: format!(r#"{{"status":"{word}"{reasons}{notes}}}"#),
        ..Answer::json(status, &())
    }
}
