//! The two engines behind one face: connections here, statements with their values, rows.
//!
//! A statement is written once, in the SQL of SQLite; `dialect` makes PostgreSQL's of it. Where the engines really differ,
//! the text is chosen by [`Conn::engine`], with the reason beside it.

mod row;
mod statement;

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

#[cfg(test)]
use sqlx::AssertSqlSafe;
use sqlx::{Database, Postgres, Sqlite, Transaction, pool::PoolConnection};

#[cfg(test)]
pub(crate) use self::statement::plans;
pub(crate) use self::{
    row::{Column, FromRow, Row},
    statement::{Query, Value, query, query_as, query_scalar},
};
#[cfg(test)]
use super::dialect;

/// How long a server may be silent: longer than it works on any statement before it gives up by itself. One that has gone
/// behind a firewall says nothing, and nobody may wait for it until the connection is given up, a quarter of an hour later.
const SILENCE: Duration = Duration::from_secs(35);

/// What a server answers, if it answers in time.
pub(super) fn answered<'a, T: 'a>(
    answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
) -> impl Future<Output = sqlx::Result<T>> + Send + 'a {
    // Boxed, or the tasks that hold such a future would double with it.
    let answer = tokio::time::timeout(SILENCE, Box::pin(answer));
    async move {
        answer
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
    }
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    /// An embedded file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A connection, within a transaction or not.
#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(Held<Sqlite>),
    Postgres(Held<Postgres>),
}

/// What a connection is held by.
#[derive(Debug)]
pub(crate) enum Held<D: Database> {
    Alone(PoolConnection<D>),
    Within(Transaction<'static, D>),
    /// Through a pooler: in the next transaction this may lead to another connection of the server, which knows nothing
    /// of what was prepared.
    Pooled(Transaction<'static, D>),
}

impl<D: Database> Deref for Held<D> {
    type Target = D::Connection;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Alone(connection) => connection,
            Self::Within(transaction) | Self::Pooled(transaction) => transaction,
        }
    }
}

impl<D: Database> DerefMut for Held<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Alone(connection) => connection,
            Self::Within(transaction) | Self::Pooled(transaction) => transaction,
        }
    }
}

impl<D: Database> Held<D> {
    fn keeps_statements(&self) -> bool {
        !matches!(self, Self::Pooled(_))
    }

    async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Within(transaction) | Self::Pooled(transaction) => transaction.commit().await,
        }
    }

    async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::Within(transaction) | Self::Pooled(transaction) => transaction.rollback().await,
        }
    }
}

impl Conn {
    /// Which database it leads to.
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// What ends a `select` of rows that nobody else may change, or share, until our transaction ends. SQLite has one
    /// writer.
    pub(super) fn locked(&self, tables: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {tables}"),
        }
    }

    /// What ends a `select` of rows that nobody may change until our transaction ends.
    pub(super) fn shared(&self, tables: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for share of {tables}"),
        }
    }

    /// What ends a `select` of work to be done: rows of `table` that another instance works on are left to it.
    pub(super) fn skip_locked(&self, table: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {table} skip locked"),
        }
    }

    /// Commits the transaction that it is within.
    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(held) => held.commit().await,
            Self::Postgres(held) => answered(held.commit()).await,
        }
    }

    /// Undoes the transaction that it is within.
    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(held) => held.rollback().await,
            Self::Postgres(held) => answered(held.rollback()).await,
        }
    }
}

#[cfg(test)]
impl Conn {
    /// Runs statements that return nothing and take no values.
    pub(crate) async fn run(&mut self, statements: &str) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(held) => {
                let statements = AssertSqlSafe(statements);
                sqlx::raw_sql(statements).execute(&mut **held).await?;
            }
            Self::Postgres(held) => {
                let statements = AssertSqlSafe(dialect::postgres(statements));
                sqlx::raw_sql(statements).execute(&mut **held).await?;
            }
        }
        Ok(())
    }
}

/// A connection that reads; within a transaction, everything at the same moment.
#[derive(Debug)]
pub(crate) struct Read(pub(super) Conn);

impl Deref for Read {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.0
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0
    }
}
