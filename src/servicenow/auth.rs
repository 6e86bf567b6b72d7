//! Who we are to the instance: a fixed header, or an access token that a thread keeps fresh.

mod change_signal;
mod login_breaker;
mod refresh_schedule;
mod token_refresher;

use std::sync::Arc;

use ureq::http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

pub(super) use self::login_breaker::Pass;

use super::Shared;
use super::encoding;
use super::error::{Asked, Error};
use super::exchange::Credential;
use crate::config;
use crate::health::Health;
use crate::stop::Stop;
use self::login_breaker::Door;
use self::token_refresher::Tokens;

/// Gives each request its credential, and spaces attempts that the instance refuses.
#[derive(Debug)]
pub(super) struct Auth {
    source: Source,
    door: Door,
}

#[derive(Debug)]
enum Source {
    Fixed(Credential),
    Tokens(Tokens),
}

impl Auth {
    /// Starts the token thread where there are tokens.
    pub(super) fn start(
        config: &config::Auth,
        shared: &Arc<Shared>,
        health: &Arc<Health>,
    ) -> Result<Auth, Error> {
        let source = match config {
            config::Auth::Basic { username, password } => {
                let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
                let value = Zeroizing::new(format!("Basic {}", encoding::base64(pair.as_bytes())));
                Source::Fixed(fixed(header::AUTHORIZATION, &value, "auth.basic")?)
            }
            config::Auth::ApiKey { header, key } => {
                let name = HeaderName::from_bytes(header.as_bytes()).map_err(|_| {
                    let header = header.escape_debug();
                    Error::Setup(format!(
                        "servicenow.auth: `{header}` is no name of a header"
                    ))
                })?;
                Source::Fixed(fixed(name, key.expose(), "auth.api_key")?)
            }
            config::Auth::OAuth(oauth) => Source::Tokens(Tokens::start(oauth, shared, health)?),
        };
        Ok(Auth {
            source,
            door: Door::new(),
        })
    }

    /// Waits for permission to try, and for a token.
    pub(super) fn enter(
        &self,
        asked: &Asked,
        stop: &Stop,
    ) -> Result<(Pass<'_>, Credential), Error> {
        let pass = self.door.enter(asked, stop)?;
        let credential = self.credential(asked, stop)?;
        Ok((pass, credential))
    }

    fn credential(&self, asked: &Asked, stop: &Stop) -> Result<Credential, Error> {
        match &self.source {
            Source::Fixed(credential) => Ok(credential.clone()),
            Source::Tokens(tokens) => tokens.current(asked, stop),
        }
    }

    /// After a 401: a newer credential than `refused`, if this kind of credential can be renewed.
    pub(super) fn renew(
        &self,
        refused: &Credential,
        asked: &Asked,
        stop: &Stop,
    ) -> Result<Option<Credential>, Error> {
        match &self.source {
            Source::Fixed(_) => Ok(None),
            Source::Tokens(tokens) => {
                tokens.refused(refused.generation);
                tokens.current(asked, stop).map(Some)
            }
        }
    }

    /// Asks for a new token; false where there are none.
    pub(super) fn renew_now(&self) -> bool {
        match &self.source {
            Source::Fixed(_) => false,
            Source::Tokens(tokens) => {
                tokens.renew();
                true
            }
        }
    }

    /// The instance refused this credential for good.
    pub(super) fn refused(&self, credential: &Credential) {
        if let Source::Tokens(tokens) = &self.source {
            tokens.refused(credential.generation);
        }
    }

    /// The instance took this credential.
    pub(super) fn accepted(&self, credential: &Credential) {
        if let Source::Tokens(tokens) = &self.source {
            tokens.proven(credential.generation);
        }
    }

    /// Ends and joins the token thread.
    pub(super) fn shutdown(&self) {
        if let Source::Tokens(tokens) = &self.source {
            tokens.shutdown();
        }
    }
}

fn fixed(name: HeaderName, value: &str, key: &str) -> Result<Credential, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::Setup(format!(
            "servicenow.{key}: a character in it cannot be sent in a header"
        ))
    })?;
    value.set_sensitive(true);
    Ok(Credential {
        name,
        value,
        generation: 0,
    })
}
