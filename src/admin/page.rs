//! The status page: one HTML document that needs nothing from elsewhere.
//!
//! Its policy lets run exactly the script and the style that are built in, by their hashes, and
//! lets it ask only this server. The script puts data in as text, never as HTML.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::http::Answer;

const DOCUMENT: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// The finished document.
#[derive(Debug)]
pub(super) struct Page {
    body: String,
    headers: String,
}

impl Page {
    pub(super) fn new() -> Page {
        let body = DOCUMENT
            .replace("/*STYLE*/", STYLE)
            .replace("/*SCRIPT*/", SCRIPT);
        let (script, style) = (hash(SCRIPT), hash(STYLE));
        let headers = format!(
            "Content-Security-Policy: default-src 'none'; script-src {script}; \
             style-src {style}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'\r\n\
             Referrer-Policy: no-referrer\r\n"
        );
        Page { body, headers }
    }

    pub(super) fn answer(&self) -> Answer {
        Answer {
            content_type: "text/html; charset=utf-8",
            body: self.body.clone(),
            headers: self.headers.clone(),
            ..Answer::plain(200)
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
        let Page { body, headers } = Page::new();
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
            assert!(!SCRIPT.contains(word), "{word}: data goes in as text");
        }
        // Where the script ends is where the parser says.
        assert!(!SCRIPT.contains("</") && !STYLE.contains("</"));
        assert_eq!(headers.matches("'sha256-").count(), 2);
        assert!(!headers.contains("unsafe"));
        assert!(body.len() < 60_000, "{}", body.len());
    }
}
