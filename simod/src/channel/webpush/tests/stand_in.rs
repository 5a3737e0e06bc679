//! A push service on this machine, over TLS.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
    routing::post,
};
use http::{HeaderMap, StatusCode, Version};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A push that arrived.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How to answer.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) after: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: Vec::new(),
            after: Duration::ZERO,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answers: Mutex<Answers>,
    pub(super) pushed: Mutex<Vec<Pushed>>,
    /// Connections that were made.
    pub(super) connections: AtomicUsize,
}

/// The stand-in. It ends with its owner.
pub(super) struct StandIn {
    pub(super) seen: Arc<Seen>,
    pub(super) address: SocketAddr,
    certificate: rcgen::CertifiedKey<rcgen::KeyPair>,
    directory: TempDir,
    end: CancellationToken,
}

impl StandIn {
    /// A stand-in that speaks these protocols, by their names in TLS.
    pub(super) async fn speaking(protocols: &[&[u8]]) -> Self {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.cert.pem()).unwrap();
        let stand_in =
            Self { seen: Arc::default(), address, certificate, directory, end: CancellationToken::new() };
        stand_in.serve(listener, protocols);
        stand_in
    }

    /// Restarts it on the same port with other protocols; connections to the old one break.
    pub(super) async fn again(&mut self, protocols: &[&[u8]]) {
        std::mem::take(&mut self.end).cancel();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        self.serve(listener, protocols);
    }

    fn serve(&self, listener: TcpListener, protocols: &[&[u8]]) {
        let key = PrivatePkcs8KeyDer::from(self.certificate.signing_key.serialize_der());
        let mut config =
            ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate.cert.der().clone()], key.into())
                .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), self.seen.clone());
        let router = Router::new().route("/{*path}", post(answer)).with_state(seen.clone());
        let end = self.end.clone();
        tokio::spawn(async move {
            while let Some(accepted) = end.run_until_cancelled(listener.accept()).await {
                let (io, _) = accepted.unwrap();
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, router, end) = (acceptor.clone(), router.clone(), end.clone());
                tokio::spawn(async move {
                    let Ok(io) = acceptor.accept(io).await else { return };
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let service = TowerToHyperService::new(router);
                    let served = builder.serve_connection(TokioIo::new(io), service);
                    let _ended = end.run_until_cancelled(served).await;
                });
            }
        });
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub(super) fn answer(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.seen.answers.lock().unwrap());
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

async fn answer(
    State(seen): State<Arc<Seen>>,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    seen.pushed.lock().unwrap().push(Pushed { version, headers, body });
    let answers = seen.answers.lock().unwrap().clone();
    tokio::time::sleep(answers.after).await;
    let mut response = Response::new(Body::from(answers.body));
    *response.status_mut() = answers.status;
    response.headers_mut().extend(answers.headers);
    response
}
