//! Requests to the port of a running bridge, which is found by its configuration.

use std::time::Duration;

use serde_json::Value;

use super::failure::{CommandFailure, exit_code};

/// How long a connection may take: the bridge is on this machine or near it.
const PORT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// More than a page of metrics or a status has.
const MAX_PORT_ANSWER_BYTES: u64 = 16 << 20;

/// A bridge that may run, at its `observability.addr`.
pub(super) struct RunningBridge {
    address: String,
    agent: ureq::Agent,
}

/// An answer of the port.
pub(super) struct PortAnswer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl RunningBridge {
    /// `timeout` bounds each request.
    pub(super) fn at(addr: &str, timeout: Duration) -> Result<RunningBridge, CommandFailure> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(PORT_CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            // A proxy of the environment would get the token.
            .proxy(None)
            .build();
        Ok(RunningBridge {
            address: address(addr)?,
            agent: ureq::Agent::new_with_config(config),
        })
    }

    /// GETs `path`, or POSTs `body` to it.
    pub(super) fn request(
        &self,
        path: &str,
        body: Option<&Value>,
        bearer: Option<&str>,
    ) -> Result<PortAnswer, CommandFailure> {
        let url = format!("http://{}{path}", self.address);
        let sent = match body {
            None => authorised(self.agent.get(&url), bearer).call(),
            Some(body) => authorised(self.agent.post(&url), bearer).send(body.to_string()),
        };
        let no_answer = |error: ureq::Error| {
            let text = format!("no answer from a bridge at {}: {error}", self.address);
            CommandFailure::new(exit_code::TRY_AGAIN, text)
        };
        let mut response = sent.map_err(no_answer)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config();
        let body = body.limit(MAX_PORT_ANSWER_BYTES).read_to_string();
        Ok(PortAnswer {
            status,
            body: body.map_err(no_answer)?,
        })
    }
}

fn authorised<B>(
    request: ureq::RequestBuilder<B>,
    bearer: Option<&str>,
) -> ureq::RequestBuilder<B> {
    match bearer {
        Some(bearer) => request.header("Authorization", bearer),
        None => request,
    }
}

/// Where a bridge that listens on `addr` is reached from here.
fn address(addr: &str) -> Result<String, CommandFailure> {
    let (host, port) = addr.rsplit_once(':').unwrap_or((addr, ""));
    if port == "0" {
        let text = "observability.addr has port 0, so that the bridge listens on a port that is not \
                    known; set a port";
        return Err(CommandFailure::new(exit_code::CONFIGURATION, text));
    }
    Ok(match host {
        "" | "0.0.0.0" | "[::]" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_found_where_it_listens() {
        let at = |addr| address(addr).map_err(|failure| failure.code);
        assert_eq!(at(":8080"), Ok("127.0.0.1:8080".to_owned()));
        assert_eq!(at("0.0.0.0:80"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(at("[::]:80"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(at("[::1]:80"), Ok("[::1]:80".to_owned()));
        assert_eq!(at("bridge.example:80"), Ok("bridge.example:80".to_owned()));
        assert_eq!(at("127.0.0.1:0"), Err(78));
    }
}
