//! Checks of `observability`.

use crate::config::key_table::CheckKeys;
use crate::config::keys::ObservabilityConfig;
use crate::config::reader::Section;

/// An admin token with fewer characters is warned of, as it can be guessed.
const MIN_ADMIN_TOKEN_CHARS: usize = 16;

impl CheckKeys for ObservabilityConfig {
    fn check(
        section: &Section<'_>,
        observability: ObservabilityConfig,
        (): &(),
    ) -> ObservabilityConfig {
        const KEY: &str = "admin_token_file";
        if let Some(access) = &observability.admin {
            let token = access.token.expose();
            // It goes into a header as it is.
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let message = "names a file with a blank or a special character in it";
                section.problem(KEY, message);
            } else if token.len() < MIN_ADMIN_TOKEN_CHARS {
                let message = "names a file with a token that can be guessed; make one with \
                               `openssl rand -hex 32`";
                section.warning(KEY, message);
            }
        }
        observability
    }
}
