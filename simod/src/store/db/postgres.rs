//! A PostgreSQL server, shared by any number of instances.

mod advice;
mod hosts;
mod pool;
mod proof;
mod url;

use std::{
    borrow::Cow,
    io,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, Executor as _, PgConnection,
    migrate::Migrator,
    postgres::{PgListener, PgPoolOptions},
};

use tokio::{sync::Semaphore, time::timeout};

pub use self::hosts::Unreached;
use self::proof::Prover;
pub(in crate::store) use self::{hosts::Hosts, proof::StandbyAway, url::ServerUrl};
pub(crate) use self::{pool::Pool, url::without_password};
use super::{
    engine::{
        Commits, Conn, Faults, PATIENT, PROMPT, Read, Session, WAIT_FOR_CONNECTION, WRITERS, in_time, permit,
    },
    migrations::{self, Ran},
    transaction::Write,
};
use crate::{
    clock::Clock,
    store::{Error, Result},
};

static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations::of(sqlx::migrate!("migrations/postgres")));

/// How many connections read for waiting requests, and how many for work that may take long. With [`WRITERS`] these are
/// all connections: when one kind hangs, it does not take those of another.
const PROMPT_READERS: usize = 6;
const PATIENT_READERS: usize = 8;

/// Connections of one instance; one more listens to the others.
const CONNECTIONS: usize = WRITERS + PROMPT_READERS + PATIENT_READERS;

/// The channel on which instances notify each other.
const NOTIFIED_AS: &str = "simo";

/// The application name of our connections at the server.
const PROGRAM: &str = "simod";

/// Settings of every connection.
///
/// An instance whose machine vanished in the middle of a transaction keeps its locks until the server gives it up, and
/// holds the feed back for as long.
///
/// None of our statements takes this long; one that does is canceled before everything queues behind it. Our
/// statements name their tables in the order in which indexes lead from one to the next; without statistics (on tables
/// filled just now) the planner prefers orders that cost a thousand times more, compiles them first, and reads tables
/// whole. With statistics it reads them from the beginning where history wants a page, which may be at the end.
///
/// The warning that a commit may be lost must come through.
const SETTINGS: &str = "set client_min_messages = warning; set statement_timeout = '30s'; set idle_in_transaction_session_timeout = '40s'; set jit = off; set join_collapse_limit = 1;
    set from_collapse_limit = 1; set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off";

/// Further settings of a transaction that a request waits for: the server cancels a statement before we give up.
const PROMPTLY: &str = "; set local statement_timeout = '7s'";

/// How long a transaction that a request waits for may take to begin: a caller refused in time knows that nothing was
/// stored.
const TO_BEGIN: Duration = Duration::from_secs(6);

/// Begins a transaction that must see one snapshot.
const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// Whether a request waits: then a server that stops answering is given up after a few seconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Haste {
    Prompt,
    Patient,
}

impl Haste {
    fn silence(self) -> Duration {
        match self {
            Self::Prompt => PROMPT,
            Self::Patient => PATIENT,
        }
    }
}

/// A server, through a pool of connections.
#[derive(Debug)]
pub(in crate::store) struct Server {
    pool: Pool,
    commits: Arc<Commits>,
    prompt_readers: Arc<Semaphore>,
    patient_readers: Arc<Semaphore>,
    /// Identifies this instance to the others.
    name: String,
    /// A pooler may run every transaction on another connection of the server, and so every statement outside of one.
    is_pooled: bool,
    /// Where to listen to the others; nowhere behind a pooler: the connection's next user would receive the
    /// notifications.
    listening: Option<(Hosts, usize)>,
    prover: Prover,
}

/// Notifications from other instances.
#[derive(Debug)]
pub(crate) struct Others {
    listener: PgListener,
    /// Our own name: our own notifications are ignored.
    name: String,
    since: Instant,
    faults: Arc<Faults>,
}

impl Others {
    /// Waits until another instance has sent a notification, or may have.
    ///
    /// # Errors
    /// Notifications cannot be received any more.
    pub(crate) async fn said_something(&mut self) -> Result<()> {
        loop {
            let word = tokio::select! {
                word = self.listener.try_recv() => word?,
                () = self.faults.condemned(self.since) => {
                    return Err(sqlx::Error::Io(io::ErrorKind::ConnectionAborted.into()).into());
                }
            };
            match word {
                Some(word) if word.payload() == self.name => {}
                // The connection was lost silently, and notifications with it.
                _ => return Ok(()),
            }
        }
    }
}

impl Server {
    /// Connects, and migrates the database: over `direct`, where `url` leads through a pooler.
    pub(in crate::store) async fn open(url: &str, direct: Option<&str>) -> Result<Self> {
        let hosts = Hosts::of(url, PROGRAM, direct.is_some())?;
        let is_pooled = hosts.is_pooled();
        let (place, connection) = hosts.connect(0).await?;
        let (mut connection, directly) = match direct {
            Some(direct) => {
                let directly = Hosts::of(direct, PROGRAM, false)?;
                let (place, connection) = directly.connect(0).await?;
                (connection, (directly, place))
            }
            None => (connection, (hosts.clone(), place)),
        };
        // On a connection of its own: a migration may take longer than any other statement. Within transactions:
        // otherwise a pooler may run every statement on another connection.
        check_age(&mut connection).await?;
        let source = async { Ok(unfinished_copy(&mut *connection.begin().await?).await?) };
        if let Some(source) = within(PROMPT, source).await? {
            return Err(Error::HalfCopied(source));
        }
        migrate(&mut connection, is_pooled && direct.is_none()).await?;
        within(PATIENT, async {
            warn_of_unsafe_settings(&mut connection).await?;
            adopt_feed(&mut connection).await
        })
        .await?;
        // The answer does not matter.
        let _closed = timeout(PROMPT, connection.close()).await;
        let settings = (!is_pooled).then_some(SETTINGS);
        let options = pool_options(&hosts, settings).max_connections(CONNECTIONS as u32);
        let name = format!("{:032x}", rand::random::<u128>());
        Ok(Self {
            pool: Pool::new(options, hosts, place),
            commits: Commits::new(&name),
            prompt_readers: Arc::new(Semaphore::new(PROMPT_READERS)),
            patient_readers: Arc::new(Semaphore::new(PATIENT_READERS)),
            prover: Prover::new(url, direct.is_some(), name.clone())?,
            name,
            is_pooled,
            listening: (!is_pooled || direct.is_some()).then_some(directly),
        })
    }

    /// The offset from a monotonic clock to the server's time, and its uncertainty.
    pub(in crate::store) async fn difference(&self, clock: &Clock) -> Result<(i64, i64)> {
        let permit = permit(&self.prompt_readers).await?;
        let mut session = self.begin("begin", Haste::Prompt).await?.holding(permit);
        let (asked, before) = (Instant::now(), clock.uncorrected());
        let question = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
        let (connection, patience) = session.parts();
        let server: i64 = patience.in_time(question.persistent(false).fetch_one(connection)).await?;
        let took = asked.elapsed().as_micros() as i64;
        session.commit().await?;
        Ok((server - before - took / 2, took))
    }

    /// A connection that reads, by haste.
    pub(in crate::store) async fn read(&self, haste: Haste) -> Result<Read> {
        self.reading(haste, false).await
    }

    /// A connection that reads one snapshot.
    pub(in crate::store) async fn snapshot(&self) -> Result<Read> {
        self.reading(Haste::Patient, true).await
    }

    async fn reading(&self, haste: Haste, is_snapshot: bool) -> Result<Read> {
        let readers = match haste {
            Haste::Prompt => &self.prompt_readers,
            Haste::Patient => &self.patient_readers,
        };
        let permit = permit(readers).await?;
        let session = if is_snapshot || self.is_pooled {
            self.begin(SNAPSHOT, haste).await?
        } else {
            Session::alone(&self.pool, haste.silence()).await?
        };
        Ok(Read(Conn::Postgres(Box::new(session.holding(permit)))))
    }

    pub(in crate::store) async fn tell_others(&self) -> Result<()> {
        let permit = permit(&self.prompt_readers).await?;
        let mut session = self.begin("begin", Haste::Prompt).await?.holding(permit);
        let word =
            sqlx::query("select pg_notify($1, $2)").bind(NOTIFIED_AS).bind(&self.name).persistent(false);
        let (connection, patience) = session.parts();
        patience.in_time(word.execute(connection)).await?;
        session.commit().await
    }

    /// Listens to the other instances, on a connection of its own; `None` where that is not possible.
    pub(in crate::store) async fn others(&self) -> Result<Option<Others>> {
        let Some(directly) = &self.listening else {
            return Ok(None);
        };
        let since = Instant::now();
        // A new pool each time: a dropped listener may hold its pool's only place for as long as its server is silent.
        let (hosts, place) = directly;
        let pool = Pool::new(pool_options(hosts, None).max_connections(1), hosts.clone(), *place);
        // The listener takes this connection: it does not look for the host.
        drop(pool.acquire().await?);
        let mut listener = PgListener::connect_with(pool.inner()).await?;
        in_time(PROMPT, listener.listen(NOTIFIED_AS)).await?;
        Ok(Some(Others { listener, name: self.name.clone(), since, faults: self.pool.faults() }))
    }

    /// Commits this instance's own row with this many bytes of ballast, or fails within some seconds.
    pub(in crate::store) async fn prove_commit(&self, ballast: u32) -> Result<()> {
        self.prover.commit(ballast).await
    }

    /// Begins a transaction that may write, by haste.
    pub(in crate::store) async fn write(&self, haste: Haste) -> Result<Write> {
        match haste {
            Haste::Prompt => within(TO_BEGIN, self.begin_to_write(haste)).await,
            Haste::Patient => self.begin_to_write(haste).await,
        }
    }

    async fn begin_to_write(&self, haste: Haste) -> Result<Write> {
        let pass = self.commits.enter(matches!(haste, Haste::Prompt)).await?;
        let session = self.begin("begin", haste).await?.with(pass).await?;
        Ok(Write::new(Conn::Postgres(Box::new(session)), None))
    }

    /// Resolves the next time a commit is found hanging.
    pub(in crate::store) fn commit_hangs(&self) -> impl Future<Output = ()> + Send + use<> {
        self.commits.hang()
    }

    /// Begins a transaction. If the connection turns out to be unusable, it is retried once on a new one at no cost to
    /// the caller.
    async fn begin(&self, begin: &'static str, haste: Haste) -> Result<Session> {
        let mut begin = Cow::from(begin);
        if self.is_pooled {
            begin = format!("{begin}; {}", SETTINGS.replace("set ", "set local ")).into();
        }
        if matches!(haste, Haste::Prompt) {
            begin.to_mut().push_str(PROMPTLY);
        }
        let asked = Instant::now();
        let mut begun = Session::begin(&self.pool, haste.silence(), begin.clone()).await;
        if begun.is_err() && self.pool.condemns(asked) {
            begun = Session::begin(&self.pool, haste.silence(), begin).await;
        }
        let session = begun?;
        Ok(if self.is_pooled { session.without_statements() } else { session })
    }

    pub(in crate::store) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    pub(in crate::store) async fn close(&self) {
        self.prover.close().await;
        self.pool.close().await;
    }
}

/// Options for a pool. `settings`: sent on each connection, unless a pooler shares it with others.
fn pool_options(hosts: &Hosts, settings: Option<&'static str>) -> PgPoolOptions {
    let hosts = hosts.clone();
    PgPoolOptions::new().acquire_timeout(WAIT_FOR_CONNECTION).after_connect(move |connection, _| {
        let hosts = hosts.clone();
        Box::pin(async move {
            if let Some(unfit) = hosts.unfit(connection).await? {
                return Err(unfit.into());
            }
            if let Some(settings) = settings {
                connection.execute(settings).await?;
            }
            Ok(())
        })
    })
}

/// Events copied from another server bear numbers of its transactions, which may be greater than any reached here:
/// nothing would follow them for years. They are given one of ours, and every subscriber starts over.
async fn adopt_feed(connection: &mut PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    let adopted = sqlx::raw_sql(
        "update event set xact = pg_current_xact_id() where xact >= pg_snapshot_xmax(pg_current_snapshot())",
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    let floor = if adopted > 0 {
        "update event_floor set xact = pg_current_xact_id(), seq = 0"
    } else {
        "update event_floor set xact = pg_current_xact_id(), seq = 0
         where xact >= pg_snapshot_xmax(pg_current_snapshot())"
    };
    sqlx::raw_sql(floor).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Checks that the database is not too old, before anything else is asked of it.
///
/// # Errors
/// [`Error::Of01`] when it is.
pub(in crate::store) async fn check_age(connection: &mut PgConnection) -> Result<()> {
    match done(connection).await {
        Ok(done) => migrations::check_age(&MIGRATIONS, &done),
        Err(error) => Err(advice::on_migrating(connection, error).await),
    }
}

/// Runs the migrations that are missing.
pub(in crate::store) async fn migrate(connection: &mut PgConnection, is_pooled: bool) -> Result<()> {
    match run_migrations(connection, is_pooled).await {
        Ok(()) => Ok(()),
        Err(error) => Err(advice::on_migrating(connection, error).await),
    }
}

async fn run_migrations(connection: &mut PgConnection, is_pooled: bool) -> Result<()> {
    let done = done(connection).await?;
    migrations::check(&MIGRATIONS, &done)?;
    let pending = migrations::pending(&MIGRATIONS, &done);
    if pending.is_empty() {
        return Ok(());
    }
    if is_pooled {
        // Migrations run under a session lock, which does not hold behind a pooler.
        return Err(Error::Unmigrated(pending));
    }
    // Without a time limit.
    Ok(MIGRATIONS.run(connection).await?)
}

/// The result, if the server delivers it in time.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()).into()))
}

/// Warns when the server may lose what it has committed.
async fn warn_of_unsafe_settings(connection: &mut PgConnection) -> Result<()> {
    let mut transaction = connection.begin().await?;
    for setting in ["fsync", "synchronous_commit"] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        if value == "off" {
            tracing::warn!("PostgreSQL runs with {setting} = off: a power failure loses accepted messages");
        }
    }
    Ok(transaction.commit().await?)
}

/// The migrations that [`Server::open`] would run.
pub(in crate::store) async fn pending_migrations(url: &str) -> Result<Vec<String>> {
    let (_, mut connection) = Hosts::of(url, PROGRAM, false)?.connect(0).await?;
    match done(&mut connection).await {
        Ok(done) => {
            connection.close().await?;
            migrations::check_age(&MIGRATIONS, &done)?;
            Ok(migrations::pending(&MIGRATIONS, &done))
        }
        Err(error) => Err(advice::on_migrating(&mut connection, error).await),
    }
}

/// The migrations that were run, read within a transaction: otherwise a pooler may run every statement on another
/// connection.
async fn done(connection: &mut PgConnection) -> Result<Vec<Ran>> {
    within(PROMPT, async {
        let mut tx = connection.begin().await?;
        let known: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
            .persistent(false)
            .fetch_one(&mut *tx)
            .await?;
        if !known {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as("select version, checksum from _sqlx_migrations where success")
            .persistent(false)
            .fetch_all(&mut *tx)
            .await?)
    })
    .await
}

/// The source of the unfinished copy that the database holds, if any.
pub(in crate::store) async fn unfinished_copy(connection: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let is_there: bool = sqlx::query_scalar("select to_regclass('unfinished_copy') is not null")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        return Ok(None);
    }
    sqlx::query_scalar("select source from unfinished_copy")
        .persistent(false)
        .fetch_optional(connection)
        .await
}

#[cfg(test)]
mod tests;
