//! `servicenow.headers`: what a gateway before the instance wants with each request.

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::super::error::Error;
use crate::config;
use crate::http::redaction::{HiddenSecret, hide, hide_password};

/// `servicenow.headers`, as they are sent.
pub(super) fn header_map(headers: &[(String, config::Secret)]) -> Result<HeaderMap, Error> {
    let header = |(name, value): &(String, config::Secret)| {
        let unusable = || Error::Setup(format!("servicenow.headers.{name}: is not a header"));
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unusable())?;
        value.set_sensitive(true);
        Ok((field, value))
    };
    headers.iter().map(header).collect()
}

/// What of `config` is sent or used on the way, and kept out of words, beside the log-in.
pub(super) fn hidden_secrets(config: &config::ServiceNowConfig) -> Vec<HiddenSecret> {
    let password = config.proxy.as_ref().and_then(|proxy| {
        let name = proxy.username.as_deref().unwrap_or_default();
        let password = proxy.password.as_ref()?;
        Some(hide_password(name, password.expose()))
    });
    let headers = config.headers.iter();
    let headers = headers.map(|(_, value)| hide(value.expose()));
    headers.chain(password).collect()
}
