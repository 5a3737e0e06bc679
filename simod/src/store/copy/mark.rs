//! The mark of an unfinished copy: two tables on the server that exist until it is finished. No daemon starts while
//! they do.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::{CopyError, Result};
use crate::store::db::postgres::unfinished_copy;

#[derive(Debug)]
pub(super) struct Mark {
    pub(super) source: String,
    /// Tells whether the source was changed since.
    pub(super) fingerprint: String,
    /// Rows copied so far, per table.
    pub(super) rows: HashMap<String, u64>,
}

/// The mark, if there is one.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Option<Mark>> {
    if unfinished_copy(connection).await?.is_none() {
        return Ok(None);
    }
    let (source, fingerprint) = sqlx::query_as("select source, fingerprint from unfinished_copy")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<(String, i64)> = sqlx::query_as("select name, rows from unfinished_copy_table")
        .persistent(false)
        .fetch_all(connection)
        .await?;
    Ok(Some(Mark {
        source,
        fingerprint,
        rows: rows.into_iter().map(|(name, rows)| (name, rows.unsigned_abs())).collect(),
    }))
}

pub(super) async fn make(connection: &mut PgConnection, mark: &Mark) -> Result<()> {
    sqlx::raw_sql(
        "create table unfinished_copy (source text not null, fingerprint text not null);
         create table unfinished_copy_table (name text primary key, rows bigint not null)",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query("insert into unfinished_copy values ($1, $2)")
        .bind(&mark.source)
        .bind(&mark.fingerprint)
        .persistent(false)
        .execute(&mut *connection)
        .await?;
    let names: Vec<&String> = mark.rows.keys().collect();
    sqlx::query("insert into unfinished_copy_table select name, 0 from unnest($1) name")
        .bind(names)
        .persistent(false)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that a table with this many rows gets more. The row stays locked until the transaction ends: an earlier
/// process's transaction is over by then, or has gone further, and then ours is the one that is overtaken.
pub(super) async fn advance(connection: &mut PgConnection, table: &str, had: u64, more: u64) -> Result<()> {
    let advanced =
        sqlx::query("update unfinished_copy_table set rows = rows + $3 where name = $1 and rows = $2")
            .bind(table)
            .bind(had as i64)
            .bind(more as i64)
            .persistent(false)
            .execute(connection)
            .await?;
    if advanced.rows_affected() == 1 { Ok(()) } else { Err(CopyError::Overtaken) }
}

pub(super) async fn remove(connection: &mut PgConnection) -> Result<()> {
    sqlx::raw_sql("drop table unfinished_copy, unfinished_copy_table").execute(connection).await?;
    Ok(())
}
