//! A small load balancer: sends each request to the next instance whose `/readyz` answers 200.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// How often each instance's readiness is checked.
pub const CHECK_EVERY: Duration = Duration::from_millis(100);

/// A running load balancer; it stops when dropped.
pub struct LoadBalancer {
    url: String,
    balancer: Arc<Balancer>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

struct Balancer {
    instances: Vec<Instance>,
    turn: AtomicUsize,
    http: reqwest::Client,
}

struct Instance {
    url: String,
    ready: AtomicBool,
}

impl LoadBalancer {
    /// Starts one in front of instances at these URLs.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(urls: &[&str]) -> Self {
        let balancer = Arc::new(Balancer {
            instances: urls
                .iter()
                .map(|&url| Instance { url: url.to_owned(), ready: AtomicBool::new(false) })
                .collect(),
            turn: AtomicUsize::new(0),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client can be made"),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let router = Router::new().fallback(pass).with_state(balancer.clone());
        let mut tasks = vec![tokio::spawn(async move {
            let _ended = axum::serve(listener, router).await;
        })];
        for place in 0..urls.len() {
            tasks.push(tokio::spawn(watch(balancer.clone(), place)));
        }
        Self { url, balancer, _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it sends requests to the instance at this index.
    pub fn has(&self, place: usize) -> bool {
        self.balancer.instances[place].ready.load(Ordering::Relaxed)
    }
}

async fn watch(balancer: Arc<Balancer>, place: usize) {
    let instance = &balancer.instances[place];
    let url = format!("{}/readyz", instance.url);
    loop {
        let asked = balancer.http.get(&url).timeout(Duration::from_secs(2)).send().await;
        let ready = asked.is_ok_and(|answer| answer.status().is_success());
        instance.ready.store(ready, Ordering::Relaxed);
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

/// Sends the request to one instance and never retries on another: it may have been carried out.
async fn pass(State(balancer): State<Arc<Balancer>>, request: Request) -> Response {
    let count = balancer.instances.len();
    let turn = balancer.turn.fetch_add(1, Ordering::Relaxed);
    let next = (0..count)
        .map(|step| &balancer.instances[(turn + step) % count])
        .find(|instance| instance.ready.load(Ordering::Relaxed));
    let Some(instance) = next else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no instance is ready").into_response();
    };
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = head.headers;
    headers.remove(header::HOST);
    let passed = balancer
        .http
        .request(head.method, format!("{}{path}", instance.url))
        .headers(headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    match passed {
        Ok(answer) => {
            let answer: http::Response<reqwest::Body> = answer.into();
            let (mut head, body) = answer.into_parts();
            head.headers.remove(header::TRANSFER_ENCODING);
            Response::from_parts(head, Body::new(body))
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
