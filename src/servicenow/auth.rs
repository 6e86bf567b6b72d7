//! How requests authenticate: with a fixed header (Basic, API key), or with an OAuth access token that
//! a thread renews. The login breaker spaces attempts that the instance refuses.

mod login_breaker;
mod refresh_schedule;
mod token_refresher;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderName, HeaderValue, header};

pub(super) use self::login_breaker::LoginPermit;

use self::login_breaker::LoginBreaker;
use self::token_refresher::TokenHandle;
use super::error::{AttemptedRequest, Error};
use super::exchange::Credential;
use super::shared::ClientShared;
use crate::config::{self, Secret};
use crate::health::Health;
use crate::http::encoding;
use crate::http::redaction::{HiddenSecret, hide, hide_password};
use crate::stop::Stop;

/// Gives each request its credential, and spaces attempts that the instance refuses.
#[derive(Debug)]
pub(super) struct Authenticator {
    source: CredentialSource,
    door: LoginBreaker,
}

#[derive(Debug)]
enum CredentialSource {
    Fixed(Credential),
    Tokens(TokenHandle),
}

impl Authenticator {
    /// Starts the token thread where there are tokens.
    pub(super) fn start(
        config: &config::ServiceNowAuth,
        shared: &Arc<ClientShared>,
        health: &Arc<Health>,
    ) -> Result<Authenticator, Error> {
        let source = match config {
            config::ServiceNowAuth::Basic { username, password } => {
                CredentialSource::Fixed(basic(username, password)?)
            }
            config::ServiceNowAuth::ApiKey { header, key } => {
                CredentialSource::Fixed(api_key(header, key)?)
            }
            config::ServiceNowAuth::OAuth(oauth) => {
                CredentialSource::Tokens(TokenHandle::start(oauth, shared, health)?)
            }
        };
        Ok(Authenticator {
            source,
            door: LoginBreaker::new(),
        })
    }

    /// Makes the credential that needs no token.
    pub(super) fn check_settings(config: &config::ServiceNowAuth) -> Result<(), Error> {
        match config {
            config::ServiceNowAuth::Basic { username, password } => basic(username, password)?,
            config::ServiceNowAuth::ApiKey { header, key } => api_key(header, key)?,
            config::ServiceNowAuth::OAuth(_) => return Ok(()),
        };
        Ok(())
    }

    /// Waits for permission to try, and for a token.
    pub(super) fn enter(
        &self,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<(LoginPermit<'_>, Credential), Error> {
        let pass = self.door.enter(asked, stop)?;
        let credential = self.credential(asked, stop)?;
        Ok((pass, credential))
    }

    fn credential(&self, asked: &AttemptedRequest, stop: &Stop) -> Result<Credential, Error> {
        match &self.source {
            CredentialSource::Fixed(credential) => Ok(credential.clone()),
            CredentialSource::Tokens(tokens) => tokens.current(asked, stop),
        }
    }

    /// After a 401: a newer credential than `refused`, if this kind of credential can be renewed.
    pub(super) fn renew(
        &self,
        refused: &Credential,
        asked: &AttemptedRequest,
        stop: &Stop,
    ) -> Result<Option<Credential>, Error> {
        match &self.source {
            CredentialSource::Fixed(_) => Ok(None),
            CredentialSource::Tokens(tokens) => {
                tokens.refused(refused.generation);
                tokens.current(asked, stop).map(Some)
            }
        }
    }

    /// Asks for a new token; false where there are none.
    pub(super) fn renew_now(&self) -> bool {
        match &self.source {
            CredentialSource::Fixed(_) => false,
            CredentialSource::Tokens(tokens) => {
                tokens.renew();
                true
            }
        }
    }

    /// How long no request goes out because log-ins were refused.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let token_wait = match &self.source {
            CredentialSource::Fixed(_) => Duration::ZERO,
            CredentialSource::Tokens(tokens) => tokens.wait(now),
        };
        self.door.wait(now).max(token_wait)
    }

    /// The instance refused this credential for good.
    pub(super) fn refused(&self, credential: &Credential) {
        if let CredentialSource::Tokens(tokens) = &self.source {
            tokens.refused(credential.generation);
        }
    }

    /// The instance took this credential.
    pub(super) fn accepted(&self, credential: &Credential) {
        if let CredentialSource::Tokens(tokens) = &self.source {
            tokens.proven(credential.generation);
        }
    }

    /// Ends and joins the token thread.
    pub(super) fn shutdown(&self) {
        if let CredentialSource::Tokens(tokens) = &self.source {
            tokens.shutdown();
        }
    }
}

fn basic(username: &str, password: &Secret) -> Result<Credential, Error> {
    let value = encoding::basic_authorization(username, password.expose());
    let hidden = hide_password(username, password.expose());
    fixed(header::AUTHORIZATION, value, hidden, "auth.basic")
}

fn api_key(header: &str, key: &Secret) -> Result<Credential, Error> {
    let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| {
        let header = header.escape_debug();
        Error::Setup(format!(
            "servicenow.auth: `{header}` is no name of a header"
        ))
    })?;
    let value = encoding::secret_header(key.expose());
    fixed(name, value, hide(key.expose()), "auth.api_key")
}

/// `value` is `None` where it is no header; `key` is what the user calls it, below `servicenow`.
fn fixed(
    name: HeaderName,
    value: Option<HeaderValue>,
    hidden: HiddenSecret,
    key: &str,
) -> Result<Credential, Error> {
    let value = value.ok_or_else(|| {
        Error::Setup(format!(
            "servicenow.{key}: a character in it cannot be sent in a header"
        ))
    })?;
    Ok(Credential {
        name,
        value,
        generation: 0,
        _hidden: hidden,
    })
}
