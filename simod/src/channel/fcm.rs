//! Firebase Cloud Messaging, HTTP v1, and providers that speak the same (`RuStore`).
//!
//! Facts: firebase.google.com/docs/reference/fcm/rest/v1 and
//! firebase.google.com/docs/cloud-messaging/error-codes.

mod account;
mod address;
mod answer;
mod payload;
mod token;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use reqwest::{Client, Response};
use url::Url;

pub use self::account::ServiceAccount;
pub(crate) use self::address::address;
use self::{
    answer::Answer,
    token::{NoToken, TokenSource},
};
use super::{
    Accepted, Channel, ChannelKind, Failure, FailureScope, Outgoing, SetupError,
    over_http::{self, Connections, TIMED_OUT, describe},
};
use crate::{clock::Clock, config};

/// The longest body of an answer that is read; a provider's are far shorter.
const ANSWER_BYTES: usize = 64 * 1024;

/// The channel `fcm`.
#[derive(Debug)]
pub struct Fcm {
    connections: Connections,
    send_url: Url,
    tokens: TokenSource,
    /// The time limit of a push, including the wait for a token.
    time_out: Duration,
    clock: Clock,
}

impl Fcm {
    /// The channel as configured; `None` when there is no service account.
    ///
    /// # Errors
    /// When a file cannot be read or a value cannot be used. The provider is not asked yet.
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
        let certificates = over_http::certificates("fcm.ca", config.ca.as_deref())?;
        let timeout = Duration::from_secs_f64(config.timeout_seconds);
        let client = |speaks_h2: bool| -> Result<Client, SetupError> {
            let mut builder = over_http::client(timeout, &certificates);
            if speaks_h2 {
                builder = over_http::only_h2(builder);
            }
            if let Some(url) = &config.proxy {
                builder = builder.proxy(over_http::proxy("fcm.proxy", url)?);
            }
            builder.build().map_err(|e| SetupError::value("fcm", describe(&e)))
        };
        let clients = (0..config.connections).map(|_| client(true)).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            connections: Connections::new(clients, config.streams_per_connection),
            send_url,
            time_out: timeout * 2,
            tokens: TokenSource::new(account, token_url, client(false)?, clock.clone())
                .map_err(|detail| SetupError::value("fcm.service_account", detail))?,
            clock,
        }))
    }

    /// Sends, and again with a new token if the old one is refused.
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
            Answer::Unauthenticated(answer) => {
                Err(Failure::Misconfigured { scope: FailureScope::Provider, answer })
            }
            Answer::Known(result) => result,
        }
    }

    async fn post(&self, body: Bytes, authorization: HeaderValue) -> Answer {
        let Some((client, _permit)) = self.connections.stream().await else {
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

    async fn read(&self, response: Response) -> Answer {
        match over_http::read(response, ANSWER_BYTES, self.clock.now()).await {
            Ok(came) => Answer::read(came.status, came.retry_after, &came.body),
            Err(error) => Answer::broken(describe(&error)),
        }
    }
}

impl Channel for Fcm {
    const KIND: ChannelKind = ChannelKind::Fcm;

    fn time_out(&self) -> Duration {
        self.time_out
    }

    fn permits(&self) -> usize {
        self.connections.permits()
    }

    async fn send(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        // Each of the up to four requests has its own time-out; together they must not outlast the claim.
        let sent = tokio::time::timeout(self.time_out, self.try_twice(push)).await;
        sent.unwrap_or_else(|_| Err(Failure::Retry { answer: TIMED_OUT.to_owned(), after: None }))
    }
}

/// Without a token no push can be sent: the channel waits, and the push has not been tried.
fn without_token(error: NoToken) -> Failure {
    match error {
        NoToken::Unreachable(answer) => Failure::Unreachable { answer },
        NoToken::Refused(answer) => Failure::Misconfigured { scope: FailureScope::Provider, answer },
    }
}
