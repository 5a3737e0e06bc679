//! A connection to an embedded file, within a transaction or not.
//!
//! Each way to SQLite's thread and back costs as much as a dozen rows. What returns nothing that anybody waits for (where a
//! transaction begins, rows that are put in, the commit) goes together with what follows it.

use std::{fmt, sync::Arc, task::Poll};

use futures_util::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, future::BoxFuture, poll,
    stream::BoxStream,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, pool::PoolConnection, sqlite::SqliteRow};
use tokio::{runtime::Handle, sync::OwnedMutexGuard};

use super::script::Script;
use crate::store::db::unreadable::Unreadable;

/// The connection that writes; none when it was given up, until somebody opens it anew.
pub(crate) type Writer = Option<SqliteConnection>;

enum Lent {
    Reader(PoolConnection<Sqlite>),
    Writer(OwnedMutexGuard<Writer>),
}

impl Lent {
    #[expect(clippy::expect_used, reason = "the writer is opened before it is lent")]
    fn connection(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Reader(reader) => reader,
            Self::Writer(writer) => writer.as_mut().expect("there is a writer"),
        }
    }

    /// What it is good for is not known any more.
    async fn give_up(self) {
        match self {
            Self::Reader(mut reader) => reader.close_on_drop(),
            Self::Writer(mut writer) => {
                if let Some(connection) = writer.take() {
                    // It may take no further command.
                    let _closed = connection.close().await;
                }
            }
        }
    }
}

/// How far the transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// Its beginning was put off.
    Due,
    /// It may have begun.
    Open,
    /// A statement failed in it. Half of that one's rows may stand, or what follows would be outside of any transaction: it
    /// can only be undone.
    Spoiled,
}

impl Transaction {
    fn spoil(&mut self) {
        if *self != Self::None {
            *self = Self::Spoiled;
        }
    }
}

/// A connection to a file, within a transaction or not. Dropped without a commit, the transaction leaves no trace.
///
/// sqlx's own transactions would do, if they did not go to SQLite's thread once more for each of beginning, committing and
/// letting go.
pub(crate) struct Held {
    /// There until this is dropped, unless something is under way.
    lent: Option<Lent>,
    /// What SQLite works on by itself; it gives the connection back.
    under_way: Option<BoxFuture<'static, (Lent, sqlx::Result<()>)>>,
    transaction: Transaction,
    put_off: Script,
    unreadable: Arc<Unreadable>,
}

impl Held {
    /// A connection that reads, outside a transaction.
    pub(crate) fn reader(reader: PoolConnection<Sqlite>, unreadable: &Arc<Unreadable>) -> Self {
        Self::outside(Lent::Reader(reader), unreadable)
    }

    /// The same, within a transaction: everything at the same moment.
    pub(crate) fn snapshot(reader: PoolConnection<Sqlite>, unreadable: &Arc<Unreadable>) -> Self {
        Self::within(Lent::Reader(reader), "begin", unreadable)
    }

    /// The connection that writes, outside a transaction.
    pub(crate) fn writer(writer: OwnedMutexGuard<Writer>, unreadable: &Arc<Unreadable>) -> Self {
        Self::outside(Lent::Writer(writer), unreadable)
    }

    /// The same, within a transaction.
    pub(crate) fn write(writer: OwnedMutexGuard<Writer>, unreadable: &Arc<Unreadable>) -> Self {
        Self::within(Lent::Writer(writer), "begin immediate", unreadable)
    }

    fn outside(lent: Lent, unreadable: &Arc<Unreadable>) -> Self {
        Self::new(lent, Transaction::None, Script::default(), unreadable)
    }

    fn within(lent: Lent, begin: &str, unreadable: &Arc<Unreadable>) -> Self {
        Self::new(lent, Transaction::Due, Script::of(begin), unreadable)
    }

    fn new(lent: Lent, transaction: Transaction, put_off: Script, unreadable: &Arc<Unreadable>) -> Self {
        Self { lent: Some(lent), under_way: None, transaction, put_off, unreadable: unreadable.clone() }
    }

    /// Puts off what `add` adds to what was put off before, until the next statement or the commit: what is wrong with it is
    /// said there.
    pub(super) fn put_off(&mut self, add: impl FnOnce(Script) -> sqlx::Result<Script>) -> sqlx::Result<()> {
        let added = self.take_put_off().and_then(add);
        self.put_off = self.noted(added)?;
        Ok(())
    }

    fn take_put_off(&mut self) -> sqlx::Result<Script> {
        match self.transaction {
            Transaction::Spoiled => return Err(spoiled()),
            Transaction::Due => self.transaction = Transaction::Open,
            Transaction::None | Transaction::Open => {}
        }
        Ok(std::mem::take(&mut self.put_off))
    }

    fn noted<T>(&mut self, done: sqlx::Result<T>) -> sqlx::Result<T> {
        if let Err(error) = &done {
            self.transaction.spoil();
            self.unreadable.note(error);
        }
        done
    }

    #[expect(clippy::expect_used, reason = "whoever comes here has waited for what is under way")]
    fn connection(&mut self) -> &mut SqliteConnection {
        let lent = self.lent.as_mut();
        lent.expect("nothing is under way").connection()
    }

    /// Waits for what is under way.
    async fn settle(&mut self) -> sqlx::Result<()> {
        // It stays where it is until it is done: the caller may be cut short.
        let Some(work) = &mut self.under_way else {
            return Ok(());
        };
        let (lent, done) = work.await;
        self.under_way = None;
        self.lent = Some(lent);
        self.noted(done)
    }

    /// A script after what is under way and what was put off. What was put off with values is run at once: sqlx counts those
    /// that have numbers from the first value of all.
    async fn after_put_off(&mut self, script: Script) -> sqlx::Result<Script> {
        self.settle().await?;
        let before = self.take_put_off()?;
        if before.has_values() {
            let done = before.execute(self.connection()).await;
            self.noted(done)?;
        } else if !before.is_empty() {
            return Ok(script.after(before));
        }
        Ok(script)
    }

    /// Runs a script beside the caller; what is wrong with it is said by what follows it.
    pub(super) async fn start(&mut self, script: Script) -> sqlx::Result<()> {
        let script = self.after_put_off(script).await?;
        let Some(mut lent) = self.lent.take() else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        let mut work = async move {
            let done = script.execute(lent.connection()).await;
            (lent, done.map(drop))
        }
        .boxed();
        // SQLite's thread has it when it was polled once.
        match poll!(&mut work) {
            Poll::Ready((lent, done)) => {
                self.lent = Some(lent);
                self.noted(done)
            }
            Poll::Pending => {
                self.under_way = Some(work);
                Ok(())
            }
        }
    }

    /// Runs a script; returns how many rows its last statement changed.
    pub(super) async fn execute(&mut self, script: Script) -> sqlx::Result<u64> {
        let script = self.after_put_off(script).await?;
        let done = script.execute(self.connection()).await;
        self.noted(done)
    }

    pub(super) fn fetch(&mut self, script: Script) -> BoxStream<'_, sqlx::Result<SqliteRow>> {
        let rows = async move {
            let script = self.after_put_off(script).await?;
            let Self { lent, transaction, unreadable, .. } = self;
            let lent = lent.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
            let rows = script.fetch(lent.connection());
            Ok(rows.inspect_err(|error| {
                transaction.spoil();
                unreadable.note(error);
            }))
        };
        rows.try_flatten_stream().boxed()
    }

    pub(super) async fn fetch_all(&mut self, script: Script) -> sqlx::Result<Vec<SqliteRow>> {
        let script = self.after_put_off(script).await?;
        let found = script.fetch_all(self.connection()).await;
        self.noted(found)
    }

    pub(super) async fn fetch_optional(&mut self, script: Script) -> sqlx::Result<Option<SqliteRow>> {
        let script = self.after_put_off(script).await?;
        let found = script.fetch_optional(self.connection()).await;
        self.noted(found)
    }

    /// Commits the transaction, if it is within one.
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.settle().await?;
        // One that only would have begun changes nothing.
        if self.has_begun() {
            let mut script = self.take_put_off()?;
            script.push("commit");
            let done = script.execute(self.connection()).await;
            self.noted(done)?;
            self.transaction = Transaction::None;
        }
        Ok(())
    }

    /// Undoes the transaction, if it is within one.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        // Whatever is wrong with it is undone, too.
        let _undone = self.settle().await;
        if self.has_begun() {
            undo(self.connection()).await?;
            self.transaction = Transaction::None;
        }
        Ok(())
    }

    fn has_begun(&self) -> bool {
        matches!(self.transaction, Transaction::Open | Transaction::Spoiled)
    }
}

fn spoiled() -> sqlx::Error {
    sqlx::Error::AnyDriverError("a statement failed in this transaction: it can only be undone".into())
}

async fn undo(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    match sqlx::raw_sql("rollback").execute(connection).await {
        // When the disk is full, SQLite has done so by itself; and one whose beginning was put off is none yet.
        Err(sqlx::Error::Database(error)) if error.message().contains("no transaction is active") => Ok(()),
        undone => undone.map(drop),
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("transaction", &self.transaction).finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.has_begun() {
            return;
        }
        // Without a runtime nobody comes after us.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (lent, under_way) = (self.lent.take(), self.under_way.take());
        // Nobody gets it before the transaction is undone.
        runtime.spawn(async move {
            let lent = match under_way {
                Some(work) => Some(work.await.0),
                None => lent,
            };
            let Some(mut lent) = lent else { return };
            if let Err(error) = undo(lent.connection()).await {
                tracing::warn!(%error, "a transaction cannot be undone: its connection is given up");
                lent.give_up().await;
            }
        });
    }
}
