//! Raw requests, including those that the typed client cannot send.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use simo_common::api::problem::{MEDIA_TYPE, Problem};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::Simod;

/// Longer than any answer takes, so that a hang fails the test and shows where.
const PATIENCE: Duration = Duration::from_mins(2);

/// A TCP connection to simod, for bytes that no HTTP client would send.
///
/// # Panics
/// When it does not listen.
pub async fn connect(simod: &Simod) -> TcpStream {
    let address = simod.url().strip_prefix("http://").unwrap_or_default();
    TcpStream::connect(address).await.expect("simod listens")
}

/// Reads until the other end closes; an abrupt end counts as one too.
///
/// # Panics
/// When it stays open.
pub async fn until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut part).await {
            all.extend_from_slice(&part[..read]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("simod closes the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// A request being built.
pub struct Ask {
    request: reqwest::RequestBuilder,
}

/// An answer, read completely.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

/// A request for this URL.
pub fn ask(method: Method, url: &str) -> Ask {
    ask_with(&reqwest::Client::new(), method, url)
}

/// A request through this HTTP client, which takes milliseconds to make: for tests that send thousands.
pub fn ask_with(http: &reqwest::Client, method: Method, url: &str) -> Ask {
    Ask { request: http.request(method, url).timeout(PATIENCE) }
}

/// A POST of JSON.
pub fn post(url: &str, token: &str, body: impl Into<reqwest::Body>) -> Ask {
    ask(Method::POST, url).token(token).json_text(body)
}

impl Ask {
    /// Adds a bearer token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        Self { request: self.request.bearer_auth(token) }
    }

    /// Adds a header, which need not be text.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self { request: self.request.header(name, value.as_ref()) }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { request: self.request.body(body) }
    }

    /// Sets a body that is JSON, or should be.
    #[must_use]
    pub fn json_text(self, body: impl Into<reqwest::Body>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// Sends it.
    ///
    /// # Errors
    /// No answer arrived.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let answer = self.request.send().await?;
        Ok(Answer { status: answer.status(), headers: answer.headers().clone(), text: answer.text().await? })
    }

    /// Sends it to a server that must answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("the server answers")
    }
}

impl Answer {
    /// The body, parsed as this type.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text))
    }

    /// The body as any JSON.
    pub fn value(&self) -> Value {
        self.json()
    }

    /// The body, which must be an error by its media type too.
    pub fn problem(&self) -> Problem {
        assert!(
            self.status.is_client_error() || self.status.is_server_error(),
            "{}: {}",
            self.status,
            self.text
        );
        let kind = self.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        assert_eq!(kind, Some(MEDIA_TYPE), "{}: {}", self.status, self.text);
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status.as_u16());
        problem
    }
}
