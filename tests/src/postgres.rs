//! The PostgreSQL server of the tests: the one that `SIMO_TEST_POSTGRES` names. Without it the tests run on SQLite.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use url::Url;

/// A database of its own on the server, gone when this is dropped.
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
    /// Makes an empty one.
    ///
    /// # Panics
    /// When there is no server, or it refuses.
    pub async fn create() -> Self {
        let name = format!("simo_{:032x}", rand::random::<u128>());
        let server = server().expect("SIMO_TEST_POSTGRES names a server");
        run(&format!("create database {name}")).await;
        let mut url = Url::parse(&server).expect("SIMO_TEST_POSTGRES is a URL");
        url.set_path(&name);
        Self {
            name,
            url: url.into(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TemporaryDatabase {
    fn drop(&mut self) {
        let statement = format!("drop database if exists {} with (force)", self.name);
        // A runtime of its own, because the test's may be ending. What stays behind harms nobody.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(run(&statement));
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
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .expect("the server does it");
    connection.close().await.expect("a connection can be closed");
}
