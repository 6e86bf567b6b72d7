//! The token endpoint (servicenow_api.md section 1.4).

use std::sync::PoisonError;
use std::time::Instant;

use crate::auth::{Access, Auth, Tokens, base64, find};
use crate::generator::random_sys_id;
use crate::http::answer::Answer;
use crate::http::{Request, url};
use crate::options::{OAuthClient, Options, User};

/// Grant of line 62.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Clock skew that claims may have (line 62).
const JWT_LEEWAY: i64 = 300;

/// Nearly every failure is this one answer (line 72).
fn denied() -> Answer {
    Answer::json(
        401,
        r#"{"error_description":"access_denied","error":"server_error"}"#,
    )
}

impl Auth {
    /// Answers `POST /oauth_token.do`; `now` is server time.
    pub(crate) fn token(&self, request: &Request, options: &Options, now: i64) -> Answer {
        if request.method != "POST" {
            return Answer::error(405, "Method not supported", None);
        }
        // Only a form body counts; credentials in the URL fail (section 1.4, line 55).
        let kind = request.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") || !request.params.is_empty() {
            return denied();
        }
        let body = String::from_utf8_lossy(&request.body);
        let form = url::pairs(&body);
        let field = |name: &str| {
            form.iter()
                .find(|(known, _)| known == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let client = options
            .oauth_clients
            .iter()
            .find(|client| client.id == field("client_id"));
        let Some(client) = client else {
            return denied();
        };
        let grant = field("grant_type");
        // A client secret is optional for an assertion only (line 62).
        let secret_ok = client.secret == field("client_secret")
            || (grant == JWT_BEARER && field("client_secret").is_empty());
        if !secret_ok {
            return denied();
        }
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match grant {
            "password" => {
                let user = find(options, field("username"))
                    .filter(|user| client.password_grant && user.password == field("password"));
                user.map_or_else(denied, |user| tokens.give(client, user, options, true))
            }
            "refresh_token" => tokens.refresh(client, field("refresh_token"), options),
            "client_credentials" => {
                let name = client.application_user.as_deref();
                let user = name.and_then(|name| find(options, name));
                user.map_or_else(denied, |user| tokens.give(client, user, options, false))
            }
            JWT_BEARER => {
                let user = tokens.assertion(client, field("assertion"), options, now);
                user.map_or_else(denied, |user| tokens.give(client, user, options, false))
            }
            _ => denied(),
        }
    }
}

impl Tokens {
    /// The living token of this client and user with its remaining life, else a new one (line 69).
    fn give(
        &mut self,
        client: &OAuthClient,
        user: &User,
        options: &Options,
        refresh: bool,
    ) -> Answer {
        let now = Instant::now();
        self.access.retain(|_, access| access.expires > now);
        let same = |access: &Access| access.client == client.id && access.user == user.name;
        let living = self.access.iter().find(|(_, access)| same(access));
        let (token, expires) = match living {
            Some((token, access)) => (token.clone(), access.expires),
            None => self.mint(client, user, options, now),
        };
        let refresh = refresh.then(|| self.refresh_token(client, user));
        answer(&token, refresh.as_deref(), expires, now, options)
    }

    fn mint(
        &mut self,
        client: &OAuthClient,
        user: &User,
        options: &Options,
        now: Instant,
    ) -> (String, Instant) {
        let token = format!("{}{}", random_sys_id(), random_sys_id());
        let expires = now + options.token_life;
        let access = Access {
            client: client.id.clone(),
            user: user.name.clone(),
            expires,
        };
        self.access.insert(token.clone(), access);
        (token, expires)
    }

    /// The current refresh token of this client and user (line 60).
    fn refresh_token(&mut self, client: &OAuthClient, user: &User) -> String {
        let owner = (client.id.clone(), user.name.clone());
        if let Some((token, _)) = self.refresh.iter().find(|(_, known)| **known == owner) {
            return token.clone();
        }
        let token = format!("r{}{}", random_sys_id(), random_sys_id());
        self.refresh.insert(token.clone(), owner);
        token
    }

    /// A new access token and the same refresh token (line 60).
    fn refresh(&mut self, client: &OAuthClient, token: &str, options: &Options) -> Answer {
        let owner = self
            .refresh
            .get(token)
            .filter(|(owner, _)| *owner == client.id)
            .cloned();
        let Some(user) = owner.and_then(|(_, user)| find(options, &user)) else {
            return denied();
        };
        let now = Instant::now();
        let (access, expires) = self.mint(client, user, options, now);
        answer(&access, Some(token), expires, now, options)
    }

    /// The user of an assertion. The claims are checked, the signature is not: the simulator holds
    /// no keys.
    fn assertion<'o>(
        &mut self,
        client: &OAuthClient,
        assertion: &str,
        options: &'o Options,
        now: i64,
    ) -> Option<&'o User> {
        let mut parts = assertion.split('.');
        let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let read = |part: &str| -> Option<serde_json::Value> {
            serde_json::from_slice(&base64::decode(part)?).ok()
        };
        let (head, claims) = (read(head)?, read(claims)?);
        let algorithm = head.get("alg")?.as_str()?;
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        let time = |name: &str| claims.get(name).and_then(serde_json::Value::as_i64);
        let jti = text("jti")?.to_owned();
        let valid = client.jwt_bearer
            && ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"].contains(&algorithm)
            && !signature.is_empty()
            && text("iss").is_some()
            && text("aud") == Some(&client.id)
            && time("exp")? > now - JWT_LEEWAY
            && time("iat").is_none_or(|iat| iat < now + JWT_LEEWAY)
            && !self.used.contains(&jti);
        if !valid {
            return None;
        }
        self.used.push(jti);
        find(options, text("sub")?)
    }
}

/// The success shape of line 67, with a numeric `expires_in`.
fn answer(
    token: &str,
    refresh: Option<&str>,
    expires: Instant,
    now: Instant,
    options: &Options,
) -> Answer {
    let left = expires.saturating_duration_since(now).as_secs();
    let mut body = serde_json::json!({
        "access_token": token,
        "scope": "useraccount",
        "token_type": "Bearer",
        "expires_in": left.saturating_sub(options.expires_in_less),
    });
    if let (Some(refresh), Some(body)) = (refresh, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), refresh.into());
    }
    Answer::with_type(200, "application/json;charset=utf-8", body.to_string()).header(
        "Set-Cookie",
        format!(
            "JSESSIONID={}; Path=/; HttpOnly;Secure",
            super::session::new_id()
        ),
    )
}
