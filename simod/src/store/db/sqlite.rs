//! The embedded database: one file, one process.
//!
//! One writer, because SQLite has one: a connection behind a fair lock, whose transactions begin `IMMEDIATE`; their
//! commits are synced outside it (`wal_sync`). Readers have a pool of their own and never wait for it.

mod checkpoint;
mod unread_log;
mod wal_index;

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    engine::{Conn, Held, Read, Writer, query, query_scalar},
    lock::{self, FileLock},
    migrations::{self, Ran},
    same_file::SameFile,
    transaction::Write,
    unreadable::Unreadable,
    wal_sync::Log,
};
use crate::store::{Error, Result};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrations::of(sqlx::migrate!("migrations/sqlite")));

/// How long a statement waits for another process's lock before the caller is told to come back.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller waits for a connection before being told to come back.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(8);

/// How long a commit that is to prove that commits succeed may take.
const WAIT_FOR_PROOF: Duration = Duration::from_secs(8);

/// The writer's page cache: the pages that every batch changes, in KiB (negative, as SQLite wants it). Only used pages
/// take memory.
const WRITER_CACHE: &str = "-12288";

/// The same for each reader: claiming pushes goes through messages and people in turns.
const READER_CACHE: &str = "-4096";

/// Connections that read at the same time.
const READERS: u32 = 4;

/// Free pages that are given back to the file system at once.
const VACUUMED: u32 = 128;

/// Free pages that are kept for new rows: 16 MiB.
const FREE_KEPT: i64 = 4_096;

#[derive(Debug)]
pub(in crate::store) struct File {
    readers: SqlitePool,
    /// One connection: SQLite has one writer. The lock hands it out first come, first served.
    writer: Arc<Mutex<Writer>>,
    /// Options for opening the writer.
    to_write: SqliteConnectOptions,
    is_closed: AtomicBool,
    log: Arc<Log>,
    /// The file, for syncing it. It stays open as long as SQLite has it: closing it would release SQLite's locks.
    handle: Arc<std::fs::File>,
    unreadable: Arc<Unreadable>,
    /// Frames of the log that the last checkpoint found in the file.
    copied: AtomicI64,
    /// Held as long as this lives: one process owns the file.
    _lock: FileLock,
}

impl File {
    pub(in crate::store) fn path(&self) -> &Path {
        self.to_write.get_filename()
    }

    /// Opens the file, creating it if necessary, and migrates it.
    pub(in crate::store) async fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let mut make = DirBuilder::new();
            let made = make.recursive(true).mode(0o700).create(folder);
            made.map_err(|e| Error::File(folder.to_owned(), e))?;
        }
        let path = &*lock::real(path);
        let is_new = !path.exists();
        let lock = FileLock::take(path)?;
        // Names, telephone numbers and texts are private. SQLite gives its log the same mode.
        let handle = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| Error::File(path.to_owned(), e))?;
        lock::hold(&handle, path)?;
        wal_index::look_for_room(path)?;
        if is_new {
            // With a mistyped path the admin would look for the data in vain.
            tracing::info!(file = %path.display(), "there was no database file: a new one is made");
        }
        let options = options(path);
        let to_write = options
            .clone()
            // Set before the first table, or it has no effect. Not set by readers: SQLite writes the setting into the
            // file each time, for which they would wait for the writer.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .pragma("cache_size", WRITER_CACHE);
        let open = async |options| {
            let opened = SqliteConnection::connect_with(options).await;
            opened.map_err(|e| Error::Open(path.display().to_string(), e))
        };
        // The writer continues where the log ends for SQLite, and overwrites anything that follows.
        let mut looked = None;
        if handle.metadata().is_ok_and(|file| file.len() > 0) {
            // Before anything is written. If it cannot be read, the next connection says why.
            let unchanged = look(path).await.ok();
            if let Some((_, known)) = &unchanged {
                migrations::check_age(&MIGRATIONS, known)?;
            }
            let mut first = open(&options).await?;
            done(&mut first).await?;
            let index = wal_index::open(path)?;
            if let Some(index) = &index {
                warn_of_unread(path, index)?;
            }
            // Not earlier: the first connection reads the whole log.
            drop(unchanged);
            looked = Some((first, index));
        }
        let mut writer = open(&to_write).await?;
        // The first statement opens the log, and creates its index.
        let known = done(&mut writer).await?;
        let wal_index = match looked {
            Some((first, index)) => {
                first.close().await?;
                index
            }
            None => wal_index::open(path)?,
        };
        // Not earlier: on a full disk, the writer's first page takes the space that the index had until it was opened.
        if let Some(index) = &wal_index {
            wal_index::reserve(index, path)?;
        }
        let files = SameFile::of(path, &handle, wal_index).map_err(|e| Error::File(path.to_owned(), e))?;
        migrations::check(&MIGRATIONS, &known)?;
        MIGRATIONS.run(&mut writer).await?;
        let readers = pool()
            .connect_with(options.pragma("query_only", "on").pragma("cache_size", READER_CACHE))
            .await?;
        Ok(Self {
            readers,
            writer: Arc::new(Mutex::new(Some(writer))),
            to_write,
            is_closed: AtomicBool::new(false),
            log: Arc::new(Log::of(files)),
            handle: Arc::new(handle),
            unreadable: Arc::default(),
            copied: AtomicI64::new(0),
            _lock: lock,
        })
    }

    pub(in crate::store) async fn read(&self) -> Result<Read> {
        let connection = self.readers.acquire().await?;
        Ok(Read(Conn::Sqlite(Held::reader(connection, &self.unreadable))))
    }

    pub(in crate::store) async fn snapshot(&self) -> Result<Read> {
        let connection = self.readers.acquire().await?;
        Ok(Read(Conn::Sqlite(Held::snapshot(connection, &self.unreadable))))
    }

    /// Waits for the writer, first come, first served. The transaction begins with its first statement.
    pub(in crate::store) async fn write(&self) -> Result<Write> {
        self.log.check_usable()?;
        let conn = Conn::Sqlite(Held::write(self.writer().await?, &self.unreadable));
        Ok(Write::new(conn, Some(self.log.clone())))
    }

    /// Commits a row of our own with this many bytes of ballast, or fails within some seconds.
    pub(in crate::store) async fn prove_commit(&self, ballast: u32, now: i64) -> Result<()> {
        let committed = async {
            let mut tx = self.write().await?;
            query(
                "insert or replace into commit_proof (instance, at, ballast) values ('', ?, randomblob(?))",
            )
            .bind(now)
            .bind(ballast)
            .execute(&mut tx)
            .await?;
            tx.commit().await
        };
        match tokio::time::timeout(WAIT_FOR_PROOF, committed).await {
            Ok(committed) => committed,
            Err(_) => {
                Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "a commit did not end in time"))
                    .into())
            }
        }
    }

    async fn writer(&self) -> Result<OwnedMutexGuard<Writer>> {
        let waited = tokio::time::timeout(WAIT_FOR_CONNECTION, self.writer.clone().lock_owned()).await;
        // The same error as from a pool of one: both mean that the caller should come back.
        let mut writer = waited.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if self.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        if writer.is_none() {
            *writer = Some(SqliteConnection::connect_with(&self.to_write).await?);
        }
        Ok(writer)
    }

    pub(in crate::store) async fn on_disk(&self) -> Result<()> {
        self.log.on_disk().await
    }

    pub(in crate::store) async fn messages_on_disk(&self) -> Result<()> {
        self.log.messages_on_disk().await
    }

    /// Gives some of the space of deleted rows back to the file system, when there is much. Returns whether there is
    /// more.
    pub(in crate::store) async fn vacuum(&self) -> Result<bool> {
        let mut reader = self.read().await?;
        let free: i64 = query_scalar("pragma freelist_count").fetch_one(&mut reader).await?;
        let pages: i64 = query_scalar("pragma page_count").fetch_one(&mut reader).await?;
        drop(reader);
        // New rows take free pages first: only a file that has become much too large is shrunk.
        if free < FREE_KEPT || free * 4 < pages {
            return Ok(false);
        }
        let _giving_back = self.log.files().give_back();
        let mut writer = Conn::Sqlite(Held::writer(self.writer().await?, &self.unreadable));
        let vacuum = query(format!("pragma incremental_vacuum({VACUUMED})"));
        vacuum.fetch_all(&mut writer).await?;
        Ok(true)
    }

    /// SQLite's error about unreadable pages, if any.
    pub(in crate::store) fn unreadable(&self) -> Option<String> {
        self.unreadable.said()
    }

    pub(in crate::store) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(in crate::store) async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // There is no caller left to report to.
            let _closed = writer.close().await;
        }
    }
}

/// Warns when SQLite did not read all of the existing log.
fn warn_of_unread(database: &Path, index: &std::fs::File) -> Result<()> {
    let log = beside(database, "-wal");
    let unread = unread_log::unread(&log, index).map_err(|e| Error::File(log.clone(), e))?;
    if let Some(unread_log::Unread { read, frames, commits }) = unread {
        tracing::warn!(
            log = %log.display(), read, frames, commits,
            "the log was read only in part: after the {read} frames that SQLite took, {frames} more with {commits} commits \
             follow a damaged one, and what they stored is missing. After a power failure these may be commits that were never \
             confirmed; otherwise restore a backup"
        );
    }
    Ok(())
}

/// A file that SQLite keeps beside a database.
pub(in crate::store) fn beside(database: &Path, end: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// The migrations that [`File::open`] would run.
pub(in crate::store) async fn pending_migrations(path: &Path) -> Result<Vec<String>> {
    let mut ran = Vec::new();
    if path.exists() {
        wal_index::look_for_room(path)?;
        let (connection, known) = look(path).await?;
        connection.close().await?;
        migrations::check_age(&MIGRATIONS, &known)?;
        ran = known;
    }
    Ok(migrations::pending(&MIGRATIONS, &ran))
}

/// The migrations that were run, read by a connection that writes nothing, not even an empty log where there is none.
/// Without a log no process has the file open, for a daemon's log is always there.
pub(in crate::store) async fn look(path: &Path) -> Result<(SqliteConnection, Vec<Ran>)> {
    let options = read_only(path).immutable(!beside(path, "-wal").exists());
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let known = done(&mut connection).await?;
    Ok((connection, known))
}

/// The migrations that were run.
async fn done(connection: &mut SqliteConnection) -> Result<Vec<Ran>> {
    let known: i64 = sqlx::query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(Vec::new());
    }
    let ran = sqlx::query_as("select version, checksum from _sqlx_migrations where success");
    Ok(ran.fetch_all(connection).await?)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // The log is synced by `wal_sync`, before any caller is answered.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false)
        // Checkpoints run outside the writer (`checkpoint`); this is only the limit for when they cannot keep up.
        .pragma("wal_autocheckpoint", "40000")
        // Its size at that limit, so that it need not grow again each time.
        .pragma("journal_size_limit", "167772160")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        // Rows buffered for a reader: beyond this, SQLite's thread goes to sleep and has to be woken.
        .row_buffer_size(1_024)
}

/// Reads an existing file. Nothing is set that SQLite would write into it, as it does with `auto_vacuum`.
pub(in crate::store) fn read_only(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
}

fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(READERS)
        .acquire_timeout(WAIT_FOR_CONNECTION)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_pending_is_seen_without_writing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("simo.db");
        assert_eq!(pending_migrations(&path).await.unwrap().len(), MIGRATIONS.iter().count());
        assert!(!path.exists());
        let file = File::open(&path).await.unwrap();
        assert!(pending_migrations(&path).await.unwrap().is_empty());
        file.close().await;
        let before = std::fs::read(&path).unwrap();
        assert!(pending_migrations(&path).await.unwrap().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_reader_that_is_new_does_not_wait_for_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(&directory.path().join("simo.db")).await.unwrap();
        let mut writer = file.write().await.unwrap();
        writer.run("delete from client").await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..READERS {
            // Otherwise the error would be that the database is locked, after `BUSY_TIMEOUT`.
            readers.push(file.read().await.unwrap());
        }
        writer.rollback().await.unwrap();
    }
}
