//! Everything the database knows. SQL lives here and nowhere else.
//!
//! Behind it is an SQLite file (`sqlite`) or a PostgreSQL server (`postgres`); all others speak to either through `engine`.

mod accept;
mod acs;
mod audience;
mod bind;
mod blocking;
mod caller;
mod cancel;
mod clients;
pub mod copy;
mod devices;
mod dialect;
mod disk;
mod employees;
pub(crate) mod engine;
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
mod postgres;
mod queue;
mod receipts;
mod sqlite;
mod sweep;
mod tokens;
mod topics;
mod words;

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Mutex as StdMutex, atomic::AtomicUsize},
};

pub(crate) use self::disk::Write;
pub use self::{
    accept::{Accepted, Draft, Expiry, Incoming, KeyKind, Poster, Refusal},
    caller::{AcsCaller, DeviceCaller, OperatorCaller, TokenHolder},
    error::{Error, Result},
    expand::Stride,
    feed::{FeedPiece, FeedPosition, FeedScope},
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
    engine::{Engine, Read, query},
    postgres::{Others, Server},
    sqlite::File,
};
use crate::clock::Clock;

/// The database.
#[derive(Debug)]
pub struct Store {
    database: Database,
    clock: Clock,
    /// Pushes that dispatch holds, by row.
    claims: StdMutex<HashSet<i64>>,
    /// Whose turn it is when a claim cannot be shared evenly.
    claim_turn: AtomicUsize,
}

#[derive(Debug)]
enum Database {
    Sqlite(File),
    Postgres(Server),
}

/// What a database URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL server, by its whole URL.
    Server(String),
}

impl Place {
    /// Reads `sqlite:/path/simo.db`, a bare path, or `postgres://…`.
    ///
    /// # Errors
    /// [`Error::Url`] when it is none of these.
    pub fn of(url: &str) -> Result<Self> {
        let path = match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => return Ok(Self::Server(url.to_owned())),
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, _)) if scheme.len() > 1 && !scheme.contains('/') => {
                return Err(Error::Url(format!("{scheme}:…")));
            }
            _ => url,
        };
        if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
            return Err(Error::Url(url.to_owned()));
        }
        Ok(Self::File(PathBuf::from(path)))
    }
}

impl Store {
    /// Opens (and makes, and migrates) the database that `url` names.
    ///
    /// # Errors
    /// [`Error::Held`] when another simod has the file, [`Error::Url`] when the URL is not one of ours, else what the
    /// database says.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let database = match Place::of(url)? {
            Place::File(path) => Database::Sqlite(File::open(&path).await?),
            Place::Server(url) => Database::Postgres(Server::open(&url).await?),
        };
        Ok(Self {
            database,
            clock,
            claims: StdMutex::default(),
            claim_turn: AtomicUsize::new(0),
        })
    }

    /// The migrations that opening the database would run, by name; all of them when it does not exist.
    pub async fn pending_migrations(url: &str) -> Result<Vec<String>> {
        match Place::of(url)? {
            Place::File(path) => sqlite::pending_migrations(&path).await,
            Place::Server(url) => postgres::pending_migrations(&url).await,
        }
    }

    /// The clock that the store's times come from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Which database it is.
    pub(crate) fn engine(&self) -> Engine {
        match &self.database {
            Database::Sqlite(_) => Engine::Sqlite,
            Database::Postgres(_) => Engine::Postgres,
        }
    }

    /// A connection that reads.
    pub(crate) async fn read(&self) -> Result<Read> {
        match &self.database {
            Database::Sqlite(file) => file.read().await,
            Database::Postgres(server) => server.read().await,
        }
    }

    /// A connection that reads everything as it was at one moment.
    pub(crate) async fn snapshot(&self) -> Result<Read> {
        match &self.database {
            Database::Sqlite(file) => file.snapshot().await,
            Database::Postgres(server) => server.snapshot().await,
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn write(&self) -> Result<Write> {
        match &self.database {
            Database::Sqlite(file) => file.write().await,
            Database::Postgres(server) => server.write().await,
        }
    }

    /// Waits until everything that was committed before, or that anyone could read before, is on disk.
    pub async fn on_disk(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(file) => file.on_disk().await,
            // It has synced before it said that it had committed.
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Waits until every message that anyone could read before is on disk: only then may it be sent.
    pub async fn messages_on_disk(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(file) => file.messages_on_disk().await,
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Gives a piece of what deleted rows have left free back to the file system, when that is much. Returns whether
    /// there is more. A server does so by itself.
    pub async fn vacuum(&self) -> Result<bool> {
        match &self.database {
            Database::Sqlite(file) => file.vacuum().await,
            Database::Postgres(_) => Ok(false),
        }
    }

    /// Copies what was committed from the log into the database file. A server does so by itself.
    pub async fn checkpoint(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(file) => file.checkpoint().await,
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Whether the database answers, and can be written.
    pub async fn answers(&self) -> Result<()> {
        query("select 1 from client limit 1")
            .execute(&mut *self.read().await?)
            .await?;
        self.write().await?.rollback().await
    }

    /// Whether other instances may work on the same database.
    pub fn is_shared(&self) -> bool {
        self.engine() == Engine::Postgres
    }

    /// Tells the other instances that something happened.
    pub(crate) async fn tell_others(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(server) => server.tell_others().await,
        }
    }

    /// What the other instances say from now on.
    pub(crate) async fn others(&self) -> Result<Others> {
        match &self.database {
            Database::Sqlite(_) => Err(Error::Unavailable(sqlx::Error::PoolClosed)),
            Database::Postgres(server) => server.others().await,
        }
    }

    /// Whether it was closed: nothing can be stored any more.
    pub fn is_closed(&self) -> bool {
        match &self.database {
            Database::Sqlite(file) => file.is_closed(),
            Database::Postgres(server) => server.is_closed(),
        }
    }

    /// Waits for what is running, and closes the database.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(file) => file.close().await,
            Database::Postgres(server) => server.close().await,
        }
    }
}

/// The names of migrations that are not among those that were run.
fn names_of_pending(migrator: &sqlx::migrate::Migrator, done: &[i64]) -> Vec<String> {
    let pending = migrator.iter().filter(|m| !done.contains(&m.version));
    pending
        .map(|m| format!("{:04}_{}", m.version, m.description.replace(' ', "_")))
        .collect()
}

#[cfg(test)]
mod tests;
