//! Checks of `offset` and `observability`.

use crate::config::reader::Section;
use crate::config::{CheckpointStorage, ObservabilityConfig, OffsetConfig, url};

/// An admin token with fewer characters is warned of, as it can be guessed.
const MIN_ADMIN_TOKEN_CHARS: usize = 16;

/// Checks `offset`.
pub(in crate::config) fn offset(
    section: &Section<'_>,
    offset: OffsetConfig,
    (): &(),
) -> OffsetConfig {
    if offset.storage == CheckpointStorage::Kafka {
        let message = "checkpoints in Kafka are not part of this version yet: use `storage: file`";
        section.problem("storage", message);
    }
    offset
}

/// Checks `observability.addr`.
pub(in crate::config) fn listen_address(text: &str) -> Result<(), String> {
    let (host, port) = url::split_port(text)?;
    if port.is_none() {
        return Err("has no port; write for example `:8080` or `127.0.0.1:8080`".to_owned());
    }
    if host.is_empty() {
        Ok(())
    } else {
        url::check_host(host, "127.0.0.1:8080")
    }
}

/// Checks the token of the admin API.
pub(in crate::config) fn observability(
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
