//! Wrong codes, of pairing and of logging in: counted per network address and hour in the database, so that any number of
//! instances make one limit.

use simo_common::time::{HOUR, SECOND};

use crate::store::{
    Result, Store, Write,
    db::engine::{Conn, query, query_scalar},
};

/// Wrong codes that one network address may try in an hour.
const PER_HOUR: i64 = 10;

/// Begins the transaction of an attempt.
///
/// # Errors
/// Inside: the seconds until the address may try again, when too many wrong codes came from it.
pub(in crate::store) async fn attempt(
    store: &Store,
    from: &str,
    now: i64,
) -> Result<std::result::Result<Write, u32>> {
    // Before the writer is asked for: whoever guesses must not make others wait.
    if let Some(retry_after) = too_many(&mut *store.read().await?, from, now).await? {
        return Ok(Err(retry_after));
    }
    let mut tx = store.write().await?;
    Ok(match too_many(&mut tx, from, now).await? {
        Some(retry_after) => Err(retry_after),
        None => Ok(tx),
    })
}

async fn too_many(conn: &mut Conn, from: &str, now: i64) -> Result<Option<u32>> {
    let failures: Option<i64> =
        query_scalar("select count from pairing_failure where address = $1 and hour = $2")
            .bind(from)
            .bind(now / HOUR)
            .fetch_optional(conn)
            .await?;
    Ok(failures.is_some_and(|count| count >= PER_HOUR).then(|| ((HOUR - now % HOUR) / SECOND) as u32 + 1))
}

/// Ends it: the code was wrong, which is counted.
pub(in crate::store) async fn was_wrong(mut tx: Write, from: &str, now: i64) -> Result<()> {
    let hour = now / HOUR;
    query("delete from pairing_failure where hour < $1").bind(hour).execute(&mut tx).await?;
    query(
        "insert into pairing_failure (address, hour, count) values ($1, $2, 1)
         on conflict (address, hour) do update set count = pairing_failure.count + 1",
    )
    .bind(from)
    .bind(hour)
    .execute(&mut tx)
    .await?;
    tx.commit().await
}
