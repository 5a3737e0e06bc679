//! The OAuth token for sending: fetched with a JWT signed by the service account's key (RFC 7523), kept until shortly
//! before it expires, and fetched once however many pushes wait for it.

use std::{
    sync::{Mutex as StdMutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Client;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::ServiceAccount;
use crate::{
    channel::over_http::{describe, shorten},
    clock::Clock,
};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion is valid; Google accepts an hour at most.
const ASSERTION_SECONDS: i64 = 3_600;

/// How long before its end a token is replaced; a tenth of its life where that is shorter.
const EARLY: Duration = Duration::from_mins(5);

/// The time limit of a request to the token endpoint.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Hands out the token.
pub(super) struct TokenSource {
    client: Client,
    url: Url,
    audience: String,
    issuer: String,
    header: Header,
    key: EncodingKey,
    clock: Clock,
    current: StdMutex<Option<Token>>,
    /// Held by the caller that fetches; the others wait here for its result.
    fetching: Mutex<Option<Failed>>,
}

/// A token for sending.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// The header's value: `Bearer …`.
    pub(super) authorization: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

/// The last fetch failed; callers that waited for it get this error instead of retrying one by one.
#[derive(Debug)]
struct Failed {
    at: Instant,
    error: NoToken,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoToken {
    /// The endpoint does not answer, or cannot right now.
    Unreachable(String),
    /// The endpoint refuses us.
    Refused(String),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource")
            .field("url", &self.url.as_str())
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl TokenSource {
    /// A source that fetches nothing until the first push.
    pub(super) fn new(
        account: ServiceAccount,
        url: Url,
        client: Client,
        clock: Clock,
    ) -> Result<Self, String> {
        let key = EncodingKey::from_rsa_pem(account.private_key.expose_secret().as_bytes())
            .map_err(|e| format!("`private_key` is not an RSA key: {e}"))?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = account.private_key_id;
        Ok(Self {
            client,
            url,
            audience: account.token_uri,
            issuer: account.client_email,
            header,
            key,
            clock,
            current: StdMutex::new(None),
            fetching: Mutex::new(None),
        })
    }

    /// The token. While an old one is still good, only one caller fetches its successor; without any, all wait for it.
    pub(super) async fn get(&self) -> Result<Token, NoToken> {
        let asked = Instant::now();
        let mut failed = match self.current() {
            Some(token) if asked < token.renew_at => return Ok(token),
            Some(token) if asked < token.expires_at => match self.fetching.try_lock() {
                Ok(failed) => failed,
                Err(_) => return Ok(token),
            },
            _ => self.fetching.lock().await,
        };
        if let Some(token) = self.current().filter(|token| asked < token.renew_at) {
            return Ok(token);
        }
        if let Some(failed) = failed.as_ref().filter(|failed| failed.at >= asked) {
            return Err(failed.error.clone());
        }
        match self.fetch().await {
            Ok(token) => {
                *failed = None;
                self.set(Some(token.clone()));
                Ok(token)
            }
            Err(error) => {
                *failed = Some(Failed { at: Instant::now(), error: error.clone() });
                // A failed early renewal does no harm yet.
                self.current().filter(|token| Instant::now() < token.expires_at).ok_or(error)
            }
        }
    }

    /// The provider refused this token: the next caller gets a new one.
    pub(super) fn forget(&self, token: &Token) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|kept| kept.authorization == token.authorization) {
            *current = None;
        }
    }

    fn current(&self) -> Option<Token> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, token: Option<Token>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    async fn fetch(&self) -> Result<Token, NoToken> {
        let issued_at = self.clock.now() / 1_000_000;
        let claims = Claims {
            iss: &self.issuer,
            scope: SCOPE,
            aud: &self.audience,
            iat: issued_at,
            exp: issued_at + ASSERTION_SECONDS,
        };
        let assertion = jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|e| NoToken::Refused(format!("cannot sign with the service account's key: {e}")))?;
        let unreachable = |error: &reqwest::Error| {
            NoToken::Unreachable(format!("no token from {}: {}", self.url, describe(error)))
        };
        let asked = Instant::now();
        let response = self
            .client
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .form(&[("grant_type", GRANT), ("assertion", &assertion)])
            .send()
            .await
            .map_err(|e| unreachable(&e))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| unreachable(&e))?;
        self.read(status, &body, asked)
    }

    fn read(&self, status: StatusCode, body: &[u8], asked: Instant) -> Result<Token, NoToken> {
        if status == StatusCode::OK
            && let Ok(granted) = serde_json::from_slice::<Granted>(body)
            && let Ok(mut authorization) = HeaderValue::try_from(format!("Bearer {}", granted.access_token))
        {
            authorization.set_sensitive(true);
            let life = Duration::from_secs(granted.expires_in);
            let expires_at = asked + life;
            return Ok(Token { authorization, renew_at: expires_at - EARLY.min(life / 10), expires_at });
        }
        let detail = match serde_json::from_slice::<Refused>(body) {
            Ok(refused) => format!("{}: {}", refused.error, refused.error_description),
            Err(_) => "not a token endpoint's answer".to_owned(),
        };
        let answer = shorten(&format!("no token from {}: {status}: {detail}", self.url));
        // RFC 6749 §5.2: errors in the request are answered 400 or 401.
        if status.is_client_error()
            && status != StatusCode::TOO_MANY_REQUESTS
            && status != StatusCode::REQUEST_TIMEOUT
        {
            Err(NoToken::Refused(answer))
        } else {
            Err(NoToken::Unreachable(answer))
        }
    }
}
