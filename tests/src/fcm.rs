//! `FakeFcm`: a stand-in for Google's token endpoint and FCM's `messages:send`, as strict as the real ones: TLS with
//! its own CA, HTTP/2 only, verified RS256 assertions, expiring bearer tokens, Google's error bodies.
//! It can be made slow or failing ([`Script`]), and keeps a journal of every call ([`Call`]).
//!
//! It runs on its own thread, so that a test may block; the load tool runs it in another process.

mod account;
mod answer;
mod control;
mod journal;
mod script;
pub mod sender;
mod server;
mod validate;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::Ordering},
    thread::JoinHandle,
};

use tokio_util::sync::CancellationToken;

pub use answer::Answer;
pub use control::Stats;
pub use journal::{Call, Journal};
pub use script::{Mixture, Script};

use account::{Account, Key};
use server::State;

use crate::authority::Authority;

/// The stand-in's Firebase project.
pub const PROJECT: &str = "simo-standin";

/// A running stand-in; it stops when dropped.
pub struct FakeFcm {
    state: Arc<State>,
    ca_pem: String,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The files that simod needs to use the stand-in.
pub struct Files {
    /// The service account's JSON.
    pub service_account: PathBuf,
    /// The CA that signed the stand-in's certificate.
    pub ca: PathBuf,
}

impl FakeFcm {
    /// Starts on a free port of the loopback interface.
    pub fn start() -> Self {
        Self::listen("127.0.0.1:0".parse().expect("an address"))
    }

    /// Starts on this address.
    pub fn listen(address: SocketAddr) -> Self {
        // Making an RSA key is slow; the tests of one process share one.
        static KEY: OnceLock<Arc<Key>> = OnceLock::new();
        let key = Arc::clone(KEY.get_or_init(|| Arc::new(Key::generate())));

        let listener = TcpListener::bind(address).expect("the stand-in's port is free");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let base = format!("https://{}", listener.local_addr().expect("it is bound"));
        let ca = Authority::new();
        let (tls, ca_pem) = (ca.server_config(), ca.pem());
        let state = Arc::new(State::new(Account::new(key, &base), base));
        let stop = CancellationToken::new();
        let thread = {
            let (state, stop) = (Arc::clone(&state), stop.clone());
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(server::serve(listener, tls, state, stop));
            })
        };
        Self { state, ca_pem, stop, thread: Some(thread) }
    }

    /// Its base URL, for `[fcm] base_url`.
    pub fn url(&self) -> &str {
        &self.state.base
    }

    /// Controls how it answers.
    pub fn script(&self) -> &Script {
        &self.state.script
    }

    /// The calls so far and their answers.
    pub fn journal(&self) -> &Journal {
        &self.state.journal
    }

    /// The highest number of streams open at once on one connection.
    pub fn most_streams(&self) -> usize {
        self.state.most_streams.load(Ordering::Relaxed)
    }

    /// Number of bearer tokens issued.
    pub fn tokens_issued(&self) -> usize {
        self.state.account.issued()
    }

    /// Invalidates every bearer token issued so far.
    pub fn forget_tokens(&self) {
        self.state.account.forget_tokens();
    }

    /// The service account's JSON, as downloaded from Google's console.
    pub fn service_account(&self) -> String {
        self.state.account.json()
    }

    /// The certificate to trust, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes the service account and the CA for simod to read.
    pub fn write_files(&self, directory: &Path) -> Files {
        let files = Files {
            service_account: directory.join("service-account.json"),
            ca: directory.join("fcm-ca.pem"),
        };
        fs::write(&files.service_account, self.service_account()).expect("the account can be written");
        fs::write(&files.ca, &self.ca_pem).expect("the CA can be written");
        files
    }
}

impl Drop for FakeFcm {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            let left = self.state.script.left();
            assert!(left == 0, "{left} scripted answers were never asked for");
            let malformed = self.state.journal.malformed();
            assert!(malformed.is_empty(), "Google would refuse what was sent as malformed: {malformed:#?}");
        }
    }
}
