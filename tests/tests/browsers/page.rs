//! A tiny page with a worker, which reports its events to this server.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::header::CONTENT_TYPE,
    response::Html,
    routing::{get, post},
};
use simo_tests::wait::eventually;
use tokio::{net::TcpListener, task::JoinHandle};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tiny</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="manifest" href="app.webmanifest">
<style>@media (prefers-color-scheme: dark) { body { background: black } }</style></head>
<body><button id="button" onclick="clicked = true">Press</button><script>
var clicked = false;
const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
async function install() { await navigator.serviceWorker.register("sw.js"); await navigator.serviceWorker.ready; }
async function subscribe(key) {
  const { pushManager } = await navigator.serviceWorker.ready;
  return (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) })).toJSON();
}
</script></body></html>"#;

const WORKER: &str = r#"
const say = text => fetch("heard", { method: "POST", body: text });
addEventListener("install", event => event.waitUntil(
  caches.open("tiny").then(cache => cache.add("./")).then(() => skipWaiting())));
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  if (event.request.mode === "navigate") event.respondWith(fetch(event.request).catch(() => caches.match("./")));
});
addEventListener("push", event => {
  const { title, ...options } = event.data.json();
  event.waitUntil(registration.showNotification(title, options).then(() => say(`showed ${title}`)));
});
addEventListener("notificationclick", event => {
  event.notification.close();
  // ESR 140 knows no actions.
  event.waitUntil(say(`clicked ${event.notification.title} ${event.action ?? ""}`));
});
addEventListener("notificationclose", event => event.waitUntil(say(`closed ${event.notification.title}`)));
"#;

const MANIFEST: &str = r#"{"name": "Tiny", "start_url": "./", "display": "standalone",
  "icons": [{"src": "icon.svg", "type": "image/svg+xml", "sizes": "any"}]}"#;

const ICON: &str =
    r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64"/></svg>"#;

pub(crate) struct Page {
    pub(crate) origin: String,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Page {
    pub(crate) async fn serve() -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hear = |State(heard): State<Arc<Mutex<Vec<String>>>>, said: String| async move {
            heard.lock().unwrap().push(said);
        };
        let router = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/sw.js", get(|| async { ([(CONTENT_TYPE, "text/javascript")], WORKER) }))
            .route(
                "/app.webmanifest",
                get(|| async { ([(CONTENT_TYPE, "application/manifest+json")], MANIFEST) }),
            )
            .route("/icon.svg", get(|| async { ([(CONTENT_TYPE, "image/svg+xml")], ICON) }))
            .route("/heard", post(hear))
            .with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // By name: browsers take http://localhost for secure.
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, heard, task }
    }

    /// Waits until the worker has reported this.
    pub(crate) async fn hear(&self, said: &str) {
        eventually(&format!("the worker says: {said}"), async || {
            self.heard.lock().unwrap().iter().any(|heard| heard == said).then_some(())
        })
        .await;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}
