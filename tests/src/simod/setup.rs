//! How a daemon under test is set up and started.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::sync::{OnceCell, oneshot};

use super::{Process, Running, Simod};
use crate::{
    FakeFcm,
    authority::Authority,
    clock, eventually, fcm,
    postgres::{self, TemporaryDatabase},
    programs,
};

/// A daemon's setup.
pub struct Setup {
    pub(super) directory: Directory,
    pub(super) database: Database,
    pub(super) config: toml::Table,
    program: Option<PathBuf>,
    has_own_clock: bool,
    listen: IpAddr,
    /// The CA of its certificate.
    pub(super) ca: Option<PathBuf>,
    cannot_log: bool,
    ulimit: Option<&'static str>,
    arguments: Vec<&'static str>,
}

/// Where a daemon stores its data.
#[derive(Clone)]
pub(super) enum Database {
    /// In an SQLite file.
    File(PathBuf),
    /// At this URL.
    Url(String),
    /// On the PostgreSQL server of the tests, in a database that is created when the daemon first starts.
    Server(Arc<OnceCell<TemporaryDatabase>>),
}

pub(super) enum Directory {
    Temporary(TempDir),
    Given(PathBuf),
}

impl Directory {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

/// How a daemon ended that was expected to refuse to start.
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to stderr.
    pub stderr: String,
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
    /// In a new temporary directory.
    pub fn new() -> Self {
        let temporary = TempDir::with_prefix("simo-").expect("a temporary directory can be made");
        Self::new_in(Directory::Temporary(temporary))
    }

    /// In an existing directory, which is kept.
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
            program: None,
            has_own_clock: false,
            listen: Ipv4Addr::LOCALHOST.into(),
            ca: None,
            cannot_log: false,
            ulimit: None,
            arguments: Vec::new(),
        }
        // A provider's failure should not slow the tests down.
        .set("delivery.retry_first_seconds", 0.05)
        .set("delivery.retry_max_seconds", 0.5)
        // All callers come from one address, so guesses would block the others.
        .set("failures_per_minute", 0)
        // No load balancer needs time to turn away.
        .set("shutdown_delay", 0)
    }

    /// With a log that cannot be written to, as on a full disk.
    #[must_use]
    pub fn cannot_log(mut self) -> Self {
        self.cannot_log = true;
        self
    }

    /// With this simod binary instead of the workspace's.
    #[must_use]
    pub fn program(mut self, simod: &Path) -> Self {
        self.program = Some(simod.to_owned());
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

    /// With the database of another daemon, which must be stopped or use a server.
    #[must_use]
    pub fn on_database_of(mut self, other: &Simod) -> Self {
        self.database = other.setup.database.clone();
        self
    }

    /// With a copy of the database of another daemon, which must be stopped.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub async fn on_copy_of(mut self, other: &Simod) -> Self {
        self.database = match &other.setup.database {
            Database::File(file) => {
                let copy = self.directory.path().join("simo.db");
                fs::copy(file, &copy).expect("the file can be copied");
                // Synced now, so that it does not disturb a measurement later.
                File::open(&copy).and_then(|copy| copy.sync_all()).expect("the copy can be synced");
                Database::File(copy)
            }
            Database::Server(made) => {
                let copy = made.get().expect("simod was started").copy().await;
                Database::Server(Arc::new(OnceCell::new_with(Some(copy))))
            }
            Database::Url(_) => panic!("the database is somebody else's"),
        };
        self
    }

    /// With the database in an SQLite file, even if the other tests use a server.
    #[must_use]
    pub fn embedded(self) -> Self {
        let file = self.directory.path().join("simo.db");
        self.database(&file)
    }

    /// With this stand-in as its FCM.
    #[must_use]
    pub fn fcm(self, fcm: &FakeFcm) -> Self {
        let files = fcm.write_files(self.directory.path());
        self.fcm_at(fcm.url(), &files)
    }

    /// With FCM at this address.
    #[must_use]
    pub fn fcm_at(self, url: &str, files: &fcm::Files) -> Self {
        self.set("fcm.service_account", files.service_account.to_str().expect("paths here are UTF-8"))
            .set("fcm.ca", files.ca.to_str().expect("paths here are UTF-8"))
            .set("fcm.base_url", url)
    }

    /// With this setting in the configuration file; dots separate levels: `delivery.retry_first_seconds`.
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

    /// On a machine whose clock is this many seconds ahead, until [`Simod::set_clock`] changes it.
    #[must_use]
    pub fn clock_ahead(mut self, seconds: i64) -> Self {
        self.has_own_clock = true;
        clock::set(&self.clock(), seconds);
        self
    }

    /// The file that says how wrong its clock is.
    pub(super) fn clock(&self) -> PathBuf {
        self.directory.path().join("clock-ahead")
    }

    /// Under a limit of the shell's `ulimit`, for example `-n 128` open files.
    #[must_use]
    pub fn ulimit(mut self, limit: &'static str) -> Self {
        self.ulimit = Some(limit);
        self
    }

    /// With `--wait`, the time to wait for its database: `60s`.
    #[must_use]
    pub fn wait(mut self, time: &'static str) -> Self {
        self.arguments.extend(["--wait", time]);
        self
    }

    /// With `--new-origin`: starts even if browsers know another address.
    #[must_use]
    pub fn new_origin(mut self) -> Self {
        self.arguments.push("--new-origin");
        self
    }

    /// Listening on this address instead of the loopback.
    #[must_use]
    pub fn listen(mut self, address: impl Into<IpAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// Over HTTPS, with a certificate from this authority; the files are in the daemon's directory.
    #[must_use]
    pub fn tls(self, authority: &Authority) -> Self {
        let directory = self.directory.path().to_owned();
        authority.write(&directory);
        let [ca, certificate, key] = ["ca.pem", "tls.pem", "tls.key"].map(|name| directory.join(name));
        self.https(&ca, &certificate, &key)
    }

    /// Over HTTPS, with this certificate and its CA.
    #[must_use]
    pub fn https(mut self, ca: &Path, certificate: &Path, key: &Path) -> Self {
        self.ca = Some(ca.to_owned());
        let text = |path: &Path| path.to_str().expect("paths here are UTF-8").to_owned();
        self.set("tls_certificate", text(certificate)).set("tls_key", text(key))
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Simod {
        let running = self.run(0, "/readyz").await;
        let port = running.url.rsplit(':').next().and_then(|port| port.parse().ok());
        Simod {
            port: port.expect("simod printed a port"),
            setup: self,
            running: Some(running),
            anyone: OnceLock::new(),
        }
    }

    /// Starts it and waits until it has refused to start.
    pub async fn start_in_vain(self) -> Refusal {
        let mut process = Process(self.spawn(0).await);
        let status = eventually("simod refuses to start", || std::future::ready(process.ended())).await;
        let stderr = fs::read_to_string(self.log()).unwrap_or_default();
        Refusal { status, stderr }
    }

    pub(super) fn log(&self) -> PathBuf {
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
        let binary = self.program.clone().unwrap_or_else(|| programs::program("simod"));
        let mut command = match self.ulimit {
            None => Command::new(binary),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit {limit}; exec \"$0\" \"$@\"")).arg(binary);
                shell
            }
        };
        let log = if self.cannot_log {
            File::options().write(true).open("/dev/full")
        } else {
            File::options().create(true).append(true).open(self.log())
        };
        if self.has_own_clock {
            let wrong_clock = clock::wrong(self.directory.path());
            command.env("LD_PRELOAD", wrong_clock).env("CLOCK_AHEAD_FILE", self.clock());
        }
        command
            .arg("serve")
            .args(&self.arguments)
            .arg("--config")
            .arg(config)
            .arg("--database")
            .arg(database)
            .args(["--listen", &SocketAddr::new(self.listen, port).to_string(), "--socket"])
            .arg(self.directory.path().join("s.sock"))
            .env_remove("SIMO_URL")
            .env_remove("SIMO_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("the log can be opened"))
            .spawn()
            .expect("simod starts")
    }

    /// Waits until it answers 200 at this path.
    pub(super) async fn run(&self, port: u16, path: &str) -> Running {
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
            // Drained, so that the daemon never blocks on a full pipe.
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
        let mut running = Running { process, url, ready_after: Duration::ZERO };
        let url = format!("{}{path}", running.url);
        eventually("simod is ready", || async {
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        running.ready_after = started.elapsed();
        running
    }
}
