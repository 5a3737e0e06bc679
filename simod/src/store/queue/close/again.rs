//! Reopens deliveries and pushes: those that a block withheld, and those still owed to a device that now fetches its
//! messages.

use simo_common::delivery::{DeliveryState, Reason};

use super::{super::PushOutcome, Delivery};
use crate::{
    channel::ChannelKind,
    store::{
        ClientNo, DeviceCaller, EmployeeNo, MessageNo, Result, Write,
        db::engine::{Kind::Whole, query, query_as},
        feed::add_delivery_events,
    },
};

/// Adds a push for unconfirmed messages that a provider accepted for a device, or could not deliver to it: the device
/// fetches its messages from now on.
pub(in crate::store) async fn push_again(
    tx: &mut Write,
    device: &DeviceCaller,
    unconfirmed: &[MessageNo],
    channel: ChannelKind,
    now: i64,
) -> Result<()> {
    query(
        "insert into push (client_no, message_no, employee_no, device_no, step, channel, urgency, due_at)
         select p.client_no, p.message_no, p.employee_no, p.device_no, p.step + 1, $4, p.urgency, $5
         from {rows} cross join push p
         where p.client_no = $1 and p.message_no = {message} and p.employee_no = $2 and p.device_no = $3
         and p.done_at is not null and p.outcome <> $6 and (p.sent_at is not null or p.outcome = $7) and not exists (
             select 1 from push l where l.client_no = $1 and l.message_no = p.message_no and l.employee_no = $2
             and l.device_no = $3 and l.step > p.step)",
    )
    .bind(device.client_no)
    .bind(device.employee_no)
    .bind(device.device_no)
    .bind(channel)
    .bind(now)
    .bind(PushOutcome::Received)
    .bind(PushOutcome::Failed)
    .over([("message", Whole)], unconfirmed.iter().map(|message| [(*message).into()]))
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives back deliveries denied by an employee's block, and adds events. Returns them.
pub(in crate::store) async fn give_back(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    messages: &[MessageNo],
    now: i64,
) -> Result<Vec<Delivery>> {
    let given: Vec<Delivery> = query_as(
        "update delivery set outcome = null, reason = null, outcome_at = null
         where client_no = $1 and employee_no = $2 and state = $3 and reason = $4
         and message_no in (select {message} from {rows})
         returning client_no, message_no, employee_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(DeliveryState::Denied.rank())
    .bind(Reason::Blocked)
    .over([("message", Whole)], messages.iter().map(|message| [(*message).into()]))
    .fetch_all(tx)
    .await?;
    add_delivery_events(tx, &given, now).await?;
    Ok(given)
}

/// Reopens the pushes closed by an employee's block, of their waiting deliveries: those given back, and those claimed
/// before they were denied.
pub(in crate::store) async fn reopen_blocked(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
    now: i64,
) -> Result<()> {
    // By the phone's present way.
    query(
        "update push set done_at = null, outcome = null, reason = null, due_at = $5, channel = (
             select d.channel from device d where d.client_no = $1 and d.no = push.device_no)
         where client_no = $1 and employee_no = $2 and outcome = $3 and reason = $4 and sent_at is null
         and exists (select 1 from device d where d.client_no = $1 and d.no = push.device_no and d.retired_at is null)
         and message_no in (
             select message_no from delivery indexed by delivery_employee
             where client_no = $1 and employee_no = $2 and message_no >= $6 and state in (0, 1))",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(PushOutcome::Canceled)
    .bind(Reason::Blocked)
    .bind(now)
    .bind(since)
    .execute(tx)
    .await?;
    Ok(())
}
