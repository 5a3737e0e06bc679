//! Phones go out of use for good: one that left, was removed or replaced, or whose address is dead.

use simo_common::{
    delivery::reason,
    message::limits,
    time::{HOUR, SECOND},
    token::TokenKind,
};

use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Result, Write,
    db::engine::{query, query_scalar},
    directory::tokens::revoke_tokens_of,
    message_spans::first_since,
};

/// Retires a device with its token, and closes at once what waits for it; `false` when it is retired already, or not there.
pub(in crate::store) async fn retire(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    reason: &str,
    now: i64,
) -> Result<bool> {
    if !retire_device(tx, client_no, device_no, reason, now).await? {
        return Ok(false);
    }
    let oldest = first_since(tx, oldest_open(now)).await?;
    // By way of the employee's deliveries, because no index leads from a device to its pushes.
    query(
        "update push set done_at = $3, outcome = 'canceled', reason = $4
         where client_no = $1 and device_no = $2 and done_at is null
         and (message_no, employee_no) in (
             select d.message_no, d.employee_no from device v
             cross join delivery d indexed by delivery_employee on d.client_no = v.client_no and d.employee_no = v.employee_no and d.message_no >= $5
             where v.client_no = $1 and v.no = $2)",
    )
    .bind(client_no)
    .bind(device_no)
    .bind(now)
    .bind(reason::DEVICE_GONE)
    .bind(oldest)
    .execute(tx)
    .await?;
    Ok(true)
}

/// Takes a device out of use for good, with its token; its open pushes are closed when they come due.
pub(in crate::store) async fn retire_device(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    reason: &str,
    at: i64,
) -> Result<bool> {
    let owner: Option<EmployeeNo> = query_scalar(
        "update device set retired_at = $3, reason = $4 where client_no = $1 and no = $2 and retired_at is null
         returning employee_no",
    )
    .bind(client_no)
    .bind(device_no)
    .bind(at)
    .bind(reason)
    .fetch_optional(tx)
    .await?;
    let Some(employee_no) = owner else {
        return Ok(false);
    };
    query("update employee set devices = case when devices > 0 then devices - 1 else 0 end where client_no = $1 and no = $2")
        .bind(client_no)
        .bind(employee_no)
        .execute(tx)
        .await?;
    revoke_tokens_of(tx, Some(client_no), TokenKind::Device, device_no.0, at).await?;
    Ok(true)
}

/// No delivery that was accepted earlier is still open.
pub(in crate::store) fn oldest_open(now: i64) -> i64 {
    now - limits::TTL_SECONDS * SECOND - HOUR
}
