//! The load generator: raw HTTP/1.1 connections that post as fast as they are answered, or at a steady rate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

/// Where to post, and with which token.
#[derive(Clone)]
pub(crate) struct Target {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// The path.
    pub(crate) path: &'static str,
    /// A bearer token.
    pub(crate) token: String,
}

/// Makes the body of a connection's n-th request.
pub(crate) type Bodies = Arc<dyn Fn(usize, usize) -> Bytes + Send + Sync>;

/// One keep-alive connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    authorization: String,
}

impl Connection {
    pub(crate) async fn open(target: Target) -> Self {
        let socket = TcpStream::connect(&target.address).await.expect("the server listens");
        socket.set_nodelay(true).expect("a socket can be told");
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.expect("it speaks HTTP");
        tokio::spawn(connection);
        Self { sender, authorization: format!("Bearer {}", target.token), target }
    }

    /// Posts; the answer must be 2xx.
    pub(crate) async fn post(&mut self, body: Bytes) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.target.path)
            .header(header::HOST, &self.target.address)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("these headers are valid");
        // The connection may still be reading the end of the last answer.
        self.sender.ready().await.expect("the server keeps the connection");
        let answer = self.sender.send_request(request).await.expect("the server answers");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("the answer is whole").to_bytes();
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        (status, body)
    }
}

/// When to stop posting.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many requests on each connection.
    Posted(usize),
}

/// Posts over this many connections; returns the requests answered per second.
pub(crate) async fn rate(target: &Target, connections: usize, until: Until, bodies: &Bodies) -> f64 {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target.clone()).await);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, mut connection) in open.into_iter().enumerate() {
        let bodies = Arc::clone(bodies);
        tasks.spawn(async move {
            let mut posted = 0_usize;
            while match until {
                Until::Elapsed(length) => started.elapsed() < length,
                Until::Posted(requests) => posted < requests,
            } {
                connection.post(bodies(number, posted)).await;
                posted += 1;
            }
            posted
        });
    }
    let posted: usize = tasks.join_all().await.into_iter().sum();
    posted as f64 / started.elapsed().as_secs_f64()
}

/// The `share` quantile of times, in milliseconds.
pub(crate) fn quantile(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1) as f64;
    times.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    quantile(&mut figures, 0.5)
}
