//! Serves connections: HTTP/1.1 and HTTP/2 on any listener, with time limits for slow peers.
//!
//! A peer must send a whole request head in time, its body at a minimum pace, and read its answer; otherwise its connection
//! is cut. So a handful of machines that do nothing slowly cannot tie up connections that others need. Streams are not cut
//! as long as their peer reads.

mod activity;
mod drain;
mod fd_limit;
mod slow_body;
mod stalled_peer;

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::ConnectInfo, serve::Listener};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use self::{
    activity::{Activity, Answer, Turn},
    slow_body::Paced,
    stalled_peer::Patient,
};
use crate::{api::Peer, config, tls::Tls};

pub(crate) use self::{fd_limit::Room, slow_body::TooSlow};

/// The most bytes in a request's head; a longer one is answered with 431.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// The most requests in progress on one HTTP/2 connection.
const REQUESTS_PER_CONNECTION: u32 = 128;

/// How often an HTTP/2 peer is pinged, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// How often we log that there is no room for more connections.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Time limits for peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a request's head, the first and each further one; on HTTP/2, for the first request or the next.
    head: Duration,
    /// How much longer a body may take than at the minimum pace.
    body: Duration,
    /// For a peer that does not read its answer.
    write: Duration,
}

impl From<&config::Http> for Patience {
    fn from(http: &config::Http) -> Self {
        Self {
            head: Duration::from_secs_f64(http.head_timeout_seconds),
            body: Duration::from_secs_f64(http.body_timeout_seconds),
            write: Duration::from_secs_f64(http.write_timeout_seconds),
        }
    }
}

/// Settings shared by all connections of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) router: Router,
    /// What connections are encrypted with, if they are.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) patience: Patience,
    /// The most connections; further ones wait in the listener's queue.
    pub(crate) connections: usize,
    pub(crate) shutdown: CancellationToken,
}

impl Server {
    /// Serves until the shutdown, and then until the last request is answered.
    pub(crate) async fn serve<L>(self, mut listener: L, peer: fn(&L::Io, &L::Addr) -> Peer)
    where
        L: Listener,
        L::Addr: Debug,
    {
        let tracker = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.connections));
        let mut told = None;
        loop {
            let next = async {
                let place = self.place(&places, &mut told).await;
                (listener.accept().await, place)
            };
            let ((io, address), place) = tokio::select! {
                next = next => next,
                () = self.shutdown.cancelled() => break,
            };
            let peer = peer(&io, &address);
            let server = self.clone();
            tracker.spawn(async move {
                match server.tls.as_deref() {
                    None => server.connection(io, peer).await,
                    Some(tls) => {
                        let handshake = tls.acceptor().accept(io);
                        match tokio::time::timeout(server.patience.head, handshake).await {
                            Ok(Ok(io)) => server.connection(io, peer).await,
                            Ok(Err(error)) => tracing::debug!(%error, ?peer, "a TLS handshake failed"),
                            Err(_) => tracing::debug!(?peer, "a TLS handshake took too long"),
                        }
                    }
                }
                drop(place);
            });
        }
        // Frees the port for a successor while the last answers leave.
        drop(listener);
        tracker.close();
        tracker.wait().await;
    }

    /// Waits for room for the next connection; `told` is when the lack of room was last logged.
    async fn place(
        &self,
        places: &Arc<Semaphore>,
        told: &mut Option<Instant>,
    ) -> Option<OwnedSemaphorePermit> {
        let is_news = told.is_none_or(|told| told.elapsed() > TELL_EVERY);
        if places.available_permits() == 0 && is_news {
            *told = Some(Instant::now());
            tracing::warn!(
                connections = self.connections,
                "as many connections as are allowed (http.connections): new ones wait"
            );
        }
        // The semaphore is never closed.
        places.clone().acquire_owned().await.ok()
    }

    async fn connection<I>(&self, io: I, peer: Peer)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience.head)
            .max_buf_size(HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .max_concurrent_streams(REQUESTS_PER_CONNECTION)
            .max_header_list_size(HEAD_BYTES as u32);
        let (router, body) = (self.router.clone(), self.patience.body);
        let activity = Arc::new(Activity::new());
        let stirred = activity.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let turn = Turn::ours(stirred.clone());
            let is_on_its_way = drain::is_on_its_way(&request);
            let (parts, incoming) = request.into_parts();
            let incoming = Arc::new(Mutex::new(incoming));
            let mut request = Request::from_parts(parts, Body::new(Paced::new(incoming.clone(), body)));
            request.extensions_mut().insert(ConnectInfo(peer));
            let answered = router.clone().oneshot(request);
            async move {
                let answer = answered.await;
                // If a task still reads the body, it continues by itself.
                if let Some(incoming) = Arc::into_inner(incoming).filter(|_| is_on_its_way) {
                    let rest = incoming.into_inner().unwrap_or_else(PoisonError::into_inner);
                    drain::take_in(rest).await;
                }
                answer.map(|answer| answer.map(|body| Answer::new(body, turn)))
            }
        });
        let Patience { head, write, .. } = self.patience;
        let io = TokioIo::new(Patient::new(io, head, write, activity.clone()));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let mut ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.shutdown.cancelled() => None,
            () = activity.quiet(head) => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            activity.stir();
            ended = tokio::select! {
                ended = connection => Some(ended),
                () = activity.quiet(write) => None,
            };
        }
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%error, ?peer, "a connection ended badly"),
            None => tracing::debug!(?peer, "a connection was cut: nothing went on there"),
        }
    }
}
