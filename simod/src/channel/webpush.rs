//! Web Push: to every browser through its maker's push service, and to a plant's own (RFC 8030), encrypted for the phone
//! alone (RFC 8291), signed by this installation (RFC 8292).
//!
//! The first push detects a service's HTTP version. With HTTP/2, several connections share the load, as those to FCM do;
//! otherwise there are few connections, and each carries one push at a time.

mod address;
mod answer;
mod encrypt;
mod endpoint;
mod origins;
mod payload;
mod resolve;
mod subject;
#[cfg(test)]
mod tests;
mod vapid;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use simo_common::{
    delivery::Reason,
    message::{Priority, limits},
    time,
};
use tokio::time::Instant;
use url::Url;

pub(crate) use self::address::read;
use self::{
    address::Subscription,
    answer::Whose,
    encrypt::TEXT_BYTES,
    origins::{Origins, PushService, Speaks},
    resolve::{NotPublic, Public},
};
pub use self::{endpoint::Listed, subject::check as check_subject, vapid::VapidKey};
use super::{
    Accepted, Address, Channel, ChannelKind, Failure, FailureScope, Outgoing, SetupError,
    over_http::{self, Came, Connections, TIMED_OUT, describe},
};
use crate::{clock::Clock, config};

/// The longest body of an answer that is read.
const ANSWER_BYTES: usize = 16 * 1024;

/// Bytes of text for Mozilla's phones: its bridge to Android holds bodies of 2,744.
const ON_MOZILLAS_PHONES: usize = 2_600;

/// The channel `webpush`.
#[derive(Debug)]
pub struct WebPush {
    key: Arc<VapidKey>,
    subject: String,
    /// The base URL of the app.
    base: String,
    listed: Arc<Listed>,
    origins: Origins,
    /// Connections to services that speak HTTP/2.
    connections: Connections,
    /// For other services, and for those whose version is not known yet.
    either: Client,
    time_out: Duration,
    clock: Clock,
}

impl WebPush {
    /// The channel as configured, for an app at `base`.
    ///
    /// # Errors
    /// When a file cannot be read or a value cannot be used.
    pub fn new(
        config: &config::WebPush,
        base: String,
        subject: String,
        key: Arc<VapidKey>,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let listed = Listed::new(&config.allowed_hosts).map_err(|entry| {
            SetupError::value("webpush.allowed_hosts", format!("`{entry}` is not a host"))
        })?;
        let listed = Arc::new(listed);
        let certificates = over_http::certificates("webpush.ca", config.ca.as_deref())?;
        let timeout = Duration::from_secs_f64(config.timeout_seconds);
        let built = |builder: ClientBuilder| {
            builder.build().map_err(|error| SetupError::value("webpush", describe(&error)))
        };
        let client = || -> Result<ClientBuilder, SetupError> {
            let builder = over_http::client(timeout, &certificates);
            Ok(match &config.proxy {
                // The proxy resolves names, so we cannot see where they lead.
                Some(url) => builder.proxy(over_http::proxy("webpush.proxy", url)?),
                None => builder.no_proxy().dns_resolver(Public(listed.clone())),
            })
        };
        let clients = (0..config.connections)
            .map(|_| built(over_http::only_h2(client()?)))
            .collect::<Result<_, SetupError>>()?;
        Ok(Self {
            key,
            subject,
            base,
            origins: Origins::default(),
            connections: Connections::new(clients, config.streams_per_connection),
            either: built(client()?)?,
            listed,
            time_out: timeout * 2,
            clock,
        })
    }

    async fn push(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        let Some(to) = address::parts(&push.address, &self.listed) else {
            let answer = "nothing may be sent to the endpoint's host: `webpush.allowed_hosts`".to_owned();
            return Err(Failure::Misconfigured { scope: FailureScope::Device, answer });
        };
        let whose = endpoint::known(to.endpoint.host_str().unwrap_or_default());
        let whose = whose.map_or(Whose::Listed, Whose::Known);
        let origin = self.origins.of(&to.endpoint);
        let Some(post) = self.prepared(push, &to, whose, &origin) else {
            let answer = "cannot be encrypted for this phone".to_owned();
            return Err(Failure::Permanent { reason: Reason::Rejected, answer });
        };
        answer::read(whose, &self.post(&post, &origin).await?)
    }

    /// The request; `None` when the text cannot be encrypted or the token cannot be signed.
    fn prepared(
        &self,
        push: &Outgoing,
        to: &Subscription,
        whose: Whose,
        origin: &PushService,
    ) -> Option<Post> {
        let is_on_mozillas_phone =
            whose == Whose::Known("mozilla") && !push.platform.to_lowercase().contains("desktop");
        let most = if is_on_mozillas_phone { ON_MOZILLAS_PHONES } else { TEXT_BYTES };
        let text = payload::text(push, &self.base, most);
        Some(Post {
            endpoint: to.endpoint.clone(),
            authorization: origin.authorization(&self.key, &self.subject, self.clock.now())?,
            ttl: ((push.expires_at - push.now) / time::SECOND).clamp(0, limits::TTL_SECONDS),
            urgency: urgency(push.priority),
            body: encrypt::encrypt(to, &text, most).ok()?.into(),
        })
    }

    /// Posts on a free connection, and reads the answer to its end.
    async fn post(&self, post: &Post, origin: &PushService) -> Result<Came, Failure> {
        match origin.speaks() {
            Some(Speaks::Http2) => {
                let Some((client, _permit)) = self.connections.stream().await else {
                    // The semaphores are never closed.
                    return Err(answer::broken("no connection"));
                };
                self.read(heard(post.with(client).send().await, origin)?).await
            }
            Some(Speaks::Http1) => {
                let _permit = origin.connections.acquire().await;
                self.read(heard(post.with(&self.either).send().await, origin)?).await
            }
            None => self.ask(post, origin).await,
        }
    }

    async fn read(&self, response: Response) -> Result<Came, Failure> {
        let read = over_http::read(response, ANSWER_BYTES, self.clock.now()).await;
        read.map_err(|error| answer::broken(&describe(&error.without_url())))
    }

    /// Posts, and detects the service's HTTP version. Other pushes wait meanwhile: each would open a connection of its own.
    async fn ask(&self, post: &Post, origin: &PushService) -> Result<Came, Failure> {
        let came = Instant::now();
        let mut last = origin.asking.lock().await;
        if origin.speaks().is_some() {
            drop(last);
            return Box::pin(self.post(post, origin)).await;
        }
        if let Some((_, failure)) = last.as_ref().filter(|(at, _)| *at >= came) {
            return Err(failure.clone());
        }
        let heard = heard(post.with(&self.either).send().await, origin);
        *last = heard.as_ref().err().map(|failure| (Instant::now(), failure.clone()));
        self.read(heard?).await
    }
}

/// Remembers the HTTP version of an answer, or classifies why there is none.
fn heard(sent: reqwest::Result<Response>, origin: &PushService) -> Result<Response, Failure> {
    match sent {
        Ok(response) => {
            origin.answered(response.version());
            Ok(response)
        }
        Err(error) => {
            if !error.is_timeout() {
                origin.forget();
            }
            // The URL is the phone's secret.
            let error = error.without_url();
            if let Some(inside) = over_http::causes(&error).find(|cause| cause.is::<NotPublic>()) {
                return Err(Failure::Misconfigured {
                    scope: FailureScope::Device,
                    answer: inside.to_string(),
                });
            }
            Err(answer::broken(&describe(&error)))
        }
    }
}

/// A request.
struct Post {
    endpoint: Url,
    authorization: HeaderValue,
    ttl: i64,
    urgency: &'static str,
    body: Bytes,
}

impl Post {
    fn with(&self, client: &Client) -> RequestBuilder {
        const TTL: HeaderName = HeaderName::from_static("ttl");
        const URGENCY: HeaderName = HeaderName::from_static("urgency");
        client
            .post(self.endpoint.clone())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .header(header::CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"))
            .header(TTL, HeaderValue::from(self.ttl))
            .header(URGENCY, HeaderValue::from_static(self.urgency))
            .body(self.body.clone())
    }
}

/// Everything but low priority is shown at once, as with FCM.
fn urgency(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal | Priority::High | Priority::Critical => "high",
    }
}

impl Channel for WebPush {
    const KIND: ChannelKind = ChannelKind::WebPush;
    const PROVIDER_OF: Option<fn(&Address) -> &str> = Some(endpoint::provider);

    fn permits(&self) -> usize {
        self.connections.permits()
    }

    fn time_out(&self) -> Duration {
        self.time_out
    }

    async fn send(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        // Each request has its own time-out, and some wait for others first.
        let sent = tokio::time::timeout(self.time_out, self.push(push)).await;
        sent.unwrap_or_else(|_| Err(answer::broken(TIMED_OUT)))
    }
}
