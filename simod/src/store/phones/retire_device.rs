//! Phones go out of use for good: one that left, was removed or replaced, or whose address is dead.

use simo_common::{
    delivery::reason,
    message::limits,
    time::{HOUR, SECOND},
    token::TokenKind,
};
use uuid::Uuid;

use crate::store::{
    Result, Write,
    db::engine::{query, query_scalar},
    directory::tokens::revoke_tokens_of,
};

/// Retires a device with its token, and closes at once what waits for it; `false` when it is retired already, or not there.
pub(in crate::store) async fn retire(
    tx: &mut Write,
    client_id: Uuid,
    device_id: Uuid,
    reason: &str,
    now: i64,
) -> Result<bool> {
    if !retire_device(tx, client_id, device_id, reason, now).await? {
        return Ok(false);
    }
    // By way of the employee's deliveries, because no index leads from a device to its pushes.
    query(
        "update push set done_at = $3, outcome = 'canceled', reason = $4
         where client_id = $1 and device_id = $2 and done_at is null
         and (message_id, employee_id) in (
             select d.message_id, d.employee_id from device v
             join delivery d on d.client_id = v.client_id and d.employee_id = v.employee_id and d.accepted_at >= $5
             where v.client_id = $1 and v.id = $2)",
    )
    .bind(client_id)
    .bind(device_id)
    .bind(now)
    .bind(reason::DEVICE_GONE)
    .bind(oldest_open(now))
    .execute(tx)
    .await?;
    Ok(true)
}

/// Takes a device out of use for good, with its token; its open pushes are closed when they come due.
pub(in crate::store) async fn retire_device(
    tx: &mut Write,
    client_id: Uuid,
    device_id: Uuid,
    reason: &str,
    at: i64,
) -> Result<bool> {
    let owner: Option<Uuid> = query_scalar(
        "update device set retired_at = $3, reason = $4 where client_id = $1 and id = $2 and retired_at is null
         returning employee_id",
    )
    .bind(client_id)
    .bind(device_id)
    .bind(at)
    .bind(reason)
    .fetch_optional(tx)
    .await?;
    let Some(employee_id) = owner else {
        return Ok(false);
    };
    query("update employee set devices = case when devices > 0 then devices - 1 else 0 end where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(employee_id)
        .execute(tx)
        .await?;
    revoke_tokens_of(tx, Some(client_id), TokenKind::Device, device_id, at).await?;
    Ok(true)
}

/// No delivery that was accepted earlier is still open.
pub(in crate::store) fn oldest_open(now: i64) -> i64 {
    now - limits::TTL_SECONDS * SECOND - HOUR
}
