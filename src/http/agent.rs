//! Agents: connections with bounds, which end with a stop signal.

use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::tls::TlsConfig;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, RustlsConnector};
use ureq::{Agent, AsSendBody, Body, Proxy};

use super::dns_cache::DnsCache;
use super::tcp::WatchedTcpConnector;
use crate::stop::{Stop, StopHook};
use crate::sync::Mutex;

/// Bytes of an answer's head that are read.
pub(crate) const MAX_RESPONSE_HEAD_BYTES: usize = 64 * 1024;

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeBounds {
    /// From the look-up of the host name to the end of the answer's body.
    pub(crate) total: Duration,
    /// The look-up of the host name, and then the connection with its TLS handshake, each.
    pub(crate) connect: Duration,
    /// Between two pieces of the answer, and between two pieces of the request.
    pub(crate) silence: Option<Duration>,
}

/// The buffers of a connection, and how many connections are kept for the next request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionProfile {
    /// Unused connections that are kept, in all and for each host.
    pub(crate) max_idle: usize,
    /// How long an unused connection is kept.
    pub(crate) max_idle_age: Duration,
    /// Bytes per read from a connection; ureq copies from here into the caller's buffer. The head
    /// of an answer must fit.
    pub(crate) input_bytes: usize,
    /// Bytes per write. The longest line of a request must fit: a long query, a JWT.
    pub(crate) output_bytes: usize,
}

/// Everything that one client's agents have in common.
#[derive(Debug, Clone)]
pub(crate) struct AgentSettings {
    /// The `Accept` header.
    pub(crate) accept: &'static str,
    /// Bounds on each request.
    pub(crate) bounds: TimeBounds,
    /// The proxy that is configured; none is taken from the environment.
    pub(crate) proxy: Option<Proxy>,
    /// For `https`, see [`super::tls_config`].
    pub(crate) tls: Option<TlsConfig>,
    /// Addresses of host names, shared by the agents.
    pub(crate) dns: DnsCache,
}

impl AgentSettings {
    /// The same, with another bound on the connection where that is shorter.
    pub(crate) fn connecting_within(&self, connect: Duration) -> AgentSettings {
        AgentSettings {
            bounds: TimeBounds {
                connect: self.bounds.connect.min(connect),
                ..self.bounds
            },
            ..self.clone()
        }
    }

    /// An agent whose requests end when `stop` fires.
    pub(crate) fn agent(&self, connections: ConnectionProfile, stop: &Stop) -> StoppableAgent {
        let agent = Agent::with_parts(
            self.config(connections),
            ().chain(ConnectProxyConnector::default())
                .chain(WatchedTcpConnector::default())
                .chain(RustlsConnector::default()),
            self.dns.clone(),
        );
        let shutdown_on_stop = stop.on_stop({
            let agent = agent.clone();
            move || agent.shutdown()
        });
        StoppableAgent {
            agent,
            _shutdown_on_stop: shutdown_on_stop,
        }
    }

    fn config(&self, connections: ConnectionProfile) -> Config {
        let mut builder = Agent::config_builder()
            // Without this ureq takes one from the environment.
            .proxy(self.proxy.clone())
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!(
                "servicenow-kafka-bridge/",
                env!("CARGO_PKG_VERSION")
            ))
            .accept(self.accept)
            .timeout_global(Some(self.bounds.total))
            .timeout_resolve(Some(self.bounds.connect))
            .timeout_connect(Some(self.bounds.connect))
            .timeout_per_read(self.bounds.silence)
            .timeout_per_write(self.bounds.silence)
            .max_response_header_size(MAX_RESPONSE_HEAD_BYTES)
            .input_buffer_size(connections.input_bytes)
            .output_buffer_size(connections.output_bytes)
            .max_idle_connections(connections.max_idle)
            .max_idle_connections_per_host(connections.max_idle)
            .max_idle_age(connections.max_idle_age);
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(tls.clone());
        }
        builder.build()
    }
}

/// An agent that belongs to a [`Stop`]: when that fires, the connections are closed, so that requests
/// under way fail at once, and later ones are refused. A connection that is only being made is not
/// ended; [`TimeBounds::connect`] bounds it.
#[derive(Debug)]
pub(crate) struct StoppableAgent {
    agent: Agent,
    _shutdown_on_stop: StopHook,
}

impl StoppableAgent {
    /// Sends a request on the calling thread and waits for the head of its answer.
    pub(crate) fn run(
        &self,
        request: Request<impl AsSendBody>,
    ) -> Result<Response<Body>, ureq::Error> {
        self.agent.run(request)
    }
}

/// Agents for callers that stop at different times: each [`Stop`] has its own, so that the end of one
/// caller leaves the requests of the others alone. There are as many as callers that run.
#[derive(Debug)]
pub(crate) struct AgentsByStop {
    settings: AgentSettings,
    connections: ConnectionProfile,
    agents: Mutex<Vec<(Stop, Arc<StoppableAgent>)>>,
}

impl AgentsByStop {
    /// None yet; each is made when it is first asked for.
    pub(crate) fn new(settings: AgentSettings, connections: ConnectionProfile) -> AgentsByStop {
        AgentsByStop {
            settings,
            connections,
            agents: Mutex::new(Vec::new()),
        }
    }

    /// The agent of `stop`.
    pub(crate) fn of(&self, stop: &Stop) -> Arc<StoppableAgent> {
        let mut agents = self.agents.lock();
        agents.retain(|(owner, _)| !owner.is_stopped());
        if let Some((_, agent)) = agents.iter().find(|(owner, _)| owner.is_same(stop)) {
            return Arc::clone(agent);
        }
        let agent = Arc::new(self.settings.agent(self.connections, stop));
        agents.push((stop.clone(), Arc::clone(&agent)));
        agent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::http::test_server::{ScriptedServer, ServerAction, answer, spawn};
    use crate::stop;

    const LONG: Duration = Duration::from_secs(60);

    fn agents() -> AgentsByStop {
        let settings = AgentSettings {
            accept: "*/*",
            bounds: TimeBounds {
                total: LONG,
                connect: LONG,
                silence: None,
            },
            proxy: None,
            tls: None,
            dns: DnsCache::default(),
        };
        let connections = ConnectionProfile {
            max_idle: 1,
            max_idle_age: LONG,
            input_bytes: 16 * 1024,
            output_bytes: 16 * 1024,
        };
        AgentsByStop::new(settings, connections)
    }

    fn get(server: &ScriptedServer) -> Request<()> {
        let uri = format!("http://{}/", server.addr);
        Request::builder().uri(uri).body(()).unwrap()
    }

    #[test]
    fn a_stop_ends_the_request_under_way_and_refuses_the_next() {
        let server = ScriptedServer::start(|_, _| vec![ServerAction::Wait(LONG)]);
        let (trigger, stop) = stop::pair();
        let agent = agents().of(&stop);
        let request = get(&server);
        let asking = spawn(move || (agent.run(request).is_err(), agent));
        while server.seen().is_empty() {
            assert!(!stop.wait(Duration::from_millis(5)));
        }
        let began = Instant::now();
        drop(trigger);
        let (failed, agent) = asking.join().unwrap();
        assert!(failed && began.elapsed() < LONG / 6);
        assert!(agent.run(get(&server)).is_err());
        assert_eq!(server.seen().len(), 1);
    }

    #[test]
    fn an_agent_of_another_stop_goes_on() {
        let server = ScriptedServer::start(|_, _| answer("200 OK", &[], "ok"));
        let (trigger, stop) = stop::pair();
        let (_other, other_stop) = stop::pair();
        let agents = agents();
        let (ended, running) = (agents.of(&stop), agents.of(&other_stop));
        assert!(Arc::ptr_eq(&running, &agents.of(&other_stop.clone())));
        drop(trigger);
        assert!(ended.run(get(&server)).is_err());
        assert!(running.run(get(&server)).is_ok());
        // An agent that is made too late is no way around the stop.
        assert!(agents.of(&stop).run(get(&server)).is_err());
    }
}
