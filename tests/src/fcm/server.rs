//! The stand-in's server: TLS, HTTP/2 with a stream limit, and the handling of a request.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Response, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::{net::TcpStream, sync::Notify};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Call, Journal, PROJECT, Script,
    account::Account,
    answer::{self, Http},
    control, validate,
};
use crate::clock;

/// Streams allowed on one connection, as at Google.
const STREAMS: u32 = 100;

/// State shared by all requests.
pub(super) struct State {
    pub(super) account: Account,
    pub(super) base: String,
    pub(super) script: Script,
    pub(super) journal: Journal,
    pub(super) most_streams: AtomicUsize,
    send_path: String,
}

impl State {
    pub(super) fn new(account: Account, base: String) -> Self {
        Self {
            account,
            base,
            script: Script::default(),
            journal: Journal::default(),
            most_streams: AtomicUsize::new(0),
            send_path: format!("/v1/projects/{PROJECT}/messages:send"),
        }
    }
}

/// A connection, as its requests see it.
struct Connection {
    number: u64,
    open: AtomicUsize,
    drop: Notify,
    goaway: Notify,
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
    let numbers = AtomicU64::new(0);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else { continue };
        let connection = Arc::new(Connection {
            number: numbers.fetch_add(1, Ordering::Relaxed),
            open: AtomicUsize::new(0),
            drop: Notify::new(),
            goaway: Notify::new(),
        });
        let (acceptor, state, stop) = (acceptor.clone(), Arc::clone(&state), stop.clone());
        tokio::spawn(async move {
            stop.run_until_cancelled(converse(socket, acceptor, state, connection)).await;
        });
    }
}

/// Serves one connection to its end. Errors are the caller's: it went away, or did not trust the certificate.
async fn converse(socket: TcpStream, acceptor: TlsAcceptor, state: Arc<State>, connection: Arc<Connection>) {
    let _ = socket.set_nodelay(true);
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    let speaks_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = {
        let connection = Arc::clone(&connection);
        service_fn(move |request| respond(Arc::clone(&state), Arc::clone(&connection), request))
    };
    if !speaks_h2 {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        return;
    }
    let mut served = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(STREAMS)
            .serve_connection(TokioIo::new(stream), service)
    );
    loop {
        tokio::select! {
            _ = served.as_mut() => return,
            () = connection.drop.notified() => return,
            () = connection.goaway.notified() => served.as_mut().graceful_shutdown(),
        }
    }
}

async fn respond(
    state: Arc<State>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Reset> {
    let open = connection.open.fetch_add(1, Ordering::Relaxed) + 1;
    state.most_streams.fetch_max(open, Ordering::Relaxed);
    let answer = route(&state, &connection, request).await;
    connection.open.fetch_sub(1, Ordering::Relaxed);
    answer
}

async fn route(
    state: &State,
    connection: &Connection,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Reset> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, path) if path == state.send_path => {
            if parts.version != Version::HTTP_2 {
                return Ok(respond_with(answer::http1_refused()));
            }
            let admitted = state.account.admits(header(header::AUTHORIZATION));
            send(state, connection, admitted, &body).await
        }
        (&Method::POST, "/token") => {
            let form = header(header::CONTENT_TYPE).unwrap_or_default();
            let (status, value) = state.account.exchange(form, &body, clock::now_us() / 1_000_000);
            Ok(json(status, Bytes::from(value.to_string())))
        }
        (&Method::GET, path) => Ok(control::answer(state, path, parts.uri.query().unwrap_or_default())
            .map_or_else(|| respond_with(answer::not_found()), |text| json(200, text))),
        _ => Ok(respond_with(answer::not_found())),
    }
}

/// Handles a push: checks the caller, then the form, then asks the script.
async fn send(
    state: &State,
    connection: &Connection,
    admitted: bool,
    body: &[u8],
) -> Result<Response<Full<Bytes>>, Reset> {
    let mut call = Call {
        number: 0,
        at_us: clock::now_us(),
        connection: connection.number,
        address: String::new(),
        message_id: None,
        answer: String::new(),
        accepted: false,
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    };
    if let Value::String(id) = &call.body["message"]["data"]["message_id"] {
        call.message_id = Some(id.clone());
    }
    let delay = state.script.current_delay();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if !admitted {
        "unauthenticated".clone_into(&mut call.answer);
        state.journal.enter(call);
        return Ok(respond_with(answer::unauthenticated()));
    }
    let request = match validate::send(&call.body) {
        Ok(request) => request,
        Err(violation) => {
            call.answer = format!("malformed: {}", violation.description);
            state.journal.enter(call);
            return Ok(respond_with(answer::invalid(&violation.field, &violation.description)));
        }
    };
    call.address.clone_from(&request.address);
    let answer = state.script.decide(&request.address);
    answer.name().clone_into(&mut call.answer);
    call.accepted = answer.accepts() && !request.validate_only;
    let number = state.journal.enter(call);
    match answer {
        Answer::DropConnection => connection.drop.notify_one(),
        Answer::GoAway => connection.goaway.notify_one(),
        _ => {}
    }
    match answer.http(&request.address, number) {
        Some(http) => Ok(respond_with(http)),
        None if answer == Answer::Hang => std::future::pending().await,
        None => Err(Reset),
    }
}

fn respond_with(http: Http) -> Response<Full<Bytes>> {
    let mut response =
        Response::builder().status(http.status).header(header::CONTENT_TYPE, http.content_type);
    if let Some(seconds) = http.retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Full::new(Bytes::from(http.body))).expect("these headers are valid")
}

fn json(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=UTF-8")
        .body(Full::new(body))
        .expect("these headers are valid")
}
