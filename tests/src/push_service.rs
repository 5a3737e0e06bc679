//! `PushService`: a stand-in for the push services of browsers, as strict as the strictest real one: TLS with its own
//! CA, verified VAPID tokens, limits on TTL and body, answers worded like Mozilla's, Google's, Apple's or ntfy's.
//!
//! A subscriber is either a browser that the stand-in plays itself ([`PushService::subscribe`]; it decrypts what is posted
//! there), or a real Firefox configured with [`PushService::firefox_url`].

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

/// A running stand-in; dropping it stops it, and fails the test if a real service would have refused one of the pushes.
pub struct PushService {
    state: Arc<State>,
    firefox_url: String,
    ca_pem: String,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// A subscription, as a browser hands it to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The URL to post to.
    pub endpoint: String,
    /// Its public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
}

impl PushService {
    /// Starts Mozilla's, on free ports of the loopback interface.
    pub fn start() -> Self {
        Self::of(Personality::Mozilla)
    }

    /// Starts one with this personality, on free ports of the loopback interface.
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

    /// The value for Firefox's preference `dom.push.serverURL`.
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

    /// Controls how it answers.
    pub fn script(&self) -> &Script {
        &self.state.script
    }

    /// The pushes so far and their answers.
    pub fn journal(&self) -> &Journal {
        &self.state.journal
    }

    /// A new browser played by the stand-in; if a key (base64url) is named, only its sender may post to it.
    pub fn subscribe(&self, key: Option<&str>) -> Subscription {
        let receiver = Receiver::default();
        let (p256dh, auth) = (BASE64.encode(receiver.p256dh()), BASE64.encode(receiver.auth()));
        let key = key.map(|key| BASE64.decode(key).expect("the sender's key is base64url"));
        let id = self.state.subscriptions.add(Owner::Played(Arc::new(receiver)), key);
        Subscription { endpoint: self.state.endpoint(&id), p256dh, auth }
    }

    /// Decrypts only every `pushes`-th body from now on.
    pub fn decrypt_every(&self, pushes: usize) {
        self.state.decrypted.store(pushes, Ordering::Relaxed);
    }

    /// Ends a subscription: pushes to it are answered as gone.
    pub fn end(&self, endpoint: &str) {
        self.state.subscriptions.end(id(endpoint));
    }

    /// Number of pushes that Firefox has not acknowledged.
    pub fn waiting(&self, endpoint: &str) -> usize {
        self.state.subscriptions.waiting(id(endpoint))
    }

    /// Number of connected browsers.
    pub fn connected(&self) -> usize {
        self.state.subscriptions.connected()
    }

    /// Frames received from browsers: hello, register, ack, nack, unregister.
    pub fn frames(&self) -> Vec<Value> {
        self.state.frames.lock().expect("nobody panicked").clone()
    }

    /// Closes all browsers' connections; the browsers reconnect.
    pub fn hang_up(&self) {
        self.state.subscriptions.hang_up();
    }

    /// Forgets all browsers: each loses its subscriptions when it reconnects.
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
