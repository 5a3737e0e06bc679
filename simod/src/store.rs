//! Everything the database knows. SQL lives here and nowhere else.
//!
//! One writer, because SQLite has one: a connection behind a fair lock, whose transactions begin `IMMEDIATE`; what they
//! commit is synced beside it (`disk`). Readers have a pool of their own and never wait for it.

mod accept;
mod acs;
mod audience;
mod bind;
mod blocking;
mod caller;
mod cancel;
mod clients;
mod devices;
mod disk;
mod employees;
mod error;
mod expand;
mod feed;
mod forget;
mod groups;
mod history;
mod import;
mod inbox;
mod list;
mod lock;
mod named;
mod operators;
mod pairing;
mod queue;
mod receipts;
mod sweep;
mod tokens;
mod topics;
mod words;

use std::{
    collections::HashSet,
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, atomic::AtomicUsize},
    time::Duration,
};

use sqlx::{
    Connection, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};

pub(crate) use self::disk::Write;
pub use self::{
    accept::{Accepted, Draft, Expiry, Incoming, KeyKind, Poster, Refusal},
    caller::{AcsCaller, DeviceCaller, OperatorCaller, TokenHolder},
    error::{Error, Result},
    expand::Stride,
    feed::{FeedPiece, FeedScope},
    history::{Ask, AskMessages, PAGE_MOST},
    inbox::StreamPhone,
    list::{Find, Listing, Rows},
    pairing::{NewDevice, PairedDevice, Pairing, Way},
    queue::{Claim, ClaimedPush, DeviceEffect, Finished, PushKey, PushResult, Skip},
    receipts::{Recorded, Reported},
    sweep::StreamCursor,
    tokens::{TokenFor, TokenKey, TokenTerms},
};
use self::{
    disk::{Log, unsynced},
    lock::FileLock,
};
use crate::clock::Clock;

/// How long a statement waits for a lock that another process holds before the caller is told to come back.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller waits for a connection before he is told to come back.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(10);

/// What the writer may remember of the file: the pages that every batch changes, in KiB (negative, as SQLite wants it).
/// Only what was used takes memory.
const WRITER_CACHE: &str = "-32768";

/// The database.
#[derive(Debug)]
pub struct Store {
    readers: SqlitePool,
    /// One connection: SQLite has one writer, and the pool hands it out first come, first served.
    writer: SqlitePool,
    log: Arc<Log>,
    clock: Clock,
    /// Pushes that dispatch holds, by row.
    claims: StdMutex<HashSet<i64>>,
    /// Whose turn it is when a claim cannot be shared evenly.
    claim_turn: AtomicUsize,
    /// Held for as long as the store lives: one process owns the file.
    _lock: FileLock,
}

impl Store {
    /// Opens (and makes, and migrates) the database that `url` names: `sqlite:/path/simo.db` or a bare path.
    ///
    /// # Errors
    /// [`Error::Held`] when another simod has it, [`Error::Url`] when the URL is not one of ours, else what the
    /// database says.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let path = Self::path(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let mut make = DirBuilder::new();
            let made = make.recursive(true).mode(0o700).create(folder);
            made.map_err(|e| Error::File(folder.to_owned(), e))?;
        }
        let lock = FileLock::take(&path)?;
        // Names, telephone numbers and texts are nobody else's business. SQLite gives its log the same mode.
        let make = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path);
        make.map_err(|e| Error::File(path.clone(), e))?;
        let options = Self::options(&path);
        let writer = Self::pool(1)
            .connect_with(options.clone().pragma("cache_size", WRITER_CACHE))
            .await
            .map_err(|e| Error::Open(path.clone(), e))?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = Self::pool(4)
            .connect_with(options.pragma("query_only", "on"))
            .await?;
        Ok(Self {
            readers,
            writer,
            log: Arc::new(Log::of(&path)),
            clock,
            claims: StdMutex::default(),
            claim_turn: AtomicUsize::new(0),
            _lock: lock,
        })
    }

    /// The migrations that opening the database would run, by name; all of them when it does not exist.
    pub async fn pending_migrations(url: &str) -> Result<Vec<String>> {
        let path = Self::path(url)?;
        let migrator = sqlx::migrate!("migrations/sqlite");
        let mut done = Vec::new();
        if path.exists() {
            let mut connection =
                SqliteConnection::connect_with(&Self::options(&path).read_only(true)).await?;
            let known: i64 =
                sqlx::query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
                    .fetch_one(&mut connection)
                    .await?;
            if known > 0 {
                done = sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success")
                    .fetch_all(&mut connection)
                    .await?;
            }
            connection.close().await?;
        }
        let pending = migrator.iter().filter(|m| !done.contains(&m.version));
        Ok(pending
            .map(|m| format!("{:04}_{}", m.version, m.description.replace(' ', "_")))
            .collect())
    }

    /// The database file that `url` names.
    pub fn path(url: &str) -> Result<PathBuf> {
        let path = match url.split_once(':') {
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, _)) if scheme.len() > 1 && !scheme.contains('/') => {
                return Err(Error::Url(url.to_owned()));
            }
            _ => url,
        };
        if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
            return Err(Error::Url(url.to_owned()));
        }
        Ok(PathBuf::from(path))
    }

    fn options(path: &Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(path)
            // Before the first table, or it has no effect.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            // The log is synced by `disk`, before anyone is answered.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(false)
            // Checkpoints run beside the writer (`checkpoint`); this is only the limit for when they cannot keep up.
            .pragma("wal_autocheckpoint", "20000")
            // As large as it becomes until then, so that it need not grow again each time.
            .pragma("journal_size_limit", "83886080")
            .pragma("temp_store", "memory")
            .statement_cache_capacity(256)
    }

    /// The clock that the store's times come from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A connection that reads.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
    }

    /// Waits for the writer, first come first served, and begins a transaction.
    pub(crate) async fn write(&self) -> Result<Write> {
        if self.log.is_broken() {
            return Err(unsynced());
        }
        let transaction = match self.writer.begin_with("begin immediate").await {
            // When the disk is full, SQLite rolls back by itself. sqlx goes on counting a transaction that is not there,
            // and the connection is of no use any more.
            Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::WorkerCrashed) => {
                let _broken = self.writer.acquire().await?.close().await;
                self.writer.begin_with("begin immediate").await?
            }
            begun => begun?,
        };
        Ok(Write::new(transaction, self.log.clone()))
    }

    /// Waits until everything that was committed before, or that anyone could read before, is on disk.
    pub async fn on_disk(&self) -> Result<()> {
        self.log.on_disk().await
    }

    /// Copies what was committed from the log into the database file, beside the writer.
    pub async fn checkpoint(&self) -> Result<()> {
        let mut reader = self.read().await?;
        sqlx::query("pragma wal_checkpoint(passive)")
            .execute(&mut *reader)
            .await?;
        Ok(())
    }

    /// Whether the database answers, and can be written.
    pub async fn answers(&self) -> Result<()> {
        let mut reader = self.read().await?;
        sqlx::query("select 1 from client limit 1")
            .execute(&mut *reader)
            .await?;
        self.write().await?.rollback().await
    }

    /// Whether it was closed: nothing can be stored any more.
    pub fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Waits for what is running, and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn pool(most: u32) -> SqlitePoolOptions {
        SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(most)
            .acquire_timeout(WAIT_FOR_CONNECTION)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    }
}

#[cfg(test)]
mod tests;
