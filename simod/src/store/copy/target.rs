//! The server to copy to.

use std::{collections::HashMap, time::Duration};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::{
    CopyError, Result,
    digest::Digest,
    line::Chunk,
    mark::{self, Mark},
    source::KeyPart,
    tables::{CARRIED, CLIENT, ColumnKind, Described, INSTALLATION, Schema, Table},
};
use crate::store::{Error, db::postgres};

/// Start of every transaction, so that it works behind a pooler too. Statements may run without limit, as tables are
/// large. Chunks are not synced one by one: a crash of the server loses them together with their progress notes; the
/// last transaction syncs everything.
const BEGIN: &str = "begin; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
    set local lock_timeout = 0; set local jit = off; set local bytea_output = 'hex'; set local synchronous_commit = off";

/// How often, and with what pauses, to check whether daemons stopped just now are gone.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A server without an installation of its own.
#[derive(Debug)]
pub(super) struct Target {
    connection: PgConnection,
}

impl Target {
    /// Connects and migrates the database; returns the mark of an unfinished copy, if there is one.
    pub(super) async fn open(url: &str) -> Result<(Self, Option<Mark>)> {
        let hosts = postgres::Hosts::of(url, "simod copy", false)?;
        let (_, connection) = hosts.connect(0).await.map_err(Error::Unreached)?;
        let mut target = Self { connection };
        postgres::check_age(&mut target.connection).await?;
        let mut tx = target.begin().await?;
        let mark = mark::read(&mut tx).await?;
        let has_clients = is_table(&mut tx, CLIENT).await? && !is_empty(&mut tx, CLIENT).await?;
        tx.commit().await?;
        // Checked before anything is changed. Clients are copied last, so none of them belongs to an unfinished copy.
        if has_clients {
            return Err(CopyError::Occupied(CLIENT));
        }
        // Behind a pooler, a connection bears the name of its previous user.
        let is_pooled = hosts.is_pooled();
        if !is_pooled {
            target.daemons_are_gone().await?;
        }
        postgres::migrate(&mut target.connection, is_pooled).await?;
        if mark.is_none() {
            let mut tx = target.begin().await?;
            // A simod that was started here before has made a key, with which no phone can have subscribed yet.
            for table in CARRIED.into_iter().filter(|table| *table != INSTALLATION) {
                if !is_empty(&mut tx, table).await? {
                    return Err(CopyError::Occupied(table));
                }
            }
        }
        Ok((target, mark))
    }

    async fn begin(&mut self) -> Result<Transaction<'_, Postgres>> {
        Ok(self.connection.begin_with(BEGIN).await?)
    }

    /// Waits briefly until no daemon is connected.
    async fn daemons_are_gone(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            let connected: bool = sqlx::query_scalar(
                "select exists (select 1 from pg_stat_activity
                                where datname = current_database() and application_name = 'simod')",
            )
            .persistent(false)
            .fetch_one(&mut self.connection)
            .await?;
            if !connected {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(CopyError::Served)
    }

    pub(super) async fn schema(&mut self) -> Result<Schema> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "select table_name::text, column_name::text, udt_name::text, is_generated = 'ALWAYS', is_identity = 'YES'
             from information_schema.columns join information_schema.tables using (table_schema, table_name)
             where table_schema = current_schema() and table_type = 'BASE TABLE'
             order by ordinal_position",
        )
        .persistent(false)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut schema = Schema::new();
        for row in &rows {
            schema.entry(row.try_get(0)?).or_default().push(Described {
                name: row.try_get(1)?,
                kind: row.try_get(2)?,
                key: 0,
                is_generated: row.try_get(3)?,
                is_numbered: row.try_get(4)?,
            });
        }
        Ok(schema)
    }

    /// Marks the database as holding an unfinished copy with no rows yet.
    pub(super) async fn begin_copy(
        &mut self,
        source: String,
        fingerprint: String,
        tables: impl Iterator<Item = &'static str>,
    ) -> Result<Mark> {
        let mark = Mark { source, fingerprint, rows: tables.map(|table| (table.to_owned(), 0)).collect() };
        let mut tx = self.begin().await?;
        mark::make(&mut tx, &mark).await?;
        run(&mut tx, format!("delete from {INSTALLATION}")).await?;
        tx.commit().await?;
        Ok(mark)
    }

    /// The highest key of a table; empty when it has no rows. Rows are copied in key order, whole chunks at a time, so
    /// all rows before it exist. Keys are ordered bytewise.
    pub(super) async fn highest(&mut self, table: &Table) -> Result<Vec<KeyPart>> {
        let text = AssertSqlSafe(format!(
            "select {} from {} order by {} limit 1",
            table.key_list(),
            table.quoted(),
            table.key_backwards()
        ));
        let mut tx = self.begin().await?;
        let row = sqlx::query(text).persistent(false).fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let parts = table.key.iter().enumerate();
        Ok(parts.map(|(place, column)| key_part(&row, place, column.kind)).collect::<sqlx::Result<_>>()?)
    }

    /// Adds rows to a table that has `had` of them.
    pub(super) async fn add(&mut self, table: &Table, had: u64, chunk: &Chunk) -> Result<()> {
        let mut tx = self.begin().await?;
        mark::advance(&mut tx, table.name, had, chunk.rows).await?;
        put(&mut tx, table, chunk).await?;
        Ok(tx.commit().await?)
    }

    /// Digest of the server's side of a table.
    pub(super) async fn digest(&mut self, table: &Table) -> Result<Digest> {
        let mut tx = self.begin().await?;
        let digest = digest(&mut tx, table).await?;
        tx.commit().await?;
        Ok(digest)
    }

    /// Updates the planner's statistics.
    pub(super) async fn analyze(&mut self, tables: impl Iterator<Item = &Table>) -> Result<()> {
        for table in tables {
            let mut tx = self.begin().await?;
            run(&mut tx, format!("analyze {}", table.quoted())).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// The last transaction: copies the clients, if `same` finds them equal to the file's, sets the ends of the feed
    /// and of all sequences (`given`: the file's last numbers), and removes the mark.
    pub(super) async fn finish(
        &mut self,
        clients: &Table,
        all: &Chunk,
        tables: impl Iterator<Item = &Table>,
        given: &HashMap<String, i64>,
        same: impl FnOnce(Digest) -> Result<()>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        run(&mut tx, "set local synchronous_commit = on".to_owned()).await?;
        put(&mut tx, clients, all).await?;
        same(digest(&mut tx, clients).await?)?;
        for table in tables {
            // Numbers of deleted rows are not reused either.
            if let Some(column) = &table.numbered
                && let Some(last @ 1..) = given.get(table.name)
            {
                let table = table.quoted();
                let next = format!("select setval(pg_get_serial_sequence('{table}', '{column}'), {last})");
                run(&mut tx, next).await?;
            }
        }
        // Positions in the file's feed mean nothing here, so subscribers start over.
        run(&mut tx, "update event_floor set xact = pg_current_xact_id(), seq = 0".to_owned()).await?;
        // The words of messages are indexed here.
        let unworded =
            "insert into message_unworded (client_no, no) select client_no, no from message where no > 0";
        run(&mut tx, unworded.to_owned()).await?;
        mark::remove(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Empties an unfinished copy, and removes its mark.
    pub(super) async fn empty(&mut self, tables: impl Iterator<Item = &Table>) -> Result<()> {
        let tables: Vec<String> = tables.map(Table::quoted).collect();
        let mut tx = self.begin().await?;
        run(
            &mut tx,
            format!(
                "truncate {}, message_sum, message_word, message_unworded restart identity",
                tables.join(", ")
            ),
        )
        .await?;
        mark::remove(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn close(self) {
        // Everything is committed, or is not meant to be.
        let _closed = self.connection.close().await;
    }
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::query(AssertSqlSafe(statement)).persistent(false).execute(connection).await?;
    Ok(())
}

async fn is_table(connection: &mut PgConnection, table: &str) -> Result<bool> {
    Ok(sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(table)
        .persistent(false)
        .fetch_one(connection)
        .await?)
}

async fn is_empty(connection: &mut PgConnection, table: &str) -> Result<bool> {
    let text = AssertSqlSafe(format!("select not exists (select 1 from \"{table}\")"));
    Ok(sqlx::query_scalar(text).persistent(false).fetch_one(connection).await?)
}

async fn put(connection: &mut PgConnection, table: &Table, chunk: &Chunk) -> Result<()> {
    let statement = format!("copy {} ({}) from stdin", table.quoted(), table.list());
    let mut copy = connection.copy_in_raw(&statement).await?;
    copy.send(&chunk.lines[..]).await?;
    copy.finish().await?;
    Ok(())
}

/// The server writes each row as it has understood it.
async fn digest(connection: &mut PgConnection, table: &Table) -> Result<Digest> {
    let statement = format!("copy {} ({}) to stdout", table.quoted(), table.list());
    let mut pieces = connection.copy_out_raw(&statement).await?;
    let mut digest = Digest::default();
    // A piece is usually one line, but this is not guaranteed.
    let mut begun = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        begun.extend_from_slice(&piece);
        if let Some(end) = memchr::memrchr(b'\n', &begun) {
            digest.add_lines(&begun[..=end]);
            begun.drain(..=end);
        }
    }
    Ok(digest)
}

fn key_part(row: &PgRow, place: usize, kind: ColumnKind) -> sqlx::Result<KeyPart> {
    Ok(match kind {
        ColumnKind::Id => KeyPart::Bytes(row.try_get::<Uuid, _>(place)?.as_bytes().to_vec()),
        ColumnKind::Bytes => KeyPart::Bytes(row.try_get(place)?),
        ColumnKind::Text => KeyPart::Text(row.try_get(place)?),
        ColumnKind::Whole => KeyPart::Whole(row.try_get(place)?),
        ColumnKind::Truth => KeyPart::Whole(row.try_get::<bool, _>(place)?.into()),
    })
}
