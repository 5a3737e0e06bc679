//! A PostgreSQL server, which any number of instances share.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    Error, Result,
    disk::Write,
    engine::{Conn, Held, Read},
    names_of_pending,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a caller waits for a connection before he is told to come back.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// Connections of one instance.
const CONNECTIONS: u32 = 16;

/// What every transaction that must see one moment begins with.
const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// A server, through a pool of connections.
#[derive(Debug)]
pub(super) struct Server {
    pool: PgPool,
}

impl Server {
    /// Connects, and migrates the database.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = options(url)?;
        let opened = |error| Error::Open(shown(&options), error);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT_FOR_CONNECTION)
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        MIGRATIONS.run(&pool).await?;
        warn_of_unsafe_settings(&pool).await?;
        Ok(Self { pool })
    }

    pub(super) async fn read(&self) -> Result<Read> {
        Ok(Read(Conn::Postgres(Held::Alone(self.pool.acquire().await?))))
    }

    pub(super) async fn snapshot(&self) -> Result<Read> {
        let transaction = self.pool.begin_with(SNAPSHOT).await?;
        Ok(Read(Conn::Postgres(Held::Within(transaction))))
    }

    pub(super) async fn write(&self) -> Result<Write> {
        let conn = Conn::Postgres(Held::Within(self.pool.begin().await?));
        Ok(Write::new(conn, None))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Says so when the server may lose what it has committed.
async fn warn_of_unsafe_settings(pool: &PgPool) -> Result<()> {
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(pool)
            .await?;
        if value == "off" {
            tracing::warn!("PostgreSQL runs with {setting} = off: a power failure loses accepted messages");
        }
    }
    Ok(())
}

/// The migrations that [`Server::open`] would run.
pub(super) async fn pending_migrations(url: &str) -> Result<Vec<String>> {
    let options = options(url)?;
    let mut connection = options
        .connect()
        .await
        .map_err(|error| Error::Open(shown(&options), error))?;
    let known: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut connection)
        .await?;
    let mut done = Vec::new();
    if known {
        done = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success")
            .fetch_all(&mut connection)
            .await?;
    }
    connection.close().await?;
    Ok(names_of_pending(&MIGRATIONS, &done))
}

fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|_| Error::Url(url.to_owned()))?;
    Ok(options.application_name("simod").statement_cache_capacity(256))
}

/// Where it is, without a password.
fn shown(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    )
}
