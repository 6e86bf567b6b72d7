//! The token thread: asks for an access token, renews it before its end and when it is refused.

use std::io::Read as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
use serde::Deserialize;
use ureq::http::{HeaderValue, Method, header};
use zeroize::Zeroizing;

use super::refresh_schedule::{GrantOutcome, RefreshSchedule, TokenFailure, TokenGrant};
use crate::change_signal::ChangeSignal;
use crate::config::{self, OAuthGrant};
use crate::health::{Health, Heartbeat};
use crate::http::encoding;
use crate::http::error_body::error_words;
use crate::http::redaction::{HiddenSecret, hide, hide_password};
use crate::json_text::JsonText;
use crate::servicenow::error::{AttemptedRequest, Error, InstanceFailure, OutageSign};
use crate::servicenow::exchange::{
    Credential, ExchangeFailure, OutgoingRequest, RequestKind, RequestPayload,
};
use crate::servicenow::rate_limit::MAX_WAIT_BEFORE_SENDING;
use crate::servicenow::shared::ClientShared;
use crate::stop::{self, Stop, StopTrigger};
use crate::sync::{Mutex, MutexGuard};

/// Bytes of a token answer.
const MAX_TOKEN_ANSWER_BYTES: u64 = 64 * 1024;
/// How late the thread's next sign of life may be, beyond the time that it waits.
const TOKEN_HEARTBEAT_SLACK: Duration = Duration::from_secs(60);
/// Metric label of token requests, whatever the configured path is.
const TOKEN_ENDPOINT_LABEL: &str = "/oauth_token.do";

/// The callers' side: gives out the current token.
#[derive(Debug)]
pub(super) struct TokenHandle {
    token_state: Arc<TokenState>,
    wake: Sender<()>,
    thread: Mutex<Option<(StopTrigger, JoinHandle<()>)>>,
}

/// The state that the thread writes and the callers read.
#[derive(Debug)]
struct TokenState(Mutex<TokenStateInner>);

#[derive(Debug)]
struct TokenStateInner {
    schedule: RefreshSchedule,
    credential: Option<Credential>,
    /// Why the last request failed; callers get this instead of causing more requests.
    failure: Option<Error>,
    /// Outcomes so far.
    outcomes: u64,
    changed: ChangeSignal,
}

impl TokenState {
    fn lock(&self) -> MutexGuard<'_, TokenStateInner> {
        self.0.lock()
    }
}

impl TokenHandle {
    /// Starts the thread, which asks for the first token at once.
    pub(super) fn start(
        oauth: &config::OAuthConfig,
        shared: &Arc<ClientShared>,
        health: &Arc<Health>,
    ) -> Result<TokenHandle, Error> {
        let token_state = Arc::new(TokenState(Mutex::new(TokenStateInner {
            schedule: RefreshSchedule::new(Instant::now()),
            credential: None,
            failure: None,
            outcomes: 0,
            changed: ChangeSignal::new(),
        })));
        let (wake, woken) = bounded(1);
        let (trigger, stop) = stop::pair();
        let refresher = TokenRefresher {
            token_state: Arc::clone(&token_state),
            shared: Arc::clone(shared),
            asked: AttemptedRequest {
                method: "POST",
                url: format!("{}{}", shared.transport.base_url(), oauth.token_path),
                what: "access token".to_owned(),
                query: None,
                login: true,
            },
            oauth: oauth.clone(),
            refresh: None,
            hidden: HiddenLogin::of(oauth),
            woken,
            stop,
            heartbeat: health.thread("token"),
        };
        let thread = thread::Builder::new()
            .name("token".to_owned())
            .spawn(move || refresher.run())
            .map_err(|why| Error::Setup(format!("cannot start the token thread: {why}")))?;
        Ok(TokenHandle {
            token_state,
            wake,
            thread: Mutex::new(Some((trigger, thread))),
        })
    }

    /// The current token; waits while one is on its way, but not longer than [`MAX_WAIT_BEFORE_SENDING`].
    pub(super) fn current(
        &self,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<Credential, Error> {
        let deadline = Instant::now() + MAX_WAIT_BEFORE_SENDING;
        let mut outcomes_before = None;
        loop {
            let now = Instant::now();
            let change = {
                let state = self.token_state.lock();
                if let (Some(generation), Some(credential)) =
                    (state.schedule.usable(now), &state.credential)
                    && credential.generation == generation
                {
                    return Ok(credential.clone());
                }
                let outcomes_before = *outcomes_before.get_or_insert(state.outcomes);
                match &state.failure {
                    // Of an endpoint that is away the next outcome is waited for.
                    Some(failure)
                        if !failure.is_held_by_client()
                            || outcomes_before < state.outcomes
                            || now >= deadline =>
                    {
                        return Err(failure.clone());
                    }
                    None if now >= deadline => {
                        return Err(Error::request(asked, InstanceFailure::NoLogin));
                    }
                    _ => state.changed.waiter(),
                }
            };
            let left = deadline.saturating_duration_since(now);
            if change.wait(left, stop) {
                return Err(Error::Stopped);
            }
        }
    }

    /// How long there is no token, as the next one is asked for later.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let state = self.token_state.lock();
        match state.schedule.usable(now) {
            Some(_) => Duration::ZERO,
            None => state.schedule.due().saturating_duration_since(now),
        }
    }

    /// The API refused the token of `generation`: it is not given out again.
    pub(super) fn refused(&self, generation: u64) {
        let mut state = self.token_state.lock();
        if state.schedule.refuse(generation, Instant::now()) {
            drop(state);
            self.wake();
        }
    }

    /// Asks for a new token although the current one may still be good.
    pub(super) fn renew(&self) {
        let newest = self.token_state.lock().schedule.newest();
        if let Some((generation, _)) = newest {
            self.refused(generation);
        }
    }

    /// The API took the token of `generation`.
    pub(super) fn proven(&self, generation: u64) {
        self.token_state.lock().schedule.proven(generation);
    }

    /// Ends and joins the thread.
    pub(super) fn shutdown(&self) {
        let thread = self.thread.lock().take();
        if let Some((trigger, thread)) = thread {
            drop(trigger);
            if thread.join().is_err() {
                log::error!("the token thread panicked");
            }
        }
    }

    fn wake(&self) {
        match self.wake.try_send(()) {
            // A full channel wakes the thread just as well; a closed one means that it has ended.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// The thread's side: asks the token endpoint.
struct TokenRefresher {
    token_state: Arc<TokenState>,
    shared: Arc<ClientShared>,
    asked: AttemptedRequest,
    oauth: config::OAuthConfig,
    /// The newest refresh token the instance gave.
    refresh: Option<Zeroizing<String>>,
    /// What token requests hold, and the newest answer.
    hidden: HiddenLogin,
    woken: Receiver<()>,
    stop: Stop,
    heartbeat: Heartbeat,
}

/// Keeps the secrets of token requests out of words.
struct HiddenLogin {
    _configured: Vec<HiddenSecret>,
    /// The refresh token that is used next.
    refresh: Option<HiddenSecret>,
}

impl HiddenLogin {
    fn of(oauth: &config::OAuthConfig) -> HiddenLogin {
        let client = hide_password(&oauth.client_id, oauth.client_secret.expose());
        let user = match &oauth.grant {
            OAuthGrant::Password { username, password } => {
                Some(hide_password(username, password.expose()))
            }
            OAuthGrant::RefreshToken { refresh_token } => Some(hide(refresh_token.expose())),
            OAuthGrant::ClientCredentials => None,
        };
        HiddenLogin {
            _configured: [client].into_iter().chain(user).collect(),
            refresh: None,
        }
    }
}

/// The answer's fields that matter. `expires_in` comes as a number or as text.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Zeroizing<String>,
    refresh_token: Option<Zeroizing<String>>,
    #[serde(default)]
    expires_in: JsonText,
}

impl TokenRefresher {
    fn run(mut self) {
        loop {
            let now = Instant::now();
            let due = self.token_state.lock().schedule.due();
            let wait = due.saturating_duration_since(now);
            self.heartbeat.beat(wait + TOKEN_HEARTBEAT_SLACK);
            if !wait.is_zero() {
                select! {
                    recv(self.stop.receiver()) -> _ => break,
                    recv(self.woken) -> _ => {}
                    default(wait) => {}
                }
                continue;
            }
            if self.stop.is_stopped() {
                break;
            }
            // Two requests at most: the refresh grant and the configured one.
            self.heartbeat.beat(
                (MAX_WAIT_BEFORE_SENDING * 2 + self.shared.timeout) * 2 + TOKEN_HEARTBEAT_SLACK,
            );
            let result = self.ask();
            self.post(result);
        }
        let mut state = self.token_state.lock();
        state.failure = Some(Error::Stopped);
        state.credential = None;
        state.changed.announce();
    }

    /// By the refresh token if there is one, else or if that is refused by the configured grant.
    fn ask(&mut self) -> Result<TokenGrant, (Error, TokenFailure)> {
        if let Some(refresh) = self.refresh.clone() {
            let form = self.form("refresh_token", &[("refresh_token", &refresh)]);
            match self.request(&form) {
                // It is dropped, so that the next attempt does not try it again.
                Err((error, TokenFailure::Refused)) => {
                    self.refresh = None;
                    let own = matches!(
                        &self.oauth.grant,
                        OAuthGrant::RefreshToken { refresh_token } if refresh_token.expose() == &**refresh
                    );
                    if own {
                        return Err((error, TokenFailure::Refused));
                    }
                }
                result => return result,
            }
        }
        let form = match &self.oauth.grant {
            OAuthGrant::Password { username, password } => self.form(
                "password",
                &[("username", username), ("password", password.expose())],
            ),
            OAuthGrant::RefreshToken { refresh_token } => self.form(
                "refresh_token",
                &[("refresh_token", refresh_token.expose())],
            ),
            OAuthGrant::ClientCredentials => self.form("client_credentials", &[]),
        };
        self.request(&form)
    }

    /// The parameters go into the body only: in a URL they would be refused, and logged.
    fn form(&self, grant: &str, more: &[(&str, &str)]) -> Zeroizing<String> {
        let client = [
            ("grant_type", grant),
            ("client_id", self.oauth.client_id.as_str()),
            ("client_secret", self.oauth.client_secret.expose()),
        ];
        // Room for all, so that growing leaves no copy behind.
        let mut form = Zeroizing::new(String::with_capacity(TOKEN_FORM_CAPACITY_BYTES));
        encoding::push_pairs(&mut form, client.into_iter().chain(more.iter().copied()));
        form
    }

    fn request(&mut self, form: &str) -> Result<TokenGrant, (Error, TokenFailure)> {
        let shared = Arc::clone(&self.shared);
        let mut target = String::new();
        encoding::push_path(&mut target, &self.oauth.token_path);
        let out = OutgoingRequest {
            method: Method::POST,
            target: &target,
            endpoint: TOKEN_ENDPOINT_LABEL,
            credential: None,
            payload: RequestPayload::Form(form),
            optional: false,
        };
        let verdict = match shared.exchange(&out, &self.asked, &self.stop) {
            Ok(verdict) => verdict,
            Err(error) => {
                let wait = match error.cause() {
                    Some(InstanceFailure::Held { wait }) => *wait,
                    _ => Duration::ZERO,
                };
                return Err((error, TokenFailure::Pause(wait)));
            }
        };
        let (failure, trouble) = match verdict {
            Ok(response) => match self.read(response.body) {
                Ok(granted) => return Ok(granted),
                Err(cause) => (cause.into(), TokenFailure::Broken),
            },
            Err(failure) => {
                let trouble = match &failure.cause {
                    InstanceFailure::RateLimited { wait, .. } => TokenFailure::Pause(*wait),
                    // The next request waits for its turn like all others.
                    _ if failure.outage != OutageSign::None => TokenFailure::Pause(Duration::ZERO),
                    // RFC 6749 says 400, a real instance says 401.
                    InstanceFailure::Unauthorized { .. }
                    | InstanceFailure::BadRequest { .. }
                    | InstanceFailure::Forbidden { .. } => TokenFailure::Refused,
                    _ => TokenFailure::Broken,
                };
                (failure, trouble)
            }
        };
        let ExchangeFailure { cause, outage, .. } = failure;
        let error = shared.transport.error(&self.asked, cause);
        Err((error.with_outage(outage), trouble))
    }

    fn read(&mut self, body: impl std::io::Read) -> Result<TokenGrant, InstanceFailure> {
        // Room for all, so that growing leaves no copy of the token behind.
        let room = usize::try_from(MAX_TOKEN_ANSWER_BYTES).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        if let Err(error) = body.take(MAX_TOKEN_ANSWER_BYTES).read_to_end(&mut bytes) {
            return Err(self.shared.transport.cause_of_read(&error));
        }
        let answer: TokenAnswer = match serde_json::from_slice(&bytes) {
            Ok(answer) => answer,
            Err(_) => {
                // Never serde's own words: they may quote the token.
                let why = format!("no access_token in the answer: {}", error_words(&bytes));
                return Err(InstanceFailure::Body(why));
            }
        };
        if let Some(refresh) = answer.refresh_token.filter(|refresh| !refresh.is_empty()) {
            self.hidden.refresh = Some(hide(&refresh));
            self.refresh = Some(refresh);
        }
        let expires_in = answer
            .expires_in
            .0
            .and_then(|text| text.trim().parse().ok());
        Ok(TokenGrant {
            access: answer.access_token,
            expires_in,
        })
    }

    /// Puts the result into the shared state and wakes the callers that wait.
    fn post(&self, result: Result<TokenGrant, (Error, TokenFailure)>) {
        let now = Instant::now();
        let result = result.and_then(|granted| {
            let hidden = hide(&granted.access);
            Ok((bearer(&granted, &self.asked)?, hidden, granted))
        });
        let label = if result.is_ok() { "ok" } else { "error" };
        // Counted before the token can be used, so that the count is never behind the requests that
        // the token allowed.
        self.shared.metrics.token_requests.with(&[label]).inc();
        let mut state = self.token_state.lock();
        let error = match result {
            Ok((value, hidden, granted)) => match state.schedule.granted(granted, now) {
                GrantOutcome::Usable => {
                    if let Some((generation, until)) = state.schedule.newest() {
                        let name = header::AUTHORIZATION;
                        state.credential = Some(Credential {
                            name,
                            value,
                            generation,
                            _hidden: hidden,
                        });
                        self.shared
                            .metrics
                            .token_expiry
                            .set(epoch_seconds(until, now));
                    }
                    None
                }
                GrantOutcome::SameAsRefused => {
                    Some(Error::request(&self.asked, InstanceFailure::SameToken))
                }
            },
            Err((error, trouble)) => {
                state.schedule.failed(trouble, now, fastrand::f64());
                Some(error)
            }
        };
        let wait = state.schedule.due().saturating_duration_since(now);
        // The first one, and the first after trouble, are news.
        let news = state.failure.is_some() || state.schedule.is_first();
        state.failure.clone_from(&error);
        state.outcomes += 1;
        state.changed.announce();
        drop(state);
        match error {
            None => {
                let level = if news {
                    log::Level::Info
                } else {
                    log::Level::Debug
                };
                log::log!(level, next_s = wait.as_secs(); "got an access token");
            }
            Some(Error::Stopped) => {}
            Some(error) => {
                self.shared
                    .reachability
                    .failed(RequestKind::Login, &error, now);
                let level = if error.is_held_by_client() {
                    log::Level::Debug
                } else {
                    log::Level::Warn
                };
                log::log!(level, error:% = error, next_ms = wait.as_millis(); "no access token");
            }
        }
    }
}

/// More than any form here; see [`TokenRefresher::form`].
const TOKEN_FORM_CAPACITY_BYTES: usize = 16 * 1024;

fn bearer(
    granted: &TokenGrant,
    asked: &AttemptedRequest,
) -> Result<HeaderValue, (Error, TokenFailure)> {
    let value = if granted.access.is_empty() {
        None
    } else {
        encoding::bearer_authorization(&granted.access)
    };
    value.ok_or_else(|| {
        let why = "the access token is empty or cannot be sent in a header".to_owned();
        let error = Error::request(asked, InstanceFailure::Body(why));
        (error, TokenFailure::Broken)
    })
}

/// Seconds since the epoch of a time to come.
fn epoch_seconds(until: Instant, now: Instant) -> f64 {
    let since = jiff::Timestamp::now().as_duration().as_secs_f64();
    since + until.saturating_duration_since(now).as_secs_f64()
}
