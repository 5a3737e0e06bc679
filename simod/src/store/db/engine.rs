//! The two engines behind one interface: connections here, sessions with a server, statements with their values, rows.
//!
//! A statement is written once, in the SQL of SQLite; `dialect` makes PostgreSQL's of it. Where the engines really
//! differ, the text is chosen by [`Conn::engine`], with a comment why.

mod held;
mod notation;
mod row;
mod rows;
mod script;
mod session;
mod statement;

use std::ops::{Deref, DerefMut};

#[cfg(test)]
use sqlx::AssertSqlSafe;

#[cfg(test)]
pub(crate) use self::statement::plans;
pub(crate) use self::{
    held::{Held, Writer},
    notation::{Kind, Named, RowSet},
    row::{Column, FromRow, Row},
    rows::{RowStatement, Values},
    session::warnings::with_warning,
    session::{Commits, Faults, PATIENT, PROMPT, Session, WAIT_FOR_CONNECTION, WRITERS, in_time, permit},
    statement::{Query, Value, query, query_as, query_scalar},
};
#[cfg(test)]
use super::dialect;
use crate::store::Result;

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
    Sqlite(Held),
    /// Boxed, as are the ends of its transactions: otherwise every future that holds a connection would reserve space
    /// for them.
    Postgres(Box<Session>),
}

impl Conn {
    /// Which database it leads to.
    pub(in crate::store) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Suffix of a `select` that locks its rows until our transaction ends. SQLite has one writer.
    pub(in crate::store) fn locked(&self, tables: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {tables}"),
        }
    }

    /// Suffix of a `select` that locks its rows for sharing (`for share`) until our transaction ends.
    pub(in crate::store) fn shared(&self, tables: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for share of {tables}"),
        }
    }

    /// Suffix of a `select` of work to do: skips rows of `table` that another instance has locked.
    pub(in crate::store) fn skip_locked(&self, table: &str) -> String {
        match self.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => format!(" for update of {table} skip locked"),
        }
    }

    /// Commits its transaction.
    ///
    /// # Errors
    /// [`crate::store::Error::OutcomeUnknown`] when the server did not answer; otherwise nothing was stored.
    pub(in crate::store) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(held) => Ok(held.commit().await?),
            Self::Postgres(session) => Box::pin(session.commit()).await,
        }
    }

    /// Rolls back its transaction.
    pub(in crate::store) async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(held) => held.rollback().await,
            Self::Postgres(session) => Box::pin(session.rollback()).await,
        }
    }
}

#[cfg(test)]
impl Conn {
    /// Runs statements that return nothing and take no values.
    pub(crate) async fn run(&mut self, statements: &str) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(held) => {
                held.execute(script::Script::of(statements)).await?;
            }
            Self::Postgres(session) => {
                let statements = AssertSqlSafe(dialect::postgres(statements));
                sqlx::raw_sql(statements).execute(session.parts().0).await?;
            }
        }
        Ok(())
    }
}

/// A connection that reads; within a transaction, it reads one snapshot.
#[derive(Debug)]
pub(crate) struct Read(pub(in crate::store) Conn);

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
