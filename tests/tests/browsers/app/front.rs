//! A proxy between browser and simod: it serves simod under a path, lets calls hang, and plays a server of another build.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{Html, IntoResponse as _, Response},
};
use http::{StatusCode, header};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// The paths under which it serves simod, as if there were two installations.
const PATHS: [&str; 2] = ["/simo", "/other"];

/// The folder name of another build, as long as a real one.
const OTHER: &str = "0123456789abcdef";

pub(super) struct Front {
    /// `http://localhost:PORT`: browsers consider it secure.
    pub(super) origin: String,
    /// The URL of simod through the proxy.
    pub(super) url: String,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    simod: OnceLock<String>,
    hash: OnceLock<String>,
    hangs: Mutex<Option<&'static str>>,
    is_other_build: AtomicBool,
    is_portal: AtomicBool,
    http: reqwest::Client,
}

impl Front {
    pub(super) async fn listen() -> Self {
        let shared = Arc::<Shared>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url: format!("{origin}{}", PATHS[0]), origin, shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Sets the simod behind it.
    pub(super) async fn lead_to(&self, simod: &str) {
        self.shared.simod.set(simod.to_owned()).unwrap();
        let page = reqwest::get(format!("{simod}/app/")).await.unwrap().text().await.unwrap();
        let (_, rest) = page.split_once("v/").expect("the page names its folder");
        self.shared.hash.set(rest.split('/').next().unwrap().to_owned()).unwrap();
    }

    /// Leaves API calls whose paths begin with this unanswered.
    pub(super) fn hang(&self, paths: Option<&'static str>) {
        *self.shared.hangs.lock().unwrap() = paths;
    }

    /// Answers API calls as a hotel's portal would.
    pub(super) fn be_portal(&self, is_portal: bool) {
        self.shared.is_portal.store(is_portal, Ordering::Relaxed);
    }

    /// Plays a server of another build than the app's.
    pub(super) fn be_other_build(&self, is_other: bool) {
        self.shared.is_other_build.store(is_other, Ordering::Relaxed);
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Some(path) = PATHS.iter().find_map(|nested| path.strip_prefix(nested)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if shared.hangs.lock().unwrap().is_some_and(|paths| path.starts_with(paths)) {
        std::future::pending::<()>().await;
    }
    if path.starts_with("/api/") && shared.is_portal.load(Ordering::Relaxed) {
        return Html("<title>Welcome to our hotel</title>").into_response();
    }
    let (simod, hash) = (shared.simod.get().unwrap(), shared.hash.get().unwrap());
    let is_other = shared.is_other_build.load(Ordering::Relaxed);
    let path = match (is_other, path.strip_prefix(&format!("/app/v/{OTHER}/"))) {
        (true, Some(file)) => format!("/app/v/{hash}/{file}"),
        (true, None) => path.replace(hash.as_str(), "none"),
        (false, _) => path.to_owned(),
    };
    let mut headers = head.headers;
    headers.remove(header::HOST);
    if is_other {
        headers.remove(header::ACCEPT_ENCODING);
        headers.remove(header::IF_NONE_MATCH);
    }
    let answer = shared
        .http
        .request(head.method, format!("{simod}{path}"))
        .headers(headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (mut head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    let body = Body::new(body);
    if !is_other || !matches!(path.as_str(), "/app/" | "/app/sw.js" | "/app/manifest.webmanifest") {
        return Response::from_parts(head, body);
    }
    for name in [header::CONTENT_LENGTH, header::ETAG] {
        head.headers.remove(name);
    }
    let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap().replace(hash.as_str(), OTHER);
    Response::from_parts(head, Body::from(text))
}
