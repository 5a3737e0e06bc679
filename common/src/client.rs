//! The typed HTTP client: over TCP or the daemon's Unix socket, one method per endpoint. The OpenAPI document describes each
//! endpoint and its errors.

mod access;
mod audit;
mod connect;
mod list;
mod login;
mod messages;
mod people;
mod phone;
mod profile;
mod service;
mod site;
mod topics;

pub use audit::AuditQuery;
pub use connect::{Connection, Origin, Wish, parse_url};
pub use list::ListQuery;
pub use profile::{Profile, ProfileError, Profiles, write_private};

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use url::form_urlencoded::byte_serialize;

use crate::{
    api::{self, problem::Problem},
    lang::Lang,
};

/// The daemon's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// `http://host:port`, possibly with a path under which the API is nested.
    Url(url::Url),
    /// The daemon's Unix socket.
    Socket(PathBuf),
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server answered with an error.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// No answer: the server or the network is down.
    #[error("cannot reach the server: {0}")]
    Unreachable(String),
    /// The stream ended because another phone with the same identity opened one.
    #[error("another phone with the same identity has taken the place of this one")]
    Replaced,
    /// The given CA certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// The answer is not from SiMO.
    #[error("the server answered what SiMO does not say ({status}): {text}")]
    Foreign {
        /// The HTTP status.
        status: u16,
        /// The beginning of its body.
        text: String,
    },
}

impl Error {
    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Foreign { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::Replaced | Self::Certificates(_) => None,
        }
    }
}

/// A path segment: percent-encoded, so that any personnel number fits.
fn part(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Reads the CA certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let unusable = |cause: String| Error::Certificates(format!("{}: {cause}", path.display()));
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable("no certificate in it".to_owned())),
        Err(error) => Err(unusable(chain(&error))),
    }
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// A client of one server, calling as one caller.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    /// The client (legal entity) to act for, if the caller may see several.
    scope: Option<String>,
    lang: Lang,
}

impl Client {
    /// A client without a token; calls time out after 30 seconds (imports after 10 minutes), streams never do.
    ///
    /// # Errors
    /// When the TLS back end cannot be set up.
    pub fn new(server: &Server, lang: Lang) -> Result<Self> {
        Self::trusting(server, None, lang)
    }

    /// The same, also trusting the CA certificates in this PEM file.
    ///
    /// # Errors
    /// When the file holds no certificates, or the TLS back end cannot be set up.
    pub fn trusting(server: &Server, ca: Option<&Path>, lang: Lang) -> Result<Self> {
        let certificates = ca.map_or(Ok(Vec::new()), certificates)?;
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // A stream may be silent for long: only TCP keep-alive notices that the peer is gone.
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3)
            .tls_certs_merge(certificates)
            .user_agent(concat!("simo/", env!("CARGO_PKG_VERSION")));
        let (builder, base) = match server {
            Server::Url(url) => (builder, url.as_str().trim_end_matches('/').to_owned()),
            Server::Socket(path) => (builder.unix_socket(path.clone()), "http://localhost".to_owned()),
        };
        let http = builder.build().map_err(|e| Error::Unreachable(chain(&e)))?;
        Ok(Self { http, base: format!("{base}{}", api::PREFIX), token: None, scope: None, lang })
    }

    /// Calls with this bearer token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Acts for this client, by slug.
    #[must_use]
    pub fn for_client(mut self, slug: Option<String>) -> Self {
        self.scope = slug;
        self
    }

    fn request(&self, method: http::Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header(http::header::ACCEPT_LANGUAGE, self.lang.code());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(slug) = &self.scope {
            request = request.query(&[("client", slug)]);
        }
        request
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        self.send_within(Duration::from_secs(30), request).await
    }

    async fn send_within<T: DeserializeOwned>(
        &self,
        time: Duration,
        request: reqwest::RequestBuilder,
    ) -> Result<T> {
        let response = answered(request.timeout(time).send().await).await?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|e| Error::Unreachable(chain(&e)))?;
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|_| foreign(status, body))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        self.send(self.request(http::Method::GET, path).query(query)).await
    }

    async fn with_body<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        method: http::Method,
        path: &str,
        body: &B,
    ) -> Result<T> {
        self.send(self.request(method, path).json(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: http::Method, path: &str) -> Result<T> {
        self.send(self.request(method, path)).await
    }

    /// A call without a result.
    async fn nothing(&self, method: http::Method, path: &str) -> Result<()> {
        self.call::<IgnoredAny>(method, path).await.map(|_| ())
    }

    /// A stream of server-sent events; it ends with the connection, and the caller resumes with the last id.
    async fn events(
        &self,
        path: &str,
        query: &[(&str, String)],
        last_id: Option<&str>,
    ) -> Result<impl Stream<Item = Result<ServerEvent>> + Send + Unpin + use<>> {
        let mut request = self
            .request(http::Method::GET, path)
            .query(query)
            .header(http::header::ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = answered(request.send().await).await?;
        let chunks = response.bytes_stream().boxed();
        Ok(Box::pin(stream::unfold((chunks, Vec::new()), |(mut chunks, mut buffer)| async move {
            loop {
                if let Some(event) = ServerEvent::take_from(&mut buffer) {
                    return Some((Ok(event), (chunks, buffer)));
                }
                match chunks.next().await? {
                    Ok(chunk) => buffer.extend_from_slice(&chunk),
                    Err(error) => {
                        return Some((Err(Error::Unreachable(chain(&error))), (chunks, buffer)));
                    }
                }
            }
        })))
    }
}

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its id, for resuming.
    pub id: Option<String>,
    /// Its kind.
    pub event: String,
    /// Its data, as JSON.
    pub data: String,
}

impl ServerEvent {
    /// Takes the first complete event off the buffer, skipping comments (keep-alives).
    fn take_from(buffer: &mut Vec<u8>) -> Option<Self> {
        loop {
            let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            let mut event = Self::default();
            for line in String::from_utf8_lossy(&block).lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "id" => event.id = Some(value.to_owned()),
                    "event" => value.clone_into(&mut event.event),
                    "data" => {
                        if !event.data.is_empty() {
                            event.data.push('\n');
                        }
                        event.data.push_str(value);
                    }
                    _ => {}
                }
            }
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }

    /// Its data, deserialized.
    fn parsed<T: DeserializeOwned>(&self) -> Result<T> {
        let data = self.data.as_bytes();
        serde_json::from_slice(data).map_err(|_| foreign(200, data))
    }
}

async fn answered(sent: std::result::Result<reqwest::Response, reqwest::Error>) -> Result<reqwest::Response> {
    let response = sent.map_err(|e| Error::Unreachable(chain(&e)))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let id = response.headers().get("x-request-id");
    let request_id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let body = response.bytes().await.map_err(|e| Error::Unreachable(chain(&e)))?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(Error::Problem(Box::new(Problem { request_id, ..problem }))),
        Err(_) => Err(foreign(status, &body)),
    }
}

fn foreign(status: u16, body: &[u8]) -> Error {
    Error::Foreign { status, text: String::from_utf8_lossy(body).chars().take(200).collect() }
}

/// The causes of an error: reqwest's own text is only "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let Some(first) = error.source() else {
        return error.to_string();
    };
    let mut text = first.to_string();
    let mut cause = first.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_where_they_end() {
        let mut buffer = b": hello\n\nid: 7\nevent: message\ndata: {\"a\":1}\n\nid: 8\ndata: x".to_vec();
        let event = ServerEvent::take_from(&mut buffer).unwrap();
        assert_eq!(
            event,
            ServerEvent { id: Some("7".into()), event: "message".into(), data: "{\"a\":1}".into() }
        );
        assert_eq!(ServerEvent::take_from(&mut buffer), None);
        assert_eq!(buffer, b"id: 8\ndata: x");
    }
}
