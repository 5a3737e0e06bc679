//! The PostgreSQL server of the tests: the one that `SIMO_TEST_POSTGRES` names. Without it the tests run on SQLite.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};

/// The server's URL, if the tests are to run on it.
pub fn server() -> Option<String> {
    std::env::var("SIMO_TEST_POSTGRES").ok()
}

/// Makes an empty database on the server; returns its URL.
///
/// # Panics
/// When there is no server, or it refuses.
pub async fn empty_database() -> String {
    let server = server().expect("SIMO_TEST_POSTGRES names a server");
    let name = format!("simo_{:032x}", rand::random::<u128>());
    let options: PgConnectOptions = server.parse().expect("SIMO_TEST_POSTGRES is a URL");
    let mut connection = options.connect().await.expect("the server answers");
    sqlx::query(AssertSqlSafe(format!("create database {name}")))
        .execute(&mut connection)
        .await
        .expect("a database can be made");
    connection.close().await.expect("a connection can be closed");
    let mut url = url::Url::parse(&server).expect("SIMO_TEST_POSTGRES is a URL");
    url.set_path(&name);
    url.into()
}
