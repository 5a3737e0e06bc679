//! Blocking employees, which withholds their waiting deliveries until they are unblocked, and removing them, which
//! denies these for good.

use simo_common::{
    api::{access::Grantee, people::Waiting},
    delivery::{Outcome, Reason},
    message::Priority,
    text,
};

use super::{
    by_name::live_employee,
    employees::{employee, employee_change},
    ends::end_people,
    topics::refuse_recipient,
};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Error, MessageNo, Result, Store, Write,
    db::engine::{Kind::Whole, query, query_as, query_scalar},
    message_spans::first_since,
    phones::retire_device::{oldest_open, retire},
    posting::accept::insert_pushes,
    queue::{
        UnderWay,
        close::{self, Delivery, Ending, HoldEnding},
        duty::{self, Duty},
    },
};

/// Deliveries that one transaction changes, so that the writer is not held for long.
const AT_ONCE: i64 = 1_000;

impl Store {
    /// Blocks an employee and withholds their waiting deliveries until they are unblocked: all of them when this
    /// returns, and none can be sent once the first transaction has committed, because claims and streams check the
    /// block.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such employee, or they are archived.
    pub async fn block_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        query("update employee set blocked_at = coalesce(blocked_at, $3) where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(employee_no)
            .bind(now)
            .execute(&mut tx)
            .await?;
        duty::begin(&mut tx, client_no, std::iter::once(Duty::Deny(employee_no)), now).await?;
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.block", Some(&before), &after));
        tx.commit().await?;
        self.deny_to(client_no, &[employee_no]).await
    }

    /// Unblocks an employee, and gives back what was withheld. Deliveries denied on acceptance stay denied.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such employee, or they are archived.
    pub async fn unblock_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        query("update employee set blocked_at = null where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(employee_no)
            .execute(&mut tx)
            .await?;
        duty::begin(&mut tx, client_no, std::iter::once(Duty::GiveBack(employee_no)), now).await?;
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.unblock", Some(&before), &after));
        tx.commit().await?;
        self.do_duty(client_no, Duty::GiveBack(employee_no)).await
    }

    /// The number of deliveries waiting for an employee, and how many of them are critical.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such employee.
    pub async fn waiting_for(&self, client_no: ClientNo, personnel_no: &str) -> Result<Waiting> {
        let mut reader = self.snapshot().await?;
        let employee_no: Option<EmployeeNo> =
            query_scalar("select no from employee where client_no = $1 and personnel_no = $2")
                .bind(client_no)
                .bind(personnel_no)
                .fetch_optional(&mut reader)
                .await?;
        let employee_no = employee_no.ok_or_else(|| Error::not_found("employee", personnel_no))?;
        let since = first_since(&mut reader, oldest_open(self.clock.now())).await?;
        let (deliveries, critical): (i64, i64) = query_as(
            "select count(*), count(case when m.priority = $4 then 1 end)
             from delivery d indexed by delivery_employee
             cross join message m on m.client_no = d.client_no and m.no = d.message_no
             where d.client_no = $1 and d.employee_no = $2 and d.message_no >= $3 and d.state = 0",
        )
        .bind(client_no)
        .bind(employee_no)
        .bind(since)
        .bind(Priority::Critical.rank())
        .fetch_one(&mut reader)
        .await?;
        Ok(Waiting { deliveries: deliveries as u64, critical: critical as u64 })
    }

    /// Archives an employee: their devices are retired, their own grants and pairing codes end, their waiting
    /// deliveries are denied. Does nothing if they are archived already.
    ///
    /// # Errors
    /// [`Error::Conflict`] when they are a default recipient of a topic.
    pub async fn remove_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        let employee_no: EmployeeNo =
            query_scalar("select no from employee where client_no = $1 and personnel_no = $2")
                .bind(client_no)
                .bind(personnel_no)
                .fetch_one(&mut tx)
                .await?;
        // Pairing locks the code's row before the employee's.
        end_people(&mut tx, client_no, &[employee_no], now).await?;
        query("update employee set archived_at = coalesce(archived_at, $3) where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(employee_no)
            .bind(now)
            .execute(&mut tx)
            .await?;
        if before.archived_at.is_none() {
            refuse_recipient(&mut tx, client_no, &Grantee::Employee(personnel_no.to_owned())).await?;
        }
        let devices: Vec<DeviceNo> = query_scalar(
            "select no from device where client_no = $1 and employee_no = $2 and retired_at is null",
        )
        .bind(client_no)
        .bind(employee_no)
        .fetch_all(&mut tx)
        .await?;
        duty::begin(&mut tx, client_no, std::iter::once(Duty::Deny(employee_no)), now).await?;
        for device_no in devices {
            retire(&mut tx, client_no, device_no, Reason::DeviceGone, now).await?;
        }
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.remove", Some(&before), &after));
        tx.commit().await?;
        self.deny_to(client_no, &[employee_no]).await
    }

    /// Denies what waits for people who are blocked or archived, including what is still being delivered to them.
    pub(super) async fn deny_to(&self, client_no: ClientNo, people: &[EmployeeNo]) -> Result<()> {
        for &employee_no in people {
            self.do_duty(client_no, Duty::Deny(employee_no)).await?;
            self.settled(client_no, UnderWay::Employee(employee_no)).await?;
        }
        Ok(())
    }
}

/// Denies some of an employee's waiting deliveries, if they are blocked or archived; returns how many. Those denied by
/// a block are kept, to be given back.
pub(in crate::store) async fn deny(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    now: i64,
) -> Result<usize> {
    let is_archived: Option<bool> = query_scalar(
        "select archived_at is not null from employee
         where client_no = $1 and no = $2 and (archived_at is not null or blocked_at is not null)",
    )
    .bind(client_no)
    .bind(employee_no)
    .fetch_optional(tx)
    .await?;
    let Some(is_archived) = is_archived else { return Ok(0) };
    let since = first_since(tx, oldest_open(now)).await?;
    let waiting: Vec<MessageNo> = query_scalar(
        "select message_no from delivery indexed by delivery_employee
         where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 limit $4",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .bind(AT_ONCE)
    .fetch_all(tx)
    .await?;
    let reason = if is_archived { Reason::Archived } else { Reason::Blocked };
    let endings: Vec<Ending> = waiting
        .into_iter()
        .map(|message_no| Ending {
            delivery: (client_no, message_no, employee_no),
            outcome: Outcome::Denied,
            reason,
        })
        .collect();
    let denied = close::end(tx, &endings, now).await?;
    if is_archived {
        // Deliveries that a block denied before are denied for good.
        let held = end_holds(tx, client_no, employee_no, HoldEnding::Final, now).await?;
        return Ok(denied.len() + held.len());
    }
    hold(tx, &denied, now).await?;
    Ok(denied.len())
}

/// Keeps denied deliveries for as long as a block lasts.
pub(in crate::store) async fn hold(tx: &mut Write, denied: &[Delivery], now: i64) -> Result<()> {
    query(
        "insert into hold (client_no, message_no, employee_no, since)
         select {client}, {message}, {employee}, $1 from {rows} where true
         on conflict (client_no, message_no, employee_no, since) do update set until = null, ending = null",
    )
    .bind(now)
    .over(
        [("client", Whole), ("message", Whole), ("employee", Whole)],
        denied.iter().map(|&(client, message, employee)| [client.into(), message.into(), employee.into()]),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends some of an employee's holds; returns their messages.
async fn end_holds(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    ending: HoldEnding,
    now: i64,
) -> Result<Vec<MessageNo>> {
    Ok(query_scalar(
        "update hold set until = $3, ending = $4
         where client_no = $1 and employee_no = $2 and until is null and message_no in (
             select message_no from hold indexed by hold_employee
             where client_no = $1 and employee_no = $2 and until is null limit $5)
         returning message_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(now)
    .bind(ending)
    .bind(AT_ONCE)
    .fetch_all(tx)
    .await?)
}

/// Gives back to an employee some of the deliveries denied while they were blocked; returns how many.
pub(in crate::store) async fn give_back(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    now: i64,
) -> Result<usize> {
    // A concurrent pairing or change of way has finished, or waits.
    let share = tx.shared("employee");
    query(format!("select 1 from employee where client_no = $1 and no = $2{share}"))
        .bind(client_no)
        .bind(employee_no)
        .fetch_optional(tx)
        .await?;
    let since = first_since(tx, oldest_open(now)).await?;
    // A concurrent write that a push was not sent because of the block has finished, or sees that the block is over.
    let lock = tx.locked("d");
    query(format!(
        "select 1 from delivery d indexed by delivery_employee
         where d.client_no = $1 and d.employee_no = $2 and d.message_no >= $3 and d.state in (0, 1, 8)
         order by d.message_no{lock}"
    ))
    .bind(client_no)
    .bind(employee_no)
    .bind(since)
    .fetch_all(tx)
    .await?;
    let held = end_holds(tx, client_no, employee_no, HoldEnding::Lifted, now).await?;
    let given = close::give_back(tx, client_no, employee_no, &held, now).await?;
    close::reopen_blocked(tx, client_no, employee_no, since, now).await?;
    // A concurrent cancel has finished, or finds the deliveries given back.
    let share = tx.shared("m");
    let messages: Vec<(MessageNo, i64, bool)> = query_as(format!(
        "select m.no, m.priority, m.canceled_at is not null from {{rows}} cross join message m
         where m.client_no = $1 and m.no = {{message}}{share}"
    ))
    .bind(client_no)
    .over([("message", Whole)], given.iter().map(|(_, message_no, _)| [(*message_no).into()]))
    .fetch_all(tx)
    .await?;
    let (mut canceled, mut pushes) = (Vec::new(), Vec::new());
    for (message_no, priority, is_canceled) in messages {
        let delivery = (client_no, message_no, employee_no);
        if is_canceled {
            canceled.push(Ending { delivery, outcome: Outcome::Canceled, reason: Reason::Canceled });
        } else {
            // Where a large audience became deliveries during the block, no push was made.
            pushes.push([
                client_no.into(),
                message_no.into(),
                employee_no.into(),
                priority.into(),
                now.into(),
            ]);
        }
    }
    close::end(tx, &canceled, now).await?;
    insert_pushes(tx, pushes).await?;
    close::lacks_device(tx, client_no, employee_no, since).await?;
    Ok(held.len())
}

/// Refuses a blocked employee something that only recipients may get.
pub(in crate::store) fn refuse_blocked(personnel_no: &str, blocked: bool) -> Result<()> {
    if blocked {
        return Err(Error::Conflict(text!(
            "the employee `{personnel_no}` is blocked; unblock them first",
            "сотрудник «{personnel_no}» заблокирован; сначала разблокируйте его"
        )));
    }
    Ok(())
}
