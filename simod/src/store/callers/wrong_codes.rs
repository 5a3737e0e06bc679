//! Limits lookups of one-time codes, of pairing and of login: only so many unknown ones a second, counted in the
//! database so that all instances share one limit. Wrong login codes are also counted per network address and hour.

use simo_common::time::{HOUR, SECOND};

use crate::store::{
    Result, Store, Write,
    db::engine::{Conn, query, query_scalar},
};

/// Unknown codes that are looked up in a second, by all instances together. While 100,000 codes of 10 characters of 31
/// are valid, guessing at this rate finds one in 13 years.
pub(crate) const UNKNOWN_PER_SECOND: i64 = 20;

/// Wrong login codes that one network address may try in an hour.
const LOGINS_PER_HOUR: i64 = 10;

/// Begins the transaction of a lookup, which is counted when it commits; `None` when this second's lookups are used up.
pub(in crate::store) async fn look_up(store: &Store, now: i64) -> Result<Option<Write>> {
    let mut tx = store.write().await?;
    let counted: Option<i64> = query_scalar(
        "insert into attempt (minute, key, count) values ($1, $2, 1)
         on conflict (minute, key) do update set count = attempt.count + 1 where attempt.count < $3
         returning count",
    )
    .bind(now / (60 * SECOND))
    .bind(key(now))
    .bind(UNKNOWN_PER_SECOND)
    .fetch_optional(&mut tx)
    .await?;
    if counted.is_none() {
        tx.rollback().await?;
        return Ok(None);
    }
    Ok(Some(tx))
}

/// Takes the lookup back from the count: the code is known.
pub(in crate::store) async fn is_known(tx: &mut Write, now: i64) -> Result<()> {
    query("update attempt set count = count - 1 where minute = $1 and key = $2")
        .bind(now / (60 * SECOND))
        .bind(key(now))
        .execute(tx)
        .await?;
    Ok(())
}

/// Key of a second's lookups, next to what [`Store::share_counts`] counts.
fn key(now: i64) -> String {
    format!("codes {}", now / SECOND)
}

/// The seconds until a network address may try to log in again, if it has sent too many wrong codes.
pub(in crate::store) async fn too_many_logins(conn: &mut Conn, from: &str, now: i64) -> Result<Option<u32>> {
    let wrong: Option<i64> =
        query_scalar("select count from pairing_failure where address = $1 and hour = $2")
            .bind(from)
            .bind(now / HOUR)
            .fetch_optional(conn)
            .await?;
    Ok(wrong.is_some_and(|count| count >= LOGINS_PER_HOUR).then(|| ((HOUR - now % HOUR) / SECOND) as u32 + 1))
}

/// Ends a login with a wrong code, which is counted. The table is named after pairings, which were once counted there.
pub(in crate::store) async fn login_failed(mut tx: Write, from: &str, now: i64) -> Result<()> {
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
