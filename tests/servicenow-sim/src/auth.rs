//! Authentication (servicenow_api.md section 1).

pub(crate) mod base64;
pub(crate) mod oauth;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::http::Request;
use crate::http::answer::Answer;
use crate::options::{Options, User};

/// Tokens that were given out.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    tokens: Mutex<Tokens>,
}

#[derive(Debug, Default)]
struct Tokens {
    access: HashMap<String, Access>,
    /// Client and user of each refresh token.
    refresh: HashMap<String, (String, String)>,
    /// `jti` claims that were used.
    used: Vec<String>,
}

#[derive(Debug, Clone)]
struct Access {
    client: String,
    user: String,
    expires: Instant,
}

impl Auth {
    /// The user of a request; `None` is the 401 of section 1.2, whatever the reason (line 45).
    pub(crate) fn user<'o>(&self, request: &Request, options: &'o Options) -> Option<&'o User> {
        // An API key needs an access policy that maps it, else 401 (section 1.5).
        if let Some(key) = request.header("x-sn-apikey") {
            let valid = options.api_key.as_deref() == Some(key);
            return if valid { options.users.first() } else { None };
        }
        let (scheme, credentials) = request.header("authorization")?.split_once(' ')?;
        let name = if scheme.eq_ignore_ascii_case("basic") {
            let text = String::from_utf8(base64::decode(credentials.trim())?).ok()?;
            let (name, password) = text.split_once(':')?;
            return find(options, name).filter(|user| user.password == password);
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let access = tokens.access.get(credentials.trim())?;
            (access.expires > Instant::now()).then(|| access.user.clone())?
        } else {
            return None;
        };
        find(options, &name)
    }

    /// Forgets every access token, as an administrator who saves the registry record does.
    pub(crate) fn revoke_all(&self) {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .access
            .clear();
    }
}

/// A user who may sign in.
fn find<'o>(options: &'o Options, name: &str) -> Option<&'o User> {
    options
        .users
        .iter()
        .find(|user| user.name == name && !user.locked)
}

/// The 401 of section 1.2, lines 34 to 44: same for every reason, and the connection is closed.
pub(crate) fn unauthorized() -> Answer {
    Answer::error(
        401,
        "User Not Authenticated",
        Some("Required to provide Auth information"),
    )
    .header("WWW-Authenticate", "BASIC realm=\"Service-now\"")
    .header(
        "Set-Cookie",
        format!("JSESSIONID={}; Path=/; HttpOnly;Secure", session::new_id()),
    )
    .header(
        "Set-Cookie",
        "glide_user=; Max-Age=0; Path=/; HttpOnly;Secure",
    )
    .header(
        "Set-Cookie",
        "glide_user_session=; Max-Age=0; Path=/; HttpOnly;Secure",
    )
    .header("Pragma", "no-store,no-cache")
    .header(
        "Cache-control",
        "no-cache,no-store,must-revalidate,max-age=-1",
    )
    .header("Expires", "0")
    .header(
        "Strict-Transport-Security",
        "max-age=63072000; includeSubDomains",
    )
    .closing()
}
