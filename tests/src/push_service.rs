//! `PushService`: a stand-in for the push services of browsers, as strict as the strictest of the real ones: TLS with a
//! CA of its own, verified VAPID tokens, bounds of TTL and body, answers in the words of Mozilla, Google, Apple or ntfy.
//!
//! Whoever subscribes is either a browser that it plays itself ([`PushService::subscribe`]; what is posted there it
//! decrypts), or a real Firefox that was told [`PushService::firefox_url`].

mod answer;
mod check;
pub mod encryption;
mod journal;
mod script;
mod sender;
mod server;
mod socket;
mod subscriptions;
#[cfg(test)]
mod tests;
mod vapid;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, Personality, Trouble};
pub use journal::{Journal, Push};
pub use script::Script;
pub use sender::Sender;

use crate::authority::Authority;
use encryption::Receiver;
use server::State;
use subscriptions::Owner;

/// A running stand-in; dropping it stops it, and fails the test when something was posted that a real service refuses.
pub struct PushService {
    state: Arc<State>,
    firefox_url: String,
    ca_pem: String,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What a browser hands to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where to post.
    pub endpoint: String,
    /// Its public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
}

impl PushService {
    /// Mozilla's, on free ports of the loopback.
    pub fn start() -> Self {
        Self::of(Personality::Mozilla)
    }

    /// Somebody's, on free ports of the loopback.
    pub fn of(personality: Personality) -> Self {
        let (posts, port) = listen();
        let (browsers, browsers_port) = listen();
        let state = Arc::new(State::new(format!("https://localhost:{port}"), personality));
        let ca = Authority::new();
        let (tls, ca_pem) = (ca.server_config(), ca.pem());
        let stop = CancellationToken::new();
        let thread = {
            let (state, stop) = (Arc::clone(&state), stop.clone());
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(async {
                        tokio::join!(
                            server::serve(posts, tls, Arc::clone(&state), stop.clone()),
                            socket::serve(browsers, Arc::clone(&state), stop.clone()),
                        );
                    });
            })
        };
        let firefox_url = format!("ws://127.0.0.1:{browsers_port}/");
        Self { state, firefox_url, ca_pem, stop, thread: Some(thread) }
    }

    /// Its origin, `https://localhost:PORT`: the audience of a sender's token.
    pub fn origin(&self) -> &str {
        &self.state.base
    }

    /// `localhost:PORT`, for `[webpush] allowed_hosts`.
    pub fn host(&self) -> &str {
        self.origin().trim_start_matches("https://")
    }

    /// For Firefox's preference `dom.push.serverURL`.
    pub fn firefox_url(&self) -> &str {
        &self.firefox_url
    }

    /// The certificate to trust, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes the CA for simod to read.
    pub fn write_ca(&self, directory: &Path) -> PathBuf {
        let file = directory.join("push-ca.pem");
        fs::write(&file, &self.ca_pem).expect("the CA can be written");
        file
    }

    /// What it is told to answer.
    pub fn script(&self) -> &Script {
        &self.state.script
    }

    /// What was posted and what it answered.
    pub fn journal(&self) -> &Journal {
        &self.state.journal
    }

    /// A new browser that the stand-in plays; only the sender with this key (base64url) may post to it, if one is named.
    pub fn subscribe(&self, key: Option<&str>) -> Subscription {
        let receiver = Receiver::default();
        let (p256dh, auth) = (BASE64.encode(receiver.p256dh()), BASE64.encode(receiver.auth()));
        let key = key.map(|key| BASE64.decode(key).expect("the sender's key is base64url"));
        let id = self.state.subscriptions.add(Owner::Played(Arc::new(receiver)), key);
        Subscription { endpoint: self.state.endpoint(&id), p256dh, auth }
    }

    /// Decrypts only the body of every so many-th push from now on.
    pub fn decrypt_every(&self, pushes: usize) {
        self.state.decrypted.store(pushes, Ordering::Relaxed);
    }

    /// Ends a subscription: pushes to it are answered as to one that is gone.
    pub fn end(&self, endpoint: &str) {
        self.state.subscriptions.end(id(endpoint));
    }

    /// How many pushes Firefox has not acknowledged.
    pub fn waiting(&self, endpoint: &str) -> usize {
        self.state.subscriptions.waiting(id(endpoint))
    }

    /// How many browsers are connected.
    pub fn connected(&self) -> usize {
        self.state.subscriptions.connected()
    }

    /// What browsers said so far: hello, register, ack, nack, unregister.
    pub fn frames(&self) -> Vec<Value> {
        self.state.frames.lock().expect("nobody panicked").clone()
    }

    /// Hangs up on all browsers; they come again.
    pub fn hang_up(&self) {
        self.state.subscriptions.hang_up();
    }

    /// Knows no browser any more: each loses its subscriptions when it comes again.
    pub fn forget_browsers(&self) {
        self.state.subscriptions.forget_browsers();
    }
}

impl Drop for PushService {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            let left = self.state.script.left();
            assert!(left == 0, "{left} scripted answers were never asked for");
            let violations = self.state.journal.violations();
            assert!(violations.is_empty(), "push services would refuse this: {violations:#?}");
        }
    }
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

/// The last part of an endpoint.
fn id(endpoint: &str) -> &str {
    endpoint.rsplit('/').next().unwrap_or_default()
}
