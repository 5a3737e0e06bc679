//! Endings of pushes and deliveries: only this module writes how they end, what providers said and phones reported, or
//! that they are reopened.

mod again;
mod facts;

use std::{collections::HashSet, sync::LazyLock};

use simo_common::delivery::{Outcome, Reason};

pub(in crate::store) use self::again::{give_back, push_again, reopen_blocked};
pub(super) use self::facts::{PhoneTimes, Tried, received, reported, sent, store_tries_of};
use super::{PushKey, PushOutcome};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, MessageNo, Result, Write,
    db::engine::{
        Engine,
        Kind::{self, Whole},
        RowStatement, Value, Values, query, query_as,
    },
    feed::add_delivery_events,
};

/// Identifies a delivery: client, message, employee.
pub(in crate::store) type Delivery = (ClientNo, MessageNo, EmployeeNo);

/// How a hold ended. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(in crate::store) enum HoldEnding {
    /// It was given back.
    Lifted = 1,
    /// It is denied for good.
    Final = 2,
    /// A provider had accepted it already.
    Sent = 3,
}

impl HoldEnding {
    /// The stored number.
    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }

    /// The ending stored as `number`.
    pub(in crate::store) fn from_number(number: i64) -> Option<Self> {
        [Self::Lifted, Self::Final, Self::Sent].into_iter().find(|ending| ending.number() == number)
    }
}

/// A delivery that ends without a receipt.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Ending {
    pub(in crate::store) delivery: Delivery,
    pub(in crate::store) outcome: Outcome,
    pub(in crate::store) reason: Reason,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PushEnding {
    pub(super) key: PushKey,
    pub(super) outcome: PushOutcome,
    pub(super) reason: Reason,
}

fn end_deliveries(condition: &str) -> String {
    format!(
        "update delivery set outcome = {{outcome}}, reason = {{reason}}, outcome_at = {{at}} from {{rows}}
         where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0 {condition}
         returning client_no, message_no, employee_no"
    )
}

/// The condition that no push of a delivery is open, was accepted, or is withheld.
fn has_no_push_left() -> String {
    let (canceled, blocked) = (PushOutcome::Canceled.number(), Reason::Blocked.number());
    format!(
        "not exists (
             select 1 from push p where p.client_no = delivery.client_no and p.message_no = delivery.message_no
             and p.employee_no = delivery.employee_no
             and (p.done_at is null or p.sent_at is not null or (p.outcome = {canceled} and p.reason = {blocked})))"
    )
}

/// The condition that its employee has devices, or has none.
fn employee_has_devices(how_many: &str) -> String {
    format!(
        "exists (select 1 from employee e where e.client_no = delivery.client_no and e.no = delivery.employee_no
             and e.devices {how_many})"
    )
}

const DELIVERY_ENDS: [(&str, Kind); 6] = [
    ("client", Whole),
    ("message", Whole),
    ("employee", Whole),
    ("outcome", Whole),
    ("reason", Whole),
    ("at", Whole),
];

static END_DELIVERIES: LazyLock<RowStatement<6>> =
    LazyLock::new(|| RowStatement::new(DELIVERY_ENDS, end_deliveries("")));

static END_DELIVERIES_WITHOUT_PUSHES: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(DELIVERY_ENDS, end_deliveries(&format!("and {}", has_no_push_left())))
});

static END_PUSHES_OF_DELIVERIES: LazyLock<RowStatement<6>> = LazyLock::new(|| {
    RowStatement::new(
        DELIVERY_ENDS,
        "update push set done_at = {at}, outcome = {outcome}, reason = {reason} from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and done_at is null",
    )
});

impl Ending {
    fn row(&self, outcome: Value<'static>, at: i64) -> Values<'static, 6> {
        let (client, message, employee) = self.delivery;
        [client.into(), message.into(), employee.into(), outcome, self.reason.into(), at.into()]
    }

    fn of_delivery(&self, at: i64) -> Values<'static, 6> {
        self.row(self.outcome.into(), at)
    }

    fn of_pushes(&self, at: i64) -> Values<'static, 6> {
        self.row(PushOutcome::with(self.outcome).into(), at)
    }
}

/// Ends waiting deliveries with their open pushes, and adds events. Returns those that were waiting.
pub(in crate::store) async fn end(tx: &mut Write, endings: &[Ending], at: i64) -> Result<Vec<Delivery>> {
    let rows = endings.iter().map(|ending| ending.of_delivery(at));
    let ended: Vec<Delivery> = END_DELIVERIES.fetch_all(tx, rows.collect()).await?;
    let changed: HashSet<&Delivery> = ended.iter().collect();
    let pushes = endings.iter().filter(|ending| changed.contains(&ending.delivery));
    let pushes = pushes.map(|ending| ending.of_pushes(at)).collect();
    END_PUSHES_OF_DELIVERIES.execute(tx, pushes).await?;
    add_delivery_events(tx, &ended, at).await?;
    Ok(ended)
}

/// Ends waiting deliveries of which no push is open or was accepted. Returns those that changed.
pub(super) async fn end_without_pushes(tx: &mut Write, endings: &[Ending], at: i64) -> Result<Vec<Delivery>> {
    let rows = endings.iter().map(|ending| ending.of_delivery(at));
    Ok(END_DELIVERIES_WITHOUT_PUSHES.fetch_all(tx, rows.collect()).await?)
}

static END_PUSHES: LazyLock<RowStatement<8>> = LazyLock::new(|| {
    RowStatement::new(
        [
            ("client", Whole),
            ("message", Whole),
            ("employee", Whole),
            ("device", Whole),
            ("step", Whole),
            ("outcome", Whole),
            ("reason", Whole),
            ("at", Whole),
        ],
        "update push set done_at = {at}, outcome = {outcome}, reason = {reason} from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and device_no = {device}
         and step = {step} and done_at is null",
    )
});

/// Ends open pushes.
pub(super) async fn end_pushes(tx: &mut Write, endings: &[PushEnding], at: i64) -> Result<()> {
    let rows = endings.iter().map(|PushEnding { key, outcome, reason }| {
        [
            key.client_no.into(),
            key.message_no.into(),
            key.employee_no.into(),
            key.device_no.into(),
            key.step.into(),
            (*outcome).into(),
            (*reason).into(),
            at.into(),
        ]
    });
    Ok(END_PUSHES.execute(tx, rows.collect()).await?)
}

/// Ends the open pushes of a device that is gone.
pub(in crate::store) async fn end_pushes_of_device(
    tx: &mut Write,
    (client_no, employee_no, device_no): (ClientNo, EmployeeNo, DeviceNo),
    since: MessageNo,
    at: i64,
) -> Result<()> {
    // As everywhere, deliveries are locked before pushes.
    lock_waiting(tx, client_no, employee_no, since).await?;
    lacks_device(tx, client_no, employee_no, since).await?;
    // Through the employee's deliveries, because no index leads from a device to its pushes.
    let left: Vec<Delivery> = query_as(
        "update push set done_at = $5, outcome = $6, reason = $7
         where client_no = $1 and employee_no = $2 and device_no = $3 and done_at is null and message_no in (
             select message_no from delivery indexed by delivery_employee
             where client_no = $1 and employee_no = $2 and message_no >= $4)
         returning client_no, message_no, employee_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(device_no)
    .bind(since)
    .bind(at)
    .bind(PushOutcome::Canceled)
    .bind(Reason::DeviceGone)
    .fetch_all(tx)
    .await?;
    let ended = end_failed(tx, &left, at).await?;
    add_delivery_events(tx, &ended, at).await
}

/// Locks an employee's waiting deliveries in order: transactions that change several of them wait for each other here.
async fn lock_waiting(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    if tx.engine() == Engine::Postgres {
        query(
            "select message_no from delivery where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0
             order by message_no for update",
        )
        .bind(client_no)
        .bind(employee_no)
        .bind(since)
        .fetch_all(tx)
        .await?;
    }
    Ok(())
}

static END_FAILED: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    let (outcome, failed) = (Outcome::Failed.number(), PushOutcome::Failed.number());
    let failures = format!(
        "from push p where p.client_no = delivery.client_no and p.message_no = delivery.message_no
         and p.employee_no = delivery.employee_no and p.outcome = {failed}"
    );
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("at", Whole)],
        format!(
            "update delivery set outcome = {outcome}, outcome_at = {{at}},
                 reason = (select p.reason {failures} order by p.done_at desc limit 1)
             from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0
             and exists (select 1 {failures}) and {} and {}
             returning client_no, message_no, employee_no",
            has_no_push_left(),
            employee_has_devices("> 0"),
        ),
    )
});

/// Ends deliveries whose last open push was to a device that is gone, where those to others have failed. Returns those
/// that changed.
pub(super) async fn end_failed(tx: &mut Write, deliveries: &[Delivery], at: i64) -> Result<Vec<Delivery>> {
    let rows = deliveries
        .iter()
        .map(|&(client, message, employee)| [client.into(), message.into(), employee.into(), at.into()]);
    Ok(END_FAILED.fetch_all(tx, rows.collect()).await?)
}

/// Notes on waiting deliveries of employees without a phone that they wait for one.
pub(in crate::store) async fn lacks_device(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    query(
        "update delivery indexed by delivery_employee set reason = $4
         where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 and reason is null
         and exists (select 1 from employee e where e.client_no = $1 and e.no = $2 and e.devices = 0)",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .bind(Reason::NoDevice)
    .execute(tx)
    .await?;
    Ok(())
}

static LEFT_WITHOUT_DEVICE: LazyLock<RowStatement<3>> = LazyLock::new(|| {
    let no_device = Reason::NoDevice.number();
    RowStatement::new(
        [("client", Whole), ("message", Whole), ("employee", Whole)],
        format!(
            "update delivery set reason = {no_device} from {{rows}}
             where client_no = {{client}} and message_no = {{message}} and employee_no = {{employee}} and state = 0
             and {} and {}",
            has_no_push_left(),
            employee_has_devices("= 0"),
        ),
    )
});

/// Notes on waiting deliveries without any push left that they wait for a phone.
pub(super) async fn left_without_device(tx: &mut Write, deliveries: &[Delivery]) -> Result<()> {
    let rows = deliveries
        .iter()
        .map(|&(client, message, employee)| [client.into(), message.into(), employee.into()]);
    Ok(LEFT_WITHOUT_DEVICE.execute(tx, rows.collect()).await?)
}

/// Notes that waiting deliveries have a phone now.
pub(in crate::store) async fn has_device(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    since: MessageNo,
) -> Result<()> {
    query(
        "update delivery indexed by delivery_employee set reason = null
         where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 and reason = $4",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .bind(Reason::NoDevice)
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes why open pushes wait. Returns how many.
pub(super) async fn note(tx: &mut Write, pushes: &[PushKey], why: Reason) -> Result<u64> {
    let noted = query(
        "update push set reason = $1 from {rows}
         where client_no = {client} and message_no = {message} and employee_no = {employee} and device_no = {device}
         and step = {step} and done_at is null",
    )
    .bind(why)
    .over(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("device", Whole), ("step", Whole)],
        pushes.iter().map(|key| {
            [
                key.client_no.into(),
                key.message_no.into(),
                key.employee_no.into(),
                key.device_no.into(),
                key.step.into(),
            ]
        }),
    )
    .execute(tx)
    .await?;
    Ok(noted.rows_affected())
}
