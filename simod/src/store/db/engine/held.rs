//! A connection to an embedded file, within a transaction or not.
//!
//! Each round trip to SQLite's thread costs as much as a dozen rows. Statements whose result nothing waits for (the
//! beginning of a transaction, inserted rows, the commit) are sent together with the next one.

use std::{fmt, sync::Arc, task::Poll};

use futures_util::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, future::BoxFuture, poll,
    stream::BoxStream,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, pool::PoolConnection, sqlite::SqliteRow};
use tokio::{runtime::Handle, sync::OwnedMutexGuard};

use super::script::Script;
use crate::store::db::unreadable::Unreadable;

/// The connection that writes; `None` when it was given up, until it is opened anew.
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

    /// Gives the connection up: its state is unknown.
    async fn give_up(self) {
        match self {
            Self::Reader(mut reader) => reader.close_on_drop(),
            Self::Writer(mut writer) => {
                if let Some(connection) = writer.take() {
                    // It may accept no further command.
                    let _closed = connection.close().await;
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// Its beginning is queued.
    Due,
    /// It may have begun.
    Open,
    /// A statement failed in it. Some of that statement's rows may be stored, or further statements may run outside any
    /// transaction, so it can only be rolled back.
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
/// sqlx's own transactions take one more trip to SQLite's thread for each of begin, commit and release.
pub(crate) struct Held {
    /// Present until this is dropped, except while work is under way.
    lent: Option<Lent>,
    /// Work that SQLite is doing on its own; it returns the connection.
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

    /// The same, within a transaction that reads one snapshot.
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

    /// Queues statements to be sent with the next one or the commit; their errors surface there.
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

    /// Waits for work under way.
    async fn settle(&mut self) -> sqlx::Result<()> {
        // It stays in place until it is done: the caller may be canceled.
        let Some(work) = &mut self.under_way else {
            return Ok(());
        };
        let (lent, done) = work.await;
        self.under_way = None;
        self.lent = Some(lent);
        self.noted(done)
    }

    /// A script after the work under way and the queued statements. Queued statements with values are run at once: sqlx
    /// numbers parameters from the first value of the whole script.
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

    /// Starts a script without waiting for it; its errors surface in the next call.
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
        // One poll hands it to SQLite's thread.
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

    /// Commits the transaction, if there is one.
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.settle().await?;
        // A transaction that has not begun changes nothing.
        if self.has_begun() {
            let mut script = self.take_put_off()?;
            script.push("commit");
            let done = script.execute(self.connection()).await;
            self.noted(done)?;
            self.transaction = Transaction::None;
        }
        Ok(())
    }

    /// Rolls back the transaction, if there is one.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        // If pending work failed, the rollback undoes that as well.
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
        // When the disk is full, SQLite has already rolled back; and a transaction whose beginning was queued does not
        // exist yet.
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
        // Without a runtime nothing uses the connection after us.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (lent, under_way) = (self.lent.take(), self.under_way.take());
        // The connection is not handed on before the transaction is rolled back.
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
