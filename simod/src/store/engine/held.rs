//! A connection to an embedded file, and statements on their way to it.
//!
//! Each way to SQLite's thread and back costs as much as a dozen rows. What returns nothing that anybody waits for (where a
//! transaction begins, rows that are put in, the commit) goes together with what follows it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    task::Poll,
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, future::BoxFuture, poll,
    stream::BoxStream,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Connection as _, Either, Executor as _, Sqlite, SqliteConnection,
    pool::PoolConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use tokio::{runtime::Handle, sync::OwnedMutexGuard};

/// Statements with their values, run one after the other; the rows of the last one are read.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) text: String,
    pub(super) arguments: SqliteArguments,
    /// Whether the same text will come again, so that it is worth preparing.
    pub(super) kept: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            text: String::new(),
            arguments: SqliteArguments::default(),
            kept: true,
        }
    }
}

impl Script {
    /// One more statement; its values are to be added.
    pub(super) fn push(&mut self, statement: &str) {
        if !self.text.is_empty() {
            self.text.push(';');
        }
        self.text.push_str(statement);
    }

    fn query(self) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments).persistent(self.kept)
    }
}

/// Why a connection is there when it is asked for.
const THERE: &str = "a connection is lent until it is let go, and nothing is under way";

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

/// A connection to a file, within a transaction or not. Dropped without a commit, the transaction leaves no trace.
///
/// sqlx's own transactions would do, if they did not go to SQLite's thread once more for each of beginning, committing and
/// letting go.
pub(crate) struct Held {
    /// There until this is dropped, unless something is under way.
    lent: Option<Lent>,
    /// What SQLite works on by itself; it gives the connection back.
    under_way: Option<BoxFuture<'static, (Lent, sqlx::Result<()>)>>,
    is_within: bool,
    /// Whether a transaction was begun that has not ended.
    is_open: bool,
    put_off: Script,
}

impl Held {
    /// A connection that reads, outside a transaction.
    pub(crate) fn reader(reader: PoolConnection<Sqlite>) -> Self {
        Self::new(Lent::Reader(reader), None)
    }

    /// The same, within a transaction.
    pub(crate) fn reading(reader: PoolConnection<Sqlite>) -> Self {
        Self::new(Lent::Reader(reader), Some("begin"))
    }

    /// The connection that writes, outside a transaction.
    pub(crate) fn writer(writer: OwnedMutexGuard<Writer>) -> Self {
        Self::new(Lent::Writer(writer), None)
    }

    /// The same, within a transaction.
    pub(crate) fn writing(writer: OwnedMutexGuard<Writer>) -> Self {
        Self::new(Lent::Writer(writer), Some("begin immediate"))
    }

    fn new(lent: Lent, begin: Option<&str>) -> Self {
        let mut put_off = Script::default();
        if let Some(begin) = begin {
            put_off.push(begin);
        }
        Self {
            lent: Some(lent),
            under_way: None,
            is_within: begin.is_some(),
            is_open: false,
            put_off,
        }
    }

    /// What was put off, for a statement to be added to it. Whoever takes it runs it, or puts it off again.
    pub(super) fn take_put_off(&mut self) -> Script {
        // Whatever becomes of it, the transaction may have begun.
        self.is_open = self.is_within;
        std::mem::take(&mut self.put_off)
    }

    /// Puts a script off that began with [`Held::take_put_off`], until the next statement or the commit: what is wrong with
    /// it is said there.
    pub(super) fn put_off(&mut self, script: Script) {
        self.put_off = script;
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
        done
    }

    /// A script after what is under way and what was put off. What was put off with values is run at once: sqlx counts those
    /// that have numbers from the first value of all.
    async fn after_put_off(&mut self, mut script: Script) -> sqlx::Result<Script> {
        self.settle().await?;
        let mut before = self.take_put_off();
        if before.arguments.len() > 0 {
            run(self, before).await?;
        } else if !before.text.is_empty() {
            before.push(&script.text);
            script.text = before.text;
        }
        Ok(script)
    }

    /// Runs a script beside the caller; what is wrong with it is said by what follows it.
    pub(super) async fn start(&mut self, script: Script) -> sqlx::Result<()> {
        let script = self.after_put_off(script).await?;
        let Some(mut lent) = self.lent.take() else {
            return Ok(());
        };
        let mut work = async move {
            let done = run(lent.connection(), script).await;
            (lent, done.map(drop))
        }
        .boxed();
        // SQLite's thread has it when it was polled once.
        match poll!(&mut work) {
            Poll::Ready((lent, done)) => {
                self.lent = Some(lent);
                done
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
        run(self, script).await
    }

    pub(super) fn fetch(&mut self, script: Script) -> BoxStream<'_, sqlx::Result<SqliteRow>> {
        let rows = async move {
            let script = self.after_put_off(script).await?;
            Ok(script.query().fetch(&mut **self))
        };
        rows.try_flatten_stream().boxed()
    }

    pub(super) async fn fetch_all(&mut self, script: Script) -> sqlx::Result<Vec<SqliteRow>> {
        let script = self.after_put_off(script).await?;
        script.query().fetch_all(&mut **self).await
    }

    pub(super) async fn fetch_optional(&mut self, script: Script) -> sqlx::Result<Option<SqliteRow>> {
        let script = self.after_put_off(script).await?;
        script.query().fetch_optional(&mut **self).await
    }

    /// Commits the transaction, if it is within one.
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.settle().await?;
        // One that only would have begun changes nothing.
        if self.is_open {
            let mut script = self.take_put_off();
            script.push("commit");
            run(&mut self, script).await?;
            self.is_open = false;
        }
        Ok(())
    }

    /// Undoes the transaction, if it is within one.
    pub(super) async fn rollback(mut self) -> sqlx::Result<()> {
        // Whatever is wrong with it is undone, too.
        let _undone = self.settle().await;
        if self.is_open {
            undo(&mut self).await?;
            self.is_open = false;
        }
        Ok(())
    }
}

/// Runs a script; returns how many rows its last statement changed.
async fn run(connection: &mut SqliteConnection, script: Script) -> sqlx::Result<u64> {
    let mut changed = 0;
    let mut results = connection.fetch_many(script.query());
    while let Some(result) = results.try_next().await? {
        if let Either::Left(done) = result {
            changed = done.rows_affected();
        }
    }
    Ok(changed)
}

async fn undo(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    match sqlx::raw_sql("rollback").execute(connection).await {
        // When the disk is full, SQLite has done so by itself; and one whose beginning was put off is none yet.
        Err(sqlx::Error::Database(error)) if error.message().contains("no transaction is active") => Ok(()),
        undone => undone.map(drop),
    }
}

impl Deref for Held {
    type Target = SqliteConnection;

    #[expect(clippy::expect_used, reason = "see `THERE`")]
    fn deref(&self) -> &SqliteConnection {
        match self.lent.as_ref().expect(THERE) {
            Lent::Reader(reader) => reader,
            Lent::Writer(writer) => writer.as_ref().expect(THERE),
        }
    }
}

impl DerefMut for Held {
    #[expect(clippy::expect_used, reason = "see `THERE`")]
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.lent.as_mut().expect(THERE).connection()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
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
