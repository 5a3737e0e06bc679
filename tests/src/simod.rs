//! The real daemon as a child process.

mod setup;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::OnceLock,
    time::Duration,
};

use simo_common::{
    client::{Client, Server},
    lang::Lang,
};

use self::setup::Database;
pub use self::setup::{Refusal, Setup};
use crate::{FakeFcm, clock, wait::within};

/// A daemon under test. Dropping it kills it; its log is shown when the test fails, and a panic in the log fails the
/// test.
pub struct Simod {
    setup: Setup,
    port: u16,
    running: Option<Running>,
    /// Shared by all callers: a client reads the CA certificates when it is made, which takes minutes for thousands of phones.
    anyone: OnceLock<Client>,
}

struct Running {
    process: Process,
    url: String,
    ready_after: Duration,
}

/// A child process that does not outlive the test.
struct Process(Child);

impl Process {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("our own child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Simod {
    /// Starts a daemon on an empty database, without FCM.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// Starts a daemon on an empty database, with this stand-in as its FCM.
    pub async fn with_fcm(fcm: &FakeFcm) -> Self {
        Setup::new().fcm(fcm).start().await
    }

    /// Restarts a killed or terminated daemon on the same database and port.
    pub async fn restart(&mut self) {
        self.restart_until("/readyz").await;
    }

    /// Like [`Self::restart`], where it cannot become ready.
    pub async fn restart_unready(&mut self) {
        self.restart_until("/healthz").await;
    }

    async fn restart_until(&mut self, path: &str) {
        assert!(self.running.is_none(), "simod still runs");
        self.running = Some(self.setup.run(self.port, path).await);
        self.anyone = OnceLock::new();
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.running.as_ref().expect("simod runs").url
    }

    /// The URL of an endpoint: `path` begins with `/` and follows `/api/v1`.
    pub fn api(&self, path: &str) -> String {
        format!("{}{}{path}", self.url(), simo_common::api::PREFIX)
    }

    /// How long it took from start to ready.
    pub fn ready_after(&self) -> Duration {
        self.running.as_ref().expect("simod runs").ready_after
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.setup.directory.path().join("s.sock")
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        self.setup.directory.path()
    }

    /// Its SQLite file.
    pub fn database(&self) -> &Path {
        match &self.setup.database {
            Database::File(file) => file,
            Database::Url(_) | Database::Server(_) => panic!("the database is on a server"),
        }
    }

    /// Its database's URL.
    pub fn database_url(&self) -> String {
        match &self.setup.database {
            Database::File(file) => format!("sqlite:{}", file.display()),
            Database::Url(url) => url.clone(),
            Database::Server(made) => made.get().expect("simod was started").url().to_owned(),
        }
    }

    /// Starts another daemon on the same database, if that is on a server.
    pub async fn sibling(&self) -> Self {
        let mut setup = Setup::new().on_database_of(self);
        setup.config = self.setup.config.clone();
        setup.start().await
    }

    /// Sets the clock of its machine, which needs [`Setup::clock_ahead`]: seconds ahead (negative: behind).
    pub fn set_clock(&self, ahead: i64) {
        clock::set(&self.setup.clock(), ahead);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("simod runs").process.0.id()
    }

    /// Its peak memory use, in MiB.
    pub fn peak_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("simod runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says how much");
        let kibibytes = line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number");
        kibibytes / 1024.0
    }

    /// Its log so far, over all restarts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap_or_default()
    }

    /// The owner's client, over the Unix socket.
    pub fn owner(&self) -> Client {
        Client::new(&Server::Socket(self.socket()), Lang::En).expect("a client needs no TLS here")
    }

    /// A client with a bearer token, over TCP.
    pub fn caller(&self, token: &str) -> Client {
        self.anyone().with_token(token)
    }

    /// A client without a token, over TCP.
    pub fn anyone(&self) -> Client {
        let make = || {
            let url = self.url().parse().expect("simod printed a URL");
            Client::trusting(&Server::Url(url), self.setup.ca.as_deref(), Lang::En)
                .expect("the CA is a certificate")
        };
        self.anyone.get_or_init(make).clone()
    }

    /// Kills it with `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        drop(self.running.take().expect("simod runs"));
    }

    /// Sends `kill -TERM`, without waiting.
    pub fn ask_to_stop(&self) {
        signal(self.pid(), "TERM");
    }

    /// Stops it as a service manager does, and checks that it exits cleanly and leaves nothing behind.
    pub async fn terminate(&mut self) {
        self.ask_to_stop();
        let status = self.exited().await;
        assert!(status.success(), "simod ended with {status}\n{}", self.log());
        assert!(!self.socket().exists(), "simod left its socket behind");
    }

    /// Waits until it has ended by itself.
    pub async fn exited(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("simod runs");
        within(Duration::from_secs(40), "simod ends", || std::future::ready(running.process.ended())).await
    }
}

impl Drop for Simod {
    fn drop(&mut self) {
        // Before its directory is removed.
        self.running = None;
    }
}

/// Sends a signal by name, through the shell's `kill`, as `/bin/kill` may be missing.
fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh starts");
    assert!(status.success(), "kill -{name} {pid}: {status}");
}
