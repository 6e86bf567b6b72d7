//! Single values of `servicenow`.

use super::headers;
use crate::config::{names, url};

/// Brings `servicenow.base_url` into its normal form.
pub(in crate::config) fn base_url(text: &str) -> Result<String, String> {
    url::normalized(text, "https://instance.service-now.com")
}

/// Brings `servicenow.table_api_path` into its normal form.
pub(in crate::config) fn table_api_path(text: &str) -> Result<String, String> {
    path(text, "/api/now/table")
}

/// Brings `servicenow.stats_api_path` into its normal form.
pub(in crate::config) fn stats_api_path(text: &str) -> Result<String, String> {
    path(text, "/api/now/stats")
}

/// Brings `servicenow.auth.oauth.token_path` into its normal form.
pub(in crate::config) fn token_path(text: &str) -> Result<String, String> {
    path(text, "/oauth_token.do")
}

/// A path on the instance: begins with `/`, no trailing slash.
fn path(text: &str, example: &str) -> Result<String, String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let goes_up = text.split('/').any(|step| step == "..");
    if !text.starts_with('/') || !text.chars().all(is_legal) || goes_up {
        let quoted = names::quoted(text);
        return Err(format!(
            "{quoted} is not a path; write for example `{example}`"
        ));
    }
    match text.trim_end_matches('/') {
        "" => Err(format!("is only `/`; write for example `{example}`")),
        path => Ok(path.to_owned()),
    }
}

/// Checks the name of the header that carries an API key: one that `servicenow.headers` may set, or
/// `Authorization`, in which nothing else is sent then.
pub(in crate::config) fn header_name(text: &str) -> Result<(), String> {
    if text.eq_ignore_ascii_case("authorization") {
        return Ok(());
    }
    headers::check_name(text)
}

/// Brings `servicenow.proxy.url` into its normal form.
pub(in crate::config) fn proxy_url(text: &str) -> Result<String, String> {
    let url = url::parse(text, "http://proxy.example.com:3128")?;
    match (url.scheme_str(), url.path()) {
        (Some("http"), "/") => Ok(url::to_text(&url)),
        (Some("http"), _) => Err("must not hold a path".to_owned()),
        _ => Err("must begin with `http://`; requests through it are still https".to_owned()),
    }
}
