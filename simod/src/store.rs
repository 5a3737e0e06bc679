//! Everything the database knows. SQL lives here and nowhere else.
//!
//! Behind it is an SQLite file (`db/sqlite`) or a PostgreSQL server (`db/postgres`); all rooms speak to either through
//! `db/engine`.

mod audit;
mod callers;
mod clock_steps;
mod codes;
pub mod copy;
pub(crate) mod db;
mod directory;
mod error;
mod feed;
mod health;
mod history;
mod installation;
mod keep;
mod list;
mod message_spans;
mod message_sums;
mod numbers;
mod phones;
mod posting;
mod queue;

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use futures_util::future::Either;

pub use self::{
    audit::{AuditFilter, SERVER},
    callers::{
        attempts::{Counted, Refused, RefusedKey, RefusedToken},
        caller::{AcsCaller, DeviceCaller, OperatorCaller, TokenHolder},
        limits::{OnSight, TokenLimits, network},
        login::{LoggedIn, NewSession},
        refused_posts::RefusedPosts,
        sessions::Ended,
    },
    db::postgres::Unreached,
    directory::{
        grants::GrantTerms,
        site::Reach,
        tokens::{TokenFor, TokenKey, TokenTerms},
    },
    error::{Error, Result},
    feed::{FeedPiece, FeedPosition, FeedScope},
    health::PeopleReached,
    history::{Ask, AskMessages, PAGE_MOST},
    installation::NewKey,
    list::{Find, Listing, Rows},
    numbers::{
        AcsNo, BatchNo, ClientNo, DeviceNo, EmployeeNo, GrantNo, GroupNo, MessageNo, OperatorNo, TokenNo,
        TopicNo,
    },
    phones::{
        channel_address::Way,
        pairing::{NewDevice, PairedDevice, Pairing, PreviewedCode},
        web_origin::WebOrigin,
    },
    posting::{
        accept::{Accepted, Draft, Expiry, Incoming, KeyKind, Nobody, Poster, Refusal},
        expand::Stride,
    },
    queue::{
        Claim, Claimed, ClaimedPush, DeviceEffect, Finished, PushKey, PushResult, Room, Skip,
        inbox::StreamPhone,
        receipts::{Recorded, Reported},
        sweep::StreamCursor,
    },
};
pub(crate) use self::{
    callers::refused_posts::NEWEST_REFUSED,
    db::{postgres::without_password, transaction::Write},
};
use self::{
    callers::token_last_used::Uses,
    db::{
        engine::{Engine, Read},
        postgres::{Haste, Others, Server, ServerUrl},
        sqlite::File,
    },
};
use self::{clock_steps::LeftOfStart, message_spans::NumbersGiven};
use simo_common::time::SECOND;

use crate::clock::{Clock, REMARKABLE};

/// How often work is retried that collided with another instance.
const RACES: u32 = 5;

/// The database.
#[derive(Debug)]
pub struct Store {
    database: Database,
    clock: Clock,
    /// Pushes that dispatch holds.
    claims: StdMutex<HashSet<PushKey>>,
    /// Message numbers that can no longer be stored.
    numbers_given: NumbersGiven,
    /// Held while pushes are being claimed.
    claiming: tokio::sync::Mutex<()>,
    /// When tokens were last used, until it is written down.
    uses: Uses,
    /// Whose turn it is when a claim cannot be shared evenly.
    claim_turn: AtomicUsize,
    /// How many write transactions were asked for.
    writes: AtomicU64,
    /// What remains to be done about the clock that simod started with.
    left_of_start: StdMutex<Option<LeftOfStart>>,
}

#[derive(Debug)]
enum Database {
    Sqlite(Box<File>),
    Postgres(Box<Server>),
}

/// What a database URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL server.
    Server {
        /// Its whole URL.
        url: String,
        /// Its own, where the other one leads through a pooler: for what must not share a connection with others.
        direct: Option<String>,
    },
}

impl Place {
    /// Reads `sqlite:/path/simo.db`, `postgres://…`, or a bare path that begins with `/` or `.`: another word is rather a
    /// mistyped URL than a file in the working directory.
    ///
    /// # Errors
    /// [`Error::Url`] when it is none of these, [`Error::ServerUrl`] when something is wrong with a server's.
    pub fn of(url: &str) -> Result<Self> {
        let path = match url.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                ServerUrl::parse(url).map_err(Error::ServerUrl)?;
                return Ok(Self::Server { url: url.to_owned(), direct: None });
            }
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            _ if url.starts_with(['/', '.']) => url,
            // A password may follow.
            Some((scheme, _)) => return Err(Error::Url(format!("{scheme}:…"))),
            None => return Err(Error::Url(url.to_owned())),
        };
        if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
            return Err(Error::Url(url.to_owned()));
        }
        Ok(Self::File(PathBuf::from(path)))
    }

    /// The same server, which can also be reached without a pooler.
    ///
    /// # Errors
    /// As [`Place::of`], and [`Error::DirectToFile`] when one of both is a file.
    pub fn with_direct(self, direct: &str) -> Result<Self> {
        match (self, Self::of(direct)?) {
            (Self::Server { url, .. }, Self::Server { url: direct, .. }) => {
                Ok(Self::Server { url, direct: Some(direct) })
            }
            _ => Err(Error::DirectToFile),
        }
    }
}

impl Store {
    /// Opens (and makes, and migrates) the database that `url` names.
    ///
    /// # Errors
    /// [`Error::Held`] when another simod has the file, [`Error::Url`] when the URL is not one of ours, else what the
    /// database says.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        Self::open_at(&Place::of(url)?, clock).await
    }

    /// Opens (and makes, and migrates) the database at a place. Times come from a clock that runs evenly; those of a server's
    /// database are by the server's clock, so that all instances mean the same by them.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_at(place: &Place, clock: Clock) -> Result<Self> {
        let clock = clock.into_correctable();
        let database = match place {
            Place::File(path) => Database::Sqlite(Box::new(File::open(path).await?)),
            Place::Server { url, direct } => {
                let server = Server::open(url, direct.as_deref()).await?;
                let (by, _) = server.difference(&clock).await?;
                clock.begin(by);
                if by.abs() >= REMARKABLE {
                    let seconds = by as f64 / SECOND as f64;
                    tracing::warn!(
                        "the database server's clock is {seconds:+.1} s off ours; we go by the server's"
                    );
                }
                Database::Postgres(Box::new(server))
            }
        };
        Ok(Self {
            database,
            clock,
            claims: StdMutex::default(),
            numbers_given: NumbersGiven::default(),
            claiming: tokio::sync::Mutex::default(),
            uses: Uses::default(),
            claim_turn: AtomicUsize::new(0),
            writes: AtomicU64::new(0),
            left_of_start: StdMutex::default(),
        })
    }

    /// The migrations that opening the database would run, by name; all of them when it does not exist.
    pub async fn pending_migrations(place: &Place) -> Result<Vec<String>> {
        match place {
            Place::File(path) => db::sqlite::pending_migrations(path).await,
            Place::Server { url, direct } => {
                db::postgres::pending_migrations(direct.as_deref().unwrap_or(url)).await
            }
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

    /// A connection that reads. What only a server needs is boxed, here and below: every future would have room for it.
    pub(crate) async fn read(&self) -> Result<Read> {
        match &self.database {
            Database::Sqlite(file) => file.read().await,
            Database::Postgres(server) => Box::pin(server.read(Haste::Patient)).await,
        }
    }

    /// A connection that reads what somebody waits for: a server that falls silent is given up after a few seconds.
    pub(crate) async fn read_promptly(&self) -> Result<Read> {
        match &self.database {
            Database::Sqlite(file) => file.read().await,
            Database::Postgres(server) => Box::pin(server.read(Haste::Prompt)).await,
        }
    }

    /// A connection that reads everything as it was at one moment.
    pub(crate) async fn snapshot(&self) -> Result<Read> {
        match &self.database {
            Database::Sqlite(file) => file.snapshot().await,
            Database::Postgres(server) => Box::pin(server.snapshot()).await,
        }
    }

    /// Begins a transaction that may write.
    pub(crate) async fn write(&self) -> Result<Write> {
        self.begin_write(Haste::Patient).await
    }

    /// The same for what somebody waits for: a server that falls silent is given up after a few seconds.
    pub(crate) async fn write_promptly(&self) -> Result<Write> {
        self.begin_write(Haste::Prompt).await
    }

    async fn begin_write(&self, haste: Haste) -> Result<Write> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let begun = match &self.database {
            Database::Sqlite(file) => file.write().await,
            Database::Postgres(server) => Box::pin(server.write(haste)).await,
        };
        begun.map(|tx| tx.began_at(self.clock.now()))
    }

    /// Resolves the next time a commit is found hanging: work that need not wait for it goes on.
    pub fn commit_hangs(&self) -> impl Future<Output = ()> + Send + use<> {
        match &self.database {
            // Its writer works on one transaction after the other anyway.
            Database::Sqlite(_) => Either::Left(std::future::pending()),
            Database::Postgres(server) => Either::Right(server.commit_hangs()),
        }
    }

    /// How many transactions that may write this process has asked for: a duty that can wait sees whether others want to.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
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

    /// Copies what was committed from the log into the database file. Returns whether there is more to do soon. A server
    /// does so by itself.
    pub async fn checkpoint(&self) -> Result<bool> {
        match &self.database {
            Database::Sqlite(file) => file.checkpoint().await,
            Database::Postgres(_) => Ok(false),
        }
    }

    /// Commits a row of this instance's own, with so many bytes of ballast, to prove that commits succeed: until it is on
    /// disk, and where the server has them, with a synchronous standby. What is rolled back proves nothing: that also
    /// succeeds on a full disk.
    ///
    /// # Errors
    /// Why it cannot, within ten seconds.
    pub async fn prove_commit(&self, ballast: u32) -> Result<()> {
        match &self.database {
            Database::Sqlite(file) => file.prove_commit(ballast, self.clock.now()).await,
            Database::Postgres(server) => server.prove_commit(ballast).await,
        }
    }

    /// What SQLite said of pages that cannot be read, for as long as that counts.
    pub fn unreadable(&self) -> Option<String> {
        match &self.database {
            Database::Sqlite(file) => file.unreadable(),
            Database::Postgres(_) => None,
        }
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

    /// What the other instances say from now on; `None` where there are none, or they cannot be heard.
    pub(crate) async fn others(&self) -> Result<Option<Others>> {
        match &self.database {
            Database::Sqlite(_) => Ok(None),
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

/// How often work was tried again that another instance was in the way of.
#[derive(Debug, Default)]
struct Races(u32);

impl Races {
    /// Whether to do the work again that ended with this result.
    fn lost<T>(&mut self, result: &Result<T>) -> bool {
        self.0 += 1;
        self.0 <= RACES && result.as_ref().is_err_and(Error::is_race)
    }
}

#[cfg(test)]
mod tests;
