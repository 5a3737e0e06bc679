//! A real PgBouncer in front of the tests' PostgreSQL server, which gives each transaction any free connection.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use url::Url;

use crate::{eventually, skip};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const PORT: &str = "6432";

/// A running pooler; it stops when dropped.
pub struct Pooler {
    process: Child,
    directory: TempDir,
}

impl Pooler {
    /// Starts one in front of this database's server; `None` where PgBouncer is not installed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(database_url: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            skip("simod behind PgBouncer, which is not installed");
            return None;
        }
        let directory = TempDir::with_prefix("simo-pooler-").expect("a directory can be made");
        let home = directory.path().display();
        let url = Url::parse(database_url).expect("it is a URL");
        let socket = url.query_pairs().find(|(name, _)| name == "host");
        let host = match &socket {
            Some((_, host)) => host,
            None => url.host_str().unwrap_or("localhost"),
        };
        let port = url.port().unwrap_or(5432);
        let config = format!(
            "[databases]\n* = host={host} port={port} user=simo\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\nunix_socket_dir = {home}\nauth_type = trust\n\
             auth_file = {home}/users\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 100\n\
             logfile = {home}/log\n"
        );
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), open).expect("our own directory can be opened");
        fs::write(directory.path().join("users"), "\"simo\" \"\"\n").expect("a file can be written");
        fs::write(directory.path().join("config"), config).expect("a file can be written");
        let mut command = Command::new(PROGRAM);
        command
            .arg(directory.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((user, group)) = not_root() {
            command.uid(user).gid(group);
        }
        let pooler = Self { process: command.spawn().expect("PgBouncer starts"), directory };
        let socket = pooler.directory.path().join(format!(".s.PGSQL.{PORT}"));
        eventually("PgBouncer listens", async || socket.exists().then_some(())).await;
        Some(pooler)
    }

    /// The URL of the same database through the pooler.
    pub fn url(&self, database_url: &str) -> String {
        let name = Url::parse(database_url).expect("it is a URL").path().to_owned();
        let home = self.directory.path().display();
        format!("postgres://simo@localhost:{PORT}{name}?host={home}&statement-cache-capacity=0")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The user and group to run PgBouncer as when the tests run as root, because it refuses to.
fn not_root() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let nobody = users.find(|fields| fields.first() == Some(&"nobody"))?;
    let ids = (nobody.get(2)?.parse().ok()?, nobody.get(3)?.parse().ok()?);
    crate::postgres::is_root().then_some(ids)
}
