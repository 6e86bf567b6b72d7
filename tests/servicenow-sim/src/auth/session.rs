//! Sessions: one transaction at a time (servicenow_api.md section 1.7).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::generator::random_sys_id;

/// Sessions that a client re-sent; others are not remembered.
const MAX_SESSIONS: usize = 10_000;

/// A new session cookie value.
pub(crate) fn new_id() -> String {
    random_sys_id().to_ascii_uppercase()
}

/// The sessions that clients came back with.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

#[derive(Debug, Default)]
struct Session {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    waiters: usize,
}

/// Holds a session for the length of a transaction.
#[derive(Debug)]
pub(crate) struct Held(Arc<Session>);

impl Sessions {
    /// Waits for the session; `None` means 202: too many wait already, or for too long.
    pub(crate) fn enter(&self, cookie: &str, max_waiters: usize, wait: Duration) -> Option<Held> {
        let session = {
            let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if sessions.len() >= MAX_SESSIONS {
                sessions.clear();
            }
            Arc::clone(sessions.entry(cookie.to_owned()).or_default())
        };
        let deadline = Instant::now() + wait;
        let mut state = session.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.busy && state.waiters >= max_waiters {
            return None;
        }
        state.waiters += 1;
        while state.busy {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiters -= 1;
                return None;
            }
            let waited = session.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiters -= 1;
        state.busy = true;
        drop(state);
        Some(Held(session))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .busy = false;
        self.0.freed.notify_one();
    }
}

/// The session cookie of a `Cookie` header.
pub(crate) fn cookie(header: &str) -> Option<&str> {
    header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("JSESSIONID="))
}
