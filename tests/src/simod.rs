//! The real daemon as a child process, in a directory of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use simo_common::{
    client::{Client, Server},
    lang::Lang,
};
use tempfile::TempDir;
use tokio::sync::{OnceCell, oneshot};

use crate::{
    FakeFcm,
    authority::Authority,
    clock, eventually, fcm,
    postgres::{self, TemporaryDatabase},
    programs,
    wait::within,
};

/// A daemon under test. Dropping it kills it; what it logged is shown when the test fails, and a panic in the log
/// fails the test.
pub struct Simod {
    setup: Setup,
    port: u16,
    running: Option<Running>,
    /// Reads its CA certificates when it is made: one for all callers, or thousands of phones take minutes.
    anyone: OnceLock<Client>,
}

struct Running {
    process: Process,
    url: String,
    ready_after: Duration,
}

/// A child that does not outlive us.
struct Process(Child);

impl Process {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("our own child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a daemon is to be started.
pub struct Setup {
    directory: Directory,
    database: Database,
    config: toml::Table,
    clock_ahead: Duration,
    listen: IpAddr,
    /// Whom its certificate is from.
    ca: Option<PathBuf>,
    cannot_log: bool,
    ulimit: Option<&'static str>,
}

/// Where a daemon keeps what it knows.
#[derive(Clone)]
enum Database {
    /// In an SQLite file.
    File(PathBuf),
    /// At this URL.
    Url(String),
    /// On the PostgreSQL server of the tests, in a database that is made when it is first started.
    Server(Arc<OnceCell<TemporaryDatabase>>),
}

enum Directory {
    Temporary(TempDir),
    Given(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

/// How a daemon ended that was expected to refuse.
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Simod {
    /// A running daemon on an empty database, without FCM.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// A running daemon on an empty database whose FCM is this stand-in.
    pub async fn with_fcm(fcm: &FakeFcm) -> Self {
        Setup::new().fcm(fcm).start().await
    }

    /// Starts again what was killed or terminated, on the same database and port.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "simod still runs");
        self.running = Some(self.setup.run(self.port).await);
        self.anyone = OnceLock::new();
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.running.as_ref().expect("simod runs").url
    }

    /// The address of an endpoint: `path` begins with `/` and follows `/api/v1`.
    pub fn api(&self, path: &str) -> String {
        format!("{}{}{path}", self.url(), simo_common::api::PREFIX)
    }

    /// How long it took from its start until it was ready.
    pub fn ready_after(&self) -> Duration {
        self.running.as_ref().expect("simod runs").ready_after
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.setup.directory.path().join("s.sock")
    }

    /// The directory where it keeps what is its own.
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

    /// Another daemon on the same database, where that is on a server.
    pub async fn sibling(&self) -> Self {
        let mut setup = Setup::new().on_database_of(self);
        setup.config = self.setup.config.clone();
        setup.start().await
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("simod runs").process.0.id()
    }

    /// What it logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap_or_default()
    }

    /// The owner, over the Unix socket.
    pub fn owner(&self) -> Client {
        Client::new(&Server::Socket(self.socket()), Lang::En).expect("a client needs no TLS here")
    }

    /// A caller with a bearer token, over TCP.
    pub fn caller(&self, token: &str) -> Client {
        self.anyone().with_token(token)
    }

    /// A caller without a token, over TCP.
    pub fn anyone(&self) -> Client {
        let make = || {
            let url = self.url().parse().expect("simod printed a URL");
            Client::trusting(&Server::Url(url), self.setup.ca.as_deref(), Lang::En)
                .expect("the CA is a certificate")
        };
        self.anyone.get_or_init(make).clone()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        drop(self.running.take().expect("simod runs"));
    }

    /// `kill -TERM`, without waiting.
    pub fn ask_to_stop(&self) {
        signal(self.pid(), "TERM");
    }

    /// Stops it as a service manager does, and checks that it goes in peace and leaves nothing behind.
    pub async fn terminate(&mut self) {
        self.ask_to_stop();
        let status = self.exited().await;
        assert!(status.success(), "simod ended with {status}\n{}", self.log());
        assert!(!self.socket().exists(), "simod left its socket behind");
    }

    /// Waits until it has ended by itself.
    pub async fn exited(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("simod runs");
        within(Duration::from_secs(40), "simod ends", || {
            std::future::ready(running.process.ended())
        })
        .await
    }
}

impl Drop for Simod {
    fn drop(&mut self) {
        // Before its directory goes.
        self.running = None;
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        if std::thread::panicking() {
            let from = log.ceil_char_boundary(log.len().saturating_sub(20_000));
            eprintln!("--- what simod logged:\n{}", &log[from..]);
        } else {
            assert!(!log.contains("panicked at"), "simod panicked:\n{log}");
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// In a temporary directory.
    pub fn new() -> Self {
        let temporary = TempDir::with_prefix("simo-").expect("a temporary directory can be made");
        Self::new_in(Directory::Temporary(temporary))
    }

    /// In a directory that is there and stays there.
    pub fn in_directory(directory: &Path) -> Self {
        Self::new_in(Directory::Given(directory.to_owned()))
    }

    fn new_in(directory: Directory) -> Self {
        let database = match postgres::server() {
            Some(_) => Database::Server(Arc::default()),
            None => Database::File(directory.path().join("simo.db")),
        };
        Self {
            database,
            directory,
            config: toml::Table::new(),
            clock_ahead: Duration::ZERO,
            listen: Ipv4Addr::LOCALHOST.into(),
            ca: None,
            cannot_log: false,
            ulimit: None,
        }
        // A provider's bad minute must not become the test's.
        .set("delivery.retry_first_seconds", 0.05)
        .set("delivery.retry_max_seconds", 0.5)
        // All who guess come from one address, and so do all others.
        .set("failures_per_minute", 0)
        // No load balancer has to turn away.
        .set("shutdown_delay", 0)
    }

    /// With a log that takes nothing, as on a full disk.
    #[must_use]
    pub fn cannot_log(mut self) -> Self {
        self.cannot_log = true;
        self
    }

    /// With the database in this file instead of the directory's own.
    #[must_use]
    pub fn database(mut self, file: &Path) -> Self {
        self.database = Database::File(file.to_owned());
        self
    }

    /// With the database at this URL.
    #[must_use]
    pub fn database_url(mut self, url: String) -> Self {
        self.database = Database::Url(url);
        self
    }

    /// With the same database as another daemon, which does not run, or is on a server.
    #[must_use]
    pub fn on_database_of(mut self, other: &Simod) -> Self {
        self.database = other.setup.database.clone();
        self
    }

    /// With the database in an SQLite file, also where the other tests have a server.
    #[must_use]
    pub fn embedded(self) -> Self {
        let file = self.directory.path().join("simo.db");
        self.database(&file)
    }

    /// With FCM being this stand-in.
    #[must_use]
    pub fn fcm(self, fcm: &FakeFcm) -> Self {
        let files = fcm.write_files(self.directory.path());
        self.fcm_at(fcm.url(), &files)
    }

    /// With FCM being at this address.
    #[must_use]
    pub fn fcm_at(self, url: &str, files: &fcm::Files) -> Self {
        self.set(
            "fcm.service_account",
            files.service_account.to_str().expect("paths here are UTF-8"),
        )
        .set("fcm.ca", files.ca.to_str().expect("paths here are UTF-8"))
        .set("fcm.base_url", url)
    }

    /// With a key of the configuration file; dots part levels: `delivery.retry_first_seconds`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        let mut levels: Vec<&str> = key.split('.').collect();
        let last = levels.pop().expect("a key has a name");
        let mut table = &mut self.config;
        for level in levels {
            table = table
                .entry(level)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .expect("a level is a table");
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    /// On a machine whose clock is wrong.
    #[must_use]
    pub fn clock_ahead(mut self, ahead: Duration) -> Self {
        self.clock_ahead = ahead;
        self
    }

    /// Where a process may not have as much as it wants: `-n 128` files open, for example.
    #[must_use]
    pub fn ulimit(mut self, limit: &'static str) -> Self {
        self.ulimit = Some(limit);
        self
    }

    /// On another address than this machine's own.
    #[must_use]
    pub fn listen(mut self, address: impl Into<IpAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// Over HTTPS, with a certificate from this authority; its files are in the daemon's directory.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> Self {
        let directory = self.directory.path().to_owned();
        authority.write(&directory);
        self.ca = Some(directory.join("ca.pem"));
        let path = |name: &str| {
            directory
                .join(name)
                .to_str()
                .expect("paths here are UTF-8")
                .to_owned()
        };
        self.set("tls_certificate", path("tls.pem"))
            .set("tls_key", path("tls.key"))
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Simod {
        let running = self.run(0).await;
        let port = running.url.rsplit(':').next().and_then(|port| port.parse().ok());
        Simod {
            port: port.expect("simod printed a port"),
            setup: self,
            running: Some(running),
            anyone: OnceLock::new(),
        }
    }

    /// Starts it and waits until it has refused to run.
    pub async fn start_in_vain(self) -> Refusal {
        let mut process = Process(self.spawn(0).await);
        let status = eventually("simod refuses to start", || std::future::ready(process.ended())).await;
        let stderr = fs::read_to_string(self.log()).unwrap_or_default();
        Refusal { status, stderr }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("simod.log")
    }

    async fn spawn(&self, port: u16) -> Child {
        let database = match &self.database {
            Database::File(file) => format!("sqlite:{}", file.display()),
            Database::Url(url) => url.clone(),
            Database::Server(made) => made.get_or_init(TemporaryDatabase::create).await.url().to_owned(),
        };
        let config = self.directory.path().join("simod.toml");
        fs::write(&config, self.config.to_string()).expect("the configuration can be written");
        let binary = programs::program("simod");
        let mut command = match self.ulimit {
            None => Command::new(binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("ulimit {limit}; exec \"$0\" \"$@\""))
                    .arg(binary);
                shell
            }
        };
        let log = if self.cannot_log {
            File::options().write(true).open("/dev/full")
        } else {
            File::options().create(true).append(true).open(self.log())
        };
        if !self.clock_ahead.is_zero() {
            let wrong_clock = clock::wrong(self.directory.path());
            command
                .env("LD_PRELOAD", wrong_clock)
                .env("CLOCK_AHEAD_SECONDS", self.clock_ahead.as_secs().to_string());
        }
        command
            .arg("serve")
            .arg("--config")
            .arg(config)
            .arg("--database")
            .arg(database)
            .args([
                "--listen",
                &SocketAddr::new(self.listen, port).to_string(),
                "--socket",
            ])
            .arg(self.directory.path().join("s.sock"))
            .env_remove("SIMO_URL")
            .env_remove("SIMO_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be opened"))
            .spawn()
            .expect("simod starts")
    }

    async fn run(&self, port: u16) -> Running {
        let ca = self.ca.iter().map(|path| {
            let pem = fs::read(path).expect("the CA was written");
            reqwest::Certificate::from_pem(&pem).expect("the CA is a certificate")
        });
        let http = reqwest::Client::builder().tls_certs_merge(ca).build();
        let http = http.expect("a client can be made");
        let started = Instant::now();
        let mut process = Process(self.spawn(port).await);
        let stdout = process.0.stdout.take().expect("stdout is piped");
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            let _ = tell.send(lines.next());
            // Drained, so that a daemon that says more never blocks on a full pipe.
            lines.for_each(drop);
        });
        let first = tokio::time::timeout(Duration::from_secs(30), told).await;
        let url = match first {
            Ok(Ok(Some(Ok(line)))) => line.strip_prefix("listening on ").map(str::to_owned),
            _ => None,
        };
        let Some(url) = url else {
            drop(process);
            panic!("simod did not say where it listens");
        };
        let mut running = Running {
            process,
            url,
            ready_after: Duration::ZERO,
        };
        let readyz = format!("{}/readyz", running.url);
        eventually("simod is ready", || async {
            let answer = http.get(&readyz).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        running.ready_after = started.elapsed();
        running
    }
}

/// Sends a signal by name; the shell's `kill` is there where `/bin/kill` is not.
fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("sh starts");
    assert!(status.success(), "kill -{name} {pid}: {status}");
}
