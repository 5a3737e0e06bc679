//! What groups and topics have in common: a slug, a name for people, and an archive that they come back from.

use simo_common::{api::access::Named, id, text};
use uuid::Uuid;

use crate::store::{
    Error, Result, Write,
    db::engine::{query, query_as, query_scalar},
};

/// A table of slugs and names.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Nouns {
    /// What a row is called in errors.
    pub(in crate::store) noun: &'static str,
    /// The same in Russian.
    pub(in crate::store) russian: &'static str,
    /// The table, quoted for SQL.
    pub(in crate::store) table: &'static str,
}

/// Archives a row that is there, and returns its id; one that is archived already stays so.
pub(super) async fn archive_named(
    tx: &mut Write,
    nouns: Nouns,
    client_id: Uuid,
    slug: &str,
    now: i64,
) -> Result<Uuid> {
    Ok(query_scalar(format!(
        "update {} set archived_at = coalesce(archived_at, $3) where client_id = $1 and slug = $2 returning id",
        nouns.table
    ))
    .bind(client_id)
    .bind(slug)
    .bind(now)
    .fetch_one(tx)
    .await?)
}

/// Makes a row, or brings it back from the archive under its new name: then its id is returned.
pub(in crate::store) async fn add_named(
    tx: &mut Write,
    nouns: Nouns,
    client_id: Uuid,
    new: &Named,
    now: i64,
) -> Result<Option<Uuid>> {
    let table = nouns.table;
    // Whoever is archiving it has done so, or waits for us.
    let lock = tx.locked(table);
    let there: Option<(Uuid, Option<i64>)> =
        query_as(format!("select id, archived_at from {table} where client_id = $1 and slug = $2{lock}"))
            .bind(client_id)
            .bind(&new.slug)
            .fetch_optional(tx)
            .await?;
    let added = query(format!(
        "insert into {table} (client_id, id, slug, name, created_at) values ($1, $2, $3, $4, $5)
         on conflict (client_id, slug) do update set name = excluded.name, archived_at = null
         where {table}.archived_at is not null"
    ))
    .bind(client_id)
    .bind(id::new(now))
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
    Ok(there.and_then(|(id, archived_at)| archived_at.map(|_| id)))
}
