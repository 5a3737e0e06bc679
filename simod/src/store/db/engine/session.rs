//! Sessions with a server, which may fall silent at any moment.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, Postgres, SqlSafeStr, pool::PoolConnection};
use tokio::runtime::Handle;

use crate::store::db::postgres::Pool;

/// How long a server may be silent: longer than it works on any statement before it gives up by itself. One that has gone
/// behind a firewall says nothing, and nobody may wait for it until the connection is given up, a quarter of an hour later.
const SILENCE: Duration = Duration::from_secs(35);

/// How long a session that is done with may take to become ready for the next one. After a silence all places of the pool
/// would be held by sessions that nobody answers any more.
const RELEASE: Duration = Duration::from_secs(10);

/// What a server answers, if it answers in time.
pub(crate) fn answered<'a, T: 'a>(
    answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
) -> impl Future<Output = sqlx::Result<T>> + Send + 'a {
    // Boxed, or the tasks that hold such a future would double with it.
    let answer = tokio::time::timeout(SILENCE, Box::pin(answer));
    async move { answer.await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))) }
}

/// A session, within a transaction or not. Dropped without a commit, the transaction leaves no trace.
///
/// sqlx's own transactions would do, if they let go of a connection that has fallen silent.
#[derive(Debug)]
pub(crate) struct Session {
    /// There until this is dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// Whether a transaction was begun that has not ended.
    is_open: bool,
    keeps_statements: bool,
}

impl Session {
    /// Without a transaction.
    pub(crate) async fn alone(pool: &Pool) -> sqlx::Result<Self> {
        Ok(Self { connection: Some(pool.acquire().await?), is_open: false, keeps_statements: true })
    }

    /// Within a transaction that begins with the statements `begin`.
    pub(crate) async fn begin(pool: &Pool, begin: impl SqlSafeStr + Send) -> sqlx::Result<Self> {
        let mut session = Self::alone(pool).await?;
        // Whatever becomes of the question, it may have begun.
        session.is_open = true;
        session.run(begin).await?;
        Ok(session)
    }

    /// Through a pooler: in the next transaction this may lead to another connection of the server, which knows nothing
    /// of what was prepared.
    pub(crate) fn without_statements(mut self) -> Self {
        self.keeps_statements = false;
        self
    }

    pub(super) fn keeps_statements(&self) -> bool {
        self.keeps_statements
    }

    /// Commits the transaction, if it is within one.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        self.end("commit").await
    }

    /// Undoes the transaction, if it is within one.
    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        self.end("rollback").await
    }

    async fn end(mut self, how: &'static str) -> sqlx::Result<()> {
        if self.is_open {
            self.run(how).await?;
            self.is_open = false;
        }
        Ok(())
    }

    async fn run(&mut self, statements: impl SqlSafeStr + Send) -> sqlx::Result<()> {
        let ran = sqlx::raw_sql(statements).execute(&mut **self);
        answered(ran).await.map(|_| ())
    }
}

/// What [`Session::connection`] promises.
const THERE: &str = "a session has its connection until it is dropped";

impl Deref for Session {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "it is taken on drop only")]
    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(THERE)
    }
}

impl DerefMut for Session {
    #[expect(clippy::expect_used, reason = "it is taken on drop only")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(THERE)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(mut connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) else {
            return;
        };
        let is_open = self.is_open;
        let released = async move {
            if is_open {
                // Unless it comes back below.
                connection.close_on_drop();
                sqlx::raw_sql("rollback").execute(&mut *connection).await?;
            }
            // It waits for whatever is still to come from the server.
            connection.return_to_pool().await;
            Ok::<_, sqlx::Error>(())
        };
        runtime.spawn(tokio::time::timeout(RELEASE, released));
    }
}
