//! Sessions with a server, which may stop answering at any moment.

mod commits;
mod faults;
pub(crate) mod warnings;

use std::{
    borrow::Cow,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Row as _, SqlSafeStr,
    pool::PoolConnection,
    postgres::{PgDatabaseError, PgSeverity},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

pub(crate) use self::{
    commits::{Commits, Pass, WRITERS},
    faults::Faults,
};
use crate::store::{Error, Result, db::postgres::Pool};

/// How long a server may be silent over work that a request waits for: posts, claims, receipts, streams.
pub(crate) const PROMPT: Duration = Duration::from_secs(8);

/// The same where a statement may read much: longer than `statement_timeout`. A server that vanishes behind a firewall
/// sends nothing, and TCP gives up only after a quarter of an hour.
pub(crate) const PATIENT: Duration = Duration::from_secs(35);

/// The same for statements that take no work.
const AT_ONCE: Duration = Duration::from_secs(3);

/// How long a caller waits for a connection before being told to come back.
pub(crate) const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// How long a finished session may take to become ready for the next one. Otherwise, after a silence, dead sessions
/// would fill the pool.
const RELEASE: Duration = Duration::from_secs(10);

/// The server's answer, if it arrives in time.
pub(crate) fn in_time<'a, T: 'a>(
    silence: Duration,
    answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
) -> impl Future<Output = sqlx::Result<T>> + Send + 'a {
    // Boxed, or the tasks that hold such a future would double in size.
    let answer = timeout(silence, Box::pin(answer));
    async move { answer.await.unwrap_or_else(|_| Err(silent())) }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

/// How long a session waits for each answer, and where it notes faults of its connection.
#[derive(Debug)]
pub(crate) struct Patience {
    silence: Duration,
    faults: Arc<Faults>,
    /// Whether the server cancels a statement before we give up: else it may be at work, and silence is no fault.
    server_gives_up: bool,
    /// We have given up a statement whose outcome is unknown.
    has_given_up: AtomicBool,
}

impl Patience {
    /// The server's answer, if it arrives in time.
    pub(crate) async fn in_time<'a, T: 'a>(
        &self,
        answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
    ) -> sqlx::Result<T> {
        let answer = in_time(self.silence, answer).await;
        answer.inspect_err(|error| {
            if is_silence(error) && !self.server_gives_up {
                self.has_given_up.store(true, Ordering::Relaxed);
            } else {
                self.faults.note(error);
            }
        })
    }

    /// The same for a statement that takes no work: silence is a fault.
    async fn within<'a, T: 'a>(
        &self,
        limit: Duration,
        answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
    ) -> sqlx::Result<T> {
        in_time(limit, answer).await.inspect_err(|error| {
            self.faults.note(error);
        })
    }
}

/// Waits for one of the permits of a kind of work.
///
/// # Errors
/// [`sqlx::Error::PoolTimedOut`].
pub(crate) async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let permit = timeout(WAIT_FOR_CONNECTION, of.clone().acquire_owned()).await;
    // The semaphore is never closed.
    Ok(permit.ok().and_then(std::result::Result::ok).ok_or(sqlx::Error::PoolTimedOut)?)
}

/// A session, within a transaction or not. Dropped without a commit, the transaction leaves no trace.
///
/// sqlx's own transactions do not let go of a connection that stopped answering.
#[derive(Debug)]
pub(crate) struct Session {
    /// Present until this is dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// State of the transaction, if there is one.
    transaction: Transaction,
    keeps_statements: bool,
    patience: Patience,
    /// When it was asked for; the connection is older.
    asked: Instant,
    /// Present if it may write.
    pass: Option<Pass>,
    /// Returned with the connection.
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// It may have begun.
    Open,
    /// Its commit was sent.
    Committing,
}

impl Session {
    /// A session without a transaction.
    pub(crate) async fn alone(pool: &Pool, silence: Duration) -> sqlx::Result<Self> {
        let asked = Instant::now();
        Ok(Self {
            connection: Some(pool.acquire().await?),
            transaction: Transaction::None,
            keeps_statements: true,
            patience: Patience {
                silence,
                faults: pool.faults(),
                server_gives_up: silence != PROMPT,
                has_given_up: AtomicBool::new(false),
            },
            asked,
            pass: None,
            permit: None,
        })
    }

    /// A session in a transaction that begins with the statements `begin`.
    pub(crate) async fn begin(
        pool: &Pool,
        silence: Duration,
        begin: Cow<'static, str>,
    ) -> sqlx::Result<Self> {
        let mut session = Self::alone(pool, silence).await?;
        // Whatever the answer, it may have begun.
        session.transaction = Transaction::Open;
        session.patience.server_gives_up = true;
        session.at_once(AssertSqlSafe(begin)).await?;
        Ok(session)
    }

    /// For a pooler: the next transaction may run on another connection of the server, which lacks the prepared
    /// statements.
    pub(crate) fn without_statements(mut self) -> Self {
        self.keeps_statements = false;
        self
    }

    pub(super) fn keeps_statements(&self) -> bool {
        self.keeps_statements
    }

    /// Keeps a permit of its kind until it ends.
    pub(crate) fn holding(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Asks for leave to write.
    ///
    /// # Errors
    /// When too many commits hang.
    pub(crate) async fn with(mut self, pass: Pass) -> Result<Self> {
        if let Some(question) = pass.question() {
            let (connection, patience) = self.parts();
            let question = sqlx::raw_sql(AssertSqlSafe(question));
            let row = patience.within(AT_ONCE, question.fetch_one(connection)).await?;
            pass.learn(row.try_get(0)?)?;
        }
        self.pass = Some(pass);
        Ok(self)
    }

    /// The connection, and the limits on its answers.
    #[expect(clippy::expect_used, reason = "it is taken by what ends the session only")]
    pub(crate) fn parts(&mut self) -> (&mut PgConnection, &Patience) {
        (self.connection.as_mut().expect("a session has its connection until it ends"), &self.patience)
    }

    /// Commits its transaction, if there is one.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when the server says neither that it has committed nor that it has not. The connection
    /// is then closed without a message, so that the server's remaining work is not disturbed.
    pub(crate) async fn commit(mut self) -> Result<()> {
        if self.transaction == Transaction::None {
            return Ok(());
        }
        self.transaction = Transaction::Committing;
        let mut pass = self.pass.take();
        let text = pass.as_ref().map_or_else(|| "commit".into(), Pass::text);
        let (connection, patience) = self.parts();
        let faults = patience.faults.clone();
        let commit = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection);
        let commit = warnings::with_warning(in_time(PROMPT, commit));
        let (committed, warning) = match &mut pass {
            Some(pass) => pass.watch(commit).await,
            None => commit.await,
        };
        match (committed, warning) {
            (Ok(_), None) => {
                self.transaction = Transaction::None;
                Ok(())
            }
            (Ok(_), Some(warning)) => {
                if let Some(pass) = &pass {
                    pass.doubt();
                }
                Err(Error::OutcomeUnknown(sqlx::Error::Protocol(warning)))
            }
            (Err(error), _) if is_rolled_back(&error) => {
                self.transaction = Transaction::None;
                faults.note(&error);
                Err(error.into())
            }
            (Err(error), _) => {
                // A server that is silent over a commit may be waiting for its standby, and still answer everything
                // else.
                if !is_silence(&error) {
                    faults.note(&error);
                }
                Err(Error::OutcomeUnknown(error))
            }
        }
    }

    /// Rolls back its transaction, if there is one.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        if self.transaction == Transaction::Open {
            self.at_once("rollback").await?;
            self.transaction = Transaction::None;
        }
        Ok(())
    }

    async fn at_once(&mut self, statements: impl SqlSafeStr + Send) -> sqlx::Result<()> {
        let (connection, patience) = self.parts();
        patience.within(AT_ONCE, sqlx::raw_sql(statements).execute(connection)).await.map(drop)
    }
}

/// Whether the server says that it rolled the transaction back. An error that also ends the session may come after a
/// commit.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| error.severity() == PgSeverity::Error && !error.code().starts_with("08"))
}

fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let faults = self.patience.faults.clone();
        let has_given_up = self.patience.has_given_up.load(Ordering::Relaxed);
        if self.transaction == Transaction::Committing || has_given_up || faults.condemn(self.asked) {
            // Closes the socket, without asking the server for anything.
            drop(connection.detach());
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let is_open = self.transaction == Transaction::Open;
        let permits = (self.pass.take(), self.permit.take());
        runtime.spawn(async move {
            if is_open {
                let rollback = sqlx::raw_sql("rollback").execute(&mut *connection);
                if let Err(error) = in_time(RELEASE, rollback).await {
                    // It may still be at work on an earlier statement.
                    if !is_silence(&error) {
                        faults.note(&error);
                    }
                    drop(connection.detach());
                    return;
                }
            }
            // It waits for the rest of the server's answers; if the server is at work for too long, the connection is
            // closed.
            let _returned = timeout(RELEASE, connection.return_to_pool()).await;
            drop(permits);
        });
    }
}
