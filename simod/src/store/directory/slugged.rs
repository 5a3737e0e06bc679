//! Shared by groups and topics: a slug, a display name, and an archive that they can be restored from.

use simo_common::{api::access::Named, text};

use crate::store::{
    ClientNo, Error, Result, Write,
    db::engine::{Column, query, query_as, query_scalar},
};

/// A table of slugs and names.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Nouns {
    /// The row's noun in errors.
    pub(in crate::store) noun: &'static str,
    /// The same in Russian.
    pub(in crate::store) russian: &'static str,
    /// The table, quoted for SQL.
    pub(in crate::store) table: &'static str,
}

/// Archives a row, and returns its number; one that is archived already stays so.
pub(super) async fn archive_named<No: Column>(
    tx: &mut Write,
    nouns: Nouns,
    client_no: ClientNo,
    slug: &str,
    now: i64,
) -> Result<No> {
    Ok(query_scalar(format!(
        "update {} set archived_at = coalesce(archived_at, $3) where client_no = $1 and slug = $2 returning no",
        nouns.table
    ))
    .bind(client_no)
    .bind(slug)
    .bind(now)
    .fetch_one(tx)
    .await?)
}

/// Creates a row, or restores it from the archive under its new name and returns its number.
pub(in crate::store) async fn add_named<No: Column>(
    tx: &mut Write,
    nouns: Nouns,
    client_no: ClientNo,
    new: &Named,
    now: i64,
) -> Result<Option<No>> {
    let table = nouns.table;
    // A concurrent archiving has finished, or waits for us.
    let lock = tx.locked(table);
    let there: Option<(No, Option<i64>)> =
        query_as(format!("select no, archived_at from {table} where client_no = $1 and slug = $2{lock}"))
            .bind(client_no)
            .bind(&new.slug)
            .fetch_optional(tx)
            .await?;
    let added = query(format!(
        "insert into {table} (client_no, slug, name, created_at) values ($1, $2, $3, $4)
         on conflict (client_no, slug) do update set name = excluded.name, archived_at = null
         where {table}.archived_at is not null"
    ))
    .bind(client_no)
    .bind(&new.slug)
    .bind(new.name.as_ref().unwrap_or(&new.slug))
    .bind(now)
    .execute(tx)
    .await?
    .rows_affected();
    if added == 0 {
        let (slug, noun, russian) = (&new.slug, nouns.noun, nouns.russian);
        return Err(Error::Conflict(text!(
            "there is a {noun} `{slug}` already",
            "{russian} «{slug}» уже есть"
        )));
    }
    Ok(there.and_then(|(no, archived_at)| archived_at.map(|_| no)))
}
