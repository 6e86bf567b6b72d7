//! The status page: one HTML document that needs nothing from elsewhere.
//!
//! Its policy lets run exactly the script and the style that are built in, by their hashes, and
//! lets it ask only this server. The script puts data in as text, never as HTML.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::http::AdminResponse;

const PAGE_HTML: &str = include_str!("page/index.html");
const PAGE_CSS: &str = include_str!("page/style.css");
const PAGE_SCRIPT: &str = include_str!("page/script.js");

/// The finished document.
#[derive(Debug)]
pub(super) struct StatusPage {
    body: String,
    headers: String,
}

impl StatusPage {
    pub(super) fn new() -> StatusPage {
        let body = PAGE_HTML
            .replace("/*STYLE*/", PAGE_CSS)
            .replace("/*SCRIPT*/", PAGE_SCRIPT);
        let (script, style) = (hash(PAGE_SCRIPT), hash(PAGE_CSS));
        let headers = format!(
            "Content-Security-Policy: default-src 'none'; script-src {script}; \
             style-src {style}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'\r\n\
             Referrer-Policy: no-referrer\r\n"
        );
        StatusPage { body, headers }
    }

    pub(super) fn answer(&self) -> AdminResponse {
        AdminResponse {
            content_type: "text/html; charset=utf-8",
            body: self.body.clone(),
            headers: self.headers.clone(),
            ..AdminResponse::plain(200)
        }
    }
}

/// As a policy names what it allows.
fn hash(text: &str) -> String {
    let digest = BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!("'sha256-{digest}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let StatusPage { body, headers } = StatusPage::new();
        for word in ["src=", "@import", "url(", "//cdn", "https://", "/*S"] {
            assert!(!body.contains(word), "{word} in the page");
        }
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
        ] {
            assert!(!PAGE_SCRIPT.contains(word), "{word}: data goes in as text");
        }
        // Where the script ends is where the parser says.
        assert!(!PAGE_SCRIPT.contains("</") && !PAGE_CSS.contains("</"));
        assert_eq!(headers.matches("'sha256-").count(), 2);
        assert!(!headers.contains("unsafe"));
        assert!(body.len() < 60_000, "{}", body.len());
    }
}
