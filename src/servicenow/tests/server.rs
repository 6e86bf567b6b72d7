//! A scripted instance and a client of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Secret, ServiceNowAuth};
use crate::health::Health;
pub(crate) use crate::http::test_server::{
    JSON_HEADER, ScriptedServer, SeenRequest, ServerAction, answer, spawn,
};
use crate::metrics::Metrics;
use crate::servicenow::{Error, InstanceClient, InstanceResponse, ReadRequest};
use crate::stop::{self, Stop, StopTrigger};

pub(crate) const ONE_ROW_ANSWER: &str = r#"{"result":[{"sys_id":"a"}]}"#;
pub(crate) const LOGIN_REFUSED_ANSWER: &str = r#"{"error":{"detail":"Required to provide Auth information","message":"User Not Authenticated"},"status":"failure"}"#;

pub(crate) fn rows() -> Vec<ServerAction> {
    answer("200 OK", &[JSON_HEADER], ONE_ROW_ANSWER)
}

pub(crate) fn unauthorized() -> Vec<ServerAction> {
    answer("401 Unauthorized", &[JSON_HEADER], LOGIN_REFUSED_ANSWER)
}

pub(crate) fn token(text: &str, expires_in: u64) -> Vec<ServerAction> {
    let body = format!(
        r#"{{"access_token":"{text}","refresh_token":"r-{text}","scope":"useraccount","token_type":"Bearer","expires_in":{expires_in}}}"#
    );
    answer("200 OK", &[JSON_HEADER], &body)
}

/// A client of `server`, and what it needs to live.
pub(crate) struct ClientBench {
    pub(crate) client: Arc<InstanceClient>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) stop: Stop,
    pub(crate) trigger: Option<StopTrigger>,
}

impl ClientBench {
    pub(crate) fn get(&self) -> Result<InstanceResponse, Error> {
        self.client.get(&request(), &self.stop)
    }

    /// The value of `result`.
    pub(crate) fn result(&self) -> Result<serde_json::Value, Error> {
        self.client
            .get_result(&request(), &self.stop)
            .map(|answer| serde_json::from_str(&answer.result).unwrap())
    }

    /// The whole body, or the error of head or body.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        let response = self.get()?;
        response
            .body
            .read_all(u64::MAX)
            .map_err(|error| self.client.body_error(&error, "table `incident`"))
    }
}

pub(crate) fn request() -> ReadRequest<'static> {
    ReadRequest {
        path: "/api/now/table/incident".to_owned(),
        params: vec![("sysparm_query", "active=true^ORDERBYsys_id".to_owned())],
        endpoint: "/api/now/table/{table}",
        what: "table `incident`".to_owned(),
        max_answer_bytes: 1 << 20,
        private: false,
        optional: false,
    }
}

pub(crate) fn config(addr: SocketAddr) -> config::ServiceNowConfig {
    config::ServiceNowConfig {
        base_url: format!("http://{addr}"),
        auth: ServiceNowAuth::Basic {
            username: "bridge".to_owned(),
            password: Secret::new("pa:ss"),
        },
        timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(3),
        conn_timeout: Duration::from_secs(2),
        max_retries: Some(3),
        retry_backoff: Duration::from_millis(10),
        max_response_bytes: 1 << 20,
        query_time_zone: config::QueryTimeZone::Utc,
        ..config::ServiceNowConfig::default()
    }
}

pub(crate) fn oauth(grant: config::OAuthGrant) -> ServiceNowAuth {
    ServiceNowAuth::OAuth(config::OAuthConfig {
        client_id: "id".to_owned(),
        client_secret: Secret::new("s&cret"),
        token_path: "/oauth_token.do".to_owned(),
        grant,
    })
}

pub(crate) fn password() -> ServiceNowAuth {
    oauth(config::OAuthGrant::Password {
        username: "bridge".to_owned(),
        password: Secret::new("p=w %"),
    })
}

pub(crate) fn bench(
    server: &ScriptedServer,
    change: impl FnOnce(&mut config::ServiceNowConfig),
) -> ClientBench {
    let mut config = config(server.addr);
    change(&mut config);
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new());
    let client = Arc::new(InstanceClient::start(&config, &metrics, &health).unwrap());
    let (trigger, stop) = stop::pair();
    ClientBench {
        client,
        metrics,
        health,
        stop,
        trigger: Some(trigger),
    }
}
