//! The stand-in's server: TLS, HTTP/2 or HTTP/1.1, and the handling of a push.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::ServerConfig;
use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Journal, Personality, Push, Script, Trouble,
    check::{self, Violation, text},
    subscriptions::{Owner, Subscriptions},
    vapid::Tokens,
};
use crate::clock;

/// State shared by all requests.
pub(super) struct State {
    pub(super) base: String,
    pub(super) personality: Personality,
    pub(super) script: Script,
    pub(super) journal: Journal,
    pub(super) subscriptions: Subscriptions,
    /// Frames received from Firefox.
    pub(super) frames: Mutex<Vec<Value>>,
    /// Every how many-th body is decrypted: 1 for all, 100 for every hundredth.
    pub(super) decrypted: AtomicUsize,
    tokens: Tokens,
}

/// An error that resets the stream instead of answering.
#[derive(Debug)]
struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the stand-in resets this stream")
    }
}

impl std::error::Error for Reset {}

/// Serves until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    state: Arc<State>,
    stop: CancellationToken,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a bound socket can be listened on");
    let acceptor = TlsAcceptor::from(tls);
    for connection in 0.. {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        let Ok((socket, _)) = accepted else { continue };
        let (acceptor, state, stop) = (acceptor.clone(), Arc::clone(&state), stop.clone());
        let converse = async move {
            let _ = socket.set_nodelay(true);
            // The caller may go away, or not trust the certificate.
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let service = service_fn(move |request| route(Arc::clone(&state), connection, request));
            let builder = auto::Builder::new(TokioExecutor::new());
            let _gone = builder.serve_connection(TokioIo::new(stream), service).await;
        };
        tokio::spawn(async move { stop.run_until_cancelled(converse).await });
    }
}

async fn route(
    state: Arc<State>,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Reset> {
    let at_us = clock::now_us();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let Some(id) = parts.uri.path().strip_prefix("/p/").filter(|_| parts.method == Method::POST) else {
        return Ok(respond(Answer::new(404, "")));
    };
    let push = Push {
        at_us,
        connection,
        http_2: parts.version == Version::HTTP_2,
        id: id.to_owned(),
        ttl: text(&parts.headers, "ttl").and_then(|ttl| ttl.parse().ok()),
        urgency: text(&parts.headers, "urgency").map(str::to_owned),
        topic: text(&parts.headers, "topic").map(str::to_owned),
        key: None,
        violation: None,
        status: 0,
        accepted: false,
        body,
        text: None,
    };
    let answer = state.take(push, &parts.headers);
    let delay = answer.delay.saturating_add(state.script.current_delay());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if answer.status == 0 { Err(Reset) } else { Ok(respond(answer)) }
}

impl State {
    pub(super) fn new(base: String, personality: Personality) -> Self {
        Self {
            base,
            personality,
            script: Script::default(),
            journal: Journal::default(),
            subscriptions: Subscriptions::default(),
            frames: Mutex::default(),
            decrypted: AtomicUsize::new(1),
            tokens: Tokens::default(),
        }
    }

    pub(super) fn endpoint(&self, id: &str) -> String {
        format!("{}/p/{id}", self.base)
    }

    /// Handles a push: checks its form, then its subscription, then asks the script.
    pub(super) fn take(&self, mut push: Push, headers: &HeaderMap) -> Answer {
        let now = push.at_us / 1_000_000;
        let trouble = match self.examine(&mut push, headers, now) {
            Ok(()) => None,
            Err(violation) => {
                // An ended subscription is not the sender's fault.
                if !matches!(violation.trouble, Trouble::Gone | Trouble::Unknown) {
                    push.violation = Some(violation.what);
                }
                Some(violation.trouble)
            }
        };
        let number = self.journal.len();
        let answer = trouble
            .and_then(|trouble| self.personality.answer(trouble))
            .or_else(|| self.script.decide(&push.id))
            .unwrap_or_else(|| self.personality.accepted(number, &self.base, push.ttl.unwrap_or_default()));
        push.status = answer.status;
        push.accepted = answer.accepts();
        if push.accepted {
            self.deliver(&mut push, number, now);
        }
        self.journal.enter(push);
        answer
    }

    fn examine(&self, push: &mut Push, headers: &HeaderMap, now: i64) -> Result<(), Violation> {
        let token = text(headers, header::AUTHORIZATION.as_str())
            .ok_or_else(|| Violation::new(Trouble::Vapid, "no Authorization"))?;
        let key = self.tokens.key(token, &self.base, now);
        let key = key.map_err(|why| Violation::new(Trouble::Vapid, why))?;
        check::form(headers, &push.body)?;
        let subscription = self.subscriptions.get(&push.id);
        let subscription = subscription.ok_or_else(|| Violation::new(Trouble::Unknown, "no subscription"))?;
        if subscription.gone {
            return Err(Violation::new(Trouble::Gone, "it ended"));
        }
        if subscription.key.is_some_and(|expected| expected != key) {
            return Err(Violation::new(Trouble::OtherKey, "the subscription is for another key"));
        }
        push.key = Some(key);
        Ok(())
    }

    fn deliver(&self, push: &mut Push, number: usize, now: i64) {
        match self.subscriptions.get(&push.id).map(|subscription| subscription.owner) {
            Some(Owner::Played(receiver))
                if number.is_multiple_of(self.decrypted.load(Ordering::Relaxed)) =>
            {
                match receiver.open(&push.body) {
                    Ok(text) => push.text = Some(text),
                    // A real service cannot know, but the browser would discard it.
                    Err(why) => push.violation = Some(format!("cannot be decrypted: {why}")),
                }
            }
            Some(Owner::Firefox { .. }) => {
                let ttl = push.ttl.unwrap_or_default();
                self.subscriptions.deliver(&push.id, push.topic.clone(), &push.body, ttl, now);
            }
            // Not decrypted, or for an unknown subscription, which only ntfy accepts.
            Some(Owner::Played(_)) | None => {}
        }
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let content_type = match answer.body.as_bytes().first() {
        Some(b'{') => "application/json",
        Some(b'<') => "text/html; charset=UTF-8",
        _ => "text/plain; charset=utf-8",
    };
    let mut response = Response::builder().status(answer.status).header(header::CONTENT_TYPE, content_type);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(answer.body))).expect("these headers are valid")
}
