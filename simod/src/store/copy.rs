//! Moves an installation that has outgrown one machine: copies an SQLite file's data to a PostgreSQL server.
//!
//! Tables are copied in the order of its primary key, in chunks. A chunk is one transaction on the server, which also
//! notes the table's progress, so that an interrupted copy resumes where it stopped. At the end both sides are read
//! again and compared. The clients come last, in the transaction that removes the mark of an unfinished copy: without
//! them nothing is ever sent, whatever runs on the server meanwhile.

mod digest;
mod error;
mod line;
pub(super) mod mark;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::error::CopyError;
use self::{
    digest::Digest,
    line::Chunk,
    mark::Mark,
    source::Source,
    tables::{CLIENT, Table},
    target::Target,
};

/// Rows of a chunk, and bytes: a chunk is held in memory twice, and an interruption loses one.
const CHUNK_ROWS: u64 = 10_000;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

type Result<T> = std::result::Result<T, CopyError>;

/// A copy with both ends open; nothing else uses the file meanwhile.
#[derive(Debug)]
pub struct Copier {
    source: Source,
    target: Target,
    /// In copying order, with the file's row counts.
    tables: Vec<(Table, u64)>,
    mark: Option<Mark>,
    chunk_rows: u64,
}

/// Phase of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Rows are copied.
    Copying,
    /// Both sides are read and compared.
    Comparing,
}

/// Progress of a copy.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The phase.
    pub doing: Doing,
    /// The current table.
    pub table: &'static str,
    /// Rows of this table so far, including those of an earlier run.
    pub table_rows: u64,
    /// Whether the table is finished.
    pub table_done: bool,
    /// Rows of all tables so far.
    pub rows: u64,
    /// Rows in total.
    pub of: u64,
}

/// Receives the progress.
pub type Follow<'f> = dyn FnMut(Progress) + Send + 'f;

/// The result of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Tables.
    pub tables: usize,
    /// Rows of all of them.
    pub rows: u64,
}

impl Copier {
    /// Opens both ends: `from` is the file, which is only read, `to` the server's URL, whose database is migrated if it
    /// is empty.
    ///
    /// # Errors
    /// A simod uses the file or is connected to the server, either lacks migrations that cannot be run here, or the
    /// server has data that is no unfinished copy.
    pub async fn open(from: &Path, to: &str) -> Result<Self> {
        let mut source = Source::open(from).await?;
        match Self::meet(&mut source, to).await {
            Ok((target, tables, mark)) => Ok(Self { source, target, tables, mark, chunk_rows: CHUNK_ROWS }),
            Err(error) => {
                source.close().await;
                Err(error)
            }
        }
    }

    async fn meet(source: &mut Source, to: &str) -> Result<(Target, Vec<(Table, u64)>, Option<Mark>)> {
        let (mut target, mark) = Target::open(to).await?;
        let mut tables = Vec::new();
        for table in tables::plan(&source.schema().await?, &target.schema().await?)? {
            let rows = source.count(&table).await?;
            tables.push((table, rows));
        }
        Ok((target, tables, mark))
    }

    /// The source of the server's unfinished copy, and how many rows it has; `None` when there is none.
    pub fn unfinished(&self) -> Option<(&str, u64)> {
        let mark = self.mark.as_ref()?;
        Some((&mark.source, mark.rows.values().sum()))
    }

    /// Empties the server's unfinished copy, if there is one, so that [`Copier::run`] starts over.
    pub async fn empty(&mut self) -> Result<()> {
        if self.mark.take().is_some() {
            self.target.empty(self.tables.iter().map(|(table, _)| table)).await?;
        }
        Ok(())
    }

    /// Copies what is missing, compares both sides, and removes the mark.
    ///
    /// # Errors
    /// The file has changed since the unfinished copy was begun, it has a value that the server does not accept, both
    /// sides differ in the end, or a database fails. The copy then stays unfinished.
    pub async fn run(mut self, follow: &mut Follow<'_>) -> Result<Copied> {
        let copied = self.copy(follow).await;
        self.close().await;
        copied
    }

    /// Closes both ends.
    pub async fn close(self) {
        self.source.close().await;
        self.target.close().await;
    }

    async fn copy(&mut self, follow: &mut Follow<'_>) -> Result<Copied> {
        let mark = self.begin().await?;
        let of = self.tables.iter().map(|(_, rows)| rows).sum();
        let mut far = Far { follow, of, rows: 0 };
        for (table, _) in carried_at_once(&self.tables) {
            let (source, target) = (&mut self.source, &mut self.target);
            let had = mark.rows.get(table.name).copied().unwrap_or_default();
            copy_table(table, had, self.chunk_rows, source, target, &mut far).await?;
        }
        far.rows = 0;
        for (table, _) in carried_at_once(&self.tables) {
            let theirs = self.target.digest(table);
            let ours = digest_source(&mut self.source, table, &mut far);
            let (ours, theirs) = tokio::try_join!(ours, theirs)?;
            compare(table, ours, theirs)?;
        }
        self.target.analyze(self.tables.iter().map(|(table, _)| table)).await?;
        self.finish(&mut far).await?;
        Ok(Copied { tables: self.tables.len(), rows: of })
    }

    /// The mark of the unfinished copy; makes one if there is none.
    async fn begin(&mut self) -> Result<Mark> {
        let (shown, fingerprint) = (self.source.shown(), self.source.fingerprint().to_owned());
        match self.mark.take() {
            None => {
                let names = carried_at_once(&self.tables).map(|(table, _)| table.name);
                self.target.begin_copy(shown, fingerprint, names).await
            }
            Some(mark) if mark.fingerprint == fingerprint => Ok(mark),
            Some(mark) => Err(CopyError::SourceChanged { begun: mark.source, now: shown }),
        }
    }

    /// Copies the clients, sets the end of the feed and of all sequences, and removes the mark, in one transaction.
    async fn finish(&mut self, far: &mut Far<'_, '_>) -> Result<()> {
        let given = self.source.given().await?;
        for (table, rows) in self.tables.iter().filter(|(table, _)| table.name == CLIENT) {
            let mut clients = self.source.rows(table, &[]);
            let all = Chunk::fill(table, &mut clients, u64::MAX, usize::MAX).await?;
            drop(clients);
            let ours = all.digest();
            let tables = self.tables.iter().map(|(table, _)| table);
            self.target.finish(table, &all, tables, &given, |theirs| compare(table, ours, theirs)).await?;
            far.at(Doing::Comparing, table, *rows, *rows, true);
        }
        Ok(())
    }
}

/// All tables but the clients.
fn carried_at_once(tables: &[(Table, u64)]) -> impl Iterator<Item = &(Table, u64)> {
    tables.iter().filter(|(table, _)| table.name != CLIENT)
}

/// Copies a table's rows after its first `had`. A chunk is read while the previous one is written.
async fn copy_table(
    table: &Table,
    mut had: u64,
    chunk_rows: u64,
    source: &mut Source,
    target: &mut Target,
    far: &mut Far<'_, '_>,
) -> Result<()> {
    far.at(Doing::Copying, table, had, had, false);
    let after = target.highest(table).await?;
    let mut rows = source.rows(table, &after);
    let mut chunk = Chunk::fill(table, &mut rows, chunk_rows, CHUNK_BYTES).await?;
    while chunk.rows > 0 {
        let add = target.add(table, had, &chunk);
        let next = Chunk::fill(table, &mut rows, chunk_rows, CHUNK_BYTES);
        let ((), next) = tokio::try_join!(add, next)?;
        had += chunk.rows;
        far.at(Doing::Copying, table, chunk.rows, had, false);
        chunk = next;
    }
    far.at(Doing::Copying, table, 0, had, true);
    Ok(())
}

/// Digests the file's side of a table for the comparison.
async fn digest_source(source: &mut Source, table: &Table, far: &mut Far<'_, '_>) -> Result<Digest> {
    let mut digest = Digest::default();
    let mut rows = source.rows(table, &[]);
    loop {
        let chunk = Chunk::fill(table, &mut rows, CHUNK_ROWS, CHUNK_BYTES).await?;
        digest += chunk.digest();
        far.at(Doing::Comparing, table, chunk.rows, digest.rows, chunk.rows == 0);
        if chunk.rows == 0 {
            return Ok(digest);
        }
    }
}

fn compare(table: &Table, source: Digest, target: Digest) -> Result<()> {
    if source == target {
        return Ok(());
    }
    Err(CopyError::Differs { table: table.name, in_file: source.rows, on_server: target.rows })
}

/// Counts the rows of all tables.
struct Far<'f, 'g> {
    follow: &'f mut Follow<'g>,
    rows: u64,
    of: u64,
}

impl Far<'_, '_> {
    fn at(&mut self, doing: Doing, table: &Table, more: u64, table_rows: u64, table_done: bool) {
        self.rows += more;
        (self.follow)(Progress {
            doing,
            table: table.name,
            table_rows,
            table_done,
            rows: self.rows,
            of: self.of,
        });
    }
}
