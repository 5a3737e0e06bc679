//! Common parts of channels that push over HTTP: connections shared below the limit of streams, answers that may be
//! anything, and errors in words.

use std::{
    fmt::Display,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::{HeaderValue, StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, Response, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Characters of an answer that are stored.
const KEPT: usize = 300;

/// The longest pause that a provider can ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// The answer when none came in time.
pub(super) const TIMED_OUT: &str = "timed out";

/// Why a channel cannot be set up.
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
        /// What is wrong with it.
        detail: String,
    },
}

impl SetupError {
    pub(super) fn value(key: &'static str, detail: impl Display) -> Self {
        Self::Value { key, detail: detail.to_string() }
    }

    pub(super) fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Self> {
        std::fs::read(path).map_err(|source| Self::File { key, path: path.display().to_string(), source })
    }
}

/// HTTP/2 connections to a provider. reqwest keeps one per client and origin, so several clients share the load.
#[derive(Debug)]
pub(super) struct Connections {
    all: Vec<Connection>,
    streams: usize,
    /// The connection to try first next time.
    turn: AtomicUsize,
}

/// A connection with its free streams.
#[derive(Debug)]
struct Connection {
    client: Client,
    free: Semaphore,
}

impl Connections {
    /// One connection per client, with so many streams each.
    pub(super) fn new(clients: Vec<Client>, streams: usize) -> Self {
        let connection = |client| Connection { client, free: Semaphore::new(streams) };
        Self { all: clients.into_iter().map(connection).collect(), streams, turn: AtomicUsize::new(0) }
    }

    /// How many pushes may be in progress at once.
    pub(super) fn permits(&self) -> usize {
        self.all.len() * self.streams
    }

    /// A free stream on some connection. Dispatch never sends more pushes than there are streams, so this waits only while
    /// others are about to be freed.
    pub(super) async fn stream(&self) -> Option<(&Client, SemaphorePermit<'_>)> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len();
        let (before, after) = self.all.split_at(first);
        for connection in after.iter().chain(before) {
            if let Ok(permit) = connection.free.try_acquire() {
                return Some((&connection.client, permit));
            }
        }
        let connection = &self.all[first];
        let permit = connection.free.acquire().await.ok()?;
        Some((&connection.client, permit))
    }
}

/// Options common to every channel's client: it follows no redirects, and detects dead connections.
pub(super) fn client(time_out: Duration, certificates: &[Certificate]) -> ClientBuilder {
    Client::builder()
        .timeout(time_out)
        .connect_timeout(time_out.min(Duration::from_secs(5)))
        .redirect(redirect::Policy::none())
        .tls_certs_merge(certificates.to_vec())
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_mins(1))
}

/// Speaks HTTP/2 only. Otherwise a cold start would open one connection per push and keep one of them. The pings detect a
/// connection that a firewall has dropped before many pushes time out on it.
pub(super) fn only_h2(builder: ClientBuilder) -> ClientBuilder {
    builder
        .http2_prior_knowledge()
        .http2_keep_alive_interval(Duration::from_secs(5))
        .http2_keep_alive_timeout(Duration::from_secs(5))
}

/// The certificates in a file, trusted besides the system's.
pub(super) fn certificates(key: &'static str, path: Option<&Path>) -> Result<Vec<Certificate>, SetupError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    Certificate::from_pem_bundle(&SetupError::read(key, path)?).map_err(|e| SetupError::value(key, e))
}

/// A proxy on the way out.
pub(super) fn proxy(key: &'static str, url: &str) -> Result<Proxy, SetupError> {
    Proxy::all(url).map_err(|e| SetupError::value(key, e))
}

/// An answer.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) status: StatusCode,
    /// The pause that the provider asked for.
    pub(super) retry_after: Option<Duration>,
    /// The part of the body that was read.
    pub(super) body: Vec<u8>,
}

/// Reads an answer, but not more of its body than about `most` bytes.
///
/// # Errors
/// When the connection broke off.
pub(super) async fn read(mut response: Response, most: usize, now: i64) -> reqwest::Result<Came> {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
    let mut body = Vec::new();
    while body.len() < most
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
    }
    Ok(Came { status, retry_after, body })
}

/// `Retry-After`: seconds or a date (RFC 9110 §10.2.3), as a duration from `now` (microseconds since 1970).
fn retry_after(value: &HeaderValue, now: i64) -> Option<Duration> {
    static DATES: DateTimeParser = DateTimeParser::new();
    let text = value.to_str().ok()?.trim();
    let after = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let at = DATES.parse_timestamp(text).ok()?.as_microsecond();
        Duration::from_micros((at - now).max(0) as u64)
    };
    Some(after.min(LONGEST_PAUSE))
}

/// Makes a provider's text fit for history: bounded, and without NUL, which PostgreSQL does not store.
pub(super) fn shorten(text: &str) -> String {
    let mut kept: String = text.chars().take(KEPT).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept.replace('\0', "\u{fffd}")
}

/// An error with its causes: reqwest's own text stops at "error sending request".
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { TIMED_OUT.to_owned() } else { error.to_string() };
    for cause in causes(error) {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
    }
    text
}

/// An error's causes, outermost first.
pub(super) fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:07Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999"), Some(LONGEST_PAUSE));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn what_is_kept_has_an_end() {
        assert_eq!(shorten(&"ж".repeat(5_000)).chars().count(), KEPT + 1);
        assert_eq!(shorten("a\0b"), "a\u{fffd}b");
    }
}
