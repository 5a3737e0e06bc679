//! What ends when something goes into the archive, for good: it may come back, but whom it let in, or who was in it, has to be
//! said anew.
//!
//! Whoever brings something back ends it all once more. What was given while it went into the archive, by someone who did not
//! see that yet, must not come back with it.

use simo_common::delivery::reason;
use uuid::Uuid;

use super::{
    Result, Write,
    engine::{query, query_scalar},
    operators::archive_operator,
};

/// Ends all that lets in to a client: its operators, the tokens of its ACS and phones, and codes to pair with. Its phones are
/// retired; what waits for them is closed when it is claimed.
pub(super) async fn end_client(tx: &mut Write, client_id: Uuid, now: i64) -> Result<()> {
    let operators: Vec<String> =
        query_scalar("select name from operator where client_id = $1 and archived_at is null order by name")
            .bind(client_id)
            .fetch_all(tx)
            .await?;
    for name in &operators {
        archive_operator(tx, Some(client_id), name, now).await?;
    }
    query("update token set revoked_at = $2 where client_id = $1 and revoked_at is null")
        .bind(client_id)
        .bind(now)
        .execute(tx)
        .await?;
    query(
        "update invite set withdrawn_at = $2, expires_at = $2
         where client_id = $1 and used_at is null and expires_at > $2",
    )
    .bind(client_id)
    .bind(now)
    .execute(tx)
    .await?;
    query("update employee set devices = 0 where client_id = $1 and devices > 0")
        .bind(client_id)
        .execute(tx)
        .await?;
    query("update device set retired_at = $2, reason = $3 where client_id = $1 and retired_at is null")
        .bind(client_id)
        .bind(now)
        .bind(reason::DEVICE_GONE)
        .execute(tx)
        .await?;
    Ok(())
}
