//! The PostgreSQL server of the tests: the one that `SIMO_TEST_POSTGRES` names. Without it the tests run on SQLite.
//! A test that stops its server starts its own.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use url::Url;

/// A database on the server, dropped with this value.
#[derive(Debug)]
pub struct TemporaryDatabase {
    name: String,
    url: String,
}

/// The server's URL, if the tests are to run on it.
pub fn server() -> Option<String> {
    std::env::var("SIMO_TEST_POSTGRES").ok()
}

impl TemporaryDatabase {
    /// Creates an empty one.
    ///
    /// # Panics
    /// When there is no server, or it returns an error.
    pub async fn create() -> Self {
        Self::make("").await
    }

    /// Creates a copy of this one, to which no connection may be open.
    ///
    /// # Panics
    /// When the server returns an error.
    pub async fn copy(&self) -> Self {
        Self::make(&format!(" template {}", self.name)).await
    }

    async fn make(like: &str) -> Self {
        let name = format!("simo_{:032x}", rand::random::<u128>());
        let server = server().expect("SIMO_TEST_POSTGRES names a server");
        run(&format!("create database {name}{like}")).await;
        let mut url = Url::parse(&server).expect("SIMO_TEST_POSTGRES is a URL");
        url.set_path(&name);
        Self { name, url: url.into() }
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TemporaryDatabase {
    fn drop(&mut self) {
        let statement = format!("drop database if exists {} with (force)", self.name);
        // Its own runtime, because the test's may be ending. A database left behind does no harm; the server delays the drop for
        // every connection that it cannot write to, including those of other tests.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let _stays = tokio::time::timeout(Duration::from_secs(30), run(&statement)).await;
            });
        });
        let _stays = dropped.join();
    }
}

/// Runs a statement on the server.
async fn run(statement: &str) {
    let server = server().expect("SIMO_TEST_POSTGRES names a server");
    let options: PgConnectOptions = server.parse().expect("SIMO_TEST_POSTGRES is a URL");
    let mut connection = options.connect().await.expect("the server answers");
    let statement = AssertSqlSafe(statement.to_owned());
    sqlx::query(statement).execute(&mut connection).await.expect("the server does it");
    connection.close().await.expect("a connection can be closed");
}

/// A server of one test, which may stop and start it. It is removed with its directory.
pub struct OwnServer {
    programs: PathBuf,
    directory: TempDir,
}

impl OwnServer {
    /// Starts one; `None` where the tests run on SQLite.
    ///
    /// # Panics
    /// When PostgreSQL's programs are missing or fail.
    pub fn start() -> Option<Self> {
        server()?;
        let own = Self::new();
        own.run("initdb", &["-D", &own.data(), "-U", "simo", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        own.again();
        Some(own)
    }

    /// Starts a hot standby of it.
    ///
    /// # Panics
    /// When PostgreSQL's programs fail.
    #[must_use]
    pub fn standby(&self) -> Self {
        let own = Self::new();
        let home = self.home();
        own.run("pg_basebackup", &["-D", &own.data(), "-h", &home, "-U", "simo", "-R", "--no-sync"]);
        own.again();
        own
    }

    /// Prepares a directory for a server.
    fn new() -> Self {
        let directory = TempDir::with_prefix("simo-postgres-").expect("a directory can be made");
        let own = Self { programs: programs(), directory };
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(own.directory.path(), open).expect("our own directory can be opened");
        let options = format!("-c listen_addresses= -c fsync=off -k {}", own.home());
        fs::write(own.directory.path().join("options"), options).expect("a file can be written");
        own
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://simo@localhost/postgres?host={}", self.home())
    }

    /// The directory of its socket, used as the host.
    pub fn home(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Promotes a standby to primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Requires a password from everyone but its superuser.
    pub fn demand_passwords(&self) {
        let lines = "local all simo trust\nlocal all all scram-sha-256\n";
        fs::write(Path::new(&self.data()).join("pg_hba.conf"), lines).expect("a file can be written");
        self.stop();
        self.again();
    }

    /// Runs statements in one of its databases.
    ///
    /// # Panics
    /// When it returns an error.
    pub async fn execute(&self, database: &str, statements: &str) {
        let mut connection = self.connect(database).await;
        let statements = AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(statements).execute(&mut connection).await.expect("the server does it");
        connection.close().await.expect("a connection can be closed");
    }

    /// Queries a number from one of its databases.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn number(&self, database: &str, question: &str) -> i64 {
        let mut connection = self.connect(database).await;
        let question = AssertSqlSafe(question.to_owned());
        sqlx::query_scalar(question).fetch_one(&mut connection).await.expect("the server answers")
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url().parse().expect("it is a URL");
        options.database(database).connect().await.expect("the server answers")
    }

    /// Stops it at once, without notice to its connections.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// Starts it again.
    pub fn again(&self) {
        let options = fs::read_to_string(self.directory.path().join("options")).expect("it was written");
        let log = self.directory.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-o", &options, "-w", "start"]);
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    /// Runs one of PostgreSQL's programs, which refuse to run as root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let status = command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(status.success(), "{command:?}: {status}");
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // It fails when the test has stopped the server.
        if Path::new(&self.data()).join("postmaster.pid").exists() {
            self.stop();
        }
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

/// The directory with PostgreSQL's programs, of the newest version installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    found.extend(["/usr/local/bin".into(), "/usr/bin".into()]);
    let newest = found.into_iter().find(|directory| directory.join("initdb").exists());
    newest.expect("PostgreSQL's programs are installed")
}
