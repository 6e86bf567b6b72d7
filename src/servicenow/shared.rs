//! The parts of a client that its token thread uses as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::failure::Availability;
use super::error::{AttemptedRequest, Error, InstanceFailure, OutageSign};
use super::exchange::{
    ConnectionChoice, ExchangeFailure, InstanceTransport, OutgoingRequest, RequestKind,
};
use super::rate_limit::{MAX_WAIT_BEFORE_SENDING, RequestLimiter};
use super::reachability::Reachability;
use super::response::InstanceResponse;
use crate::control::PlaceOutage;
use crate::http::circuit_breaker::FailureBlame;
use crate::http::error_body::shown;
use crate::http::outage_gate::{GatePass, GateRefusal, OutageGate, SharedProbeSpacing};
use crate::metrics::Metrics;
use crate::stop::Stop;

/// Everything but the credentials.
#[derive(Debug)]
pub(super) struct ClientShared {
    pub(super) transport: InstanceTransport,
    pub(super) limiter: RequestLimiter,
    pub(super) gates: RequestGates,
    pub(super) reachability: Reachability,
    pub(super) metrics: Arc<Metrics>,
    /// Bound on one request.
    pub(super) timeout: Duration,
}

/// Where requests wait while the instance is away: one gate for each kind, as the instance may answer
/// reads and refuse writes.
#[derive(Debug)]
pub(super) struct RequestGates {
    read: OutageGate,
    write: OutageGate,
    login: OutageGate,
}

impl RequestGates {
    /// All open.
    pub(super) fn new(metrics: &Metrics) -> RequestGates {
        let spacing = SharedProbeSpacing::default();
        let gate = |place| OutageGate::new(place, &spacing, metrics);
        RequestGates {
            read: gate("servicenow_read"),
            write: gate("servicenow_write"),
            login: gate("servicenow_login"),
        }
    }

    /// The outages of now.
    pub(super) fn outages(&self) -> impl Iterator<Item = PlaceOutage> {
        let gates = [&self.read, &self.write, &self.login];
        gates.into_iter().filter_map(OutageGate::outage)
    }

    fn of(&self, kind: RequestKind) -> &OutageGate {
        match kind {
            RequestKind::Read => &self.read,
            RequestKind::Write => &self.write,
            RequestKind::Login => &self.login,
        }
    }
}

/// One line at level debug for each request, so that a quiet bridge can be watched.
fn log_exchange(
    asked: &AttemptedRequest,
    connection: ConnectionChoice,
    sent: Instant,
    verdict: &Result<InstanceResponse, ExchangeFailure>,
) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    let outcome = match verdict {
        Ok(response) => response.meta.status.to_string(),
        Err(failure) => failure.cause.to_string(),
    };
    log::debug!(method = asked.method, url = asked.url, what = asked.what,
        query = asked.query.as_deref().map(shown).unwrap_or_default(), outcome = outcome,
        new_connection = connection == ConnectionChoice::New, ms = sent.elapsed().as_millis();
        "a request");
}

impl ClientShared {
    /// Waits for the request's turn, sends it, and takes in what the outcome says about the instance.
    /// The outer error is that nothing was sent.
    pub(super) fn exchange(
        &self,
        out: &OutgoingRequest<'_>,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<Result<InstanceResponse, ExchangeFailure>, Error> {
        let kind = out.kind();
        let pass = self.enter(kind, asked, stop)?;
        let connection = if pass.is_probe() {
            ConnectionChoice::New
        } else {
            ConnectionChoice::Kept
        };
        let sent = Instant::now();
        let mut verdict = self.transport.exchange(out, connection);
        log_exchange(asked, connection, sent, &verdict);
        match &mut verdict {
            Ok(_) => {
                self.limiter.answered(sent);
                pass.succeeded();
                self.reachability.answered(kind, Instant::now());
            }
            Err(failure) => {
                if let InstanceFailure::RateLimited { wait, .. } = &mut failure.cause {
                    *wait = self.limiter.rate_limited(sent, failure.retry_after);
                }
                failure.outage = self.blame(pass, failure);
            }
        }
        Ok(verdict)
    }

    fn enter(
        &self,
        kind: RequestKind,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<GatePass<'_>, Error> {
        let deadline = Instant::now() + MAX_WAIT_BEFORE_SENDING;
        loop {
            self.limiter.enter(asked, stop)?;
            let pass = match self.gates.of(kind).enter(deadline, stop) {
                Ok(pass) => pass,
                Err(GateRefusal::Stopped) => return Err(Error::Stopped),
                Err(GateRefusal::Away(words)) => {
                    return Err(Error::request(asked, InstanceFailure::Away { words }));
                }
            };
            // The instance may have asked for a pause while this request waited for its return.
            if !self.limiter.is_paused(Instant::now()) {
                return Ok(pass);
            }
        }
    }

    /// Whether a failure is one of all requests of its kind.
    fn blame(&self, pass: GatePass<'_>, failure: &ExchangeFailure) -> OutageSign {
        let sign = match failure.availability {
            // What a stop of the client ended tells nothing.
            _ if self.transport.is_aborted() => return OutageSign::None,
            Availability::Unknown => return OutageSign::None,
            Availability::Answers => {
                pass.succeeded();
                return OutageSign::None;
            }
            Availability::Suspect => OutageSign::Suspected,
            Availability::Away => OutageSign::Certain,
        };
        match pass.failed(&failure.cause.to_string()) {
            FailureBlame::Request => OutageSign::None,
            FailureBlame::Place => sign,
        }
    }
}
