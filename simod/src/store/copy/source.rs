//! The file that is copied: locked meanwhile, and only read.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use futures_util::stream::BoxStream;
use sqlx::{
    AssertSqlSafe, Connection as _, Row as _, SqliteConnection,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use super::{
    CopyError, Result,
    tables::{Described, Schema, Table},
};
use crate::store::{
    Error,
    db::{
        lock::{self, FileLock},
        sqlite,
    },
};

/// Rows that are read ahead while others are written.
const AHEAD: usize = 1_000;

/// A file that no daemon uses.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    connection: SqliteConnection,
    fingerprint: String,
    /// Held as long as this lives.
    _lock: FileLock,
}

/// A value of a primary key, as SQLite has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyPart {
    Whole(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Source {
    /// Locks the file, and opens it for reading.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Err(CopyError::NoSource(path.to_owned()));
        }
        let lock = FileLock::take(&lock::real(path))?;
        let fingerprint = fingerprint(path).map_err(|error| Error::File(path.to_owned(), error))?;
        let pending = sqlite::pending_migrations(path).await.map_err(|error| opened(path, error))?;
        if !pending.is_empty() {
            return Err(CopyError::SourceUnmigrated { file: path.to_owned(), pending });
        }
        let options = sqlite::read_only(path).row_buffer_size(AHEAD);
        let connection =
            SqliteConnection::connect_with(&options).await.map_err(|error| opened(path, error.into()))?;
        Ok(Self { path: path.to_owned(), connection, fingerprint, _lock: lock })
    }

    /// Tells whether the file was changed since.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its path.
    pub(super) fn shown(&self) -> String {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        format!("sqlite:{}", path.display())
    }

    /// Its tables, without SQLite's own and those that belong to an index.
    pub(super) async fn schema(&mut self) -> Result<Schema> {
        let rows = sqlx::query(
            "select t.name, c.name, c.type, c.pk, c.hidden in (2, 3)
             from pragma_table_list t join pragma_table_xinfo(t.name) c
             where t.schema = 'main' and t.type in ('table', 'virtual') and t.name not like 'sqlite!_%' escape '!'
             order by c.cid",
        )
        .fetch_all(&mut self.connection)
        .await?;
        let mut schema = Schema::new();
        for row in &rows {
            schema.entry(row.try_get(0)?).or_default().push(Described {
                name: row.try_get(1)?,
                kind: row.try_get(2)?,
                key: row.try_get(3)?,
                is_generated: row.try_get(4)?,
                is_numbered: false,
            });
        }
        Ok(schema)
    }

    /// How many rows a table has.
    pub(super) async fn count(&mut self, table: &Table) -> Result<u64> {
        let text = AssertSqlSafe(format!("select count(*) from {}", table.quoted()));
        let rows: i64 = sqlx::query_scalar(text).fetch_one(&mut self.connection).await?;
        Ok(rows.unsigned_abs())
    }

    /// The rows of a table in key order: those after the key `after` or, if that is empty, all.
    pub(super) fn rows(
        &mut self,
        table: &Table,
        after: &[KeyPart],
    ) -> BoxStream<'_, sqlx::Result<SqliteRow>> {
        let key = table.key_list();
        let places: Vec<String> = (1..=after.len()).map(|place| format!("?{place}")).collect();
        let follows =
            if after.is_empty() { String::new() } else { format!("where ({key}) > ({})", places.join(", ")) };
        let text = format!("select {} from {} {follows} order by {key}", table.list(), table.quoted());
        let query = sqlx::query(AssertSqlSafe(text)).persistent(false);
        after.iter().fold(query, bind).fetch(&mut self.connection)
    }

    /// The last number that each table has given out: no existing row has a greater one.
    pub(super) async fn given(&mut self) -> Result<HashMap<String, i64>> {
        let given: Vec<(String, i64)> =
            sqlx::query_as("select name, seq from sqlite_sequence").fetch_all(&mut self.connection).await?;
        Ok(given.into_iter().collect())
    }

    pub(super) async fn close(self) {
        // It was only read, so nothing can be lost.
        let _closed = self.connection.close().await;
        tidy(&self.path);
    }
}

fn bind(
    query: Query<'static, Sqlite, SqliteArguments>,
    part: &KeyPart,
) -> Query<'static, Sqlite, SqliteArguments> {
    match part.clone() {
        KeyPart::Whole(value) => query.bind(value),
        KeyPart::Text(value) => query.bind(value),
        KeyPart::Bytes(value) => query.bind(value),
    }
}

fn opened(path: &Path, error: Error) -> Error {
    match error {
        Error::Internal(error) | Error::Unavailable(error) => Error::Open(path.display().to_string(), error),
        error => error,
    }
}

/// Removes the empty log that reading creates and a read-only connection leaves behind.
fn tidy(path: &Path) {
    let log = sqlite::beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
        for file in [log, sqlite::beside(path, "-shm")] {
            // It does no harm if it stays.
            let _stays = fs::remove_file(file);
        }
    }
}

/// Sizes and times of the file and of its log: every change changes them. The comparison at the end finds the rest.
fn fingerprint(path: &Path) -> std::io::Result<String> {
    let of = |path: &Path| {
        let file = fs::metadata(path)?;
        let at = file.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        std::io::Result::Ok((file.len(), format!("{} bytes of {}", file.len(), at.as_nanos())))
    };
    let (_, file) = of(path)?;
    Ok(match of(&sqlite::beside(path, "-wal")) {
        Ok((1.., log)) => format!("{file}, log of {log}"),
        _ => file,
    })
}
