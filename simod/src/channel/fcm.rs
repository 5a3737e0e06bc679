//! Firebase Cloud Messaging, HTTP v1, and providers that speak the same (`RuStore`).
//!
//! reqwest keeps one HTTP/2 connection per client and origin, so several clients share the load, each below the
//! provider's limit of streams. Facts: firebase.google.com/docs/reference/fcm/rest/v1 and
//! firebase.google.com/docs/cloud-messaging/error-codes.

mod account;
mod address;
mod answer;
mod payload;
mod token;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use reqwest::{Certificate, Client, Proxy, Response, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

pub use self::account::ServiceAccount;
pub(crate) use self::address::{address, wrong_kind};
use self::{
    answer::Answer,
    token::{NoToken, TokenSource},
};
use super::{Accepted, Channel, ChannelKind, Failure, Outgoing, Scope};
use crate::{clock::Clock, config};

/// The longest body of an answer that is read; a provider's are far shorter.
const ANSWER_BYTES: usize = 64 * 1024;

const TIMED_OUT: &str = "timed out";

/// The channel `fcm`.
#[derive(Debug)]
pub struct Fcm {
    connections: Vec<Connection>,
    streams: usize,
    /// Which connection is asked first next time.
    turn: AtomicUsize,
    send_url: Url,
    tokens: TokenSource,
    /// How long a push may take, the waiting for tokens included.
    time_out: Duration,
    clock: Clock,
}

/// One HTTP/2 connection, and how many streams of it are free.
#[derive(Debug)]
struct Connection {
    client: Client,
    free: Semaphore,
}

/// Why the channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("`{key}`: {path}: {source}")]
    File {
        /// The configuration's key.
        key: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A value cannot be used.
    #[error("`{key}`: {detail}")]
    Value {
        /// The configuration's key.
        key: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl SetupError {
    fn value(key: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Value { key, detail: detail.to_string() }
    }

    fn read(key: &'static str, path: &std::path::Path) -> Result<Vec<u8>, Self> {
        std::fs::read(path).map_err(|source| Self::File { key, path: path.display().to_string(), source })
    }
}

impl Fcm {
    /// The channel as configured; `None` when there is no service account.
    ///
    /// # Errors
    /// When a file cannot be read or a value cannot be used. Nothing is asked of the provider yet.
    pub fn new(config: &config::Fcm, clock: Clock) -> Result<Option<Self>, SetupError> {
        let Some(path) = &config.service_account else {
            return Ok(None);
        };
        let account = ServiceAccount::parse(&SetupError::read("fcm.service_account", path)?)
            .map_err(|detail| SetupError::value("fcm.service_account", detail))?;
        let send_url = format!(
            "{}/v1/projects/{}/messages:send",
            config.base_url.trim_end_matches('/'),
            account.project_id
        );
        let send_url = send_url.parse().map_err(|e| SetupError::value("fcm.base_url", e))?;
        let token_url = match &config.token_url {
            Some(url) => url.parse().map_err(|e| SetupError::value("fcm.token_url", e))?,
            None => account
                .token_uri
                .parse()
                .map_err(|e| SetupError::value("fcm.service_account", format!("`token_uri`: {e}")))?,
        };
        let certificates = match &config.ca {
            None => Vec::new(),
            Some(path) => Certificate::from_pem_bundle(&SetupError::read("fcm.ca", path)?)
                .map_err(|e| SetupError::value("fcm.ca", e))?,
        };
        let timeout = Duration::from_secs_f64(config.timeout_seconds);
        let client = |speaks_h2: bool| -> Result<Client, SetupError> {
            let mut builder = Client::builder()
                .timeout(timeout)
                .connect_timeout(timeout.min(Duration::from_secs(5)))
                .redirect(redirect::Policy::none())
                .tls_certs_merge(certificates.clone())
                .tcp_keepalive(Duration::from_secs(30))
                .pool_idle_timeout(Duration::from_mins(1));
            if speaks_h2 {
                // Without this, a cold start would open one connection per push and keep one of them. The pings find
                // out about a connection that a firewall has forgotten before many pushes have timed out on it.
                builder = builder
                    .http2_prior_knowledge()
                    .http2_keep_alive_interval(Duration::from_secs(5))
                    .http2_keep_alive_timeout(Duration::from_secs(5));
            }
            if let Some(proxy) = &config.proxy {
                builder = builder.proxy(Proxy::all(proxy).map_err(|e| SetupError::value("fcm.proxy", e))?);
            }
            builder.build().map_err(|e| SetupError::value("fcm", describe(&e)))
        };
        let connections = (0..config.connections)
            .map(|_| {
                Ok(Connection { client: client(true)?, free: Semaphore::new(config.streams_per_connection) })
            })
            .collect::<Result<_, SetupError>>()?;
        Ok(Some(Self {
            connections,
            streams: config.streams_per_connection,
            turn: AtomicUsize::new(0),
            send_url,
            time_out: timeout * 2,
            tokens: TokenSource::new(account, token_url, client(false)?, clock.clone())
                .map_err(|detail| SetupError::value("fcm.service_account", detail))?,
            clock,
        }))
    }

    /// A free stream on some connection. Dispatch never sends more than there are, so this waits only while others are
    /// about to leave.
    async fn stream(&self) -> Option<(&Client, SemaphorePermit<'_>)> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let (before, after) = self.connections.split_at(first);
        for connection in after.iter().chain(before) {
            if let Ok(permit) = connection.free.try_acquire() {
                return Some((&connection.client, permit));
            }
        }
        let connection = &self.connections[first];
        let permit = connection.free.acquire().await.ok()?;
        Some((&connection.client, permit))
    }

    /// Sends, and once more with a new token where the old one is not taken.
    async fn try_twice(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        let body = Bytes::from(payload::request(push));
        let token = self.tokens.get().await.map_err(without_token)?;
        match self.post(body.clone(), token.authorization.clone()).await {
            Answer::Unauthenticated(_) => {}
            Answer::Known(result) => return result,
        }
        self.tokens.forget(&token);
        let token = self.tokens.get().await.map_err(without_token)?;
        match self.post(body, token.authorization).await {
            Answer::Unauthenticated(answer) => Err(Failure::Misconfigured { scope: Scope::Provider, answer }),
            Answer::Known(result) => result,
        }
    }

    async fn post(&self, body: Bytes, authorization: HeaderValue) -> Answer {
        let Some((client, _permit)) = self.stream().await else {
            // The semaphores are never closed.
            return Answer::broken("no connection");
        };
        let sent = client
            .post(self.send_url.clone())
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => self.read(response).await,
            Err(error) => Answer::broken(describe(&error)),
        }
    }

    async fn read(&self, mut response: Response) -> Answer {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| answer::retry_after(value, self.clock.now()));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() < ANSWER_BYTES => body.extend_from_slice(&chunk),
                Ok(_) => break,
                Err(error) => return Answer::broken(describe(&error)),
            }
        }
        Answer::read(status, retry_after, &body)
    }
}

impl Channel for Fcm {
    const KIND: ChannelKind = ChannelKind::Fcm;

    fn time_out(&self) -> Duration {
        self.time_out
    }

    fn permits(&self) -> usize {
        self.connections.len() * self.streams
    }

    async fn send(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        // Each request has its own time, and there may be four: longer than its claim holds it must not take.
        let sent = tokio::time::timeout(self.time_out, self.try_twice(push)).await;
        sent.unwrap_or_else(|_| Err(Failure::Retry { answer: TIMED_OUT.to_owned(), after: None }))
    }
}

/// Without a token nobody gets anything: the channel waits, and no push has been tried.
fn without_token(error: NoToken) -> Failure {
    match error {
        NoToken::Unreachable(answer) => Failure::Unreachable { answer },
        NoToken::Refused(answer) => Failure::Misconfigured { scope: Scope::Provider, answer },
    }
}

/// An error with what caused it: reqwest's own text stops at "error sending request".
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { TIMED_OUT.to_owned() } else { error.to_string() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
