//! Retires phones for good: those that left, were removed or replaced, or whose address is dead.

use simo_common::{
    delivery::Reason,
    message::limits,
    time::{HOUR, SECOND},
    token::TokenKind,
};

use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Result, Write,
    db::engine::{query, query_scalar},
    directory::tokens::revoke_tokens_of,
    message_spans::first_since,
    queue::close::end_pushes_of_device,
};

/// Retires a device with its token, and closes its waiting pushes at once; `false` when it is retired already, or does
/// not exist.
pub(in crate::store) async fn retire(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    reason: Reason,
    now: i64,
) -> Result<bool> {
    let Some(employee_no) = retire_device(tx, client_no, device_no, reason, now).await? else {
        return Ok(false);
    };
    let since = first_since(tx, oldest_open(now)).await?;
    end_pushes_of_device(tx, (client_no, employee_no, device_no), since, now).await?;
    Ok(true)
}

/// Retires a device with its token; its open pushes are closed when they come due. Returns its employee.
pub(in crate::store) async fn retire_device(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    reason: Reason,
    at: i64,
) -> Result<Option<EmployeeNo>> {
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
    if let Some(employee_no) = owner {
        query(
            "update employee set devices = case when devices > 0 then devices - 1 else 0 end
             where client_no = $1 and no = $2",
        )
        .bind(client_no)
        .bind(employee_no)
        .execute(tx)
        .await?;
        revoke_tokens_of(tx, Some(client_no), TokenKind::Device, device_no.0, at).await?;
    }
    Ok(owner)
}

/// No delivery accepted earlier is still open.
pub(in crate::store) fn oldest_open(now: i64) -> i64 {
    now - limits::TTL_SECONDS * SECOND - HOUR
}
